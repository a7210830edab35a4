package keycache

// What tests may see of the inside.

// Trace has f called at the numbered steps of Put and Drop.
func (c *Cache[V]) Trace(f func(step string)) { c.trace = f }

// Get returns what is remembered, whether it may be used or not.
func (c *Cache[V]) Get(now Instant, hash [32]byte) *Entry[V] { return c.table.get(now, &hash) }

// RecentDrops is how many drops are remembered one by one.
const RecentDrops = recentDrops
