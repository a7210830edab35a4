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

func TestCallersShareALoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.mustLook()
		r.db.set(func(d *database) { d.slow = sleeps(100 * time.Millisecond) })
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { r.mustFind(idOf(1), 0) })
		}
		wg.Wait()
		if _, loads := r.db.asked(); loads != 1 {
			t.Errorf("got %d loads, want 1", loads)
		}
	})
}

// Who arrives after a drop does not wait for a load that began before it.
func TestNobodyJoinsALoadFromBeforeADrop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.mustLook()
		key := idOf(1)
		r.db.set(func(d *database) { d.slow = sleeps(300 * time.Millisecond) })
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			r.mustFind(key, 1) // loads once more
			if got := time.Since(start); got < 300*time.Millisecond {
				t.Errorf("the first: got its answer after %v, want its own load first", got)
			}
		})
		time.Sleep(100 * time.Millisecond)
		r.db.commit(key)
		r.cache.DropKey(key)
		for range 3 {
			wg.Go(func() {
				r.mustFind(key, 1)
				if got := time.Since(start); got != 400*time.Millisecond {
					t.Errorf("those after: got their answer after %v, want 400ms", got)
				}
			})
		}
		wg.Wait()
		// One old, one for those after the drop, which the first caller need not join:
		// it finds its entry in memory, or loads.
		if _, loads := r.db.asked(); loads < 2 || loads > 3 {
			t.Errorf("got %d loads, want 2 or 3", loads)
		}
	})
}

func TestAFollowerIsLetGoWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.mustLook()
		r.db.set(func(d *database) { d.slow = sleeps(500 * time.Millisecond) })
		go r.mustFind(idOf(1), 0)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := r.cache.Find(ctx, r.now(), hashFor(idOf(1)), r.db.load(idOf(1)))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("got %v after %v, want the deadline after 100ms", err, time.Since(start))
		}
		time.Sleep(time.Second)
	})
}

// A load serves all who wait: it goes on when the one who sent it is gone.
func TestALoadOutlivesTheContextOfItsSender(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.mustLook()
		r.db.set(func(d *database) { d.slow = sleeps(500 * time.Millisecond) })
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = r.cache.Find(ctx, r.now(), hashFor(idOf(1)), r.db.load(idOf(1))) }()
		synctest.Wait()
		cancel()
		r.mustFind(idOf(1), 0)
		if _, loads := r.db.asked(); loads != 1 {
			t.Errorf("got %d loads, want 1", loads)
		}
	})
}

func TestALoadEndsWithTheTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.mustLook()
		r.db.set(func(d *database) { d.slow = sleeps(time.Hour) })
		start := time.Now()
		_, err := r.find(idOf(1))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != timeout {
			t.Errorf("got %v after %v, want the deadline after %v", err, time.Since(start), timeout)
		}
	})
}

func TestAPanicInALoadFreesThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.mustLook()
		go func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not reach the sender")
				}
			}()
			_, _ = r.cache.Find(t.Context(), r.now(), hashFor(idOf(1)), func(context.Context) (*keycache.Entry[int], error) {
				time.Sleep(time.Second / 2)
				panic("driver")
			})
		}()
		synctest.Wait()
		if v, err := r.find(idOf(1)); err == nil {
			t.Errorf("got version %d, want an error", v)
		}
		r.mustFind(idOf(1), 0) // and nothing is left behind
	})
}

// A key that was created while a load for it was on its way is found by who asks
// after that.
func TestNothingIsBelievedOnlyFromALoadAfterwards(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.mustLook()
		var created atomic.Bool
		load := func(context.Context) (*keycache.Entry[int], error) {
			there := created.Load()
			time.Sleep(100 * time.Millisecond)
			if !there {
				return nil, nil
			}
			return &keycache.Entry[int]{Key: idOf(1)}, nil
		}
		find := func() *keycache.Entry[int] {
			e, err := r.cache.Find(t.Context(), r.now(), hashOf(1), load)
			if err != nil {
				t.Errorf("got %v, want nil", err)
			}
			return e
		}
		go func() {
			if find() != nil {
				t.Error("found before it was there")
			}
		}()
		time.Sleep(50 * time.Millisecond)
		created.Store(true)
		if find() == nil {
			t.Error("not found, though it was there before the question")
		}
	})
}
