package difftest_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys"
)

// Sweep removes from all organizations: each check begins with a store that was
// swept of what the others left, but for their keys.
func TestStoresSweepAsTheModelDoes(t *testing.T) {
	t.Parallel()
	stores := openAll(t)
	var checks atomic.Uint64
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, checks.Add(1), stores)
		m.startSweeping()
		for range rapid.IntRange(3, 15).Draw(t, "steps") {
			one(t, "step", m.sweepSteps())()
		}
		m.sweepKind()
		for _, key := range m.standingKeyIDs() {
			m.run(m.usage(apikeys.UsageQuery{Ref: apikeys.KeyRef{ID: key}, To: noon.AddDate(1, 0, 0)}))
		}
		m.compareWhatIsSwept()
	})
}

// startSweeping leaves the model and the stores with one change in their history,
// which all have, and with an organization and a key.
func (m *machine) startSweeping() {
	// Later mutations are made later: whose clock is wrong may leave holes in the
	// history, and where is left open.
	now := noon
	m.at = func() time.Time {
		now = now.Add(one(m.t, "passed", []time.Duration{0, time.Microsecond, time.Second, time.Hour}))
		return now
	}
	end := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	all := apikeys.SweepParams{WindowsBefore: end, ChangesBefore: end, EventsBefore: end, UsageBefore: end, WritersBefore: end, Limit: 1000}
	for _, p := range m.all {
		if _, err := p.sweepAll(m.Context(), all); err != nil {
			m.Fatalf("%s: Sweep: %v", p.name, err)
		}
	}
	m.create(m.newResource(apikeys.KindOrganization, m.w.organizations[0], uuid.Nil))
	m.storeKeys([]apikeys.KeyRecord{m.plainKey(m.w.keys[0])})
	m.suspend()
	m.begin()
}

func (m *machine) suspend() {
	at, mutation := noon, m.fixedMutation("suspend")
	ref := apikeys.ResourceRef{Kind: apikeys.KindOrganization, ID: m.w.organizations[0]}
	m.mutate(mutation, m.call("UpdateResource", func(ctx context.Context, p *participant) ([]any, error) {
		r, err := p.store.UpdateResource(ctx, mutation, ref, apikeys.ResourceChange{SuspendedAt: &at})
		return []any{r}, err
	}, mutation, ref, at))
}

func (m *machine) sweepSteps() []func() {
	return []func(){
		m.sweepKind, m.sweepKind, m.again, m.createKeys, m.updateKey, m.updateKey, m.updateResource, m.revokeKeys,
		m.addUsage, m.addUsage, m.takeLeases, m.admit, m.returnLeases, m.changes, m.keyUsage, m.listEvents,
	}
}

// sweepKind sweeps one kind of rows until nothing is left to sweep, as callers do:
// which of them go first is left open. How many went is compared where a row is
// something that can be seen.
func (m *machine) sweepKind() {
	p, limit := apikeys.SweepParams{}, one(m.t, "limit", []int{1, 2, 100})
	p.Limit = limit
	counted := true
	switch before := one(m.t, "before", append(moments(), timesOrNever()...)); rapid.IntRange(0, 4).Draw(m.t, "kind of rows") {
	case 0:
		p.EventsBefore = before
	case 1:
		p.UsageBefore = before
	case 2:
		p.WritersBefore = before
	case 3:
		p.WindowsBefore, counted = before, false
	case 4:
		p.ChangesBefore, counted = before, false
	}
	m.run(m.call("Sweep", func(ctx context.Context, s *participant) ([]any, error) {
		removed, err := s.sweepAll(ctx, p)
		if !counted {
			removed = 0
		}
		return []any{removed}, err
	}, p))
}

// sweepAll sweeps until nothing is left, and returns how much went.
func (p *participant) sweepAll(ctx context.Context, params apikeys.SweepParams) (removed int, err error) {
	for {
		n, err := p.store.Sweep(ctx, params)
		removed += n
		if err != nil || n == 0 {
			return removed, err
		}
	}
}
