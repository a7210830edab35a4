package leases

import (
	"context"
	"time"
)

// flight is one request of a subject to the store. There is one at a time: all
// who need a lease of the subject wait for it, and it charges first of all for
// the caller who began it, so that a great cost is never starved by small ones.
//
// What is left of the leases that it asks more of is set aside meanwhile.
type flight struct {
	subject *Subject
	ctx     context.Context // of the leader, for its values
	cost    int64
	at      time.Time
	parts   [MaxLimits]leg
	n       int
	done    chan struct{}

	// Guarded by the subject's lock until done is closed.
	gone     bool // the leader has given up
	decided  bool // and the decision holds
	decision Decision
	err      error
}

// leg is the part of a flight for one limit.
type leg struct {
	limit int
	want  int64
	old   *lease
	carry int64 // what was left of it
	debt  int64 // to be paid out of what is granted
	same  bool  // the old lease's window is, most likely, not over
}

// begin asks the store for what is short. The subject is locked.
func (s *Subject) begin(ctx context.Context, cost int64, now time.Time) (*flight, error) {
	f := &flight{subject: s, ctx: ctx, cost: cost, at: now, done: make(chan struct{})}
	for i := range s.n {
		if old := s.leases[i].Load(); old.short(cost, now) {
			g := s.setAside(i, old, cost, now)
			if g.want > 0 && g.same {
				g.want += min(g.debt, s.key.limits[i].Max-g.want)
			}
			f.parts[f.n] = g
			f.n++
		}
	}
	s.flight = f
	if !s.limiter.queue.push(f) {
		s.fail(f, ErrClosed)
		return nil, ErrClosed
	}
	return f, nil
}

// setAside takes what is left of a lease out of it, and tells what to ask for.
func (s *Subject) setAside(i int, old *lease, cost int64, now time.Time) leg {
	g := leg{limit: i, old: old}
	if old != nil {
		g.carry = max(0, old.remaining.Swap(aside))
		g.debt = old.debt
	}
	a := ask{limit: s.key.limits[i], cost: cost, waiting: s.waiting, old: old, carry: g.carry, now: now}
	g.want, g.same = a.want(), a.sameWindow()
	return g
}

// request is the flight as the store sees it.
func (f *flight) request() Request {
	r := Request{Subject: f.subject.key.id, Parts: make([]Part, f.n)}
	if f.subject.limiter.clock.injected {
		r.At = f.at
	}
	for i, g := range f.parts[:f.n] {
		r.Parts[i] = Part{Limit: f.subject.key.limits[g.limit], Want: g.want}
	}
	return r
}

// land ends the flight with what the store answered to a request sent at sent.
func (f *flight) land(g Grant, sent time.Time, err error) {
	s := f.subject
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && len(g.Parts) != f.n {
		err = errAnswer
	}
	if err != nil {
		s.fail(f, err)
		return
	}
	c := s.current()
	for i, leg := range f.parts[:f.n] {
		c[leg.limit] = s.granted(&leg, g.Now, g.Parts[i], sent)
	}
	if !f.gone && !s.limiter.closed.Load() {
		f.decided = s.decide(&c, f.cost, s.limiter.clock.again(f.at), &f.decision)
	}
	s.publish(&c)
	s.flight = nil
	close(f.done)
}

// fail ends the flight with an error. What was set aside is put back; what the
// store may have granted is lost. The subject is locked.
func (s *Subject) fail(f *flight, err error) {
	for _, g := range f.parts[:f.n] {
		if g.old != nil {
			g.old.remaining.Store(g.carry)
		}
	}
	f.err = err
	s.flight = nil
	close(f.done)
}

// granted is the lease that an answer makes.
func (s *Subject) granted(g *leg, now time.Time, answer Granted, sent time.Time) *lease {
	limit := s.key.limits[g.limit]
	reset := answer.Start.Add(limit.Span).UTC()
	amount := min(max(0, answer.Granted), g.want)
	rest := max(0, limit.Max-answer.Used)
	if amount < g.want {
		rest = 0
	}
	if amount > 0 {
		s.limiter.counters(s).leases.Add(1)
	}
	debt := int64(0)
	if g.old != nil && g.old.reset == reset.UnixMicro() {
		paid := min(amount, g.debt)
		amount += g.carry - paid
		debt = g.debt - paid
	}
	return s.limiter.clock.newLease(reset, limit.Span, reset.Sub(now), sent).fill(amount, rest, debt)
}

// await waits for a flight. It is done when there is a decision or ctx has ended;
// else err is the flight's.
func (s *Subject) await(ctx context.Context, at step, cost int64, d *Decision) (done bool, err error) {
	f := at.flight
	select {
	case <-f.done:
	case <-ctx.Done():
		if s.leave(at, cost) {
			return true, context.Cause(ctx)
		}
	}
	if at.leads && f.decided {
		*d = f.decision
		return true, nil
	}
	return false, f.err
}

// leave gives up waiting, unless the flight has just ended.
func (s *Subject) leave(at step, cost int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-at.flight.done:
		return false
	default:
	}
	if at.leads {
		at.flight.gone = true
	} else {
		s.waiting -= cost
	}
	return true
}
