package leases

import "time"

// TryInto is ChargeInto for those who must know whether they waited: it decides
// with what is in memory, or tells false, and then nothing has happened.
func (s *Subject) TryInto(cost int64, now time.Time, d *Decision) bool {
	if bare(now) {
		now = s.limiter.clock.trusted(now)
	}
	switch {
	case s.n == 1 && cost > 0:
		return s.single(cost, now, d)
	case s.n > 1:
		return s.several(cost, now, d)
	}
	return false
}
