package keycache

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	// ways is how many entries a set has room for: with the tags, one cache line.
	ways = 7
	// A set holds at most this many entries on average. Then one in fifty has to
	// make room in a full set although the table has places left.
	perSet = 4
	// maxStripes is how many locks there are, each for a part of the sets and of the
	// entries, if that is minShare entries at least: the larger the parts, the more
	// even.
	maxStripes = 16
	minShare   = 1024
	// Each use lifts an entry by one, from 0 up to favourite; each time that the hand
	// comes by it sinks by one, and at 0 it is evicted. So a flood of hashes used once
	// takes the places of its own kind.
	favourite = 3
)

// table is a set-associative array. Readers take no lock: they read pointers to
// entries that do not change. Writers hold the lock of the stripe.
type table[V any] struct {
	sets      []set[V] // a power of two
	shift     uint     // of a folded hash: what is left is the number of the set
	perStripe uint     // the same, of that number: what is left is the number of the stripe
	salt      uint64
	stripes   []stripe[V]
}

// set is where the entries of some hashes are.
type set[V any] struct {
	// tags has one byte of each entry's folded hash, 0 where there is none. It is a
	// hint that saves readers from looking at other entries; the slot decides.
	tags  atomic.Uint64
	slots [ways]atomic.Pointer[Entry[V]]
}

// stripe is what guards a run of sets, and counts what they hold.
type stripe[V any] struct {
	mu      sync.Mutex
	sets    []set[V]    // its own
	index   []*Entry[V] // by key, made when there is one: a power of two of lists
	flights map[[32]byte]*flight[V]
	limit   int
	count   int
	hand    int // the slot that comes next when one has to go
	evicted int64
	_       [48]byte // the next one begins on a cache line of its own
}

func (t *table[V]) init(size int) {
	n := min(maxStripes, powerOfTwo(size/minShare+1)/2)
	n = max(n, 1)
	sets := max(powerOfTwo((size+perSet-1)/perSet), n)
	t.sets = make([]set[V], sets)
	t.shift = uint(64 - bits.Len(uint(sets-1)))
	t.perStripe = uint(bits.Len(uint(sets/n - 1)))
	var salt [8]byte
	_, _ = rand.Read(salt[:]) // never fails (crypto/rand)
	t.salt = binary.LittleEndian.Uint64(salt[:])
	t.stripes = make([]stripe[V], n)
	for i := range t.stripes {
		s := &t.stripes[i]
		s.sets = t.sets[i*(sets/n) : (i+1)*(sets/n)]
		s.flights = make(map[[32]byte]*flight[V])
		s.limit = size*(i+1)/n - size*i/n
	}
}

// powerOfTwo returns the least one that is not less than n.
func powerOfTwo(n int) int { return 1 << bits.Len(uint(max(n, 1)-1)) }

// place returns where a hash belongs.
func (t *table[V]) place(hash *[32]byte) (set int, tag uint8) {
	h := fold(binary.LittleEndian.Uint64(hash[8:]), binary.LittleEndian.Uint64(hash[24:]))
	return int(h >> t.shift), uint8(h>>8) | 1
}

func (t *table[V]) stripeOf(hash [32]byte) *stripe[V] {
	i, _ := t.place(&hash)
	return &t.stripes[i>>t.perStripe]
}

// get returns the entry of a hash, if it is alive, and notes that it was used.
// Hashes are compared as they are: who does not know the secret they were made
// under learns nothing from the time it takes.
func (t *table[V]) get(now Instant, hash *[32]byte) *Entry[V] {
	i, tag := t.place(hash)
	s := &t.sets[i]
	for m := match(s.tags.Load(), tag); m != 0; m &= m - 1 {
		e := s.slots[slotOf(m)].Load()
		if e != nil && e.hash == *hash {
			if e.dead(now) {
				return nil
			}
			if n := e.used.Load(); n < favourite {
				e.used.Store(n + 1) // two at once may count as one
			}
			return e
		}
	}
	return nil
}

const (
	lowBits  = 0x00_01_01_01_01_01_01_01
	highBits = lowBits << 7
)

// match marks the slots whose tag is this one, by the high bit of their byte. One
// above a match may be marked in error.
func match(tags uint64, tag uint8) uint64 {
	x := tags ^ lowBits*uint64(tag)
	return (x - lowBits) &^ x & highBits
}

// slotOf returns the first marked slot.
func slotOf(m uint64) int { return bits.TrailingZeros64(m) >> 3 }
