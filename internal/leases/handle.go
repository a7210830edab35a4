package leases

import (
	"context"
	"sync/atomic"
	"time"
)

// Handle is a holder's way to a subject. It remembers the lease that was charged last,
// so that the next charge of a single limit need not look at the subject: with many
// subjects in use, the time goes into fetching cache lines. The zero Handle has no
// subject. It may be used by many goroutines at once, and is not to be copied.
//
// A lease that was replaced by another has nothing left and refuses nothing, and Close
// takes what is left of all that it gives back: so nothing is charged twice. What the
// limiter does not list is not given back, and may be charged after Close.
type Handle struct {
	lease   atomic.Pointer[lease]
	subject *Subject
}

// Init gives a handle its subject, before anybody uses it.
func (h *Handle) Init(s *Subject) { h.subject = s }

// Subject is what the handle leads to; nil: nothing.
func (h *Handle) Subject() *Subject { return h.subject }

// Some tells whether the handle leads to a subject.
func (h *Handle) Some() bool { return h.subject != nil }

// TryInto is that of the subject.
func (h *Handle) TryInto(cost int64, now time.Time, d *Decision) bool {
	if l := h.lease.Load(); l != nil && cost > 0 && !bare(now) && l.charge(cost, now, d) {
		d.Held = true
		return true
	}
	if !h.subject.TryInto(cost, now, d) {
		return false
	}
	if h.subject.n == 1 {
		h.lease.Store(h.subject.leases[0].Load())
	}
	return true
}

// Charge is that of the subject.
func (h *Handle) Charge(ctx context.Context, cost int64, now time.Time) (d Decision, err error) {
	err = h.ChargeInto(ctx, cost, now, &d)
	return d, err
}

// ChargeInto is that of the subject.
func (h *Handle) ChargeInto(ctx context.Context, cost int64, now time.Time, d *Decision) error {
	if h.TryInto(cost, now, d) {
		return nil
	}
	return h.subject.ChargeInto(ctx, cost, now, d)
}
