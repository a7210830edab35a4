package apikeys_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys"
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
				var wg sync.WaitGroup
				for i := range 200 {
					wg.Go(func() {
						d, err := limiter.Charge(t.Context(), apikeys.RateCharge{
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
