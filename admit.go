package apikeys

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/apikeys-platform/apikeys/internal/coalesce"
	"github.com/apikeys-platform/apikeys/internal/keycache"
	"github.com/apikeys-platform/apikeys/internal/leases"
	"github.com/apikeys-platform/apikeys/internal/token"
)

// startAdmitting lets a client whose limits are exact and whose uses are written at once
// do both in one call of the store: a request waits once.
func (c *core) startAdmitting() {
	exact, ok := c.limiter.(exactLimiter)
	if !ok || !c.strictUsage || !same(exact.store, c.store) {
		return
	}
	calls, each := exactWrites(c.store)
	c.admissions = coalesce.New(coalesce.Options[*applicant, admitted]{
		Do: c.admitAll, Max: calls, Batch: each, Gather: true,
		Timeout: c.opTimeout, Patience: c.opTimeout, Alone: spoilt,
	})
}

// applicant is a request that waits for an admission.
type applicant struct {
	Admission
	parts [maxLimits]LeasePart // what the admission's lease has room in
	// unasked is the key as it is remembered, when nobody has asked since the request
	// arrived whether that still holds: it is asked for all of a call together. nil: the
	// key is known already.
	unasked *keycache.Entry[known]
}

// admitted is what became of an applicant.
type admitted struct {
	grant LeaseGrant
	// changed: what was remembered does not hold any more. Nothing was charged.
	changed bool
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

// admitRemembered admits a request by what is remembered of its key, when that would do:
// the look that a strict client owes the request is made once for all of a call, instead
// of before it. It tells whether it has decided.
func (c *Client) admitRemembered(ctx context.Context, text string, params *ValidateParams, m *moment, v *Validation) (done bool, err error) {
	if c.memory == nil || params.SkipRateLimit || !params.anywhere() || !token.Plausible(text) {
		return false, nil
	}
	hash := c.signer.Sum(text)
	e := c.memory.keys.Peek(keycache.At(m.real), &hash)
	if e == nil {
		return false, nil
	}
	k, cost := &e.Value, max(params.Cost, 1)
	good := k.plain(m.now) && k.limited(c.core) && c.inView(k.KeyRecord)
	if good && checkScopes(k, params) == nil && affordable(k.RateLimits, cost) == nil {
		return c.admit(ctx, v, applicant{unasked: e}, k, cost, m.now)
	}
	return false, nil // who is refused is refused by what stands now
}

// admit takes a use out of a key's limits and counts it, and notes in v whose it is and
// what is left. It has not decided when the key has changed since it was remembered.
func (c *core) admit(ctx context.Context, v *Validation, a applicant, k *known, cost int64, now time.Time) (done bool, err error) {
	if err := affordable(k.RateLimits, cost); err != nil {
		return true, err
	}
	charge := RateCharge{Subject: keySubject(k.ID), Limits: k.RateLimits, Cost: cost}
	if c.ownClock {
		charge.At = now
	}
	a.Admission = Admission{Lease: exactLease(charge, a.parts[:0]), KeyID: k.ID, Secret: k.Secret.Number}
	got, err := c.admissions.Do(ctx, &a)
	if err != nil {
		return true, storeError("admit", err)
	}
	if got.changed {
		return false, nil
	}
	v.key, v.used = k, now
	d := decide(charge, got.grant)
	if !d.Allowed {
		return true, quotaError(k.ID, &d, len(k.RateLimits), cost)
	}
	k.counter.Credit()
	v.remain(&d, len(k.RateLimits))
	return true, nil
}

// admitAll is one call of the store for all who wait, and a look before it if some of them
// have not asked. What became of it when its answer is lost, nobody asks again: the limits
// are spent, and the uses were counted with them or never are.
func (c *core) admitAll(ctx context.Context, waiting []*applicant) ([]admitted, error) {
	outcomes := make([]admitted, len(waiting))
	if err := c.ask(ctx, waiting, outcomes); err != nil {
		return nil, err
	}
	admissions := make([]Admission, 0, len(waiting))
	for i, a := range waiting {
		if !outcomes[i].changed {
			admissions = append(admissions, a.Admission)
		}
	}
	if len(admissions) == 0 {
		return outcomes, nil
	}
	c.calls.admissions.Add(1)
	grants, err := c.store.Admit(ctx, c.now(), admissions)
	c.folder.noted.Store(true)
	if err != nil {
		return nil, err
	}
	for i := range outcomes {
		if !outcomes[i].changed {
			outcomes[i].grant, grants = grants[0], grants[1:]
		}
	}
	return outcomes, nil
}

// ask makes the look for those who have not asked, all of whom have arrived, and finds out
// of whom something else is true now.
func (c *core) ask(ctx context.Context, waiting []*applicant, outcomes []admitted) error {
	if !slices.ContainsFunc(waiting, func(a *applicant) bool { return a.unasked != nil }) {
		return nil
	}
	if err := c.memory.looks.Ask(ctx); err != nil {
		return err
	}
	now := keycache.Now()
	for i, a := range waiting {
		outcomes[i].changed = a.unasked != nil && !c.memory.keys.Confirm(now, a.unasked)
	}
	return nil
}

// remain notes what is left of the limits.
func (v *Validation) remain(d *RateDecision, limits int) {
	for i, s := range d.States[:limits] {
		v.limits.States[i] = leases.State{Remaining: s.Remaining, Reset: s.ResetAt.UnixMicro()}
	}
	v.limits.Allowed = true
}
