package leases

import "time"

// current is what the subject holds.
func (s *Subject) current() (c set) {
	for i := range s.n {
		c[i] = s.leases[i].Load()
	}
	return c
}

// publish makes leases those that are charged.
func (s *Subject) publish(c *set) {
	for i := range s.n {
		if s.leases[i].Load() != c[i] {
			s.leases[i].Store(c[i])
		}
	}
}

// short tells whether a lease must be taken before the cost can be charged.
func (l *lease) short(cost int64, now time.Time) bool {
	return l == nil || !l.live(now) || l.remaining.Load() < cost
}

// decide charges all or none of the leases, unless some limit may have more in
// the store and none is known to have too little. The subject is locked.
func (s *Subject) decide(c *set, cost int64, now time.Time, d *Decision) bool {
	for {
		refused, short := s.judge(c, cost, now)
		switch {
		case refused >= 0:
			s.refuse(c, refused, now, d)
			return true
		case short:
			return false
		case s.chargeAll(c, cost, now, d):
			return true
		}
	}
}

// judge tells which limit refuses, or -1, and whether any is short.
func (s *Subject) judge(c *set, cost int64, now time.Time) (refused int, short bool) {
	refused = -1
	for i := range s.n {
		l := c[i]
		if l == nil {
			short = true
			continue
		}
		left := l.left(now)
		if left <= 0 {
			short = true
			continue
		}
		if n := l.remaining.Load(); n >= cost && cost <= s.key.limits[i].Max {
			continue
		} else if cost <= s.key.limits[i].Max && (l.rest > 0 || n == aside) {
			short = true
		} else if refused < 0 || l.reset > c[refused].reset {
			refused = i
		}
	}
	return refused, short
}

// chargeAll charges leases that have enough. Only a single limit can fail, when
// somebody was faster who needed no lock.
func (s *Subject) chargeAll(c *set, cost int64, now time.Time, d *Decision) bool {
	d.Allowed, d.Refused, d.at, d.until = true, -1, 0, c[0].until(now)
	for i := range s.n {
		n, ok := c[i].take(cost)
		if !ok {
			return false
		}
		d.States[i] = c[i].state(n)
		if cost == 0 && d.States[i].Remaining <= 0 {
			d.Allowed, d.Refused = false, int8(later(c, int(d.Refused), i))
		}
	}
	return true
}

// later is the one of two limits whose window ends last; -1 is none.
func later(c *set, i, j int) int {
	if i >= 0 && c[j].reset <= c[i].reset {
		return i
	}
	return j
}

// refuse is the decision that a limit refuses. What is not known of the others
// is taken to be unused.
func (s *Subject) refuse(c *set, refused int, now time.Time, d *Decision) {
	d.Allowed, d.Refused, d.at, d.until = false, int8(refused), int8(refused), c[refused].until(now)
	for i := range s.n {
		if l := c[i]; l != nil && l.live(now) {
			d.States[i] = l.state(l.remaining.Load())
		} else {
			limit := s.key.limits[i]
			at := time.UnixMicro(c[refused].reset).Add(-d.until)
			d.States[i] = State{Remaining: limit.Max, Reset: windowEnd(at, limit.Span).UnixMicro()}
		}
	}
}
