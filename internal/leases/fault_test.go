package leases_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

func TestFailingStoreRefusesWithItsError(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	l := injected(t, store, clock)
	s := l.Subject(subjectID(1), []leases.Limit{perMinute(100)})
	charge(t, s, 1, clock.now())

	store.before = func(ctx) error { return errStore }
	var errs int
	for range 10 {
		if _, err := s.Charge(t.Context(), 1, clock.now()); errors.Is(err, errStore) {
			errs++
		}
	}
	if errs != 10 {
		t.Errorf("errors of the store: got %d of 10", errs)
	}
	if got := l.Stats().Failed; got != 10 {
		t.Errorf("Stats.Failed: got %d, want 10", got)
	}
	store.before = nil
	if got := drain(t, s, 1, clock.now()); got != 99 {
		t.Errorf("admitted afterwards: got %d, want 99", got)
	}
}

func TestLeaseInHandOutlivesAFailure(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	s := injected(t, store, clock).Subject(subjectID(1), []leases.Limit{perDay(1000)})
	for range 20 {
		charge(t, s, 1, clock.now())
	}
	held := store.used(subjectID(1), 24*time.Hour) - 20
	if held < 4 {
		t.Fatalf("the lease: got %d, want some", held)
	}
	store.before = func(ctx) error { return errStore }
	// One that is too great for it fails, and what it set aside is put back.
	if _, err := s.Charge(t.Context(), held+1, clock.now()); !errors.Is(err, errStore) {
		t.Errorf("greater than the lease: got %v, want the store's error", err)
	}
	for i := range held {
		if _, err := s.Charge(t.Context(), 1, clock.now()); err != nil {
			t.Errorf("charge %d of %d in hand: got %v", i+1, held, err)
		}
	}
	if _, err := s.Charge(t.Context(), 1, clock.now()); !errors.Is(err, errStore) {
		t.Errorf("after the lease: got %v, want the store's error", err)
	}
}

// What the store granted in an answer that was lost is spent.
func TestLostAnswersAreSpent(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	s := injected(t, store, clock).Subject(subjectID(1), []leases.Limit{perDay(100)})
	var lost, calls int
	store.after = func(ctx) error {
		if calls++; calls%3 == 0 {
			lost++
			return errStore
		}
		return nil
	}
	var admitted, failed int64
	for range 1000 {
		switch d, err := s.Charge(t.Context(), 1, clock.now()); {
		case err != nil:
			failed++
		case d.Allowed:
			admitted++
		}
	}
	if int(failed) != lost || lost == 0 {
		t.Errorf("errors: got %d, want %d, one for each answer that was lost", failed, lost)
	}
	used := store.used(subjectID(1), 24*time.Hour)
	if used != 100 || admitted >= used || admitted < 50 {
		t.Errorf("admitted %d, used %d, want fewer admitted than 100 used", admitted, used)
	}
}

func TestAnswersThatDoNotFit(t *testing.T) {
	t.Parallel()
	part := leases.Granted{Start: noon, Granted: 1, Used: 1}
	for name, take := range map[string]leases.TakeFunc{
		"none":     func(ctx, []leases.Request) ([]leases.Grant, error) { return nil, nil },
		"no parts": func(ctx, []leases.Request) ([]leases.Grant, error) { return []leases.Grant{{Now: noon}}, nil },
		"more parts": func(ctx, []leases.Request) ([]leases.Grant, error) {
			return []leases.Grant{{noon, []leases.Granted{part, part}}}, nil
		},
		"two":     func(ctx, []leases.Request) ([]leases.Grant, error) { return make([]leases.Grant, 2), nil },
		"a panic": func(ctx, []leases.Request) ([]leases.Grant, error) { panic("a store's") },
		"no return": func(ctx, []leases.Request) ([]leases.Grant, error) {
			runtime.Goexit()
			return nil, nil
		},
		"no time": func(ctx, []leases.Request) ([]leases.Grant, error) {
			return []leases.Grant{{Parts: []leases.Granted{{}}}}, nil
		},
		"a window long ago": func(ctx, []leases.Request) ([]leases.Grant, error) {
			return []leases.Grant{{Now: noon, Parts: []leases.Granted{{Start: noon.AddDate(-1, 0, 0), Granted: 1}}}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t, leases.Options{Take: take})
			s := l.Subject(subjectID(1), []leases.Limit{perMinute(5)})
			for range 5 { // none of the goroutines that call may be missing afterwards
				if d, err := s.Charge(t.Context(), 1, time.Now()); err == nil && name != "no time" {
					t.Errorf("got %v, want an error", d.Allowed)
				}
			}
		})
	}
}

// A store that grants more than was asked for, or less than nothing, cannot make
// the limiter admit more than it asked for.
func TestGrantsOutOfBounds(t *testing.T) {
	t.Parallel()
	for name, granted := range map[string]int64{"too much": 1 << 40, "negative": -5} {
		take := func(_ ctx, requests []leases.Request) ([]leases.Grant, error) {
			return []leases.Grant{{Now: noon, Parts: []leases.Granted{{Start: noon, Granted: granted, Used: 10}}}}, nil
		}
		s := start(t, leases.Options{Take: take}).Subject(subjectID(1), []leases.Limit{perMinute(10)})
		if got := drain(t, s, 1, time.Now()); got > 1 {
			t.Errorf("%s: got %d admitted, want at most 1", name, got)
		}
	}
}

// A frozen store holds nobody for longer than their context or Timeout.
func TestEverybodyLeavesInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := fixed()
		store.before = func(ctx ctx) error {
			<-ctx.Done()
			return ctx.Err()
		}
		opts := store.options()
		opts.Timeout = 3 * time.Second
		l := start(t, opts)
		var wg sync.WaitGroup
		for n := range 100 { // leaders and followers, in flight and in the queue
			wg.Go(func() {
				wait := time.Duration(n%10+1) * 100 * time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), wait)
				defer cancel()
				begin := time.Now()
				_, err := l.Subject(subjectID(n%5), []leases.Limit{perDay(10)}).Charge(ctx, 1, time.Now())
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != wait {
					t.Errorf("got %v after %v, want the end of the context after %v", err, time.Since(begin), wait)
				}
			})
		}
		wg.Wait()
		begin := time.Now()
		if _, err := l.Subject(subjectID(9), []leases.Limit{perDay(10)}).Charge(t.Context(), 1, time.Now()); err == nil {
			t.Error("got a decision from a frozen store")
		}
		if got := time.Since(begin); got > 2*opts.Timeout {
			t.Errorf("without a deadline: left after %v, want at most %v", got, 2*opts.Timeout)
		}
	})
}

func TestCancelledLeaderLeavesItsLeaseToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := fixed()
		store.before = func(ctx ctx) error { return pause(ctx, 100*time.Millisecond) }
		s := start(t, store.options()).Subject(subjectID(1), []leases.Limit{perDay(1)})
		leader, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Charge(leader, 1, time.Now()); !errors.Is(err, gone) {
				t.Errorf("leader: got %v, want why it left", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if d := charge(t, s, 1, time.Now()); !d.Allowed {
				t.Error("follower: refused, though the only one who was not charged had left")
			}
		})
		synctest.Wait()
		cancel(gone)
		wg.Wait()
		if store.calls != 1 {
			t.Errorf("calls: got %d, want the leader's only", store.calls)
		}
	})
}

func TestFollowersWhoLeftAreNotReckonedWith(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := fixed()
		store.before = func(ctx ctx) error { return pause(ctx, time.Second) }
		s := start(t, store.options()).Subject(subjectID(1), []leases.Limit{perDay(1000)})
		var wg sync.WaitGroup
		for n := range 10 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10-n)*100*time.Millisecond+time.Millisecond)
				defer cancel()
				_, err := s.Charge(ctx, 1, time.Now())
				if leader := n == 0; (err == nil) != leader {
					t.Errorf("caller %d: got %v", n, err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		time.Sleep(time.Hour)
		charge(t, s, 1, time.Now())
		if got := store.requests[1].Parts[0].Want; got != 1 {
			t.Errorf("want of a charge alone: got %d, want 1", got)
		}
	})
}

func TestEndedContextAsksNothing(t *testing.T) {
	t.Parallel()
	store := fixed()
	s := start(t, store.options()).Subject(subjectID(1), []leases.Limit{perDay(1)})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Charge(ended, 1, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	if store.calls != 0 {
		t.Errorf("calls: got %d, want 0", store.calls)
	}
}

type valueKey struct{}

func TestTakeSeesTheCallersValuesNotItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := fixed()
		store.before = func(ctx ctx) error {
			if got := ctx.Value(valueKey{}); got != "trace" {
				t.Errorf("value: got %v, want the caller's", got)
			}
			deadline, _ := ctx.Deadline()
			if got := time.Until(deadline); got != 2*time.Second {
				t.Errorf("deadline: got %v, want Timeout", got)
			}
			return pause(ctx, time.Second)
		}
		s := start(t, store.options()).Subject(subjectID(1), []leases.Limit{perDay(8)})
		ctx := context.WithValue(t.Context(), valueKey{}, "trace")
		ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if _, err := s.Charge(ctx, 1, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		store.before = nil
		if got := drain(t, s, 1, time.Now()); got != 8 {
			t.Errorf("admitted: got %d, want 8", got)
		}
	})
}
