package keycache

import "context"

// Outage tells whether the database is known to be unreachable just now, and the
// grace still covers what is in memory.
func (l *Looker) Outage() bool {
	last := l.last.Load()
	if last == nil || l.opts.Grace == 0 {
		return false
	}
	now := l.now()
	return l.graced(now, now.Since(last.began))
}

// Probe waits for a look, one of its own if none is on its way: for those who met
// trouble elsewhere and want to know whether it is the database's.
func (l *Looker) Probe(ctx context.Context) {
	_, _ = l.next(ctx)
}
