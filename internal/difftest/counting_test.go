package difftest_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys"
)

func (m *machine) addHash() {
	added := apikeys.SecretRecord{
		KeyID: m.key(), Number: one(m.t, "number", []int{1, 1, 2, 3}),
		Hash: mostly(m.t, "hash", m.freeHashes(), m.w.hashes), SigningID: one(m.t, "signing", m.w.signings),
	}
	// Under one signing secret a text has one hash: there is no other to be added.
	_, secrets, _ := m.all[0].store.GetKey(m.Context(), apikeys.KeyRef{ID: added.KeyID}) // of a key that is not there: none
	for _, standing := range secrets {
		if standing.Number == added.Number && standing.SigningID == added.SigningID {
			added.Hash = standing.Hash
		}
	}
	m.run(m.call("AddHash", func(ctx context.Context, p *participant) ([]any, error) {
		return nil, p.store.AddHash(ctx, added)
	}, added))
}

func (m *machine) countHashes() {
	type count struct {
		SigningID string
		apikeys.HashCount
	}
	at := noon
	if m.t != nil {
		at = one(m.t, "at", times())
	}
	m.run(m.call("CountHashes", func(ctx context.Context, p *participant) ([]any, error) {
		counts, err := p.store.CountHashes(ctx, at)
		var mine []count
		for _, id := range slices.Sorted(maps.Keys(counts)) {
			if slices.Contains(m.w.signings, id) {
				mine = append(mine, count{id, counts[id]})
			}
		}
		return []any{mine}, err
	}, at))
}

// deleteHashes deletes all: the contract does not say which are the first.
func (m *machine) deleteHashes() {
	signing, mutation := one(m.t, "signing", m.w.signings), m.mutation("secret.retire")
	m.mutate(mutation, m.call("DeleteHashes", func(ctx context.Context, p *participant) ([]any, error) {
		n, err := p.store.DeleteHashes(ctx, mutation, signing, 100)
		return []any{n}, err
	}, mutation, signing))
}

// history is what a store says has happened since a mark.
type history struct {
	Revision int64 // since the check began
	Stamp    uuid.UUID
	Complete bool
	Changes  []apikeys.Change
}

func (m *machine) changes() {
	steps := rapid.IntRange(0, len(m.all[0].marks)-1).Draw(m.t, "since")
	wrong := oneIn(10, m.t, "another history?")
	m.run(m.changesSince(steps, wrong))
	if oneIn(2, m.t, "note?") {
		m.note()
	}
}

// changesSince asks about a mark that was noted, or about one with its number only.
func (m *machine) changesSince(mark int, wrong bool) operation {
	return m.call("Changes", func(ctx context.Context, p *participant) ([]any, error) {
		since := p.marks[mark]
		if wrong {
			since.Stamp = m.w.writers[0]
		}
		set, err := p.store.Changes(ctx, since)
		h := history{Revision: set.Mark.Revision - p.marks[0].Revision, Stamp: set.Mark.Stamp, Complete: set.Complete}
		if set.Mark == p.marks[0] {
			h.Stamp = uuid.Nil
		}
		if set.Complete { // else all may have changed
			h.Changes = set.Changes
			slices.SortFunc(h.Changes, func(a, b apikeys.Change) int { return compareIDs(a.ID, b.ID) })
		}
		return []any{h}, err
	}, mark, wrong)
}

// moments are on both sides of the ends of windows.
func moments() []time.Time {
	var list []time.Time
	for _, d := range []time.Duration{
		0, time.Microsecond, -time.Microsecond, time.Second, -time.Second, time.Minute, -time.Minute,
		time.Hour, -time.Hour, 12 * time.Hour, 24 * time.Hour, -24 * time.Hour, 72 * time.Hour,
	} {
		list = append(list, noon.Add(d))
	}
	return list
}

func windows() []apikeys.RateLimitWindow {
	return []apikeys.RateLimitWindow{apikeys.WindowSecond, apikeys.WindowMinute, apikeys.WindowHour, apikeys.WindowDay}
}

func (m *machine) takeLeases() {
	m.run(m.take(m.leaseRequests(rapid.IntRange(1, 3).Draw(m.t, "requests"))))
}

func (m *machine) leaseRequests(n int) []apikeys.LeaseRequest {
	requests := make([]apikeys.LeaseRequest, n)
	for i := range requests {
		requests[i] = apikeys.LeaseRequest{
			Subject: one(m.t, "subject", m.w.subjects), At: one(m.t, "at", moments()), AllOrNothing: oneIn(2, m.t, "all or nothing"),
		}
		for _, window := range some(m.t, "window", windows()) {
			requests[i].Parts = append(requests[i].Parts, apikeys.LeasePart{
				Limit: apikeys.RateLimit{Requests: one(m.t, "limit", []int64{0, 1, 5, 10, 1<<63 - 1}), Window: window},
				Want:  one(m.t, "want", []int64{0, 1, 2, 5}),
			})
		}
	}
	return requests
}

func (m *machine) take(requests []apikeys.LeaseRequest) operation {
	return m.call("TakeLeases", func(ctx context.Context, p *participant) ([]any, error) {
		grants, err := p.store.TakeLeases(ctx, requests)
		return []any{grants}, err
	}, requests)
}

func (m *machine) admit() {
	admissions := make([]apikeys.Admission, rapid.IntRange(1, 4).Draw(m.t, "admissions"))
	for i, r := range m.leaseRequests(len(admissions)) {
		admissions[i] = apikeys.Admission{Lease: r, KeyID: m.key(), Secret: one(m.t, "secret", []int{1, 2, 3})}
		if i > 0 && oneIn(3, m.t, "a copy") {
			admissions[i] = admissions[i-1]
		}
	}
	at := one(m.t, "at", hours()).Add(one(m.t, "later", []time.Duration{0, time.Microsecond, time.Hour - time.Microsecond}))
	m.run(m.call("Admit", func(ctx context.Context, p *participant) ([]any, error) {
		grants, err := p.store.Admit(ctx, at, admissions)
		return []any{grants}, err
	}, at, admissions))
}

func (m *machine) returnLeases() {
	unused := make([]apikeys.LeaseReturn, rapid.IntRange(1, 3).Draw(m.t, "returns"))
	for i := range unused {
		window := one(m.t, "window", windows())
		unused[i] = apikeys.LeaseReturn{
			Subject: one(m.t, "subject", m.w.subjects), Window: window,
			Start: window.Start(one(m.t, "at", moments())), Unused: one(m.t, "unused", []int64{1, 2, 5}),
		}
	}
	m.run(m.call("ReturnLeases", func(ctx context.Context, p *participant) ([]any, error) {
		return nil, p.store.ReturnLeases(ctx, unused)
	}, unused))
}

func hours() []time.Time {
	return []time.Time{noon, noon.Add(time.Hour), noon.Add(-time.Hour), noon.Add(-24 * time.Hour)}
}

func (m *machine) addUsage() {
	batch := apikeys.UsageBatch{
		Writer: one(m.t, "writer", m.w.writers), Seq: rapid.Int64Range(1, 8).Draw(m.t, "seq"),
		At: one(m.t, "at", times()), Relaxed: oneIn(2, m.t, "relaxed"),
		Deltas: make([]apikeys.UsageDelta, rapid.IntRange(0, 4).Draw(m.t, "deltas")),
	}
	if m.at != nil {
		batch.At = m.at()
	}
	for i := range batch.Deltas {
		batch.Deltas[i] = apikeys.UsageDelta{
			KeyID: m.key(), Secret: one(m.t, "secret", []int{1, 2, 3}), Hour: one(m.t, "hour", hours()),
			Outcome: one(m.t, "outcome", []string{apikeys.OutcomeAccepted, "Accepted", "accepted ", "expired_key"}),
			Count:   m.count(), LastAt: one(m.t, "last", times()),
		}
	}
	m.run(m.call("AddUsage", func(ctx context.Context, p *participant) ([]any, error) {
		return nil, p.store.AddUsage(ctx, batch)
	}, batch))
}

func (m *machine) foldUsage() {
	m.run(m.call("FoldUsage", func(ctx context.Context, p *participant) ([]any, error) {
		return nil, p.store.FoldUsage(ctx)
	}))
}

func (m *machine) keyUsage() {
	m.run(m.usage(apikeys.UsageQuery{
		Ref: m.keyRef(), From: one(m.t, "from", append(timesOrNever(), hours()...)), To: one(m.t, "to", append(timesOrNever(), hours()...)),
	}))
}

func (m *machine) usage(q apikeys.UsageQuery) operation {
	return m.call("KeyUsage", func(ctx context.Context, p *participant) ([]any, error) {
		found, err := p.store.KeyUsage(ctx, q)
		if !slices.IsSortedFunc(found, func(a, b apikeys.UsageDelta) int { return a.Hour.Compare(b.Hour) }) {
			return []any{"the hours are not in order"}, err
		}
		slices.SortFunc(found, func(a, b apikeys.UsageDelta) int { // those of one hour are in any order
			return cmp.Or(a.Hour.Compare(b.Hour), a.Secret-b.Secret, strings.Compare(a.Outcome, b.Outcome))
		})
		return []any{found}, err
	}, q)
}

func (m *machine) listEvents() {
	scope := m.scope()
	scope.OwnerID = "" // plays no part
	subjects := slices.Concat(m.w.organizations, m.w.projects, m.w.products, m.w.keys)
	q := apikeys.EventQuery{
		Scope: scope, SubjectID: maybe(m.t, "subject", subjects), Limit: one(m.t, "limit", []int{0, 1, 2, 100}),
	}
	if len(m.mutations) > 0 {
		q.ID, q.Before = maybe(m.t, "id", m.mutations), maybe(m.t, "before", m.mutations)
	}
	m.run(m.eventsLike(q))
}

// eventsLike lists the events of this check: they are the greatest, so a limit
// counts them first.
func (m *machine) eventsLike(q apikeys.EventQuery) operation {
	return m.call("ListEvents", func(ctx context.Context, p *participant) ([]any, error) {
		found, err := p.store.ListEvents(ctx, q)
		return []any{own(m.w, found, eventID)}, err
	}, q)
}
