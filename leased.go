package apikeys

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

// startLeases makes the limiter that is used when the caller brings none.
func (c *core) startLeases() {
	if c.limiter != nil {
		return
	}
	options := leases.Options{
		Take:     c.takeLeases,
		Return:   c.returnLeases,
		Timeout:  c.opTimeout,
		Injected: c.ownClock,
	}
	if c.ownClock {
		options.Now = c.clock
	}
	if c.trusting() {
		options.Local = c.memory.looks.Outage
	}
	c.leased = leases.New(options)
}

func (c *core) takeLeases(ctx context.Context, requests []leases.Request) ([]leases.Grant, error) {
	asked := make([]LeaseRequest, len(requests))
	for i, r := range requests {
		asked[i] = LeaseRequest{Subject: r.Subject, At: r.At, Parts: make([]LeasePart, len(r.Parts))}
		for j, p := range r.Parts {
			asked[i].Parts[j] = LeasePart{Limit: RateLimit{p.Limit.Max, windowOf(p.Limit.Span)}, Want: p.Want}
		}
	}
	c.calls.leases.Add(1)
	granted, err := c.store.TakeLeases(ctx, asked)
	if err != nil {
		return nil, err
	}
	grants := make([]leases.Grant, len(granted))
	for i, g := range granted {
		grants[i] = leases.Grant{Now: g.Now, Parts: make([]leases.Granted, len(g.Parts))}
		for j, p := range g.Parts {
			grants[i].Parts[j] = leases.Granted(p)
		}
	}
	return grants, nil
}

func (c *core) returnLeases(ctx context.Context, unused []leases.Unused) error {
	back := make([]LeaseReturn, len(unused))
	for i, u := range unused {
		back[i] = LeaseReturn{Subject: u.Subject, Window: windowOf(u.Span), Start: u.Start, Unused: u.Unused}
	}
	return c.store.ReturnLeases(ctx, back)
}

func windowOf(span time.Duration) RateLimitWindow { return RateLimitWindow(span / time.Second) }

func leaseLimits(limits []RateLimit) []leases.Limit {
	list := make([]leases.Limit, len(limits))
	for i, l := range limits {
		list[i] = leases.Limit{Max: l.Requests, Span: l.Window.Duration()}
	}
	return list
}

// MemoryLimiter counts in one process alone: as a [RateLimiter] the uses of keys, with
// [MemoryLimiter.Allow] anything. Make it with [NewMemoryLimiter]; it is safe for
// concurrent use.
type MemoryLimiter struct {
	real *leases.Limiter // by the machine's clocks
	told *leases.Limiter // by the time that charges come with
}

// NewMemoryLimiter returns a limiter that counts in this process alone and never
// asks a store: each process admits the whole limit. For a single process, or
// where about is good enough. It remembers at most 100,000 subjects at a time and
// cannot decide about more.
func NewMemoryLimiter() *MemoryLimiter {
	return &MemoryLimiter{
		real: leases.NewMemory(leases.Options{}),
		told: leases.NewMemory(leases.Options{Injected: true}),
	}
}

// Allow is [Client.Allow] within this process, by the machine's clock: for what a
// database need not know of.
func (m *MemoryLimiter) Allow(ctx context.Context, subject string, limits []RateLimit, cost int64) ([]LimitState, error) {
	limits, err := checkAllow(subject, limits, cost)
	if err != nil || len(limits) == 0 {
		return nil, err
	}
	cost = max(cost, 1)
	d, err := m.Charge(ctx, RateCharge{Subject: sha256.Sum256([]byte(subject)), Limits: limits, Cost: cost})
	if err != nil {
		return nil, err
	}
	return standing(&d, len(limits), cost)
}

// Charge counts in memory.
func (m *MemoryLimiter) Charge(ctx context.Context, c RateCharge) (RateDecision, error) {
	limiter, now := m.told, c.At
	if now.IsZero() {
		limiter, now = m.real, time.Now()
	}
	d, err := limiter.Subject(c.Subject, leaseLimits(c.Limits)).Charge(ctx, c.Cost, now)
	if err != nil {
		return RateDecision{}, leaseError(err)
	}
	return publicDecision(&d, c.Limits), nil
}

// publicDecision gives a decision its public form.
func publicDecision(d *leases.Decision, limits []RateLimit) RateDecision {
	public := RateDecision{Allowed: d.Allowed, Now: d.Now()}
	for i, limit := range limits {
		public.States[i] = publicState(limit, d.States[i])
	}
	return public
}

func publicState(limit RateLimit, s leases.State) LimitState {
	return LimitState{Limit: limit, Remaining: s.Remaining, ResetAt: s.ResetAt()}
}

// leaseError gives an error of the leases its public form.
func leaseError(err error) error {
	if errors.Is(err, leases.ErrClosed) {
		return ErrClosed
	}
	return storeError("rate limit", err)
}
