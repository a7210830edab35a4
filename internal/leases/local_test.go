package leases_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

// outage makes a store fail and the limiters on it count by themselves.
type outage struct{ on atomic.Bool }

func (o *outage) attach(store *fakeStore) leases.Options {
	store.before = func(ctx) error {
		if o.on.Load() {
			return errStore
		}
		return nil
	}
	opts := store.options()
	opts.Local = o.on.Load
	return opts
}

func TestOutageKeepsWhatWasUsedInTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore(func() time.Time { return time.Now().Add(1000 * time.Hour) })
		var down outage
		opts := down.attach(store)
		limits := []leases.Limit{perMinute(100)}
		s := start(t, opts).Subject(subjectID(1), limits)
		other := start(t, opts).Subject(subjectID(1), limits)
		for range 30 {
			charge(t, s, 1, time.Now())
		}
		down.on.Store(true)
		if got := drain(t, s, 1, time.Now()); got != 70 {
			t.Errorf("admitted in the same window: got %d, want 70", got)
		}
		if got := drain(t, other, 1, time.Now()); got != 100 {
			t.Errorf("admitted by one that knows of nothing: got %d, want 100", got)
		}
		time.Sleep(time.Minute)
		if got := drain(t, s, 1, time.Now()); got != 100 {
			t.Errorf("admitted in the next window: got %d, want 100", got)
		}
		d := charge(t, s, 1, time.Now())
		want := windowStart(store.now(), time.Minute).Add(time.Minute)
		if got := d.States[0].ResetAt(); !got.Equal(want) {
			t.Errorf("window's end: got %v, want %v, by the store's clock", got, want)
		}
	})
}

func TestAfterAnOutageTheStoreIsPaid(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	var down outage
	opts := down.attach(store)
	opts.Now, opts.Injected = clock.now, true
	l := leases.New(opts)
	limits := []leases.Limit{perHour(800), perDay(1000)}
	s := l.Subject(subjectID(1), limits)
	var admitted int64
	use := func(n int) {
		for range n {
			if charge(t, s, 1, clock.now()).Allowed {
				admitted++
			}
			clock.advance(time.Millisecond)
		}
	}
	use(50)
	down.on.Store(true)
	use(300)
	down.on.Store(false)
	use(200) // more than the last local lease
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, limit := range limits {
		if got := store.used(subjectID(1), limit.Span); got != admitted || got != 550 {
			t.Errorf("used of %v: got %d, want the %d that were admitted", limit.Span, got, admitted)
		}
	}
}

// A process never admits more than the limit in a window, however often the store
// comes and goes.
func TestFlappingStore(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	var down outage
	opts := down.attach(store)
	opts.Now, opts.Injected = clock.now, true
	limits := []leases.Limit{perMinute(500)}
	s := start(t, opts).Subject(subjectID(1), limits)
	for i := range 60_000 {
		if i%37 == 0 {
			down.on.Store(!down.on.Load())
		}
		store.record(subjectID(1), limits, 1, charge(t, s, 1, clock.now()))
		clock.advance(10 * time.Millisecond)
	}
	store.checkAdmitted(t, limits)
	for key, n := range store.admitted {
		if n != 500 {
			t.Errorf("window at %v: got %d admitted, want 500", time.UnixMicro(key.start).UTC(), n)
		}
	}
}

func TestWithoutLocalAnOutageIsAnError(t *testing.T) {
	t.Parallel()
	store := fixed()
	var down outage
	opts := down.attach(store)
	var asked atomic.Int64
	opts.Local = func() bool {
		asked.Add(1)
		return false
	}
	down.on.Store(true)
	s := start(t, opts).Subject(subjectID(1), []leases.Limit{perMinute(500)})
	if _, err := s.Charge(t.Context(), 1, time.Now()); !errors.Is(err, errStore) || asked.Load() == 0 {
		t.Errorf("got %v, want the store's error", err)
	}
}

// Which window it is during an outage is told by the clock that says more.
func TestOutageWhileTheMonotonicClockStands(t *testing.T) {
	t.Parallel()
	store := fixed()
	var down outage
	before := time.Now()
	now := before
	opts := down.attach(store)
	opts.Now = func() time.Time { return now }
	s := start(t, opts).Subject(subjectID(1), []leases.Limit{perMinute(5)})
	if got := drain(t, s, 1, now); got != 5 {
		t.Fatalf("admitted: got %d, want 5", got)
	}
	down.on.Store(true)
	now = setWall(before, 61)
	if got := drain(t, s, 1, now); got != 5 {
		t.Errorf("admitted in the next window: got %d, want 5", got)
	}
}

// The first who meets the outage is counted locally too, if it is known to be one
// by the time that the call has failed.
func TestOutageThatIsNoticedByTheCall(t *testing.T) {
	t.Parallel()
	store := fixed()
	opts := store.options()
	var down atomic.Bool
	store.before = func(ctx) error {
		down.Store(true)
		return errStore
	}
	opts.Local = down.Load
	s := start(t, opts).Subject(subjectID(1), []leases.Limit{perSecond(5), perDay(500)})
	if !charge(t, s, 1, time.Now()).Allowed {
		t.Error("refused")
	}
}
