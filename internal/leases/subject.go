package leases

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Subject is what limits are counted for. It is made by [Limiter.Subject], may be
// kept for as long as its holder likes, and may be used by many goroutines at
// once.
type Subject struct {
	limiter *Limiter
	n       int // limits
	invalid bool

	// leases change under mu only. Those of a subject with several limits are also
	// charged under mu only.
	leases [MaxLimits]atomic.Pointer[lease]
	key    subjectKey

	mu      sync.Mutex // comes before a shard's and the queue's
	flight  *flight    // the request to the store that is under way
	waiting int64      // the costs of those who wait for it, its leader aside
	listed  bool       // in the registry; changes under the shard's lock, too
	slot    int        // there; guarded by the shard's lock
}

// Limits is how many limits the subject has.
func (s *Subject) Limits() int { return s.n }

// set is one lease for each limit, or nil.
type set [MaxLimits]*lease

// Charge charges cost to all limits of the subject, or to none. A cost of 0
// charges nothing and tells where the subject stands. now is a fresh reading of
// the limiter's clock; when that is the real one, it comes with its monotonic
// reading, or the clock is read again.
//
// An error means that it could not be decided: the store failed, ctx ended while
// waiting for it, or the limiter was closed. Nothing was charged then.
func (s *Subject) Charge(ctx context.Context, cost int64, now time.Time) (d Decision, err error) {
	err = s.ChargeInto(ctx, cost, now, &d)
	return d, err
}

// ChargeInto is Charge for those to whom the copying of a Decision matters: a
// third of the time. States of limits that the subject does not have stay as they
// are, and after an error the decision means nothing.
func (s *Subject) ChargeInto(ctx context.Context, cost int64, now time.Time, d *Decision) error {
	if s.TryInto(cost, now, d) {
		return nil
	}
	return s.charge(ctx, cost, s.limiter.clock.trusted(now), d)
}

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

// Peek tells where the subject stands, and charges nothing.
func (s *Subject) Peek(ctx context.Context, now time.Time) (d Decision, err error) {
	return s.Charge(ctx, 0, now)
}

// single decides on a single limit, without a lock, if it can.
func (s *Subject) single(cost int64, now time.Time, d *Decision) bool {
	l := s.leases[0].Load()
	if l == nil || s.limiter.closed.Load() || !l.charge(cost, now, d) {
		return false
	}
	if !d.Allowed {
		s.noteRefusal()
	}
	return true
}

// noteRefusal counts a charge that was refused from memory.
func (s *Subject) noteRefusal() { s.limiter.counters(s).refused.Add(1) }

// several decides on several limits, if memory knows enough.
func (s *Subject) several(cost int64, now time.Time, d *Decision) bool {
	s.mu.Lock()
	ok := s.known(cost, now, d)
	s.mu.Unlock()
	return ok
}

// known decides with what is in memory. The subject is locked.
func (s *Subject) known(cost int64, now time.Time, d *Decision) bool {
	if cost < 0 || s.limiter.closed.Load() {
		return false
	}
	c := s.current()
	if !s.decide(&c, cost, now, d) {
		return false
	}
	if !d.Allowed && cost > 0 {
		s.noteRefusal()
	}
	return true
}
