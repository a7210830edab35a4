package leases_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

// setWall moves the wall clock's part of a reading by whole seconds and leaves
// the monotonic one, as setting a clock or suspending a machine does. No public
// function of package time can.
func setWall(t time.Time, seconds int64) time.Time {
	type layout struct {
		wall uint64 // 1 bit: has a monotonic reading; 33: seconds; 30: nanoseconds
		ext  int64
		loc  *time.Location
	}
	p := (*layout)(unsafe.Pointer(&t))
	p.wall += uint64(seconds << 30)
	return t
}

func TestSetWallMovesOneClock(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, seconds := range []int64{3600, -3600} {
		moved := setWall(now, seconds)
		if got := moved.Sub(now); got != 0 {
			t.Errorf("monotonic: got %v, want 0", got)
		}
		if got := moved.Round(0).Sub(now.Round(0)); got != time.Duration(seconds)*time.Second {
			t.Errorf("wall: got %v, want %ds", got, seconds)
		}
	}
}

// twoClocks is a clock whose wall clock can be set. In a bubble of synctest time
// has no monotonic reading, so it begins with one from outside.
type twoClocks struct {
	real  time.Time // with both readings
	begin time.Time // the time in the bubble that it stands for

	mu   sync.Mutex
	skew int64 // seconds by which the wall clock is ahead of the bubble's
}

func (c *twoClocks) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	off := c.begin.Unix() - c.real.Unix()
	return setWall(c.real.Add(time.Since(c.begin)), off+c.skew)
}

func (c *twoClocks) set(skew int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skew = skew
}

// A clock that is wrong, and set to and fro, moves no window: the store's does.
func TestWrongClocksNeverAdmitMore(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * 3600
	for name, skews := range map[string][]int64{
		"right":             {0},
		"30s ahead":         {30},
		"30s behind":        {-30},
		"a year ahead":      {year},
		"a year behind":     {-year},
		"set forward":       {0, 3600},
		"set back":          {0, -3600},
		"flapping":          {0, 7, -7, 3600, -3600},
		"a year to and fro": {-year, year},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			real := time.Now()
			synctest.Test(t, func(t *testing.T) {
				store := newFakeStore(time.Now)
				limits := []leases.Limit{perSecond(40), perMinute(1000)}
				clock := &twoClocks{real: real, begin: time.Now(), skew: skews[0]}
				opts := store.options()
				opts.Now = clock.now
				s := start(t, opts).Subject(subjectID(1), limits)
				other := start(t, store.options()).Subject(subjectID(1), limits)
				for i := range 3000 {
					clock.set(skews[i%len(skews)])
					for _, s := range []*leases.Subject{s, other} {
						now := time.Now()
						if s != other {
							now = clock.now()
						}
						d := charge(t, s, 1, now)
						store.record(subjectID(1), limits, 1, d)
						inTime(t, store, limits, d)
						if wait := d.States[0].ResetAt().Sub(d.Now()); wait < 0 || wait > time.Second {
							t.Fatalf("time until the window's end: got %v, want 0 to 1s", wait)
						}
					}
					time.Sleep(7 * time.Millisecond)
				}
				store.checkAdmitted(t, limits)
				// 21 s at 286 requests a second: the second's limit is used up, the minute's not.
				if got := store.used(subjectID(1), time.Minute); got < 780 || got > 22*40 {
					t.Errorf("used in 21 windows of a second: got %d, want about %d", got, 21*40)
				}
			})
		})
	}
}

// inTime fails if something was admitted after its window was over.
func inTime(t *testing.T, store *fakeStore, limits []leases.Limit, d leases.Decision) {
	t.Helper()
	for i := range limits {
		if d.Allowed && !store.now().Before(d.States[i].ResetAt()) {
			t.Fatalf("admitted at %v, after the end of the window at %v", store.now(), d.States[i].ResetAt())
		}
	}
}

// While a machine is suspended its monotonic clock stands still.
func TestLeaseEndsWhileTheMonotonicClockStands(t *testing.T) {
	t.Parallel()
	stored := noon
	store := newFakeStore(func() time.Time { return stored })
	s := start(t, store.options()).Subject(subjectID(1), []leases.Limit{perMinute(10)})
	before := time.Now()
	store.record(subjectID(1), []leases.Limit{perMinute(10)}, 10, charge(t, s, 10, before))
	if charge(t, s, 1, before).Allowed {
		t.Fatal("admitted more than the limit")
	}
	stored = stored.Add(61 * time.Second)
	if !charge(t, s, 1, setWall(before, 61)).Allowed {
		t.Error("refused in the next window, by a monotonic clock that stood still")
	}
}

func TestLeaseOutlivesNoWindowWhenTheWallClockIsSetBack(t *testing.T) {
	t.Parallel()
	real := time.Now()
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore(time.Now)
		limits := []leases.Limit{perMinute(1000)}
		clock := &twoClocks{real: real, begin: time.Now()}
		opts := store.options()
		opts.Now = clock.now
		s := start(t, opts).Subject(subjectID(1), limits)
		for range 100 {
			charge(t, s, 1, clock.now())
		}
		clock.set(-3600)
		time.Sleep(time.Minute)
		inTime(t, store, limits, charge(t, s, 1, clock.now()))
		// Nor does it when the caller has lost the monotonic reading.
		for range 100 {
			charge(t, s, 1, clock.now())
		}
		clock.set(-7200)
		time.Sleep(time.Minute)
		inTime(t, store, limits, charge(t, s, 1, clock.now().UTC().Round(0)))
	})
}

// The store's clock runs 400 ppm faster than ours: in a day, 35 s.
func TestDriftingClocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		store := newFakeStore(func() time.Time {
			d := time.Since(begin)
			return begin.Add(d + d/2500)
		})
		limits := []leases.Limit{perDay(1000)}
		s := start(t, store.options()).Subject(subjectID(1), limits)
		for range 64 { // a lease that lasts
			charge(t, s, 1, time.Now())
		}
		calls := store.callCount()
		for range 4 * 3600 {
			time.Sleep(17 * time.Second)
			d := charge(t, s, 0, time.Now())
			if !store.now().Before(d.States[0].ResetAt().Add(time.Second)) {
				t.Fatalf("at %v the window is taken to end at %v", store.now(), d.States[0].ResetAt())
			}
			d = charge(t, s, 1, time.Now())
			store.record(subjectID(1), limits, 1, d)
			inTime(t, store, limits, d)
		}
		store.checkAdmitted(t, limits)
		t.Logf("%d calls in %v", store.callCount()-calls, time.Since(begin))
	})
}

func TestNowIsTheStoresTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore(func() time.Time { return time.Now().Add(1234567 * time.Second) })
		one := []leases.Limit{perDay(5)}
		l := start(t, store.options())
		for _, limits := range [][]leases.Limit{one, {perHour(10), one[0]}} {
			s := l.Subject(subjectID(len(limits)), limits)
			for range 7 { // the last two are refused
				d := charge(t, s, 1, time.Now())
				if got, want := d.Now(), store.now(); got.Sub(want).Abs() > time.Microsecond {
					t.Errorf("allowed %v: got %v, want %v", d.Allowed, got, want)
				}
				time.Sleep(13 * time.Second)
			}
		}
	})
}

func TestLeaseCarriesOverWithinItsWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore(time.Now)
		s := start(t, store.options()).Subject(subjectID(1), []leases.Limit{perDay(1000)})
		for range 64 {
			charge(t, s, 1, time.Now())
		}
		// 20 s before midnight the lease is over, by the allowance for drift.
		midnight := windowStart(time.Now(), 24*time.Hour).Add(24 * time.Hour)
		time.Sleep(time.Until(midnight) - 20*time.Second)
		if got := drain(t, s, 1, time.Now()); got != 1000-64 {
			t.Errorf("admitted: got %d, want all of the %d that were left", got, 1000-64)
		}
	})
}

// Answers come up to three windows late. Whoever is admitted is so within the
// window that was charged, and the limit holds.
func TestLateAnswers(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string][]leases.Limit{
		"one limit":      {perSecond(50)},
		"several limits": {perSecond(50), {Max: 80, Span: 2 * time.Second}, perMinute(1500)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newFakeStore(time.Now)
				random := rand.New(rand.NewPCG(3, 4))
				var mu sync.Mutex
				store.before = func(ctx ctx) error {
					mu.Lock()
					d := time.Duration(random.ExpFloat64() * float64(300*time.Millisecond))
					mu.Unlock()
					return pause(ctx, min(d, 3*time.Second))
				}
				store.after = store.before
				var late, admitted int
				var wg sync.WaitGroup
				for range 2 {
					opts := store.options()
					opts.Timeout = 5 * time.Second
					s := start(t, opts).Subject(subjectID(1), limits)
					for range 10 {
						wg.Go(func() {
							for begin := time.Now(); time.Since(begin) < 2*time.Minute; time.Sleep(40 * time.Millisecond) {
								d, err := s.Charge(t.Context(), 1, time.Now())
								mu.Lock()
								switch {
								case errors.Is(err, leases.ErrLate):
									late++
								case err != nil:
									t.Errorf("Charge: %v", err)
								case d.Allowed:
									admitted++
								}
								mu.Unlock()
								if err == nil {
									store.record(subjectID(1), limits, 1, d)
									inTime(t, store, limits, d)
								}
							}
						})
					}
				}
				wg.Wait()
				store.checkAdmitted(t, limits)
				if admitted < 400 {
					t.Errorf("admitted: got %d, want more", admitted)
				}
				t.Logf("%d admitted, %d errors for being late", admitted, late)
			})
		})
	}
}

func TestStoreSlowerThanWindowsIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore(time.Now)
		store.after = func(ctx ctx) error { return pause(ctx, 1500*time.Millisecond) }
		s := start(t, store.options()).Subject(subjectID(1), []leases.Limit{perSecond(50)})
		begin := time.Now()
		if _, err := s.Charge(t.Context(), 1, time.Now()); !errors.Is(err, leases.ErrLate) {
			t.Errorf("got %v, want ErrLate", err)
		}
		if got := time.Since(begin); got != 6*time.Second {
			t.Errorf("after %v, want four answers' time", got)
		}
	})
}

func TestInjectedClockMovesWindows(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(func() time.Time { return time.Time{} }) // not asked
	limits := []leases.Limit{perMinute(5)}
	s := injected(t, store, clock).Subject(subjectID(1), limits)
	for i, tc := range []struct {
		move time.Duration
		want int64
	}{
		{0, 5},
		{59 * time.Second, 0},
		{time.Second, 5},
		{-time.Second, 0},                // less than a window back: still in the new one
		{-59 * time.Second, 0},           // exactly a window before it
		{-time.Millisecond, 5},           // further: a mistake, begins anew
		{10_000 * 24 * time.Hour, 5},     // ahead
		{-2_000_000 * time.Hour / 20, 5}, // back
		{time.Minute, 5},
	} {
		clock.advance(tc.move)
		if got := drain(t, s, 1, clock.now()); got != tc.want {
			t.Errorf("step %d, at %v: got %d admitted, want %d", i, clock.t, got, tc.want)
		}
		d := charge(t, s, 1, clock.now())
		if wait := d.States[0].ResetAt().Sub(d.Now()); wait <= 0 || wait > 2*time.Minute || !d.Now().Equal(clock.t) {
			t.Errorf("step %d: got now %v, end %v, want now %v", i, d.Now(), d.States[0].ResetAt(), clock.t)
		}
	}
}

func TestInjectedTimeMayBeKnownFromCallersOnly(t *testing.T) {
	t.Parallel()
	store := newFakeStore(func() time.Time { return time.Time{} })
	opts := store.options()
	opts.Injected = true
	s := start(t, opts).Subject(subjectID(1), []leases.Limit{perMinute(5), perDay(12)})
	for i, want := range []int64{5, 5, 2, 0} {
		now := noon.Add(time.Duration(i) * time.Minute)
		if got := drain(t, s, 1, now); got != want {
			t.Errorf("minute %d: got %d, want %d", i, got, want)
		}
	}
}

// A clock that is shared out of order, or set back by less than a window, goes on
// in the window that has begun: its room is still there.
func TestInjectedClockSlightlyBackChargesTheNewerWindow(t *testing.T) {
	t.Parallel()
	for _, back := range []time.Duration{time.Millisecond, 500 * time.Millisecond, 1500 * time.Millisecond, 59 * time.Second} {
		clock := &manual{noon}
		store := newFakeStore(clock.now)
		limits := []leases.Limit{perSecond(1000), perMinute(5), perDay(1000)}
		l := injected(t, store, clock)
		for _, limits := range [][]leases.Limit{limits, limits[1:2]} {
			id := subjectID(len(limits))
			clock.t = noon
			for range 2 {
				charge(t, l.Subject(id, limits), 1, clock.now())
			}
			clock.advance(-back)
			if got := drain(t, l.Subject(id, limits), 1, clock.now()); got != 3 {
				t.Errorf("%v back, %d limits: got %d admitted, want the 3 that were left", back, len(limits), got)
			}
		}
	}
}

// Whoever comes from the end of a window, while the next is being asked for, waits
// for it, though what was left of the old one is set aside.
func TestOlderTimeWaitsForTheNewerWindow(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string][]leases.Limit{
		"one limit":      {perMinute(100)},
		"several limits": {perMinute(100), perDay(1000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := fixed()
				opts := store.options()
				opts.Injected = true
				s := start(t, opts).Subject(subjectID(1), limits)
				other := start(t, opts).Subject(subjectID(1), limits)
				for range 15 {
					charge(t, s, 1, noon)
				}
				for store.used(subjectID(1), time.Minute) < 97 {
					charge(t, other, 1, noon)
				}
				// Of what it asks for it gets three, and knows that there are no more.
				for store.used(subjectID(1), time.Minute) < 100 {
					charge(t, s, 1, noon)
				}
				if left := charge(t, s, 0, noon).States[0].Remaining; left != 2 {
					t.Fatalf("left: got %d, want 2", left)
				}
				store.before = func(ctx ctx) error { return pause(ctx, time.Millisecond) }
				var wg sync.WaitGroup
				for _, now := range []time.Time{noon.Add(time.Minute), noon.Add(time.Minute - 1)} {
					wg.Go(func() {
						if d := charge(t, s, 1, now); !d.Allowed {
							t.Errorf("at %v: refused", now)
						}
					})
					synctest.Wait()
				}
				wg.Wait()
			})
		})
	}
}

// A window that the store says begins later holds for no longer than its span.
func TestWindowAheadOfTheStoresClock(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	calls := 0
	take := func(_ ctx, requests []leases.Request) ([]leases.Grant, error) {
		calls++
		part := leases.Granted{Start: noon.Add(1000 * time.Hour), Granted: 1, Used: 5}
		return []leases.Grant{{Now: clock.now(), Parts: []leases.Granted{part}}}, nil
	}
	s := start(t, leases.Options{Take: take, Now: clock.now}).Subject(subjectID(1), []leases.Limit{perMinute(5)})
	for range 3 {
		charge(t, s, 1, clock.now())
		charge(t, s, 1, clock.now())
		clock.advance(time.Minute)
	}
	if calls != 3 {
		t.Errorf("calls: got %d, want one a minute", calls)
	}
}

func TestWindowsBefore1970(t *testing.T) {
	t.Parallel()
	clock := &manual{time.Date(1901, 2, 3, 4, 5, 6, 789_000, time.UTC)}
	store := newFakeStore(clock.now)
	l := leases.NewMemory(leases.Options{Now: clock.now, Injected: true})
	for _, l := range []*leases.Limiter{injected(t, store, clock), l} {
		s := l.Subject(subjectID(1), []leases.Limit{perMinute(3)})
		if got := drain(t, s, 1, clock.now()); got != 3 {
			t.Errorf("admitted: got %d, want 3", got)
		}
		d := charge(t, s, 1, clock.now())
		if got, want := d.States[0].ResetAt(), time.Date(1901, 2, 3, 4, 6, 0, 0, time.UTC); !got.Equal(want) {
			t.Errorf("window's end: got %v, want %v", got, want)
		}
	}
}
