package keycache_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

// The reader's order: the time of the last good look, then the entry. The drop
// happens in between: the background look that Fresh begins reads the clock.
func TestLookupReadsTheEntryLast(t *testing.T) {
	t.Parallel()
	clk := newClock()
	var between func()
	r := newRig(t, func(o *keycache.Options) {
		o.Now = func() keycache.Instant {
			if between != nil {
				between()
			}
			return clk.now()
		}
	})
	key := idOf(1)
	r.mustLook()
	r.mustFind(key, 0)
	r.now = clk.now
	clk.pass(delay * 3 / 4)
	r.db.slow = func(context.Context) { between = nil }
	between = func() { r.cache.DropKey(key) }
	r.mustLookup(key, -1)
}

func TestNothingIsFreshBeforeTheFirstLook(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	if r.looker.Fresh(r.now()) {
		t.Error("fresh without a look")
	}
	key := idOf(1)
	r.cache.Put(r.cache.Begin(), hashFor(key), &keycache.Entry[int]{Key: key, Value: 7})
	r.mustLookup(key, -1)
	if s := r.looker.Stats(); s.Age >= 0 || s.Looks != 0 {
		t.Errorf("Stats: got %+v, want no look", s)
	}
	r.db.commit(key)
	r.mustFind(key, 1) // what was there before the first look is worth nothing
	if got := r.resets.Load(); got != 1 {
		t.Errorf("got %d resets, want 1", got)
	}
	if s := r.looker.Stats(); s.Revision != 1 || s.Age < 0 || s.Looks < 1 || s.Resets != 0 {
		t.Errorf("Stats: got %+v, want revision 1", s)
	}
}

func TestAChangeElsewhereIsObeyedWithinTheDelay(t *testing.T) {
	t.Parallel()
	key, other, org := idOf(1), idOf(2), idOf(3)
	tests := map[string]struct {
		change keycache.Change
		left   int // version of the other key in memory after the look
		resets int64
	}{
		"of a key":           {keycache.Change{Kind: keycache.KindKey, ID: key}, 0, 0},
		"of an organization": {keycache.Change{Kind: keycache.KindOrganization, ID: org}, 0, 0},
		"of everything":      {keycache.Change{}, -1, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			r := newRig(t, func(o *keycache.Options) { o.Now = clk.now })
			r.mustLook()
			r.resets.Store(0)
			r.mustFind(other, 0)
			r.cache.Put(r.cache.Begin(), hashFor(key), &keycache.Entry[int]{Key: key, Organization: org})
			r.db.set(func(d *database) { d.versions[key] = 1 })
			r.db.announce(test.change)
			clk.pass(delay/2 - 1)
			r.mustLookup(key, 0) // still, within the bound
			clk.pass(delay/2 + 1)
			r.mustLookup(key, -1)
			r.mustFind(key, 1)
			r.mustLookup(other, test.left)
			if got := r.resets.Load(); got != test.resets {
				t.Errorf("got %d resets, want %d", got, test.resets)
			}
		})
	}
}

// The time of a look is that before it was sent: an answer that was a delay on its
// way vouches for nothing.
func TestALateAnswerVouchesForNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		key := idOf(1)
		r.mustLook()
		r.mustFind(key, 0)
		time.Sleep(delay * 3 / 4)
		r.db.set(func(d *database) { d.slow = sleeps(delay + delay/4) })
		r.mustLookup(key, 0) // begins a look
		synctest.Wait()
		r.db.commit(key) // which does not see this
		time.Sleep(delay)
		r.mustLookup(key, -1)
		time.Sleep(delay/4 + 1)
		if s := r.looker.Stats(); s.Looks != 2 || s.Age != delay+delay/4+1 {
			t.Fatalf("Stats: got %+v, want the second look published, with the time of its start", s)
		}
		r.mustLookup(key, -1)
		r.db.set(func(d *database) { d.slow = nil })
		r.mustFind(key, 1)
	})
}

// A database that is slower than the delay serves all the same, by looks that
// began after the request arrived.
func TestADatabaseSlowerThanTheDelayServes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		key := idOf(1)
		const slow = delay + delay/2
		r.db.set(func(d *database) { d.slow = sleeps(slow) })
		r.mustFind(key, 0)
		for i := range 5 {
			time.Sleep(5 * time.Second)
			start := time.Now()
			r.mustFind(key, i)
			if got := time.Since(start); i == 0 && got != slow {
				t.Errorf("waited %v, want one look: %v", got, slow)
			}
			r.db.commit(key)
		}
	})
}

// One who arrives while such a look is on its way does not take it for good: the
// change may have been acknowledged between the two.
func TestALookFromBeforeTheRequestIsNotEnough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		key := idOf(1)
		r.mustLook()
		r.mustFind(key, 0)
		time.Sleep(2 * delay)
		r.db.set(func(d *database) { d.slow = sleeps(delay + delay/2) })
		var wg sync.WaitGroup
		wg.Go(func() { r.mustFind(key, 0) }) // its look is from before the change
		synctest.Wait()
		r.db.commit(key)
		time.Sleep(time.Nanosecond)
		r.mustFind(key, 1)
		wg.Wait()
	})
}

// After a restore the same revision is another change.
func TestAnotherHistoryDropsEverything(t *testing.T) {
	t.Parallel()
	key := idOf(1)
	tests := map[string]func(d *database){
		"same revision, other stamp": func(d *database) { d.mark.Stamp[5] = 1; d.history[2].mark = d.mark },
		"shorter":                    func(d *database) { d.history = d.history[:2]; d.mark = d.history[1].mark },
		"shorter, and grown again": func(d *database) {
			d.history = d.history[:2]
			d.mark = d.history[1].mark
			for range 3 {
				d.mark.Revision++
				d.mark.Stamp[7]++
				d.history = append(d.history, link{mark: d.mark, change: keycache.Change{Kind: keycache.KindKey}})
			}
		},
		"swept": func(d *database) {
			for range 3 {
				d.chain(keycache.Change{Kind: keycache.KindKey})
			}
			d.history = d.history[4:]
		},
	}
	for name, restore := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			r := newRig(t, func(o *keycache.Options) { o.Now = clk.now })
			for range 3 {
				r.db.commit(idOf(9))
			}
			r.mustLook()
			r.mustFind(key, 0)
			ticket := r.cache.Begin()
			r.db.set(func(d *database) { restore(d); d.versions[key] = 1 })
			clk.pass(delay)
			r.mustFind(key, 1)
			if r.cache.Put(ticket, hashOf(1), &keycache.Entry[int]{Key: idOf(5)}) {
				t.Error("a load from before the reset was remembered")
			}
			if got, s := r.resets.Load(), r.looker.Stats(); got != 2 || s.Resets != 1 {
				t.Errorf("got %d resets and %+v, want 2 and 1", got, s)
			}
			clk.pass(delay)
			r.mustFind(key, 1)
			if got := r.resets.Load(); got != 2 {
				t.Errorf("at the next look: got %d resets, want 2 still", got)
			}
		})
	}
}

// Whatever a store says of completeness, a history that does not go on from our
// mark is not ours.
func TestAnAnswerThatContradictsItselfDropsEverything(t *testing.T) {
	t.Parallel()
	ours := keycache.Mark{Revision: 5, Stamp: [16]byte{5}}
	tests := map[string]struct {
		next   keycache.Mark
		resets int64
	}{
		"the same":                   {ours, 1},
		"later":                      {keycache.Mark{Revision: 9}, 1},
		"earlier":                    {keycache.Mark{Revision: 4}, 2},
		"same revision, other stamp": {keycache.Mark{Revision: 5, Stamp: [16]byte{6}}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk, mark := newClock(), ours
			r := newRig(t, func(o *keycache.Options) {
				o.Now = clk.now
				o.Look = func(context.Context, keycache.Mark) (keycache.ChangeSet, error) {
					return keycache.ChangeSet{Mark: mark, Complete: true}, nil
				}
			})
			r.mustLook()
			mark = test.next
			clk.pass(delay)
			r.mustLook()
			if got := r.resets.Load(); got != test.resets {
				t.Errorf("got %d resets, want %d", got, test.resets)
			}
		})
	}
}

// Looks begin at half the delay while there is traffic, so that nobody waits for
// one; without traffic there are none.
func TestLooksComeWithTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		key := idOf(1)
		r.mustLook()
		r.mustFind(key, 0)
		r.db.set(func(d *database) { d.slow = sleeps(delay / 10) })
		before, _ := r.db.asked()
		for range 1000 { // ten seconds
			r.mustLookup(key, 0)
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		during, _ := r.db.asked()
		if got := during - before; got < 18 || got > 20 {
			t.Errorf("got %d looks in 10 s, want one for each half second", got)
		}
		time.Sleep(time.Hour)
		if after, _ := r.db.asked(); after > during+1 { // the last request may have begun one
			t.Errorf("got %d looks without traffic, want none", after-during)
		}
	})
}

// After a pause a request for a key that is not in memory waits for its look and its
// load at the same time.
func TestALookGoesBesideALoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.mustLook()
		time.Sleep(time.Minute)
		r.db.set(func(d *database) { d.slow = sleeps(delay / 10) })
		start := time.Now()
		r.mustFind(idOf(1), 0)
		if got := time.Since(start); got != delay/10 {
			t.Errorf("waited %v, want %v", got, delay/10)
		}
	})
}

func TestThereIsOneLookAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		r := newRig(t, nil)
		r.db.set(func(d *database) {
			d.slow = func(context.Context) {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(300 * time.Millisecond)
				running.Add(-1)
			}
		})
		var wg sync.WaitGroup
		for i := range 100 {
			time.Sleep(30 * time.Millisecond)
			wg.Go(func() {
				if err := r.looker.Ensure(t.Context(), r.now()); err != nil {
					t.Errorf("request %d: got %v, want nil", i, err)
				}
			})
		}
		wg.Wait()
		if got := most.Load(); got != 1 {
			t.Errorf("got %d looks at once, want 1", got)
		}
	})
}

// What a look made stale is gone before the look counts.
func TestALookDropsBeforeItIsPublished(t *testing.T) {
	t.Parallel()
	clk := newClock()
	var during []keycache.LookerStats
	var r *rig
	r = newRig(t, func(o *keycache.Options) {
		o.Now = clk.now
		drop := o.Drop
		o.Drop = func(changes []keycache.Change) {
			drop(changes)
			during = append(during, r.looker.Stats())
		}
	})
	r.mustLook()
	r.db.commit(idOf(1))
	clk.pass(delay)
	r.mustLook()
	if len(during) != 2 || during[0].Age >= 0 || during[1].Revision != 0 || during[1].Age != delay {
		t.Errorf("during the drops: got %+v, want none published, and then the first", during)
	}
	if got := r.looker.Stats().Revision; got != 1 {
		t.Errorf("afterwards: got revision %d, want 1", got)
	}
}

// A process that was stopped, a machine that slept, a clock that was set: either
// clock is enough to see it.
func TestClocksThatJump(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		mono, wall time.Duration
		want       int
	}{
		"nothing happens":                  {0, 0, 0},
		"stopped for 3 s":                  {3 * time.Second, 3 * time.Second, -1},
		"suspended for an hour":            {0, time.Hour, -1},
		"the wall set back, and time goes": {delay, -time.Hour, -1},
		"the wall set back":                {delay / 4, -time.Hour, 0},
		"the wall set ahead":               {0, time.Hour, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			r := newRig(t, func(o *keycache.Options) { o.Now = clk.now })
			key := idOf(1)
			r.mustLook()
			r.mustFind(key, 0)
			clk.move(test.mono, test.wall)
			r.mustLookup(key, test.want)
			r.mustFind(key, 0) // and it goes on
			r.mustLookup(key, 0)
		})
	}
}

// A machine that was suspended while a look was on its way has an answer from
// before that, though the look began after the request arrived.
func TestSuspendedDuringALook(t *testing.T) {
	t.Parallel()
	clk := newClock()
	r := newRig(t, func(o *keycache.Options) { o.Now = clk.now })
	key := idOf(1)
	r.mustLook()
	r.mustFind(key, 0)
	clk.pass(delay)
	first := true
	r.db.slow = func(context.Context) {
		if first {
			first = false
			r.db.commit(key) // after the look was answered
			clk.move(0, time.Hour)
		}
	}
	r.mustFind(key, 1)
}

func TestAFailedResetIsAFailedLook(t *testing.T) {
	t.Parallel()
	clk := newClock()
	var failing atomic.Bool
	r := newRig(t, func(o *keycache.Options) {
		o.Now = clk.now
		o.Reset = func(context.Context) error {
			if failing.Load() {
				return errBroken
			}
			return nil
		}
	})
	r.mustLook()
	failing.Store(true)
	r.db.announce(keycache.Change{Kind: keycache.KindAll})
	clk.pass(delay)
	for range 2 { // the mark stays where it was
		if _, err := r.find(idOf(1)); !errors.Is(err, errBroken) {
			t.Errorf("got %v, want %v", err, errBroken)
		}
	}
	failing.Store(false)
	r.mustFind(idOf(1), 0)
}

func TestAPanicInALookIsAnError(t *testing.T) {
	t.Parallel()
	clk := newClock()
	var told atomic.Int64
	r := newRig(t, func(o *keycache.Options) {
		o.Now = clk.now
		o.OnError = func(error) { told.Add(1); panic("logger") }
	})
	r.mustLook()
	r.mustFind(idOf(1), 0)
	r.db.set(func(d *database) { d.slow = func(context.Context) { panic("driver") } })
	clk.pass(delay)
	if _, err := r.find(idOf(1)); err == nil {
		t.Error("got nil, want an error")
	}
	r.db.set(func(d *database) { d.slow = nil })
	r.mustFind(idOf(1), 0)
	r.looker.Close()
	if s := r.looker.Stats(); s.Failed != 1 || told.Load() != 1 {
		t.Errorf("got %+v and %d errors told, want 1 failed", s, told.Load())
	}
}

func TestEnsureEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.db.set(func(d *database) { d.slow = sleeps(time.Second) })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := r.looker.Ensure(ctx, r.now()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !r.looker.Fresh(r.now()) {
			// It began a second ago, which is the delay.
			t.Log("stale at the delay, as it should be")
		}
		if got := r.looker.Stats(); got.Looks != 1 || got.Failed != 0 {
			t.Errorf("got %+v, want the look to have gone on", got)
		}
	})
}

func TestCloseEndsTheLookOnItsWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *keycache.Options) {
			o.OnError = func(error) { t.Error("told of an error that Close has made") }
		})
		r.db.set(func(d *database) { d.slow = sleeps(time.Hour) })
		failed := make(chan error, 1)
		go func() { failed <- r.looker.Ensure(t.Context(), r.now()) }()
		synctest.Wait()
		start := time.Now()
		r.looker.Close()
		if err := <-failed; !errors.Is(err, context.Canceled) || time.Since(start) != 0 {
			t.Errorf("got %v after %v, want canceled at once", err, time.Since(start))
		}
		if err := r.looker.Ensure(t.Context(), r.now()); !errors.Is(err, keycache.ErrClosed) {
			t.Errorf("afterwards: got %v, want ErrClosed", err)
		}
		r.looker.Close()
	})
}
