package leases_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

func TestSubjectIsTheSameWhileItIsInUse(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	l := injected(t, newFakeStore(clock.now), clock)
	limits := []leases.Limit{perMinute(5), perDay(10)}
	s := l.Subject(subjectID(1), limits)
	charge(t, s, 1, clock.now())
	if l.Subject(subjectID(1), limits) != s {
		t.Error("same id and limits: got another subject")
	}
	if l.Subject(subjectID(2), limits) == s {
		t.Error("another id: got the same subject")
	}
	for _, other := range [][]leases.Limit{limits[:1], limits[1:], {perMinute(6), perDay(10)}, {perSecond(5), perDay(10)}} {
		if l.Subject(subjectID(1), other) == s {
			t.Errorf("limits %v: got the same subject", other)
		}
	}
}

func TestChangedLimitBeginsAnew(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	l := injected(t, store, clock)
	if got := drain(t, l.Subject(subjectID(1), []leases.Limit{perMinute(5)}), 1, clock.now()); got != 5 {
		t.Fatalf("admitted: got %d, want 5", got)
	}
	// What is known to be full under the old limit is not so under the new one.
	if got := drain(t, l.Subject(subjectID(1), []leases.Limit{perMinute(8)}), 1, clock.now()); got != 3 {
		t.Errorf("admitted under a raised limit: got %d, want 3", got)
	}
	if got := drain(t, l.Subject(subjectID(1), []leases.Limit{perMinute(7)}), 1, clock.now()); got != 0 {
		t.Errorf("admitted under a lowered limit: got %d, want 0", got)
	}
}

func TestIdleSubjectsAreForgotten(t *testing.T) {
	t.Parallel()
	for name, begin := range starts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &manual{noon}
			l := begin(t, clock, 1_000_000)
			most := 0
			for n := range 20_000 { // 100 a second, with windows of a second
				clock.advance(10 * time.Millisecond)
				charge(t, l.Subject(subjectID(n), []leases.Limit{perSecond(5)}), 1, clock.now())
				most = max(most, l.Stats().Subjects)
			}
			// In use are those of one second and, since the clock may be set back, of the
			// one before.
			if most > 700 {
				t.Errorf("subjects remembered: got up to %d, want few more than 300", most)
			}
		})
	}
}

// starts make a limiter with a store and one without.
var starts = map[string]func(testing.TB, *manual, int) *leases.Limiter{
	"store": func(t testing.TB, clock *manual, most int) *leases.Limiter {
		opts := newFakeStore(clock.now).options()
		opts.Now, opts.Injected, opts.MaxSubjects = clock.now, true, most
		return start(t, opts)
	},
	"memory": func(t testing.TB, clock *manual, most int) *leases.Limiter {
		return leases.NewMemory(leases.Options{Now: clock.now, Injected: true, MaxSubjects: most})
	},
}

func TestMoreSubjectsThanMayBeRemembered(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	limits := []leases.Limit{perMinute(5)}
	l := starts["store"](t, clock, 10)
	held := make([]*leases.Subject, 30)
	for n := range held {
		held[n] = l.Subject(subjectID(n), limits)
		if got := drain(t, held[n], 1, clock.now()); got != 5 {
			t.Errorf("subject %d: got %d admitted, want 5", n, got)
		}
	}
	if got := l.Stats().Subjects; got != 10 {
		t.Errorf("remembered: got %d, want 10", got)
	}
	for n := range held { // full, whether they are remembered, held or made anew
		for _, s := range []*leases.Subject{held[n], l.Subject(subjectID(n), limits)} {
			if charge(t, s, 1, clock.now()).Allowed {
				t.Errorf("subject %d: admitted more than the limit", n)
			}
		}
	}
}

func TestMemoryRefusesWhatItCannotCount(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	limits := []leases.Limit{perMinute(5)}
	l := starts["memory"](t, clock, 10)
	for n := range 10 {
		charge(t, l.Subject(subjectID(n), limits), 1, clock.now())
	}
	late := l.Subject(subjectID(10), limits)
	if _, err := late.Charge(t.Context(), 1, clock.now()); !errors.Is(err, leases.ErrTooMany) {
		t.Errorf("got %v, want ErrTooMany", err)
	}
	clock.advance(2 * time.Minute)
	if got := drain(t, late, 1, clock.now()); got != 5 {
		t.Errorf("when there is room again: got %d admitted, want 5", got)
	}
}

// A handle that was kept while its subject was forgotten counts with the new one.
func TestForgottenHandleJoinsItsSuccessor(t *testing.T) {
	t.Parallel()
	for name, begin := range starts {
		clock := &manual{noon}
		l := begin(t, clock, 1000)
		limits := []leases.Limit{perMinute(9)}
		old := l.Subject(subjectID(0), limits)
		charge(t, old, 1, clock.now())
		clock.advance(3 * time.Minute)
		for n := range 200 { // makes it be forgotten
			charge(t, l.Subject(subjectID(n+1), limits), 1, clock.now())
		}
		next := l.Subject(subjectID(0), limits)
		if next == old {
			t.Fatalf("%s: the subject was not forgotten", name)
		}
		var admitted int64
		for i := range 30 {
			if charge(t, []*leases.Subject{old, next}[i%2], 1, clock.now()).Allowed {
				admitted++
			}
		}
		if admitted != 9 {
			t.Errorf("%s: admitted: got %d, want 9", name, admitted)
		}
		if d, _ := old.Peek(t.Context(), clock.now()); d.Allowed || d.States[0].Remaining != 0 {
			t.Errorf("%s: got %+v, want a full window", name, d)
		}
	}
}

// forgetAll makes a limiter forget what is idle, by using other subjects.
func forgetAll(t *testing.T, l *leases.Limiter, limits []leases.Limit, now time.Time) {
	t.Helper()
	for n := range 200 {
		charge(t, l.Subject(subjectID(1000+n), limits), 1, now)
	}
}

// A clock that is set far back finds a window that was forgotten begin anew, but
// not twice.
func TestForgottenHandleHoldsNothing(t *testing.T) {
	t.Parallel()
	for name, begin := range starts {
		clock := &manual{noon}
		l := begin(t, clock, 1000)
		limits := []leases.Limit{perMinute(90)}
		old := l.Subject(subjectID(0), limits)
		for range 30 {
			charge(t, old, 1, clock.now())
		}
		clock.advance(3 * time.Minute)
		forgetAll(t, l, limits, clock.now())
		clock.advance(-3 * time.Minute)
		got := drain(t, l.Subject(subjectID(0), limits), 1, clock.now()) + drain(t, old, 1, clock.now())
		if got > 90 {
			t.Errorf("%s: got %d admitted, want at most 90", name, got)
		}
	}
}

// An injected clock may go back into a window that has just ended: what was used
// of it is not forgotten until another has passed.
func TestWindowIsNotForgottenAtOnce(t *testing.T) {
	t.Parallel()
	for name, begin := range starts {
		clock := &manual{noon.Add(59 * time.Second)}
		l := begin(t, clock, 1000)
		limits := []leases.Limit{perMinute(5)}
		drain(t, l.Subject(subjectID(0), limits), 1, clock.now())
		clock.advance(2 * time.Second)
		forgetAll(t, l, limits, clock.now())
		clock.advance(-2 * time.Second)
		if got := drain(t, l.Subject(subjectID(0), limits), 1, clock.now()); got != 0 {
			t.Errorf("%s: got %d admitted, want 0", name, got)
		}
	}
}

// A caller who read the clock long ago does not make a window begin again that
// was forgotten since.
func TestForgottenWindowDoesNotBeginAgain(t *testing.T) {
	t.Parallel()
	old := time.Now()
	now := old
	l := leases.NewMemory(leases.Options{Now: func() time.Time { return now }})
	limits := []leases.Limit{perMinute(5)}
	drain(t, l.Subject(subjectID(0), limits), 1, old)
	now = old.Add(3 * time.Minute)
	forgetAll(t, l, limits, now)
	d := charge(t, l.Subject(subjectID(0), limits), 1, old)
	if d.Allowed && d.States[0].ResetAt().Before(now) {
		t.Errorf("admitted in a window that ended at %v, want one after %v", d.States[0].ResetAt(), now)
	}
}

func TestMemoryIsExact(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string][]leases.Limit{
		"one limit":      {perDay(5000)},
		"several limits": {perHour(5000), perDay(7000)},
	} {
		l := leases.NewMemory(leases.Options{Now: func() time.Time { return noon }, Injected: true})
		var admitted atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				admitted.Add(drain(t, l.Subject(subjectID(1), limits), 1, noon))
			})
		}
		wg.Wait()
		if got := admitted.Load(); got != 5000 {
			t.Errorf("%s: got %d admitted, want 5000", name, got)
		}
		if got := l.Stats(); got.Calls != 0 || got.Subjects != 1 {
			t.Errorf("%s: got %+v, want no calls and one subject", name, got)
		}
	}
}

// While subjects come and go and are looked up by many, none admits too much.
func TestForgettingUnderLoad(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*fakeStore) *leases.Limiter{
		"store": func(store *fakeStore) *leases.Limiter {
			opts := store.options()
			opts.MaxSubjects = 40
			return start(t, opts)
		},
		"memory": func(*fakeStore) *leases.Limiter { return leases.NewMemory(leases.Options{MaxSubjects: 40}) },
	} {
		store := newFakeStore(time.Now)
		l := make(store)
		limits := []leases.Limit{{Max: 3, Span: 5 * time.Millisecond}}
		end := time.Now().Add(300 * time.Millisecond)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for n := g; time.Now().Before(end); n = (n*7 + 3) % 61 {
					d, err := l.Subject(subjectID(n), limits).Charge(t.Context(), 1, time.Now())
					if err != nil && !errors.Is(err, leases.ErrTooMany) && !errors.Is(err, leases.ErrLate) {
						t.Errorf("%s: %v", name, err)
					}
					if err == nil {
						store.record(subjectID(n), limits, 1, d)
					}
				}
			})
		}
		wg.Wait()
		store.checkAdmitted(t, limits)
		if got := l.Stats().Subjects; got > 40 {
			t.Errorf("%s: got %d subjects, want at most 40", name, got)
		}
	}
}
