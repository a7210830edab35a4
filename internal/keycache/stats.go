package keycache

import "sync/atomic"

// Stats tells what a cache has done since it was made.
type Stats struct {
	Entries int   // remembered now
	Hits    int64 // of Find: answered from memory, after a look. Lookup's are for its caller to count
	Misses  int64 // answered by a load, one's own or another's
	Loads   int64 // sent
	Drops   int64 // changes obeyed
	Evicted int64 // entries that had to make room
}

// counters keeps Stats.
type counters struct {
	hits, misses, loads atomic.Int64
}

// Stats returns the numbers.
func (c *Cache[V]) Stats() Stats {
	s := Stats{
		Hits:   c.count.hits.Load(),
		Misses: c.count.misses.Load(),
		Loads:  c.count.loads.Load(),
		Drops:  int64(c.drops.seq.Load()),
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
