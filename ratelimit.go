package apikeys

import (
	"context"
	"strconv"
	"time"

	"github.com/apikeys-platform/apikeys/internal/coalesce"
)

// RateLimitWindow is the length of a fixed window, in seconds. Only the four
// constants are valid.
type RateLimitWindow int64

// The windows. Each is aligned to the Unix epoch in UTC: a minute starts at
// second 0, a day at midnight UTC.
const (
	WindowSecond RateLimitWindow = 1
	WindowMinute RateLimitWindow = 60
	WindowHour   RateLimitWindow = 3600
	WindowDay    RateLimitWindow = 86400
)

// String returns "second", "minute", "hour" or "day".
func (w RateLimitWindow) String() string {
	switch w {
	case WindowSecond:
		return "second"
	case WindowMinute:
		return "minute"
	case WindowHour:
		return "hour"
	case WindowDay:
		return "day"
	default:
		return "RateLimitWindow(" + strconv.FormatInt(int64(w), 10) + ")"
	}
}

// Duration returns the window's length.
func (w RateLimitWindow) Duration() time.Duration { return time.Duration(w) * time.Second }

// Start returns the beginning of the window that t falls in.
func (w RateLimitWindow) Start(t time.Time) time.Time {
	s := t.Unix()
	r := s % int64(w)
	if r < 0 {
		r += int64(w)
	}
	return time.Unix(s-r, 0).UTC()
}

func (w RateLimitWindow) valid() bool {
	return w == WindowSecond || w == WindowMinute || w == WindowHour || w == WindowDay
}

// RateLimit allows a number of requests in each window. The zero value is not
// a limit and is refused; Requests of zero denies everything.
//
// Windows are fixed, so across one boundary the worst case is twice the limit
// in a span of one window: all of it at the end of one window and all of it
// at the start of the next. Two limits on a key ("10/second" and "100/minute")
// bound that.
type RateLimit struct {
	Requests int64
	Window   RateLimitWindow
}

// PerSecond allows n requests a second.
func PerSecond(n int64) RateLimit { return RateLimit{n, WindowSecond} }

// PerMinute allows n requests a minute.
func PerMinute(n int64) RateLimit { return RateLimit{n, WindowMinute} }

// PerHour allows n requests an hour.
func PerHour(n int64) RateLimit { return RateLimit{n, WindowHour} }

// PerDay allows n requests a day.
func PerDay(n int64) RateLimit { return RateLimit{n, WindowDay} }

// String returns the form that [ParseRateLimits] reads: "100/minute".
func (l RateLimit) String() string {
	return strconv.FormatInt(l.Requests, 10) + "/" + l.Window.String()
}

// maxLimits is how many limits one subject can have: one for each window.
const maxLimits = 4

// LimitState is where a subject stands within one of its limits.
type LimitState struct {
	Limit     RateLimit
	Remaining int64     // how much more passes in this window; never negative
	ResetAt   time.Time // the window's end, UTC: when Remaining is Limit.Requests again
}

// Subject names what a rate limit counts: 32 opaque bytes, so that no store
// has to know of collations, lengths or personal data. [Client.Validate] uses
// the key's id; [Client.Allow] a keyed hash of what it was given.
type Subject [32]byte

// RateCharge is what a [RateLimiter] is asked: cost, against every one of the
// subject's limits.
type RateCharge struct {
	Subject Subject
	// Limits are at most one for each window, sorted by window, the shortest first.
	Limits []RateLimit
	// Cost is 0 to look without charging, else at least 1 and at most the smallest limit.
	Cost int64
	// At is the time to count at when the client's clock is injected
	// (Config.Now); zero means the limiter's own clock.
	At time.Time
}

// RateDecision is the answer to a [RateCharge].
type RateDecision struct {
	// Allowed says that all limits had room and all were charged. When false,
	// none was. For a Cost of 0 it says whether a cost of 1 would pass.
	Allowed bool
	// Now is the time the decision was made at, by the clock that defines the windows.
	Now time.Time
	// States holds one state for each limit asked, in the same order, the
	// charge included.
	States [maxLimits]LimitState
}

// RateLimiter counts requests against limits. Implementations must be safe for
// concurrent use, must charge all limits of a charge or none, must never admit
// more than a limit within its window, and must not keep c.Limits.
//
// An error means that the limiter could not decide; the request is then refused
// with [ErrUnavailable].
type RateLimiter interface {
	Charge(ctx context.Context, c RateCharge) (RateDecision, error)
}

// NewExactLimiter returns the limiter that asks the store for every single
// charge: exact across any number of processes, at the price of a write to
// the database a request. Under load many requests share one write. A strict client (a
// negative Config.RevocationDelay) that writes uses at once (a negative
// Config.UsageFlushInterval) writes both with one commit, if the store is its own.
//
// A write lasts for at most as long as one of those who share it waits for it: for
// Config.OpTimeout in a [Client]; without a deadline in its context, a charge waits 2 seconds.
func NewExactLimiter(store Store) RateLimiter {
	take := func(ctx context.Context, charges []*LeaseRequest) ([]LeaseGrant, error) {
		requests := make([]LeaseRequest, len(charges))
		for i, r := range charges {
			requests[i] = *r
		}
		return store.TakeLeases(ctx, requests)
	}
	calls, each := exactWrites(store)
	return exactLimiter{store, coalesce.New(coalesce.Options[*LeaseRequest, LeaseGrant]{
		Do: take, Max: calls, Batch: each, Gather: true, Timeout: -1, Alone: spoilt,
	})}
}

// exactWrites is how many writes of exact limits are under way at once, and for how many
// requests each of them is at most. Two are: one is prepared while the other is committed,
// and each takes half of those who wait, so that both have something to do. With more of
// them, each would be for fewer. Where the store does one after the other, so do we: the
// second would only wait there, for half as many requests as have come until its turn.
func exactWrites(store Store) (calls, each int) {
	const most = 64
	if s, ok := store.(SerialStore); ok && s.Serial() {
		return 1, most
	}
	return callsAtOnce(store, 2), most / 2
}

// exactLimiter is NewExactLimiter's. No two charges are the same, even of one subject:
// each is decided by itself.
type exactLimiter struct {
	store  Store
	writes *coalesce.Group[*LeaseRequest, LeaseGrant]
}

// Charge takes a lease of exactly the cost from every limit, or none.
func (l exactLimiter) Charge(ctx context.Context, c RateCharge) (RateDecision, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultOpTimeout)
		defer cancel()
	}
	lease := exactLease(c, make([]LeasePart, 0, len(c.Limits)))
	grant, err := l.writes.Do(ctx, &lease)
	if err != nil {
		return RateDecision{}, storeError("rate limit", err)
	}
	return decide(c, grant), nil
}

// exactLease is the lease of exactly the cost of a charge. Its parts are appended to room.
func exactLease(c RateCharge, room []LeasePart) LeaseRequest {
	for _, limit := range c.Limits {
		room = append(room, LeasePart{Limit: limit, Want: c.Cost})
	}
	return LeaseRequest{Subject: c.Subject, At: c.At, AllOrNothing: true, Parts: room}
}

// decide reads a decision off what the store granted.
func decide(c RateCharge, g LeaseGrant) RateDecision {
	d := RateDecision{Allowed: true, Now: g.Now}
	for i, limit := range c.Limits {
		p := g.Parts[i]
		d.States[i] = LimitState{
			Limit:     limit,
			Remaining: max(0, limit.Requests-p.Used),
			ResetAt:   p.Start.Add(limit.Window.Duration()),
		}
		if c.Cost > 0 {
			d.Allowed = d.Allowed && p.Granted == c.Cost
		} else {
			d.Allowed = d.Allowed && d.States[i].Remaining > 0
		}
	}
	return d
}
