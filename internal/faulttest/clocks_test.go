package faulttest_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/internal/memstore"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// A clock that jumps, ahead by up to days and back by up to a window: no window admits
// more than its limit, whoever limits, and no one is told to wait for less than nothing
// or more than a window.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	limiters := map[string]func(apikeys.Store) apikeys.RateLimiter{
		"leases": func(apikeys.Store) apikeys.RateLimiter { return nil },
		"exact":  apikeys.NewExactLimiter,
	}
	for name, limiter := range limiters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range testdb.Dose(20, 2000) {
				synctest.Test(t, func(t *testing.T) { jump(t, limiter, uint64(seed)) })
			}
		})
	}
}

// jump lets two clients, whose clock is the same, use up windows while it jumps.
func jump(t *testing.T, limiter func(apikeys.Store) apikeys.RateLimiter, seed uint64) {
	t.Helper()
	s, clock := memstore.New(), apikeystest.NewClock(time.Date(2026, 3, 29, 0, 59, 0, 0, time.UTC))
	config := remembering()
	config.Now, config.RateLimiter = clock.Now, limiter(s)
	clients := []*apikeys.Client{newClient(t, s, config), newClient(t, s, config)}
	org := must(clients[0].CreateOrganization(t.Context(), "organization"))(t)
	const limit = 7
	key := must(clients[0].CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org.ID, Metadata: apikeys.KeyMetadata{
		RateLimits: []apikeys.RateLimit{apikeys.PerMinute(limit)},
	}}))(t)
	random := rand.New(rand.NewPCG(seed, 2))
	admitted, latest := map[time.Time]int{}, clock.Now()
	for range 300 {
		switch random.IntN(12) {
		case 0: // back, but not by a whole window: that is taken for the end of a mistake
			clock.Set(latest.Add(-time.Duration(random.Int64N(int64(time.Minute)))))
		case 1:
			clock.Advance(time.Duration(random.Int64N(int64(72 * time.Hour))))
		default:
			clock.Advance(time.Duration(random.Int64N(int64(12 * time.Second))))
		}
		if now := clock.Now(); now.After(latest) {
			latest = now
		}
		v, err := clients[random.IntN(2)].Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{})
		var quota *apikeys.QuotaError
		switch {
		case err == nil:
			reset := v.Limits()[0].ResetAt // of the window that it was charged to
			admitted[reset]++
			if left := reset.Sub(clock.Now()); left <= 0 || left > 2*time.Minute {
				t.Fatalf("seed %d: the window ends in %v", seed, left)
			}
		case errors.As(err, &quota):
			if quota.RetryAfter < 0 || quota.RetryAfter > 2*time.Minute {
				t.Fatalf("seed %d: got RetryAfter %v", seed, quota.RetryAfter)
			}
		case !errors.Is(err, apikeys.ErrUnavailable):
			t.Fatalf("seed %d: got error %v", seed, err)
		}
	}
	for window, n := range admitted {
		if n > limit {
			t.Fatalf("seed %d: got %d admitted in the window until %v, want at most %d", seed, n, window, limit)
		}
	}
}

// A key that ended has ended, however the clock goes on from there, and a key that was
// revoked is revoked whatever the clock says.
func TestClocksDoNotReviveKeys(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]apikeys.Config{"strict": strict(), "remembering": remembering()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, clock := memstore.New(), apikeystest.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
			config.Now = clock.Now
			c := newClient(t, s, config)
			org := must(c.CreateOrganization(t.Context(), "organization"))(t)
			end := clock.Now().Add(time.Hour)
			ending := must(c.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org.ID, Metadata: apikeys.KeyMetadata{ExpiresAt: end}}))(t)
			revoked := must(c.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org.ID}))(t)
			must(c.RevokeKey(t.Context(), revoked.Key.ID, apikeys.RevokeParams{}))(t)
			for _, jump := range []time.Duration{0, -time.Hour, -365 * 24 * time.Hour, 2 * 365 * 24 * time.Hour, -time.Nanosecond} {
				clock.Advance(jump)
				_, err := c.Verify(t.Context(), revoked.Plaintext.Reveal())
				if !errors.Is(err, apikeys.ErrRevokedKey) {
					t.Errorf("after %v: a revoked key: got error %v", jump, err)
				}
				_, err = c.Verify(t.Context(), ending.Plaintext.Reveal())
				if ended := !clock.Now().Before(end); ended != errors.Is(err, apikeys.ErrExpiredKey) || !ended && err != nil {
					t.Errorf("after %v: a key that ends at %v, at %v: got error %v", jump, end, clock.Now(), err)
				}
			}
		})
	}
}
