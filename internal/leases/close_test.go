package leases_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

func TestCloseReturnsWhatIsUnusedInOneCall(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	opts := store.options()
	opts.Now, opts.Injected = clock.now, true
	var calls int
	opts.Return = func(ctx context.Context, unused []leases.Unused) error {
		calls++
		return store.giveBack(ctx, unused)
	}
	l := leases.New(opts)
	limits := []leases.Limit{perMinute(1000), perDay(10_000)}
	ended := l.Subject(subjectID(9), limits)
	for range 20 {
		charge(t, ended, 1, clock.now())
	}
	clock.advance(time.Minute) // its minute is over, its day is not
	subjects := []*leases.Subject{l.Subject(subjectID(0), limits), l.Subject(subjectID(1), limits[1:])}
	for range 20 {
		for _, s := range subjects {
			charge(t, s, 1, clock.now())
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if calls != 1 {
		t.Errorf("calls of Return: got %d, want 1", calls)
	}
	for n, id := range []int{0, 1, 9} {
		if got := store.used(subjectID(id), 24*time.Hour); got != 20 {
			t.Errorf("subject %d: got %d used of the day, want 20", n, got)
		}
	}
	if got := store.used(subjectID(9), time.Minute); got < 20 {
		t.Errorf("used of a minute that is over: got %d, want it as it was", got)
	}
	for _, u := range store.returned {
		if want := windowStart(clock.now(), u.Span); !u.Start.Equal(want) || u.Unused <= 0 {
			t.Errorf("got %+v, want something of the window at %v", u, want)
		}
	}
	for _, s := range append(subjects, ended, l.Subject(subjectID(5), limits), l.Subject(subjectID(5), limits[:1])) {
		for cost := range int64(2) {
			if d, err := s.Charge(t.Context(), cost, clock.now()); !errors.Is(err, leases.ErrClosed) {
				t.Errorf("after Close: got %v, %v, want ErrClosed", d.Allowed, err)
			}
		}
	}
	if err := l.Close(t.Context()); err != nil || calls != 1 {
		t.Errorf("Close again: got %v, %d calls, want nothing to happen", err, calls)
	}
}

func TestCloseEndsSubjectsThatAreNotRemembered(t *testing.T) {
	t.Parallel()
	store := fixed()
	opts := store.options()
	opts.MaxSubjects = 1
	l := leases.New(opts)
	for n := range 3 {
		s := l.Subject(subjectID(n), []leases.Limit{perDay(1000)})
		for range 12 { // has a lease in hand afterwards
			charge(t, s, 1, time.Now())
		}
		defer func() {
			if d, err := s.Charge(t.Context(), 1, time.Now()); !errors.Is(err, leases.ErrClosed) {
				t.Errorf("subject %d: got %v, %v, want ErrClosed", n, d.Allowed, err)
			}
		}()
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// What was counted without the store is not the store's to have back.
func TestCloseAfterAnOutageReturnsNothingThatIsOwed(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	var down outage
	opts := down.attach(store)
	opts.Now, opts.Injected = clock.now, true
	l := leases.New(opts)
	s := l.Subject(subjectID(1), []leases.Limit{perDay(1000)})
	for i := range 200 {
		down.on.Store(i >= 100)
		charge(t, s, 1, clock.now())
	}
	down.on.Store(false)
	before := store.used(subjectID(1), 24*time.Hour)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := store.used(subjectID(1), 24*time.Hour); got != before || before < 100 {
		t.Errorf("used: got %d, want %d as before", got, before)
	}
}

// Whatever runs while the limiter is closed is admitted and used, or neither.
func TestCloseUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	for range 30 {
		store := fixed()
		store.before = func(ctx ctx) error { return pause(ctx, 50*time.Microsecond) }
		l := leases.New(store.options())
		limits := []leases.Limit{perHour(100_000), perDay(100_000)}
		var mu sync.Mutex
		var admitted [2]int64
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				s := l.Subject(subjectID(g%2), limits[g%2:])
				var n int64
				for {
					d, err := s.Charge(t.Context(), 1, time.Now())
					if err != nil {
						if !errors.Is(err, leases.ErrClosed) {
							t.Errorf("got %v, want ErrClosed", err)
						}
						break
					}
					if d.Allowed {
						n++
					}
				}
				mu.Lock()
				defer mu.Unlock()
				admitted[g%2] += n
			})
		}
		_ = pause(t.Context(), 3*time.Millisecond)
		if err := l.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		wg.Wait()
		used := [2]int64{store.used(subjectID(0), 24*time.Hour), store.used(subjectID(1), 24*time.Hour)}
		if diff := cmp.Diff(admitted, used); diff != "" {
			t.Fatalf("used (-admitted +used):\n%s", diff)
		}
	}
}

func TestCloseIsBoundedByItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := fixed()
		store.before = func(ctx ctx) error {
			<-ctx.Done()
			return ctx.Err()
		}
		l := leases.New(store.options())
		var wg sync.WaitGroup
		for n := range 6 { // two calls, the others wait for them
			wg.Go(func() {
				if _, err := l.Subject(subjectID(n), []leases.Limit{perDay(1)}).Charge(t.Context(), 1, time.Now()); err == nil {
					t.Error("got a decision, want an error")
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("got %v after %v, want the context's end after 1s", err, time.Since(begin))
		}
		wg.Wait()
	})
}

func TestCloseReportsTheStoresError(t *testing.T) {
	t.Parallel()
	store := fixed()
	opts := store.options()
	opts.Return = func(ctx, []leases.Unused) error { return errStore }
	l := leases.New(opts)
	for range 10 {
		charge(t, l.Subject(subjectID(1), []leases.Limit{perDay(1000)}), 1, time.Now())
	}
	if err := l.Close(t.Context()); !errors.Is(err, errStore) {
		t.Errorf("got %v, want the store's error", err)
	}
}
