package keycache_test

import (
	"container/list"
	"math/rand/v2"
	"testing"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

// lru is the ideal that the table is held against: the least recently used entry
// goes, found without effort.
type lru struct {
	size  int
	order list.List
	at    map[int]*list.Element
}

func (l *lru) use(key int) (hit bool) {
	if e := l.at[key]; e != nil {
		l.order.MoveToFront(e)
		return true
	}
	if l.order.Len() == l.size {
		delete(l.at, l.order.Remove(l.order.Back()).(int))
	}
	l.at[key] = l.order.PushFront(key)
	return false
}

// traffic returns the keys asked for, one after the other.
type traffic func(r *rand.Rand) func() int

// zipf is traffic in which few keys are asked for most.
func zipf(s float64, keys int) traffic {
	return func(r *rand.Rand) func() int {
		z := rand.NewZipf(r, s, 1, uint64(keys-1))
		return func() int { return int(z.Uint64()) }
	}
}

func uniform(keys int) traffic {
	return func(r *rand.Rand) func() int { return func() int { return r.IntN(keys) } }
}

// sprinkled has one request in n be of a key that is never seen again.
func sprinkled(n int, of traffic) traffic {
	return func(r *rand.Rand) func() int {
		next, once := of(r), 1<<40
		return func() int {
			if r.IntN(n) == 0 {
				once++
				return once
			}
			return next()
		}
	}
}

// flooded has a run of keys that are never seen again, every now and then.
func flooded(every, length int, of traffic) traffic {
	return func(r *rand.Rand) func() int {
		next, i, once := of(r), 0, 1<<40
		return func() int {
			if i++; i%every < length {
				once++
				return once
			}
			return next()
		}
	}
}

func TestHitRatioAgainstLRU(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("one goroutine, many requests")
	}
	const size = 2_000
	tests := map[string]struct {
		traffic traffic
		ahead   float64 // of the LRU at least, in percentage points; negative: at most behind
	}{
		"zipf 1.01, ten times too many keys":  {zipf(1.01, 10*size), 3},
		"zipf 1.2, ten times too many keys":   {zipf(1.2, 10*size), 1},
		"zipf 1.01, a hundred times too many": {zipf(1.01, 100*size), 3},
		"uniform, as many keys as places":     {uniform(size), -2.5},
		"uniform, twice as many keys":         {uniform(2 * size), -1},
		"zipf, every fourth key only once":    {sprinkled(4, zipf(1.01, 10*size)), 3},
		"zipf, floods of twice the size":      {flooded(10*size, 2*size, zipf(1.01, 10*size)), 2},
		"few keys, floods of twice the size":  {flooded(10*size, 2*size, uniform(size/2)), 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, ideal := hitRatios(size, test.traffic)
			t.Logf("%-36s table %5.1f %%, LRU %5.1f %%", name, ours, ideal)
			if ours < ideal+test.ahead {
				t.Errorf("table %.1f %%, LRU %.1f %%: want %+.1f points or more", ours, ideal, test.ahead)
			}
		})
	}
}

func hitRatios(size int, of traffic) (ours, ideal float64) {
	const requests, seed = 300_000, 7
	c := keycache.New[int](idle(), size)
	l := &lru{size: size, at: make(map[int]*list.Element)}
	next := of(rand.New(rand.NewPCG(seed, seed)))
	var now keycache.Instant
	var hits, ideals, counted float64
	for i := range requests {
		key := next()
		hash := hashOf(key)
		hit := c.Get(now, hash) != nil
		if !hit {
			c.Put(c.Begin(), hash, &keycache.Entry[int]{Key: idOf(key)})
		}
		best := l.use(key)
		if i < requests/3 {
			continue // until both are full
		}
		counted++
		if hit {
			hits++
		}
		if best {
			ideals++
		}
	}
	return 100 * hits / counted, 100 * ideals / counted
}
