package keycache_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

// strictly makes a rig that has the database asked for every request.
func strictly(t *testing.T) *rig {
	t.Helper()
	return newRig(t, func(o *keycache.Options) { o.Delay = 0 })
}

// In a bubble the clock stands still: that a look began after a request arrived has to
// be known without it.
func TestWithoutADelayAChangeElsewhereIsObeyedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := strictly(t)
		key := idOf(1)
		for version := range 5 {
			r.mustFind(key, version)
			r.mustFind(key, version)
			r.mustLookup(key, -1) // nothing is believed unasked
			r.db.commit(key)
		}
	})
}

// What has not changed is not read again.
func TestWithoutADelayOnlyChangesAreAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := strictly(t)
		r.mustLook()
		for range 10 {
			r.mustFind(idOf(1), 0)
		}
		if looks, loads := r.db.asked(); looks != 1+9 || loads != 1 {
			t.Errorf("got %d looks and %d loads, want the first look, one load, and a look for each request after it", looks, loads)
		}
		r.db.commit(idOf(2))
		r.mustFind(idOf(1), 0)
		if _, loads := r.db.asked(); loads != 1 {
			t.Errorf("got %d loads, want the first: another key was changed", loads)
		}
	})
}

// One look is for all who waited for it; one that was sent before is for none of them.
func TestWithoutADelayRequestsShareALook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := strictly(t)
		key := idOf(1)
		r.mustLook()
		r.mustFind(key, 0)
		before, _ := r.db.asked()
		r.db.set(func(d *database) { d.slow = sleeps(delay / 10) })
		var requests sync.WaitGroup
		requests.Go(func() { r.mustFind(key, 0) })
		synctest.Wait() // its look was answered, and is on its way back
		r.db.commit(key)
		for range 50 {
			requests.Go(func() { r.mustFind(key, 1) })
		}
		requests.Wait()
		if looks, _ := r.db.asked(); looks-before != 2 {
			t.Errorf("got %d looks, want one for the first and one for the others", looks-before)
		}
	})
}

// A load that was sent before a request arrived is not for it, changed or not.
func TestWithoutADelayNoLoadIsJoined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := strictly(t)
		key := idOf(1)
		r.mustLook()
		r.db.set(func(d *database) { d.slow = sleeps(delay / 10) })
		var first sync.WaitGroup
		first.Go(func() { r.mustFind(key, 0) })
		synctest.Wait()
		r.db.commit(key) // by a process whose changes this one hears of by looks alone
		r.mustFind(key, 1)
		first.Wait()
		r.db.set(func(d *database) { d.slow = nil })
		r.mustFind(key, 1) // the older load, which came back first, is not what is remembered
	})
}

// When the database does not answer, nobody is let in, however short a time ago it did.
func TestWithoutADelayAnOutageRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := strictly(t)
		r.mustFind(idOf(1), 0)
		r.db.set(func(d *database) { d.down = errDown })
		if _, err := r.find(idOf(1)); err == nil {
			t.Error("found without asking")
		}
		time.Sleep(delay)
		r.db.set(func(d *database) { d.down = nil })
		r.mustFind(idOf(1), 0)
	})
}
