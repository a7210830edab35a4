package leases_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

// fixed is a store whose clock stands at noon, so that no window ends.
func fixed() *fakeStore { return newFakeStore(func() time.Time { return noon }) }

func limitersOn(t testing.TB, store *fakeStore, n int) []*leases.Limiter {
	all := make([]*leases.Limiter, n)
	for i := range all {
		all[i] = start(t, store.options())
	}
	return all
}

func TestManyProcessesAdmitExactlyTheLimitWhileAllHaveRequests(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{1, 10, 100, 5000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			store := fixed()
			var admitted atomic.Int64
			var wg sync.WaitGroup
			for _, l := range limitersOn(t, store, 4) {
				for range 8 {
					wg.Go(func() {
						s := l.Subject(subjectID(7), []leases.Limit{perDay(limit)})
						admitted.Add(drain(t, s, 1, time.Now()))
					})
				}
			}
			wg.Wait()
			if got := admitted.Load(); got != limit {
				t.Errorf("admitted: got %d, want %d", got, limit)
			}
		})
	}
}

func TestOneProcessIsExactWithManyGoroutinesAndCosts(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string][]leases.Limit{
		"one limit":      {perDay(3001)},
		"several limits": {perMinute(3001), perHour(4000), perDay(5000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := fixed()
			l := start(t, store.options())
			var admitted atomic.Int64
			var wg sync.WaitGroup
			for g := range 16 {
				wg.Go(func() {
					s := l.Subject(subjectID(7), limits)
					for cost := int64(g%5) + 1; cost > 0; cost-- { // smaller ones fill what is left
						admitted.Add(drain(t, s, cost, time.Now()))
					}
				})
			}
			wg.Wait()
			if got := admitted.Load(); got != limits[0].Max {
				t.Errorf("admitted: got %d, want %d", got, limits[0].Max)
			}
		})
	}
}

func TestNeverAboveTheLimitInAnyWindow(t *testing.T) {
	t.Parallel()
	store := newFakeStore(time.Now)
	limits := []leases.Limit{{Max: 50, Span: 20 * time.Millisecond}, {Max: 200, Span: 100 * time.Millisecond}}
	store.before = func(ctx ctx) error { return pause(ctx, rand.N(3*time.Millisecond)) }
	store.after = store.before
	end := time.Now().Add(time.Second)
	var wg sync.WaitGroup
	for _, l := range limitersOn(t, store, 3) {
		for g := range 6 {
			wg.Go(func() {
				mine := limits[g%2:] // with one limit and with two
				s := l.Subject(subjectID(g%2), mine)
				for n := int64(0); ; n++ {
					now := time.Now()
					if now.After(end) {
						return
					}
					cost := 1 + n%3
					d, err := s.Charge(t.Context(), cost, now)
					if errors.Is(err, leases.ErrLate) {
						continue // the machine is slower than the windows
					}
					if err != nil {
						t.Errorf("Charge: got %v, want a decision", err)
						return
					}
					store.record(subjectID(g%2), mine, cost, d)
				}
			})
		}
	}
	wg.Wait()
	store.checkAdmitted(t, limits)
	if len(store.admitted) < 10 {
		t.Errorf("got %d windows, want many", len(store.admitted))
	}
}

// What was charged is what the store counts, once what was not used is returned:
// a refused request has left no trace in any limit.
func TestRefusedRequestsConsumeNothingOfAnyLimit(t *testing.T) {
	t.Parallel()
	store := fixed()
	limits := []leases.Limit{perMinute(700), perHour(1100), perDay(5000)}
	costs := map[int64]int64{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	limiters := []*leases.Limiter{leases.New(store.options()), leases.New(store.options())}
	for _, l := range limiters {
		for g := range 8 {
			wg.Go(func() {
				s := l.Subject(subjectID(1), limits)
				cost := int64(1 + g*g)
				n := drain(t, s, cost, time.Now())
				mu.Lock()
				defer mu.Unlock()
				costs[cost] += n
			})
		}
	}
	wg.Wait()
	for _, l := range limiters {
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var admitted int64
	for _, n := range costs {
		admitted += n
	}
	for _, limit := range limits {
		if got := store.used(subjectID(1), limit.Span); got != admitted {
			t.Errorf("used of %v: got %d, want %d, what was admitted", limit.Span, got, admitted)
		}
	}
	if admitted > 700 || admitted < 600 {
		t.Errorf("admitted: got %d, want nearly 700", admitted)
	}
}

// strandable is what N processes can leave unused, from the package's
// documentation, when a request of cost c is refused.
func strandable(limit leases.Limit, processes, c, greatest int64) int64 {
	return c - 1 + (processes-1)*max(greatest, limit.Max/8)
}

func TestShortfallOfFourProcessesIsWithinTheFormula(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{1, 5, 20, 100, 1000, 10_000} {
		for _, burst := range []int64{1, 3, 10, 50, 300} {
			clock := &manual{noon}
			store := newFakeStore(clock.now)
			var admitted int64
			for p := range 4 {
				s := injected(t, store, clock).Subject(subjectID(1), []leases.Limit{perDay(limit)})
				for n := int64(0); n < burst || p == 3; n++ { // the last goes on alone
					if !charge(t, s, 1, clock.now()).Allowed {
						break
					}
					admitted++
				}
			}
			if missing, most := limit-admitted, strandable(perDay(limit), 4, 1, 1); missing < 0 || missing > most {
				t.Errorf("limit %d, bursts of %d: got %d missing, want 0 to %d", limit, burst, missing, most)
			}
			if missing := limit - admitted; missing > 3*max(burst, limit/512) {
				t.Errorf("limit %d, bursts of %d: got %d missing, want no more than was used, or a 512th", limit, burst, missing)
			}
		}
	}
}

func TestSteadyTrafficBelowTheLimitIsNeverRefused(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	subjects := make([]*leases.Subject, 4)
	for i := range subjects {
		subjects[i] = injected(t, store, clock).Subject(subjectID(1), []leases.Limit{perSecond(100)})
	}
	// 92 a second, spread unevenly: 46 %, 30 %, 16 % and 8 %.
	random := rand.New(rand.NewPCG(1, 2))
	for range 92 * 60 {
		x := random.IntN(100)
		s := subjects[3]
		switch {
		case x < 46:
			s = subjects[0]
		case x < 76:
			s = subjects[1]
		case x < 92:
			s = subjects[2]
		}
		if !charge(t, s, 1, clock.now()).Allowed {
			t.Fatalf("refused at %v", clock.now())
		}
		clock.advance(time.Second / 92)
	}
}

func TestBusySubjectAsksAFewTimesASecond(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		limit leases.Limit
		most  int // calls in 10 s of 1,000 requests a second
	}{
		{perSecond(2000), 140},
		{perMinute(120_000), 25},
		{perDay(100_000_000), 25},
	} {
		clock := &manual{noon}
		store := newFakeStore(clock.now)
		s := injected(t, store, clock).Subject(subjectID(1), []leases.Limit{tc.limit})
		for range 10_000 {
			if !charge(t, s, 1, clock.now()).Allowed {
				t.Fatalf("%v: refused", tc.limit)
			}
			clock.advance(time.Millisecond)
		}
		if got := store.callCount(); got > tc.most {
			t.Errorf("%v: got %d calls, want at most %d", tc.limit, got, tc.most)
		}
		t.Logf("%v: %d calls", tc.limit, store.callCount())
	}
}

func TestFollowersShareOneRequestAndSubjectsOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := fixed()
		var underWay, most atomic.Int64
		store.before = func(ctx ctx) error {
			most.Store(max(most.Load(), underWay.Add(1)))
			defer underWay.Add(-1)
			return pause(ctx, 10*time.Millisecond)
		}
		l := start(t, store.options())
		begin := time.Now()
		var wg sync.WaitGroup
		for n := range 1000 { // 100 subjects, 10 goroutines each
			wg.Go(func() {
				s := l.Subject(subjectID(n%100), []leases.Limit{perDay(1000)})
				if !charge(t, s, 1, time.Now()).Allowed {
					t.Error("refused")
				}
			})
			if n < 2 {
				synctest.Wait() // the two calls that there may be are under way, and all others have to wait
			}
		}
		wg.Wait()
		// One request of each subject for its leader, one for the other nine.
		if got := len(store.requests); got != 200 {
			t.Errorf("requests: got %d, want 200", got)
		}
		if store.calls > 8 || store.largest != 64 {
			t.Errorf("got %d calls, the largest for %d subjects, want at most 8, 64", store.calls, store.largest)
		}
		if most.Load() != 2 {
			t.Errorf("calls at once: got %d, want 2", most.Load())
		}
		if got := time.Since(begin); got > 40*time.Millisecond {
			t.Errorf("all were decided after %v, want 40ms at most", got)
		}
		// Nobody waits any more: a charge in another window takes what it costs.
		time.Sleep(48 * time.Hour)
		charge(t, l.Subject(subjectID(0), []leases.Limit{perDay(1000)}), 1, time.Now())
		if got := store.requests[len(store.requests)-1].Parts[0].Want; got != 1 {
			t.Errorf("want of a charge alone: got %d, want 1", got)
		}
	})
}
