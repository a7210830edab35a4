package usage

import (
	"sync"
	"sync/atomic"
	"time"
)

// Counter counts the uses of one secret of one key. It is made by
// [Recorder.Counter] or made ready by [Recorder.Init], may be kept for as long as its
// holder likes, and may be used by many goroutines at once. Several counters of one
// key and secret are summed. The word that each use changes is its first.
type Counter struct {
	accepted cell
	refused  atomic.Pointer[refusal]
	shard    *shard
	key      [16]byte
	secret   int32

	// Guarded by the shard's lock.
	listed bool
	next   *Counter // on the shard's list: another counter of the same key
	taken  int64    // accepted uses that flushes took out
}

// refusal counts the uses refused with one outcome. A list of them only grows,
// at its head, under the shard's lock.
type refusal struct {
	cell
	outcome string
	next    *refusal
}

// Accept counts an accepted use. It does not block: only the first use after a
// flush, the first of another hour, and one in some thousands take the lock of a
// shard for a moment.
func (c *Counter) Accept(at time.Time) {
	if micros := at.UnixMicro(); !c.accepted.add(micros) {
		c.accept(micros)
	}
}

// Touch fetches what Accept changes, for those who wait for something else before they
// count: with many counters in use, fetching is what takes the time.
func (c *Counter) Touch() { c.accepted.word.Load() }

func (c *Counter) accept(at int64) {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	c.shard.add(c, &c.accepted, at, true)
}

// Refuse counts a refused use under its outcome, one of [Options.Outcomes], or
// else under [Other].
func (c *Counter) Refuse(outcome string, at time.Time) {
	micros := at.UnixMicro()
	for r := c.refused.Load(); r != nil; r = r.next {
		if r.outcome == outcome && r.add(micros) {
			return
		}
	}
	c.refuse(outcome, micros)
}

func (c *Counter) refuse(outcome string, at int64) {
	outcome = c.shard.rec.known(outcome)
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	l := c.find(outcome)
	if l == nil {
		head := &refusal{outcome: outcome, next: c.refused.Load()}
		c.refused.Store(head)
		l = &head.cell
	}
	c.shard.add(c, l, at, false)
}

func (c *Counter) find(outcome string) *cell {
	for r := c.refused.Load(); r != nil; r = r.next {
		if r.outcome == outcome {
			return &r.cell
		}
	}
	return nil
}

// Accepted returns how many accepted uses this counter has counted in its life,
// whether the store has them or not: the difference between two calls is what
// came in between. It may take the lock of a shard.
func (c *Counter) Accepted() int64 {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	n := c.taken
	c.accepted.each(func(s slot) { n += s.count })
	return n
}

// Credit counts a use that went to the store directly.
func (c *Counter) Credit() {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	c.taken++
}

// shard lists the counters of some of the keys that hold something. Its lock
// comes after the recorder's.
type shard struct {
	rec *Recorder
	mu  sync.Mutex
	// dirty holds the first counter of each key, which leads to the others.
	dirty map[[16]byte]*Counter
}

// counter returns the counter that is on the list, or a new one.
func (s *shard) counter(key [16]byte, secret int) *Counter {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := s.dirty[key]; c != nil; c = c.next {
		if c.secret == int32(secret) {
			return c
		}
	}
	c := &Counter{}
	c.init(s, key, secret)
	return c
}

func (c *Counter) init(s *shard, key [16]byte, secret int) {
	c.shard, c.key, c.secret = s, key, int32(secret)
}

// add counts what a cell could not count alone. The shard is locked.
func (s *shard) add(c *Counter, l *cell, at int64, accepted bool) {
	if l.add(at) { // another goroutine was here first
		return
	}
	if !l.holds(hourOf(at)) && !s.rec.admits(accepted) {
		s.rec.drop(accepted)
		return
	}
	if !c.listed {
		c.next, c.listed = s.dirty[c.key], true
		s.dirty[c.key] = c
	}
	before := l.size()
	l.roll(at)
	s.rec.grew(l.size() - before)
}

// take appends what the counters hold to entries, and clears the list.
func (s *shard) take(entries []entry) []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.dirty) == 0 {
		return entries
	}
	before := len(entries)
	for _, c := range s.dirty {
		for c != nil {
			entries = c.take(entries)
			next := c.next
			c.next, c.listed = nil, false
			c = next
		}
	}
	s.rec.pending.Add(int64(before - len(entries)))
	// A new map, as large as the last interval needed: after a burst it shrinks.
	s.dirty = make(map[[16]byte]*Counter, len(s.dirty))
	return entries
}

// take appends what the counter holds to entries. The shard is locked.
func (c *Counter) take(entries []entry) []entry {
	move := func(outcome string) func(slot) {
		return func(s slot) {
			entries = append(entries, entry{
				key: c.key, secret: int(c.secret), outcome: outcome,
				hour: s.hour, count: s.count, last: s.last,
			})
			if outcome == Accepted {
				c.taken += s.count
			}
		}
	}
	c.accepted.empty(move(Accepted))
	for r := c.refused.Load(); r != nil; r = r.next {
		r.empty(move(r.outcome))
	}
	return entries
}

// accepted sums the accepted uses of a key that its counters hold.
func (s *shard) accepted(key [16]byte) (count, last int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last = never
	for c := s.dirty[key]; c != nil; c = c.next {
		c.accepted.each(func(s slot) {
			count += s.count
			last = max(last, s.last)
		})
	}
	return count, last
}
