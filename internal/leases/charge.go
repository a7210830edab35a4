package leases

import (
	"context"
	"time"
)

// maxLate is how many answers in a row may come too late for one charge.
const maxLate = 4

// charge decides in memory, or waits for the store and tries again.
func (s *Subject) charge(ctx context.Context, cost int64, now time.Time, d *Decision) error {
	if cost < 0 || s.invalid {
		return ErrInvalid
	}
	if s.n == 0 {
		d.Allowed, d.Refused = true, -1
		return nil
	}
	try := attempt{ctx: ctx, cost: cost, now: now}
	for late := 0; ; {
		next := s.step(&try, d)
		switch {
		case next.twin != nil:
			return next.twin.charge(ctx, cost, now, d)
		case next.flight == nil:
			return next.err
		}
		done, err := s.await(ctx, next, cost, d)
		if done {
			return err
		}
		if next.leads && err == nil {
			if late++; late == maxLate {
				err = ErrLate
			}
		}
		try.waited, try.failed, try.now = !next.leads, err, s.limiter.clock.again(now)
	}
}

// attempt is a charge that memory alone could not decide.
type attempt struct {
	ctx    context.Context
	cost   int64
	now    time.Time
	waited bool  // and is still counted as waiting
	failed error // of what it waited for
}

// step is how far a charge came: to a decision or an error, to another subject
// that counts the same, or to a request that it has to wait for.
type step struct {
	err    error
	twin   *Subject
	flight *flight
	leads  bool // it began the flight, which charges for it
}

// step decides in memory or says what to wait for. After a failure there is
// nothing to wait for.
func (s *Subject) step(try *attempt, d *Decision) step {
	s.mu.Lock()
	defer s.mu.Unlock()
	if try.waited {
		s.waiting -= try.cost
	}
	try.now = s.latest(try.now)
	switch {
	case s.limiter.closed.Load():
		return step{err: ErrClosed}
	case s.known(try.cost, try.now, d):
		return step{}
	case !s.listed:
		twin, ok := s.limiter.registry.list(s, try.now)
		if twin != nil {
			return step{twin: twin}
		}
		if !ok && s.limiter.memory() { // what is not listed could be counted twice
			return step{err: ErrTooMany}
		}
	}
	return s.depart(try, d)
}

// depart is the part of step that goes beyond memory. The subject is locked.
func (s *Subject) depart(try *attempt, d *Decision) step {
	switch {
	case s.flight == nil && s.limiter.local():
		s.grantLocally(try.cost, s.limiter.clock.again(try.now), d)
		return step{}
	case try.failed != nil:
		return step{err: try.failed}
	case try.ctx.Err() != nil:
		return step{err: context.Cause(try.ctx)}
	case s.flight != nil:
		s.waiting += try.cost
		return step{flight: s.flight}
	default:
		f, err := s.begin(try.ctx, try.cost, try.now)
		return step{flight: f, err: err, leads: true}
	}
}

// latest is now or, when an injected clock is a little behind one of the windows
// that it opened before, the beginning of that: all limits go on from there. The
// subject is locked.
func (s *Subject) latest(now time.Time) time.Time {
	if !s.limiter.clock.injected {
		return now
	}
	for i := range s.n {
		l := s.leases[i].Load()
		if l == nil || !l.live(now) {
			continue
		}
		if begin := l.begin(s.key.limits[i].Span); now.Before(begin) {
			now = begin
		}
	}
	return now
}
