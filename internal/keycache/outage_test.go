package keycache_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

const grace = 10 * time.Second

func withGrace(o *keycache.Options) { o.Grace = grace }

// outage returns a rig that knows a key, and whose database fails from now on.
func outage(t *testing.T, err error, adjust func(o *keycache.Options)) (r *rig, since time.Time) {
	t.Helper()
	r = newRig(t, adjust)
	r.mustLook()
	since = time.Now()
	r.mustFind(idOf(1), 0)
	r.db.set(func(d *database) { d.down = err })
	return r, since
}

func TestAnOutageRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err    error
		adjust func(o *keycache.Options)
		until  time.Duration
	}{
		"without grace":                {errDown, nil, delay},
		"after the grace":              {errDown, withGrace, delay + grace},
		"at once, if not unreachable":  {errBroken, withGrace, delay},
		"unless nothing says it is it": {errDown, func(o *keycache.Options) { withGrace(o); o.Unreachable = nil }, delay},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, since := outage(t, test.err, test.adjust)
				for range 2000 {
					time.Sleep(10 * time.Millisecond)
					age := time.Since(since)
					v, err := r.find(idOf(1))
					if age < test.until && (err != nil || v != 0) {
						t.Fatalf("after %v: got %d, %v, want it accepted until %v", age, v, err, test.until)
					}
					if age >= test.until && !errors.Is(err, test.err) {
						t.Fatalf("after %v: got %d, %v, want %v from %v on", age, v, err, test.err, test.until)
					}
				}
				r.db.set(func(d *database) { d.down = nil })
				r.mustFind(idOf(1), 0)
			})
		})
	}
}

// The grace counts from the last good look: a connection that comes and goes, and
// is never good for a look, does not extend it.
func TestFlappingDoesNotExtendTheGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, since := outage(t, errDown, withGrace)
		r.db.commit(idOf(1))
		accepted := 0
		for i := range 3000 {
			time.Sleep(10 * time.Millisecond)
			r.db.set(func(d *database) {
				d.down = errDown
				if i/70%3 == 1 {
					d.down = errBroken
				}
			})
			v, err := r.find(idOf(1))
			if err != nil {
				continue
			}
			if accepted++; v != 0 || time.Since(since) >= delay+grace {
				t.Fatalf("after %v: accepted version %d", time.Since(since), v)
			}
		}
		if accepted < 500 {
			t.Errorf("accepted %d times, want most of 11 s", accepted)
		}
	})
}

// During the grace nobody waits for a database that does not answer.
func TestNobodyWaitsDuringTheGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, since := outage(t, nil, func(o *keycache.Options) {
			withGrace(o)
			o.Unreachable = func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
		})
		r.db.set(func(d *database) { d.slow = sleeps(time.Hour) })
		waited := time.Duration(0)
		for time.Since(since) < delay+grace-timeout {
			time.Sleep(10 * time.Millisecond)
			start := time.Now()
			r.mustFind(idOf(1), 0)
			waited += time.Since(start)
		}
		// Only until the first look that began at half the delay has failed.
		if waited > timeout {
			t.Errorf("requests waited %v, want at most %v", waited, timeout)
		}
	})
}

// Nor is a database that is down asked more often than one that is up.
func TestLooksKeepTheirPaceDuringTheGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, since := outage(t, errDown, withGrace)
		before, _ := r.db.asked()
		for time.Since(since) < delay+grace-timeout {
			time.Sleep(time.Millisecond)
			r.mustFind(idOf(1), 0)
		}
		synctest.Wait()
		after, _ := r.db.asked()
		if got, want := after-before, int(2*time.Since(since)/delay); got < want-3 || got > want {
			t.Errorf("got %d looks in %v, want about %d", got, time.Since(since), want)
		}
	})
}

// What fails after the database has answered that everything changed is no outage.
func TestAResetThatFailsIsNoOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Bool
		r := newRig(t, func(o *keycache.Options) {
			withGrace(o)
			o.Reset = func(context.Context) error {
				if failing.Load() {
					return errDown
				}
				return nil
			}
		})
		r.mustLook()
		r.mustFind(idOf(1), 0)
		failing.Store(true)
		r.db.announce(keycache.Change{Kind: keycache.KindAll})
		time.Sleep(delay)
		for range 3 {
			if v, err := r.find(idOf(1)); !errors.Is(err, errDown) {
				t.Errorf("got %d, %v, want %v", v, err, errDown)
			}
		}
	})
}

// A failure of long ago says nothing of now: the database is asked again first.
func TestAnOldFailureIsNoOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := outage(t, errDown, withGrace)
		time.Sleep(delay)
		r.mustFind(idOf(1), 0) // by the grace: it was asked, and has failed
		r.db.commit(idOf(1))
		r.db.set(func(d *database) { d.down = nil })
		time.Sleep(delay + timeout + 1)
		r.mustFind(idOf(1), 1)
	})
}
