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
	if !k.limits.TryInto(cost, now, &v.limits) {
		waited = true
		if err := c.lease(ctx, k.limits.Subject(), cost, now, &v.limits); err != nil {
			return true, err
		}
	}
	if !v.limits.Allowed {
		return waited, k.quotaError(&v.limits)
	}
	return waited, nil
}

// lease charges with what the store has to grant. When the store cannot be reached
// and the outage grace covers that, limits are counted in this process alone; a look
// finds out.
func (c *core) lease(ctx context.Context, subject *leases.Subject, cost int64, now time.Time, d *leases.Decision) error {
	err := subject.ChargeInto(ctx, cost, now, d)
	if err != nil && c.memory != nil && unreachable(err) {
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
	for i, s := range d.States[:len(limits)] {
		v.limits.States[i] = leases.State{Remaining: s.Remaining, Reset: s.ResetAt.UnixMicro()}
	}
	v.limits.Allowed = true
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

// fullWindow is what was said of a window that has no room.
type fullWindow struct {
	err     QuotaError
	reset   int64 // of the window, in microseconds
	refused int8  // which limit
}

// shareable is how much too long RetryAfter may be.
const shareable = time.Millisecond

// quotaError is quotaError for a refusal from memory, which has to be cheap: those who
// are refused at about the same time are told the same.
func (k *known) quotaError(d *leases.Decision) error {
	after, reset := d.After(), d.States[d.Refused].Reset
	if f := k.full.Load(); f != nil && f.reset == reset && f.refused == d.Refused && uint64(f.err.RetryAfter-after) < uint64(shareable) {
		return &f.err
	}
	f := &fullWindow{reset: reset, refused: d.Refused}
	f.err = QuotaError{KeyID: k.ID, Limit: k.RateLimits[d.Refused], RetryAfter: after, ResetAt: d.States[d.Refused].ResetAt()}
	k.full.Store(f)
	return &f.err
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
