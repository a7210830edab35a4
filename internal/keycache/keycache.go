// Package keycache remembers validated keys in memory, and keeps what it
// remembers honest.
//
// A [Looker] asks the database what has changed: one small query, a look, for all
// keys, at most one at a time and only while there is traffic. A [Cache] answers
// from memory only while the last good look started less than a delay ago. A
// change that another process made is then obeyed here within
//
//	the delay, or one look where that takes longer; plus the grace while the
//	database cannot be reached
//
// of the moment in which it was acknowledged, and one made through
// [Looker.Change] at once. No decision reads a clock or a flag that a goroutine
// has to keep up to date: a reader compares its own reading of the clock with the
// time of the last good look, which is published after everything that the look
// made stale is gone.
//
// The request path:
//
//	now := keycache.Now()
//	entry := cache.Lookup(now, &hash) // no lock, no allocation
//	if entry == nil {
//		entry, err = cache.Find(ctx, now, hash, load) // waits for a look, a load, or both
//	}
//
// Whoever waits for something else between this and the decision does both again,
// with a new reading of the clock: the same entry means that nothing has changed.
//
// With a delay of zero the database is asked for every request: what is in memory is
// used only after a look that began once the request had arrived, and no load that was
// sent already is joined. One look answers all who wait for it, and asks less than a read
// of one key.
package keycache

import (
	"context"
	"errors"
	"math/bits"
	"time"
)

const (
	// defaultSize is in entries.
	defaultSize = 100_000
	// lifetime and spread bound how long an entry is believed, whatever the looks
	// say: 5 min ± 10 %. SQL written by hand, an old binary and faults of our own are
	// over by then.
	lifetime = 5 * time.Minute
	spread   = lifetime / 10
	// maxTries bounds how often Find starts again because what it waited for was
	// dropped meanwhile.
	maxTries = 4
)

var errUnsettled = errors.New("keycache: changed again and again while it was read")

// Cache remembers at most a fixed number of entries. It is made by [New]; all of
// its methods may be called by many goroutines at once.
type Cache[V any] struct {
	looks *Looker
	table table[V]
	drops dropLog
	count counters
	// trace is told of the numbered steps of Put and Drop. nil but in tests.
	trace func(step string)
}

// New returns a cache for size entries (zero or negative: 100,000) that answers
// while looks says so. The looker's Drop has to reach the cache.
func New[V any](looks *Looker, size int) *Cache[V] {
	if looks == nil {
		panic("keycache: no looker")
	}
	if size <= 0 {
		size = defaultSize
	}
	c := &Cache[V]{looks: looks}
	c.table.init(size)
	return c
}

// Lookup returns what is remembered of a hash, if it may be used at that moment,
// and nil otherwise: then Find goes further. The hash has to be random in bytes 8 to
// 16 or 24 to 32, as a MAC is, or a pair of UUIDs.
func (c *Cache[V]) Lookup(now Instant, hash *[32]byte) *Entry[V] {
	// Reader's order: first one reading of the clock (the caller's), then the time of
	// the last good look, and only then the entry. A look drops first and publishes
	// its time afterwards; who reads the entry first can take one that was dropped
	// and hold it against the time of the look that dropped it.
	if !c.looks.Fresh(now) {
		return nil
	}
	return c.table.get(now, hash)
}

// Peek returns what is remembered of a hash, whether it may be used or not, and nil if
// nothing is: for those who wait for [Looker.Ask] and then for Confirm before they use it.
func (c *Cache[V]) Peek(now Instant, hash *[32]byte) *Entry[V] { return c.table.get(now, hash) }

// Confirm tells whether an entry was not dropped by the looks that have ended, nor is too
// old. If so it is a hit.
func (c *Cache[V]) Confirm(now Instant, e *Entry[V]) bool {
	if !c.holds(now, e) {
		return false
	}
	c.count.hits.Add(1)
	return true
}

// Find returns what a hash stands for: from memory, or else by load. It waits
// for looks and loads as far as it must; callers who want the same share them. An
// entry of nil without an error means that there is none. now is when the request
// arrived.
//
// load reads from the database, never from a replica. It runs under the looker's
// Timeout and does not end with ctx: others wait for it. Its entry belongs to the
// cache from then on; nil means that there is none. Its errors are returned as
// they are.
func (c *Cache[V]) Find(ctx context.Context, now Instant, hash [32]byte, load LoadFunc[V]) (*Entry[V], error) {
	if c.looks.opts.Delay == 0 {
		return c.ask(ctx, now, hash, load)
	}
	for range maxTries {
		e, err := c.obtain(ctx, now, hash, load)
		if e == nil || err != nil {
			return nil, err
		}
		// After anything that blocked, freshness and the entry are asked again, by a
		// new reading of the clock and in the reader's order: look, then entry. That
		// goes for a load as well: one that was slow, or that a replica has answered,
		// is worth no more than the last good look.
		if err := c.looks.Ensure(ctx, c.looks.now()); err != nil {
			return nil, err
		}
		if now = c.looks.now(); c.holds(now, e) {
			return e, nil
		}
	}
	return nil, errUnsettled
}

// ask is Find without a delay: the database says after the request arrived that what
// is remembered still holds, or what there is.
func (c *Cache[V]) ask(ctx context.Context, arrived Instant, hash [32]byte, load LoadFunc[V]) (*Entry[V], error) {
	if e := c.table.get(arrived, &hash); e != nil {
		// A look that began after the request arrived has dropped what was changed before:
		// an entry that is still held was true when the look was answered.
		if err := c.looks.Ask(ctx); err != nil {
			return nil, err
		}
		if c.Confirm(c.looks.now(), e) {
			return e, nil
		}
	}
	c.count.misses.Add(1)
	f := &flight[V]{ticket: c.Begin(), done: make(chan struct{}), err: errAborted}
	c.fly(ctx, hash, f, load) // of its own: another may have been sent before
	return f.entry, f.err
}

// obtain returns an entry that is still to be judged.
func (c *Cache[V]) obtain(ctx context.Context, arrived Instant, hash [32]byte, load LoadFunc[V]) (*Entry[V], error) {
	if e := c.table.get(arrived, &hash); e != nil {
		c.count.hits.Add(1)
		return e, nil
	}
	c.count.misses.Add(1)
	if !c.looks.Fresh(arrived) {
		_, _ = c.looks.join() // beside the load; Ensure says if it fails
	}
	for {
		f, err := c.share(ctx, hash, load)
		if err != nil {
			return nil, err
		}
		// "There is none" is no change and drops nothing, so it is believed only from a
		// load that began after the caller arrived: the key may have been created while
		// an older one was on its way. The second load is such a one.
		if f.entry != nil || f.ticket.began.notBefore(arrived) {
			return f.entry, nil
		}
	}
}

// holds tells whether nothing that concerns an entry was dropped since its load
// began, and it is not too old. It may have been evicted.
func (c *Cache[V]) holds(now Instant, e *Entry[V]) bool {
	return !e.dead(now) && (c.table.get(now, &e.hash) == e || c.drops.spare(e.ticket, e.Key, e.Organization))
}

// fold makes a hash into one uniform word.
func fold(a, b uint64) uint64 {
	const odd = 0x9E3779B97F4A7C15 // 2^64 divided by the golden ratio
	return (a ^ bits.RotateLeft64(b, 32)) * odd
}
