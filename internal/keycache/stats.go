package keycache

import "sync/atomic"

// Stats tells what a cache has done since it was made.
type Stats struct {
	Entries int   // remembered now
	Hits    int64 // answered from memory, perhaps after a look
	Misses  int64 // answered by a load, one's own or another's
	Loads   int64 // sent
	Drops   int64 // changes obeyed
	Evicted int64 // entries that had to make room
}

// Lanes is how many places hits are counted in.
const Lanes = 16

// counters keeps Stats. Lookups are counted in several places, so that processors
// do not fight over one.
type counters struct {
	lookups [Lanes]cell
	vain    atomic.Int64 // lookups that found nothing
	later   atomic.Int64 // hits by those who went on with Find
	misses  atomic.Int64
	loads   atomic.Int64
}

// cell is alone on its cache line.
type cell struct {
	atomic.Int64
	_ [56]byte
}

// Stats returns the numbers.
func (c *Cache[V]) Stats() Stats {
	s := Stats{
		Misses: c.count.misses.Load(),
		Loads:  c.count.loads.Load(),
		Drops:  int64(c.drops.seq.Load()),
	}
	// Vain ones are read first: the number is never too low then, nor negative.
	s.Hits = c.count.later.Load() - c.count.vain.Load()
	for i := range c.count.lookups {
		s.Hits += c.count.lookups[i].Load()
	}
	for i := range c.table.stripes {
		part := &c.table.stripes[i]
		part.mu.Lock()
		s.Entries += part.count
		s.Evicted += part.evicted
		part.mu.Unlock()
	}
	return s
}
