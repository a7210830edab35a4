package apikeys

import (
	"sync/atomic"
	"time"
)

// Stats is what a client did since it was made. Reading it is cheap: give it to
// expvar, Prometheus or OpenTelemetry as often as they ask.
type Stats struct {
	// Hits and Misses tell how often a key was found in memory. A client that remembers
	// none has neither.
	Hits, Misses int64
	// Cached is how many keys are remembered now.
	Cached int64

	// StoreCalls counts the calls of the request path by what they are for.
	StoreCalls StoreCalls
	// Refused counts refused validations by the error's code ("expired_key").
	Refused map[string]int64

	// Looks tells how often the store was asked what changed, and how often it
	// failed; Revision is what it said last, RevisionAge how long ago. RevisionAge is
	// negative before the first look. Resets counts the looks that found another
	// history: a database that was restored, or failed over.
	Looks, LooksFailed, Resets int64
	Revision                   int64
	RevisionAge                time.Duration

	// Notifications counts how often the store told of changes before it was asked.
	Notifications int64

	// Leases tells of the default limiter: leases taken from the store, and charges
	// refused from memory because a window was known to be full.
	Leases, LimitedInMemory int64

	// UsagePending is how many counts wait to be written; UsageDropped how many were
	// given up because the store did not answer for too long.
	UsagePending, UsageDropped int64
	// UsageFlushes and UsageFailures count the batches sent, and those that failed.
	UsageFlushes, UsageFailures int64

	// Events is how many events Config.OnEvent was told of, EventsDropped how many it
	// was not: it was too slow, or the store did not answer.
	Events, EventsDropped int64

	// Swept is how many old rows this process has removed in the background.
	Swept int64
}

// StoreCalls counts calls of the store.
type StoreCalls struct {
	Keys     int64 // keys read by hash
	Bindings int64 // projects and products read
	Leases   int64 // parts of rate limit windows taken
	Usage    int64 // batches of counts written
	// Admissions are exact limits charged together with the uses they are for.
	Admissions int64
	Changes    int64 // looks at what changed
}

// calls counts what StoreCalls reports.
type calls struct {
	keys, bindings, leases, usage, admissions, changes, told atomic.Int64
}

// refusalCodes are those that Validate can return. The first say something of a key,
// the most frequent first; the others are faults of the store or of the call, and of
// whoever made a key up.
var refusalCodes = [...]string{
	CodeQuotaExceeded, CodeExpiredKey, CodeRetiredSecret, CodeRevokedKey, CodeDisabledKey, CodeSuspended, CodeInsufficientScope,
	CodeInvalidKey, CodeInvalidArgument, CodeUnavailable, CodeClosed,
}

// refusalsOfKeys is how many of them say something of a key.
const refusalsOfKeys = 7

// tally counts what comes in floods. Each processor has one of its own, mostly, and none
// shares its cache lines with anything: processors would fight over them.
type tally struct {
	_ [64]byte
	// hits are the answers from memory to requests that limited does not count.
	hits atomic.Int64
	// limited are the requests answered from memory and refused by the lease at hand:
	// neither core.refused nor core.leased count them.
	limited atomic.Int64
	_       [48]byte
}

// tally counts a request that has been decided.
func (c *core) tally(m *moment, limited bool) {
	t := &c.tallies[m.lane]
	if limited {
		t.limited.Add(1)
		m.hits--
	}
	if m.hits != 0 {
		t.hits.Add(m.hits)
	}
}

// tallied sums the tallies.
func (c *core) tallied() (hits, limited int64) {
	for i := range c.tallies {
		limited += c.tallies[i].limited.Load()
		hits += c.tallies[i].hits.Load()
	}
	return hits + limited, limited
}

// Places of some of them.
const (
	quotaRefusal   = 0
	retiredRefusal = 2
)

// refusals counts refused validations by code.
type refusals [len(refusalCodes)]atomic.Int64

// Stats tells what the client did since it was made; all views share one count.
func (c *Client) Stats() Stats {
	s := Stats{Refused: map[string]int64{}, RevisionAge: -1}
	hits, limited := c.tallied()
	for i, code := range refusalCodes {
		n := c.refused[i].Load()
		if i == quotaRefusal {
			n += limited
		}
		if n > 0 {
			s.Refused[code] = n
		}
	}
	s.StoreCalls = StoreCalls{
		Keys: c.calls.keys.Load(), Bindings: c.calls.bindings.Load(), Leases: c.calls.leases.Load(),
		Usage: c.calls.usage.Load(), Admissions: c.calls.admissions.Load(), Changes: c.calls.changes.Load(),
	}
	s.Notifications = c.calls.told.Load()
	if c.memory != nil {
		keys, looks := c.memory.keys.Stats(), c.memory.looks.Stats()
		s.Hits, s.Misses, s.Cached = hits+keys.Hits, keys.Misses, int64(keys.Entries)
		s.Looks, s.LooksFailed, s.Resets = looks.Looks, looks.Failed, looks.Resets
		s.Revision, s.RevisionAge = looks.Revision, looks.Age
	}
	if c.leased != nil {
		l := c.leased.Stats()
		s.Leases, s.LimitedInMemory = l.Leases, l.Refused+limited
	}
	u := c.usage.Stats()
	s.UsagePending, s.UsageDropped = u.Pending+u.Queued, u.DroppedAccepted+u.DroppedRefused
	s.UsageFlushes, s.UsageFailures = u.Batches, u.Failures
	s.Swept = c.swept.Load()
	if c.hook != nil {
		s.Events, s.EventsDropped = c.hook.told.Load(), c.hook.dropped.Load()
	}
	return s
}
