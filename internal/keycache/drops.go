package keycache

import (
	"sync"
	"sync/atomic"
)

// Kind says how far a change reaches.
type Kind uint8

// The kinds of changes. A kind that is none of these counts as KindAll.
const (
	KindAll          Kind = iota // everything, what is not cached too
	KindOrganization             // an organization and all of its keys
	KindKey                      // one key
)

// Change says what is no longer true as it was.
type Change struct {
	Kind Kind
	ID   [16]byte // of the key or of the organization
}

func (c Change) everything() bool { return c.Kind != KindKey && c.Kind != KindOrganization }

func (c Change) concerns(key, organization [16]byte) bool {
	switch c.Kind {
	case KindKey:
		return c.ID == key
	case KindOrganization:
		return c.ID == organization
	default:
		return true
	}
}

// recentDrops is how many drops are remembered one by one.
const recentDrops = 1024

// Ticket notes what had been dropped before a load was sent, and when that was.
type Ticket struct {
	seq   uint64
	began Instant
}

// dropLog numbers the drops and remembers the recent ones.
type dropLog struct {
	seq    atomic.Uint64 // of the last drop
	mu     sync.Mutex
	recent [recentDrops]Change // drop number n at n % recentDrops
}

func (l *dropLog) add(c Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.seq.Load() + 1
	l.recent[n%recentDrops] = c
	l.seq.Store(n)
}

// spare tells whether no drop since the ticket concerns what belongs to this key
// and organization. A drop of everything concerns all: it begins a new generation,
// and nothing that was read in an older one counts. When there were too many to
// know, one did.
func (l *dropLog) spare(t Ticket, key, organization [16]byte) bool {
	if l.seq.Load() == t.seq {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.seq.Load()
	if last-t.seq > recentDrops {
		return false
	}
	for n := t.seq + 1; n <= last; n++ {
		if l.recent[n%recentDrops].concerns(key, organization) {
			return false
		}
	}
	return true
}

// Begin is called before a load is sent; Put wants its ticket.
func (c *Cache[V]) Begin() Ticket {
	return Ticket{seq: c.drops.seq.Load(), began: c.looks.now()}
}

// Put remembers what a load has read, unless something that concerns it was
// dropped since the ticket: then what was read may be from before the change.
// The entry belongs to the cache from then on.
func (c *Cache[V]) Put(t Ticket, hash [32]byte, e *Entry[V]) bool {
	e.prepare(t, hash, c.table.salt)
	if e.Passing {
		return false
	}
	s := c.table.stripeOf(hash)
	// Step 1: the stripe is locked. Step 2: the log is asked. Step 3: the entry is
	// there. A drop writes the log first and then goes through the stripes. So either
	// the log names it at step 2; or the drop comes to this stripe after step 3, and
	// finds the entry.
	c.step("put 1")
	s.mu.Lock()
	defer s.mu.Unlock()
	c.step("put 2")
	if !c.drops.spare(t, e.Key, e.Organization) {
		return false
	}
	c.step("put 3")
	c.table.insert(s, c.looks.now(), e)
	return true
}

// Drop forgets what the changes concern, and what loads that have begun will
// bring of it. When it returns, no Lookup that begins finds it.
func (c *Cache[V]) Drop(changes ...Change) {
	for _, change := range changes {
		c.step("drop 1")
		c.drops.add(change)
		for i := range c.table.stripes {
			c.step("drop 2")
			c.table.drop(&c.table.stripes[i], change)
		}
		c.step("drop 3")
	}
}

// DropKey forgets a key, by whatever hash it is known.
func (c *Cache[V]) DropKey(id [16]byte) { c.Drop(Change{Kind: KindKey, ID: id}) }

// DropOrganization forgets all keys of an organization. It looks at every entry.
func (c *Cache[V]) DropOrganization(id [16]byte) { c.Drop(Change{Kind: KindOrganization, ID: id}) }

// DropAll forgets everything: a new generation.
func (c *Cache[V]) DropAll() { c.Drop(Change{Kind: KindAll}) }

func (c *Cache[V]) step(name string) {
	if c.trace != nil {
		c.trace(name)
	}
}
