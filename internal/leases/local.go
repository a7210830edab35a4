package leases

import "time"

// local tells whether limits are counted in this process alone just now.
func (l *Limiter) local() bool {
	return l.memory() || l.opts.Local != nil && l.opts.Local()
}

// memory tells whether there is no store at all.
func (l *Limiter) memory() bool { return l.opts.Take == nil }

// grantLocally decides without the store. It grants what the store had left when
// it was last asked in this window, or the whole limit when it was not, in
// leases of the usual size: when the store is back, the next one pays what was
// used meanwhile. The subject is locked and nothing is under way; now was read
// since, because a window that was forgotten must not begin again.
func (s *Subject) grantLocally(cost int64, now time.Time, d *Decision) {
	for {
		c := s.current()
		for i := range s.n {
			if c[i].short(cost, now) && !c[i].full(now) {
				c[i] = s.grantLocal(i, c[i], cost, now)
			}
		}
		ok := s.decide(&c, cost, now, d)
		s.publish(&c)
		if ok {
			return
		}
	}
}

// full tells whether the lease is known to be the last of its window.
func (l *lease) full(now time.Time) bool {
	return l != nil && l.live(now) && l.rest == 0
}

func (s *Subject) grantLocal(i int, old *lease, cost int64, now time.Time) *lease {
	limit, leg := s.key.limits[i], s.setAside(i, old, cost, now)
	at := s.limiter.windowTime(now)
	reset := windowEnd(at, limit.Span)
	rest, carry, debt := limit.Max, int64(0), int64(0)
	if old != nil && old.reset == reset.UnixMicro() {
		rest, carry, debt = old.rest, leg.carry, leg.debt
	}
	amount := min(rest, leg.want)
	if s.limiter.memory() {
		amount = rest
	}
	l := s.limiter.clock.newLease(reset, limit.Span, max(reset.Sub(at), time.Microsecond), now)
	return l.fill(carry+amount, rest-amount, debt+amount)
}

// windowTime is the time that tells which window it is, as well as it is known
// without asking.
func (l *Limiter) windowTime(now time.Time) time.Time {
	if l.clock.injected || l.memory() {
		return now.Round(0)
	}
	return l.seen.Load().at(now)
}
