package storetest

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func changeTests() []test {
	return []test{
		{"a fresh store answers", changesOfFreshStore},
		{"are made by what can make an answer wrong", operationsBump},
		{"are not made by what cannot", operationsThatDoNotBump},
		{"are those after the mark", changesAfterMark},
		{"of a mark that never was are not complete", changesOfUnknownMark},
		{"of another history are not complete", changesOfOtherHistory},
		{"are never hidden by those that come at once", changesAreNeverHidden},
	}
}

// start returns what stands now, as the mark of a history that has begun.
func (f *fixture) start() apikeys.ChangeMark {
	f.Helper()
	if f.mark().Revision == 0 {
		f.remove(f.organization())
	}
	return f.mark()
}

// wantChanges ends the test unless exactly these changes, in one revision, came
// after the mark; none: no revision.
func (f *fixture) wantChanges(since apikeys.ChangeMark, want ...apikeys.Change) {
	f.Helper()
	set := f.since(since)
	revisions := int64(min(len(want), 1))
	if !set.Complete || set.Mark.Revision != since.Revision+revisions {
		f.Fatalf("changes: got complete %t and %d revisions, want true and %d",
			set.Complete, set.Mark.Revision-since.Revision, revisions)
	}
	f.equal("the changes", inOrder(set.Changes), inOrder(want))
}

// inOrder returns each change once, in one order.
func inOrder(changes []apikeys.Change) []apikeys.Change {
	changes = slices.SortedFunc(slices.Values(changes), func(a, b apikeys.Change) int {
		if a.Kind != b.Kind {
			return len(a.Kind) - len(b.Kind)
		}
		return compareIDs(a.ID, b.ID)
	})
	return slices.Compact(changes)
}

// covered tells whether a client that remembers the key drops it.
func covered(set apikeys.ChangeSet, k apikeys.KeyRecord) bool {
	return slices.ContainsFunc(set.Changes, func(c apikeys.Change) bool {
		switch c.Kind {
		case apikeys.ChangeKey:
			return c.ID == k.ID
		case apikeys.ChangeOrganization:
			return c.ID == k.OrganizationID
		}
		return c.Kind == apikeys.ChangeAll
	})
}

// Catches: a first look that fails, or has no clock to learn from.
func changesOfFreshStore(f *fixture) {
	set := f.since(apikeys.ChangeMark{})
	if len(set.Changes) != 0 || set.Now.IsZero() || set.Now.Location() != time.UTC {
		f.Fatalf("got %d changes and the time %v, want none and the store's own, in UTC", len(set.Changes), set.Now)
	}
	if again := f.since(set.Mark); again.Mark != set.Mark || len(again.Changes) != 0 || !again.Complete {
		f.Fatalf("the same again: got %d changes and complete %t, want none and true", len(again.Changes), again.Complete)
	}
}

// Catches: a method that forgets its bump, or names the wrong thing: a cache that
// goes on with what is no longer true. A stamp that is not the mutation's.
func operationsBump(f *fixture) {
	for _, p := range operations() {
		f.each(p.name, func(f *fixture) {
			op, m := p.prepare(f), f.mutation(p.name)
			before := f.start()
			_, err := op.do(f.Context(), m)
			f.must(err)
			f.wantChanges(before, op.stale...)
			if got := f.mark().Stamp; op.stale != nil && got != m.ID {
				f.Fatalf("the stamp: got %s, want the mutation's id %s", got, m.ID)
			}
		})
	}
}

// Catches: a bump for every use, which makes all processes wait for one row and
// forget their caches.
func operationsThatDoNotBump(f *fixture) {
	o := f.organization()
	k := f.key(o)
	before := f.start()
	f.addHash(f.hashFor(k, 1, "signing-2"))
	f.must(f.store.AddUsage(f.Context(), batch(f.id(), 1, used(k, 5, epoch))))
	s := f.subject()
	f.take(lease(s, epoch, 5, apikeys.PerMinute(10)))
	f.must(f.store.ReturnLeases(f.Context(), []apikeys.LeaseReturn{
		{Subject: s, Window: apikeys.WindowMinute, Start: apikeys.WindowMinute.Start(epoch), Unused: 5},
	}))
	f.update(k.ID, apikeys.KeyChange{Name: &k.Name})
	f.counts()
	f.sweep(apikeys.SweepParams{UsageBefore: epoch.Add(time.Hour), WindowsBefore: epoch.Add(time.Hour)})
	if n := f.deleteKeys(apikeys.KeyQuery{ID: f.id()}); len(n) != 0 {
		f.Fatalf("deleting an unknown key: got %d, want none", len(n))
	}
	if after := f.mark(); after != before {
		f.Fatalf("got %d revisions, want none", after.Revision-before.Revision)
	}
}

// Catches: >= for >; changes of the middle left out.
func changesAfterMark(f *fixture) {
	keys := f.keys(5, f.organization())
	marks := []apikeys.ChangeMark{f.start()}
	for _, k := range keys {
		f.update(k.ID, apikeys.KeyChange{Name: ptr("changed")})
		marks = append(marks, f.mark())
	}
	for i, mark := range marks {
		set := f.since(mark)
		if !set.Complete || set.Mark != marks[len(marks)-1] {
			f.Fatalf("from mark %d: got complete %t and revision %d, want true and %d",
				i, set.Complete, set.Mark.Revision, marks[len(marks)-1].Revision)
		}
		f.equal("the changes after a mark", inOrder(set.Changes), inOrder(staleKeys(keys[i:]...)))
	}
}

// Catches: "nothing new" for ever, for a process that has seen what was lost; a
// stamp that is not compared, or only at the end.
func changesOfUnknownMark(f *fixture) {
	k := f.key(f.organization())
	f.start()
	var marks []apikeys.ChangeMark
	for _, name := range []string{"a", "b", "c"} {
		f.update(k.ID, apikeys.KeyChange{Name: &name})
		marks = append(marks, f.mark())
	}
	last := marks[2]
	for what, mark := range map[string]apikeys.ChangeMark{
		"of another stamp, last":      {Revision: last.Revision, Stamp: f.id()},
		"of another stamp, before":    {Revision: last.Revision - 1, Stamp: f.id()},
		"of a later one's stamp":      {Revision: last.Revision - 1, Stamp: last.Stamp},
		"of an earlier one's stamp":   {Revision: last.Revision, Stamp: marks[1].Stamp},
		"of no stamp":                 {Revision: last.Revision},
		"ahead":                       {Revision: last.Revision + 1, Stamp: f.id()},
		"ahead with the last stamp":   {Revision: last.Revision + 1, Stamp: last.Stamp},
		"far ahead":                   {Revision: 1 << 60, Stamp: last.Stamp},
		"before the beginning":        {Revision: -1, Stamp: last.Stamp},
		"at the beginning of another": {Revision: 0, Stamp: last.Stamp},
	} {
		set := f.since(mark)
		if set.Complete || set.Mark != last {
			f.Fatalf("a mark %s: got complete %t and revision %d, want false and %d", what, set.Complete, set.Mark.Revision, last.Revision)
		}
	}
}

// Catches: revisions compared as numbers: after a restore or a fail-over the same
// number is another change.
func changesOfOtherHistory(f *fixture) {
	other := newFixture(f.T, f.open)
	for _, g := range []*fixture{f, other} { // the same history, as far as numbers go
		g.n.Add(f.n.Load() + 1000)
		k := g.key(g.organization())
		for range 3 {
			g.update(k.ID, apikeys.KeyChange{Name: ptr(g.id().String())})
		}
	}
	mark := f.mark()
	if got := other.mark(); got.Revision != mark.Revision || got.Stamp == mark.Stamp {
		f.Fatalf("two histories: got revisions %d and %d, want the same and other stamps", got.Revision, mark.Revision)
	}
	if set := other.since(mark); set.Complete || set.Mark == mark {
		f.Fatalf("the mark of another history: got complete %t, want false", set.Complete)
	}
}

// Catches: a number taken before the commit (a sequence, MAX+1 without a lock): the
// looker sees 7, then 6 is committed, and nobody is ever told of it.
func changesAreNeverHidden(f *fixture) {
	const writers, each = 6, 10
	keys := f.keys(writers*each, f.organization())
	mutations := make([]apikeys.Mutation, len(keys))
	for i := range mutations {
		mutations[i] = f.mutation("key.update")
	}
	first := f.start()
	mark, seen := first, map[uuid.UUID]bool{}
	var running atomic.Int64
	running.Store(writers)
	f.together(writers+1, func(i int) (err error) {
		if i < writers {
			defer running.Add(-1)
			return f.disableAll(keys[i*each:(i+1)*each], mutations[i*each:])
		}
		for last := false; !last && err == nil; {
			last = running.Load() == 0 // look once more after the end
			mark, err = f.look(mark, seen)
		}
		return err
	})
	for _, k := range keys {
		if !seen[k.ID] {
			f.Fatal("a change that was committed was never seen by looks from mark to mark")
		}
	}
	if got := mark.Revision - first.Revision; got != writers*each {
		f.Fatalf("revisions of %d changes: got %d", writers*each, got)
	}
	f.equal("all of them at once", inOrder(f.since(first).Changes), inOrder(staleKeys(keys...)))
}

// look notes what changed since the mark, and returns the next one.
func (f *fixture) look(mark apikeys.ChangeMark, seen map[uuid.UUID]bool) (apikeys.ChangeMark, error) {
	set, err := f.store.Changes(f.Context(), mark)
	if err == nil && (!set.Complete || set.Mark.Revision < mark.Revision) {
		err = errors.New("a look from mark to mark: got incomplete or a revision that went back")
	}
	for _, c := range set.Changes {
		seen[c.ID] = true
	}
	return set.Mark, err
}

func (f *fixture) disableAll(keys []apikeys.KeyRecord, mutations []apikeys.Mutation) error {
	for i, k := range keys {
		if _, err := f.store.UpdateKey(f.Context(), mutations[i], keyRef(k.ID), apikeys.KeyChange{DisabledAt: ptr(epoch)}); err != nil {
			return err
		}
	}
	return nil
}
