package apikeys_test

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/memstore"
)

// slowWriter is a store whose leases take a second, and which notes how many calls there
// are at once, and for how many requests.
type slowWriter struct {
	apikeys.UnimplementedStore
	serial bool

	mu                        sync.Mutex
	running, atOnce, together int
}

func (s *slowWriter) Serial() bool { return s.serial }

func (s *slowWriter) TakeLeases(_ context.Context, requests []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	s.note(1, len(requests))
	time.Sleep(time.Second)
	s.note(-1, 0)
	grants := make([]apikeys.LeaseGrant, len(requests))
	for i, r := range requests {
		grants[i].Parts = []apikeys.GrantedPart{{Granted: r.Parts[0].Want}}
	}
	return grants, nil
}

func (s *slowWriter) note(calls, requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running += calls
	s.atOnce, s.together = max(s.atOnce, s.running), max(s.together, requests)
}

// Exact limits write twice at once, each time for half of those who wait; where the store
// would do one after the other, once for all.
func TestExactWritesAtOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		serial           bool
		atOnce, together int
	}{
		"side by side":        {false, 2, 32},
		"one after the other": {true, 1, 64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &slowWriter{serial: tc.serial}
				limiter := apikeys.NewExactLimiter(s)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var wg sync.WaitGroup
				for i := range 200 {
					wg.Go(func() {
						d, err := limiter.Charge(ctx, apikeys.RateCharge{
							Subject: apikeys.Subject{byte(i)}, Limits: []apikeys.RateLimit{apikeys.PerDay(10)}, Cost: 1,
						})
						if err != nil || !d.Allowed {
							t.Errorf("charge %d: got %t and error %v, want it allowed", i, d.Allowed, err)
						}
					})
				}
				wg.Wait()
				if s.atOnce != tc.atOnce || s.together != tc.together {
					t.Errorf("got %d writes at once, the largest for %d, want %d and %d", s.atOnce, s.together, tc.atOnce, tc.together)
				}
			})
		})
	}
}

// lateWriter is a store whose leases take three seconds, if they may.
type lateWriter struct{ apikeys.Store }

func (s lateWriter) TakeLeases(ctx context.Context, requests []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	select {
	case <-time.After(3 * time.Second):
		return s.Store.TakeLeases(ctx, requests)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// A write of exact limits may take as long as a client's OpTimeout says, be that more or
// less than by default.
func TestExactWriteTakesAsLongAsOpTimeoutSays(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]error{
		0: apikeys.ErrUnavailable, 2500 * time.Millisecond: apikeys.ErrUnavailable, 4 * time.Second: nil,
	} {
		t.Run(timeout.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := lateWriter{memstore.New()}
				c := must(apikeys.New(t.Context(), s, apikeys.Config{
					SigningSecret: apikeys.NewSecret(secretOfTests), SweepInterval: -1,
					RateLimiter: apikeys.NewExactLimiter(s), OpTimeout: timeout,
				}))(t)
				defer c.Close(t.Context())
				begun := time.Now()
				_, err := c.Allow(t.Context(), "somebody", []apikeys.RateLimit{apikeys.PerDay(10)}, 1)
				if !errors.Is(err, want) {
					t.Errorf("got error %v, want %v", err, want)
				}
				if got, bound := time.Since(begun), cmp.Or(timeout, 2*time.Second); got != min(bound, 3*time.Second) {
					t.Errorf("it took %s, want %s", got, min(bound, 3*time.Second))
				}
			})
		})
	}
}

// Without a client and without a deadline, a charge waits for two seconds.
func TestExactWriteWithoutADeadlineIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := apikeys.NewExactLimiter(lateWriter{memstore.New()})
		charge := apikeys.RateCharge{Limits: []apikeys.RateLimit{apikeys.PerDay(10)}, Cost: 1}
		begun := time.Now()
		if _, err := limiter.Charge(t.Context(), charge); !errors.Is(err, apikeys.ErrUnavailable) || time.Since(begun) != 2*time.Second {
			t.Errorf("got error %v after %s, want ErrUnavailable after 2s", err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if d, err := limiter.Charge(ctx, charge); err != nil || !d.Allowed {
			t.Errorf("with a minute: got %t and error %v, want it allowed", d.Allowed, err)
		}
	})
}
