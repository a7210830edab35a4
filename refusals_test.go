package apikeys_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// outcomes sums up what the usage history has of a key, after its client was closed.
func outcomes(t testing.TB, base *apikeystest.Client, id uuid.UUID) map[string]int64 {
	t.Helper()
	hours := must(base.KeyUsage(t.Context(), id, base.Clock.Now().Add(-48*time.Hour), base.Clock.Now().Add(48*time.Hour)))(t)
	counts := map[string]int64{}
	for _, h := range hours {
		counts[h.Outcome] += h.Count
	}
	return counts
}

// Each reason for which a known key is refused has its own count, which is no use.
func TestRefusalsAreCountedByReason(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for code, tc := range map[string]struct {
		prepare func(t *testing.T, c *apikeys.Client, key *apikeys.IssuedKey)
		meta    apikeys.KeyMetadata
		params  apikeys.ValidateParams
	}{
		apikeys.CodeRevokedKey: {prepare: func(t *testing.T, c *apikeys.Client, key *apikeys.IssuedKey) {
			must(c.RevokeKey(ctx, key.Key.ID, apikeys.RevokeParams{}))(t)
		}},
		apikeys.CodeDisabledKey: {prepare: func(t *testing.T, c *apikeys.Client, key *apikeys.IssuedKey) {
			must(c.DisableKey(ctx, key.Key.ID))(t)
		}},
		apikeys.CodeSuspended: {prepare: func(t *testing.T, c *apikeys.Client, key *apikeys.IssuedKey) {
			must(c.SuspendOrganization(ctx, key.Key.OrganizationID))(t)
		}},
		apikeys.CodeRetiredSecret: {prepare: func(t *testing.T, c *apikeys.Client, key *apikeys.IssuedKey) {
			must(c.RotateKey(ctx, key.Key.ID, apikeys.RotateParams{}))(t)
		}},
		apikeys.CodeExpiredKey:        {meta: apikeys.KeyMetadata{ExpiresAt: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}},
		apikeys.CodeInsufficientScope: {params: apikeys.ValidateParams{Scopes: []string{"admin"}}},
		apikeys.CodeQuotaExceeded:     {meta: apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{{Window: apikeys.WindowDay}}}},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			for _, delay := range []time.Duration{-1, 0} {
				base, c, _ := spied(t, func(c *apikeys.Config) { c.RevocationDelay = delay })
				key := base.IssueWith(tc.meta)
				if tc.prepare != nil {
					tc.prepare(t, c, key)
				}
				for range 3 {
					_, err := c.Validate(ctx, key.Plaintext.Reveal(), tc.params)
					if got := errorCode(err); got != code {
						t.Fatalf("got error %v, want code %s", err, code)
					}
				}
				skip := tc.params
				skip.SkipUsage = true
				_, _ = c.Validate(ctx, key.Plaintext.Reveal(), skip)
				if err := c.Close(ctx); err != nil {
					t.Fatal(err)
				}
				if got := outcomes(t, base, key.Key.ID); len(got) != 1 || got[code] != 3 {
					t.Errorf("got outcomes %v, want 3 of %s alone", got, code)
				}
				if got := must(base.GetKey(ctx, key.Key.ID))(t); got.UseCount != 0 || !got.LastUsedAt.IsZero() {
					t.Errorf("got %d uses, the last at %s; want none", got.UseCount, got.LastUsedAt)
				}
			}
		})
	}
}

func errorCode(err error) string {
	if ours, ok := err.(apikeys.Error); ok { //nolint:errorlint // Validate wraps nothing around ours
		return ours.Code()
	}
	return ""
}

// What says nothing of a key is not written to its history: keys that are made up,
// keys outside of a view, wrong calls, and faults of the store.
func TestWhatIsNoRefusalOfAKeyIsNotCounted(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	base, c, s := spied(t, func(c *apikeys.Config) { c.CacheSize = -1 })
	key := base.IssueLimited(apikeys.PerDay(5))
	text := key.Plaintext.Reveal()
	other := must(c.CreateOrganization(ctx, "other"))(t)
	_, _ = c.Verify(ctx, text[:len(text)-1]+"?")
	_, _ = c.Scoped(apikeys.Scope{OrganizationID: other.ID}).Verify(ctx, text)
	_, err := c.Validate(ctx, text, apikeys.ValidateParams{Cost: 6})
	wantIs(t, err, apikeys.ErrInvalidArgument)
	s.fail(apikeys.ErrUnavailable)
	_, _ = c.Validate(ctx, text, apikeys.ValidateParams{ProjectID: uuid.New()})
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if got := outcomes(t, base, key.Key.ID); len(got) != 0 {
		t.Errorf("got outcomes %v, want none", got)
	}
}

// After a rotation, an operator sees whether the old text is still tried.
func TestKeySecretsTellOfRetiredUse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	base, c, _ := spied(t)
	key := base.Issue()
	must(c.RotateKey(ctx, key.Key.ID, apikeys.RotateParams{}))(t)
	tried := base.Clock.Advance(time.Hour)
	_, err := c.Verify(ctx, key.Plaintext.Reveal())
	wantErr[*apikeys.RetiredSecretError](t, err, apikeys.ErrExpiredKey)
	if err := c.Close(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	secrets := must(base.KeySecrets(ctx, key.Key.ID))(t)
	if len(secrets) != 2 || !secrets[0].LastRetiredUseAt.IsZero() || !secrets[1].LastRetiredUseAt.Equal(tried) || !secrets[1].LastUsedAt.IsZero() {
		t.Errorf("got %+v, want the old text tried at %s", secrets, tried)
	}
}

// Counting refusals costs no memory: their number is in the hands of whoever holds a key.
func TestCountingRefusalsDoesNotAllocate(t *testing.T) {
	base, c, _ := spied(t)
	text := base.IssueRevoked().Plaintext.Reveal()
	const times = 2000
	refuse := func(params apikeys.ValidateParams) float64 {
		return testing.AllocsPerRun(1, func() {
			for range times {
				_, _ = c.Validate(t.Context(), text, params)
			}
		}) / times
	}
	refuse(apikeys.ValidateParams{}) // the first makes a place for the count
	// The race detector drops some of what is pooled, at random, and whatever else runs
	// allocates too: the least of several rounds is what a refusal takes.
	counted, skipped := math.Inf(1), math.Inf(1)
	for range 5 {
		counted = min(counted, refuse(apikeys.ValidateParams{}))
		skipped = min(skipped, refuse(apikeys.ValidateParams{SkipUsage: true}))
	}
	if counted > skipped+0.5 {
		t.Errorf("got %.2f allocations for a refusal that is counted, want the %.2f of one that is not", counted, skipped)
	}
}

// A refusal stands for a millisecond at most, for no less than what it was for, and not
// beyond its window.
func TestRefusalsOfAFullWindowAreShared(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	base, c, _ := spied(t, func(c *apikeys.Config) { c.RevocationDelay = 0 })
	key := base.IssueLimited(apikeys.PerSecond(3))
	base.Clock.Advance(base.Clock.Now().Truncate(time.Second).Add(time.Second).Sub(base.Clock.Now()))
	end := base.Clock.Now().Add(time.Second)
	validate := func(cost int64) error {
		_, err := c.Validate(ctx, key.Plaintext.Reveal(), apikeys.ValidateParams{Cost: cost})
		return err
	}
	refused := 0
	refuse := func(cost int64, after time.Duration) *apikeys.QuotaError {
		t.Helper()
		base.Clock.Advance(after)
		e := wantErr[*apikeys.QuotaError](t, validate(cost), apikeys.ErrQuotaExceeded)
		refused++
		late := e.RetryAfter - end.Sub(base.Clock.Now())
		if !e.ResetAt.Equal(end) || e.KeyID != key.Key.ID || e.Limit != apikeys.PerSecond(3) || late < 0 || late >= time.Millisecond {
			t.Errorf("got %+v, %s too late; want the window's end", e, late)
		}
		return e
	}
	for range 2 {
		if err := validate(1); err != nil {
			t.Fatal(err)
		}
	}
	refuse(2, 0) // asks the store
	two := refuse(2, 0)
	if err := validate(1); err != nil {
		t.Errorf("the last of three, beside a refusal of two at once: %v", err)
	}
	if three := refuse(3, 0); three != two {
		t.Error("got another refusal at the same moment of a greater cost")
	}
	one := refuse(1, 0)
	if one == two {
		t.Error("got the refusal of two for one")
	}
	if refuse(1, time.Millisecond-time.Microsecond) != one || refuse(1, time.Microsecond) == one {
		t.Error("want one refusal for less than a millisecond")
	}
	refuse(1, 400*time.Millisecond)
	refuse(1, -300*time.Millisecond) // the clock is set back
	refuse(1, end.Sub(base.Clock.Now())-time.Microsecond)
	base.Clock.Advance(time.Microsecond)
	if err := validate(1); err != nil {
		t.Errorf("in the next window: %v", err)
	}
	s := c.Stats()
	if got := s.Refused[apikeys.CodeQuotaExceeded]; got != int64(refused) || s.LimitedInMemory > got || s.LimitedInMemory == 0 {
		t.Errorf("got %d refused and %d of them from memory, want %d", got, s.LimitedInMemory, refused)
	}
	if err := c.Close(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	if got := outcomes(t, base, key.Key.ID)[apikeys.CodeQuotaExceeded]; got != int64(refused) {
		t.Errorf("the history has %d refusals, want %d", got, refused)
	}
}

// However many are refused at once, each is counted once, as a hit, a refusal and one
// from memory.
func TestRefusalsInFloodsAreCountedExactly(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	base, c, _ := spied(t, func(c *apikeys.Config) { c.RevocationDelay, c.Now = time.Hour, nil })
	key := base.IssueLimited(apikeys.PerDay(0))
	const floods, each = 8, 2000
	text := key.Plaintext.Reveal()
	wantIs(t, second(c.Validate(ctx, text, apikeys.ValidateParams{})), apikeys.ErrQuotaExceeded)
	before := c.Stats()
	var wg sync.WaitGroup
	for range floods {
		wg.Go(func() {
			for range each {
				if _, err := c.Validate(ctx, text, apikeys.ValidateParams{}); !errors.Is(err, apikeys.ErrQuotaExceeded) {
					t.Errorf("got %v, want a full window", err)
				}
			}
		})
	}
	wg.Wait()
	after := c.Stats()
	got := [3]int64{
		after.Hits - before.Hits, after.LimitedInMemory - before.LimitedInMemory,
		after.Refused[apikeys.CodeQuotaExceeded] - before.Refused[apikeys.CodeQuotaExceeded],
	}
	if want := [3]int64{floods * each, floods * each, floods * each}; got != want || after.StoreCalls.Leases != before.StoreCalls.Leases {
		t.Errorf("got %v hits, refused from memory and refused, want %v without a lease", got, want)
	}
	if err := c.Close(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	hours := must(base.KeyUsage(ctx, key.Key.ID, time.Now().Add(-48*time.Hour), time.Now().Add(48*time.Hour)))(t)
	total := int64(0)
	for _, h := range hours {
		total += h.Count
	}
	if total != floods*each+1 {
		t.Errorf("the history has %d refusals, want %d", total, floods*each+1)
	}
}
