package apikeys

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
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
	limits, err := normalizeRateLimits("limits", limits)
	if err != nil {
		return nil, err
	}
	if subject == "" {
		return nil, invalid("subject", "is empty: all who have none would share one limit")
	}
	if cost < 0 {
		return nil, invalid("cost", "is negative; 0 means 1")
	}
	if len(limits) == 0 {
		return nil, nil
	}
	states, err := c.chargeSubject(ctx, c.subject(subject), uuid.Nil, limits, max(cost, 1), c.now())
	if err != nil {
		return nil, err
	}
	all := states[:len(limits)]
	sortLimits(all)
	return all, nil
}

// charge takes a use out of a key's limits.
func (c *core) charge(ctx context.Context, k *KeyRecord, cost int64, now time.Time) ([maxLimits]LimitState, error) {
	return c.chargeSubject(ctx, keySubject(k.ID), k.ID, k.RateLimits, cost, now)
}

func (c *core) chargeSubject(ctx context.Context, subject Subject, keyID uuid.UUID, limits []RateLimit, cost int64, now time.Time) ([maxLimits]LimitState, error) {
	for _, l := range limits {
		if cost > l.Requests && l.Requests > 0 {
			return [maxLimits]LimitState{}, invalid("Cost", "%d can never pass the limit of %s", cost, l)
		}
	}
	d, err := c.decide(ctx, subject, limits, cost, now)
	if err != nil {
		return d.States, err
	}
	if !d.Allowed {
		return d.States, quotaError(keyID, d, len(limits), cost)
	}
	return d.States, nil
}

// decide asks the limiter. Its faults are the store's: never a yes.
func (c *core) decide(ctx context.Context, subject Subject, limits []RateLimit, cost int64, now time.Time) (RateDecision, error) {
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
func quotaError(keyID uuid.UUID, d RateDecision, n int, cost int64) error {
	e := &QuotaError{KeyID: keyID}
	for _, s := range d.States[:n] {
		if s.Remaining < cost && s.ResetAt.After(e.ResetAt) {
			e.Limit, e.ResetAt = s.Limit, s.ResetAt
		}
	}
	e.RetryAfter = max(0, e.ResetAt.Sub(d.Now))
	return e
}

// keySubject is what a key's limits are counted under.
func keySubject(id uuid.UUID) (s Subject) {
	copy(s[:], id[:])
	return s
}

// subject is what anything else is counted under: 32 bytes that no key's subject
// can be, and that do not tell whose they are.
func (c *Client) subject(name string) (s Subject) {
	h := hmac.New(sha256.New, c.subjects)
	h.Write(c.scope.OrganizationID[:])
	h.Write([]byte(name))
	h.Sum(s[:0])
	return s
}
