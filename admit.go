package apikeys

import (
	"context"
	"reflect"
	"time"

	"github.com/apikeys-platform/apikeys/internal/coalesce"
	"github.com/apikeys-platform/apikeys/internal/leases"
)

// startAdmitting lets a client whose limits are exact and whose uses are written at once
// do both in one call of the store: it waits once, and each call is for twice as many.
func (c *core) startAdmitting() {
	exact, ok := c.limiter.(exactLimiter)
	if !ok || !c.strictUsage || !same(exact.store, c.store) {
		return
	}
	c.admissions = coalesce.New(coalesce.Options[*Admission, LeaseGrant]{
		Do: c.admitAll, Max: callsAtOnce(c.store, exactWrites), Gather: true, Timeout: c.opTimeout, Alone: spoilt,
	})
}

// same tells whether two stores are one.
func same(a, b Store) bool {
	return reflect.TypeOf(a).Comparable() && a == b
}

// admitsAtOnce tells whether a validation charges its limits and counts its use in one
// call. Where the key is judged once more after the limits were waited for, the use is
// counted after that.
func (c *core) admitsAtOnce(p *ValidateParams) bool {
	return c.admissions != nil && !p.SkipUsage && !c.trusting()
}

// admit takes a use out of a key's limits and counts it, and notes in v what is left.
func (c *core) admit(ctx context.Context, v *Validation, cost int64, now time.Time) error {
	k := v.key
	if err := affordable(k.RateLimits, cost); err != nil {
		return err
	}
	charge := RateCharge{Subject: keySubject(k.ID), Limits: k.RateLimits, Cost: cost}
	if c.ownClock {
		charge.At = now
	}
	ctx, cancel := c.call(ctx)
	defer cancel()
	grant, err := c.admissions.Do(ctx, &Admission{Lease: exactLease(charge), KeyID: k.ID, Secret: k.Secret.Number})
	if err != nil {
		return storeError("admit", err)
	}
	d := decide(charge, grant)
	if !d.Allowed {
		return quotaError(k.ID, &d, len(k.RateLimits), cost)
	}
	k.counter.Credit()
	v.remain(&d, len(k.RateLimits))
	return nil
}

// admitAll is one call of the store for all who wait. What became of it when its answer is
// lost, nobody asks again: the limits are spent, and the uses were counted with them or
// never are.
func (c *core) admitAll(ctx context.Context, waiting []*Admission) ([]LeaseGrant, error) {
	admissions := make([]Admission, len(waiting))
	for i, a := range waiting {
		admissions[i] = *a
	}
	c.calls.admissions.Add(1)
	return c.store.Admit(ctx, c.now(), admissions)
}

// remain notes what is left of the limits.
func (v *Validation) remain(d *RateDecision, limits int) {
	for i, s := range d.States[:limits] {
		v.limits.States[i] = leases.State{Remaining: s.Remaining, Reset: s.ResetAt.UnixMicro()}
	}
	v.limits.Allowed = true
}
