package keycache_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// Who is told of a change sees it as soon as the look has ended, long before one is due.
func TestEarlySeesAChangeAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		key := idOf(1)
		r.mustFind(key, 0)
		r.db.commit(key)
		r.mustLookup(key, 0)
		r.looker.Early(t.Context())
		r.mustLookup(key, -1)
	})
}

// A look that was sent before the change is not the one.
func TestEarlyWaitsForALookOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		key := idOf(1)
		r.mustFind(key, 0)
		r.db.set(func(d *database) { d.slow = sleeps(delay / 10) })
		go r.looker.Early(t.Context())
		synctest.Wait() // its look has read, and is on its way back
		r.db.commit(key)
		time.Sleep(delay / 100)
		r.looker.Early(t.Context())
		r.mustLookup(key, -1)
		if looks := r.looker.Stats().Looks; looks != 3 {
			t.Errorf("got %d looks, want the first and two early ones", looks)
		}
	})
}

// Without traffic there are no looks, whatever is told.
func TestEarlyWithoutTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.looker.Early(t.Context()) // nothing was ever looked at
		r.mustFind(idOf(1), 0)
		before := r.looker.Stats().Looks
		time.Sleep(delay)
		r.looker.Early(t.Context())
		if got := r.looker.Stats().Looks - before; got != 0 {
			t.Errorf("got %d looks, want none", got)
		}
	})
}
