package apikeys

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

// Allow charges cost to the rate limits of any subject (a user's id, an address):
// the same limiter that keys have, shared through the store. All limits have room
// and are charged, or it is a [QuotaError] and none is. It returns where the
// subject stands, the most restrictive limit first. A cost of 0 means 1.
//
// Subjects are stored as a keyed hash. A scoped client has subjects of its own.
func (c *Client) Allow(ctx context.Context, subject string, limits []RateLimit, cost int64) ([]LimitState, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	limits, err := checkAllow(subject, limits, cost)
	if err != nil || len(limits) == 0 {
		return nil, err
	}
	cost = max(cost, 1)
	d, err := c.decide(ctx, c.subject(subject), limits, cost, c.moment().now)
	if err != nil {
		return nil, err
	}
	return standing(&d, len(limits), cost)
}

// checkAllow refuses what can never be allowed, and puts limits in order.
func checkAllow(subject string, limits []RateLimit, cost int64) ([]RateLimit, error) {
	limits, err := normalizeRateLimits("limits", limits)
	switch {
	case err != nil:
		return nil, err
	case subject == "":
		return nil, invalid("subject", "is empty: all who have none would share one limit")
	case cost < 0:
		return nil, invalid("cost", "is negative; 0 means 1")
	}
	return limits, affordable(limits, max(cost, 1))
}

// standing tells where a subject that is allowed stands, the most restrictive limit
// first.
func standing(d *RateDecision, n int, cost int64) ([]LimitState, error) {
	if !d.Allowed {
		return nil, quotaError(uuid.Nil, d, n, cost)
	}
	all := d.States[:n]
	sortLimits(all)
	return all, nil
}

// charge takes a use out of a key's limits, and notes in v what is left. It tells
// whether it waited for something.
func (c *core) charge(ctx context.Context, v *Validation, cost int64, now time.Time) (waited bool, err error) {
	k := v.key
	if cost > 1 {
		if err := affordable(k.RateLimits, cost); err != nil {
			return false, err
		}
	}
	if !k.limits.Some() {
		return true, c.chargeWith(ctx, v, cost, now)
	}
	if f := k.full.Load(); f != nil && f.stands(cost, now) {
		v.limits.Held = true
		return false, &f.err
	}
	if !k.limits.TryInto(cost, now, &v.limits) {
		waited = true
		if err := c.lease(ctx, k.limits.Subject(), cost, now, &v.limits); err != nil {
			return true, err
		}
	}
	if v.limits.Allowed {
		return waited, nil
	}
	f := k.refusal(cost, now, &v.limits)
	if !waited { // or else it is of a later moment
		k.full.Store(f)
	}
	return waited, &f.err
}

// lease charges with what the store has to grant. When the store cannot be reached
// and the outage grace covers that, limits are counted in this process alone; a look
// finds out.
func (c *core) lease(ctx context.Context, subject *leases.Subject, cost int64, now time.Time, d *leases.Decision) error {
	err := subject.ChargeInto(ctx, cost, now, d)
	if err != nil && c.trusting() && unreachable(err) {
		c.memory.looks.Probe(ctx)
		if c.memory.looks.Outage() {
			err = subject.ChargeInto(ctx, cost, c.moment().now, d)
		}
	}
	if err != nil {
		return leaseError(err)
	}
	return nil
}

// chargeWith asks the limiter that the caller brought.
func (c *core) chargeWith(ctx context.Context, v *Validation, cost int64, now time.Time) error {
	limits := v.key.RateLimits
	d, err := c.decide(ctx, keySubject(v.key.ID), limits, cost, now)
	if err != nil {
		return err
	}
	if !d.Allowed {
		return quotaError(v.key.ID, &d, len(limits), cost)
	}
	v.remain(&d, len(limits))
	return nil
}

// affordable refuses a cost that could never pass.
func affordable(limits []RateLimit, cost int64) error {
	for _, l := range limits {
		if cost > l.Requests && l.Requests > 0 {
			return invalid("Cost", "%d can never pass the limit of %s", cost, l)
		}
	}
	return nil
}

// decide asks the limiter about any subject; a cost of 0 only looks. The limiter's
// faults are the store's: never a yes.
func (c *core) decide(ctx context.Context, subject Subject, limits []RateLimit, cost int64, now time.Time) (RateDecision, error) {
	if c.leased != nil {
		d, err := c.leased.Subject(subject, leaseLimits(limits)).Charge(ctx, cost, now)
		if err != nil {
			return RateDecision{}, leaseError(err)
		}
		return publicDecision(&d, limits), nil
	}
	charge := RateCharge{Subject: subject, Limits: limits, Cost: cost}
	if c.ownClock {
		charge.At = now
	}
	ctx, cancel := c.call(ctx)
	defer cancel()
	d, err := c.limiter.Charge(ctx, charge)
	return d, storeError("rate limit", err)
}

// quotaError names, of the limits that had no room, the one that is over last:
// before its end the request cannot pass.
func quotaError(keyID uuid.UUID, d *RateDecision, n int, cost int64) error {
	e := &QuotaError{KeyID: keyID}
	for _, s := range d.States[:n] {
		if s.Remaining < cost && s.ResetAt.After(e.ResetAt) {
			e.Limit, e.ResetAt = s.Limit, s.ResetAt
		}
	}
	e.RetryAfter = max(0, e.ResetAt.Sub(d.Now))
	return e
}

// fullWindow is a refusal that stands for a moment: until the window ends nothing can
// change it, so that those who come at about the same time need not ask again, and are
// told the same.
type fullWindow struct {
	err   QuotaError
	cost  int64 // and more
	at    time.Time
	lasts time.Duration
}

// shareable bounds how long a refusal stands, and so how much too long its RetryAfter is.
const shareable = time.Millisecond

// stands tells whether a cost is refused at that moment, by both clocks.
func (f *fullWindow) stands(cost int64, now time.Time) bool {
	return cost >= f.cost && uint64(now.Sub(f.at)) < uint64(f.lasts) &&
		uint64(now.UnixNano()-f.at.UnixNano()) < uint64(f.lasts)
}

// refusal is the one that a decision of that moment is.
func (k *known) refusal(cost int64, now time.Time, d *leases.Decision) *fullWindow {
	s, after := d.States[d.Refused], d.After()
	return &fullWindow{
		err:  QuotaError{KeyID: k.ID, Limit: k.RateLimits[d.Refused], RetryAfter: after, ResetAt: s.ResetAt()},
		cost: cost, at: now, lasts: min(after, shareable),
	}
}

// keySubject is what a key's limits are counted under.
func keySubject(id uuid.UUID) (s Subject) {
	copy(s[:], id[:])
	return s
}

// subject is what anything else is counted under: 32 bytes that no key's subject
// can be, and that do not tell whose they are.
func (c *Client) subject(name string) (s Subject) {
	h := hmac.New(sha256.New, c.shared.Load().subjects)
	h.Write(c.scope.OrganizationID[:])
	h.Write([]byte(name))
	h.Sum(s[:0])
	return s
}
