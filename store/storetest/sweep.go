package storetest

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func sweepTests() []test {
	return []test{
		{"without times keeps all", sweepNothing},
		{"of events keeps the younger ones", sweepEvents},
		{"of usage keeps the younger hours and the count", sweepUsage},
		{"of windows keeps those that are open", sweepWindows},
		{"of writers keeps the younger ones", sweepWriters},
		{"of changes keeps the newest", sweepChanges},
		{"of changes never hides one", sweepHidesNothing},
		{"is bounded for each kind", sweepBounded},
	}
}

// far is later than any time in these tests, by the store's clock too.
var far = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

func (f *fixture) sweep(p apikeys.SweepParams) int {
	f.Helper()
	if p.Limit == 0 {
		p.Limit = 1000
	}
	n, err := f.store.Sweep(f.Context(), p)
	f.must(err)
	return n
}

// sweepAll repeats a sweep until there is nothing left to remove.
func (f *fixture) sweepAll(p apikeys.SweepParams) int {
	f.Helper()
	for removed, rounds := 0, 0; rounds < 1000; rounds++ {
		n := f.sweep(p)
		if removed += n; n == 0 {
			return removed
		}
	}
	f.Fatal("a sweep that is repeated: got no end")
	return 0
}

// Catches: the zero time taken for the beginning of time, or for now.
func sweepNothing(f *fixture) {
	k := f.key(f.organization())
	f.update(k.ID, apikeys.KeyChange{Name: ptr("x")})
	f.addUsage(batch(f.id(), 1, used(k, 5, epoch)))
	s := f.subject()
	f.take(lease(s, epoch, 5, apikeys.PerMinute(10)))
	usage := f.usage(k.ID)
	mark := f.mark()
	f.unchanged("sweeping nothing", func() {
		if n := f.sweep(apikeys.SweepParams{}); n != 0 {
			f.Fatalf("got %d removed, want none", n)
		}
	})
	f.equal("the usage", f.usage(k.ID), usage)
	f.wantUsed("the window", s, epoch, apikeys.PerMinute(10), 5)
	if !f.since(mark).Complete {
		f.Fatal("the changes: got incomplete, want all")
	}
}

// Catches: <= for <; the order of ids taken for that of times.
func sweepEvents(f *fixture) {
	k := f.key(f.organization())
	f.sweepAll(apikeys.SweepParams{EventsBefore: far})
	var want []uuid.UUID
	for i, at := range []time.Time{epoch.Add(time.Microsecond), epoch.Add(-time.Microsecond), epoch, epoch.Add(-time.Hour), epoch.Add(time.Hour)} {
		m := f.mutationAt("key.update", at)
		_, err := f.store.UpdateKey(f.Context(), m, keyRef(k.ID), apikeys.KeyChange{Name: ptr(m.ID.String())})
		f.must(err)
		if i%2 == 0 {
			want = append(want, m.ID)
		}
	}
	if n := f.sweep(apikeys.SweepParams{EventsBefore: epoch}); n != 2 {
		f.Fatalf("events before: got %d removed, want 2", n)
	}
	f.equal("the events that are left", idsOf(f.events(apikeys.EventQuery{}), eventID), newestFirst(want...))
	f.equal("the key", f.get(k.ID).Version, int64(6))
}

// Catches: a count that is the sum of what is left of its hours.
func sweepUsage(f *fixture) {
	k := f.key(f.organization())
	var want []apikeys.UsageDelta
	for i := range 5 {
		want = append(want, used(k, 1, epoch.Add(time.Duration(i)*time.Hour)))
	}
	f.addUsage(batch(f.id(), 1, want...))
	if n := f.sweep(apikeys.SweepParams{UsageBefore: want[2].Hour}); n != 2 {
		f.Fatalf("hours before: got %d removed, want 2", n)
	}
	f.equal("the usage that is left", f.usage(k.ID), want[2:])
	f.wantUse("after the sweep", k.ID, 5, want[4].LastAt)
}

// Catches: windows judged by their beginning: one that is open loses what is used
// of it, and admits its limit a second time.
func sweepWindows(f *fixture) {
	s, day, minute := f.subject(), apikeys.PerDay(10), apikeys.PerMinute(10)
	f.take(lease(s, epoch, 7, minute, day))
	for range 3 {
		f.sweep(apikeys.SweepParams{WindowsBefore: minute.Window.Start(epoch).Add(59 * time.Second)})
	}
	f.wantUsed("a window that is open", s, epoch, minute, 7)
	if n := f.sweep(apikeys.SweepParams{WindowsBefore: epoch.Add(2 * time.Hour)}); n != 1 {
		f.Fatalf("windows that ended before: got %d removed, want 1", n)
	}
	f.wantUsed("a window that has ended", s, epoch, minute, 0)
	f.wantUsed("a day that goes on", s, epoch, day, 7)
}

// Catches: a writer that is forgotten while it still sends: its last batch counts
// twice.
func sweepWriters(f *fixture) {
	k := f.key(f.organization())
	old, young := f.id(), f.id()
	first, again := batch(young, 7, used(k, 1, epoch)), batch(old, 7, used(k, 1, epoch))
	again.At = epoch.Add(-time.Microsecond)
	f.addUsage(first)
	f.addUsage(again)
	seen := batch(young, 8)
	seen.At = epoch.Add(time.Hour)
	f.addUsage(seen)
	if n := f.sweep(apikeys.SweepParams{WritersBefore: epoch}); n != 1 {
		f.Fatalf("writers last seen before: got %d removed, want 1", n)
	}
	f.addUsage(first)
	f.wantUse("an old batch of a writer that was kept", k.ID, 2, epoch)
	if n := f.sweep(apikeys.SweepParams{WritersBefore: epoch.Add(time.Hour)}); n != 0 {
		f.Fatalf("writers last seen just then: got %d removed, want none", n)
	}
}

// Catches: an empty history: everybody drops everything at each look.
func sweepChanges(f *fixture) {
	k := f.key(f.organization())
	first := f.start()
	for range 5 {
		f.update(k.ID, apikeys.KeyChange{Name: ptr(f.name())})
	}
	last := f.mark()
	f.sweepAll(apikeys.SweepParams{ChangesBefore: epoch.Add(-1000000 * time.Hour)})
	if !f.since(first).Complete {
		f.Fatal("after a sweep of what is long ago: got incomplete, want all")
	}
	if n := f.sweepAll(apikeys.SweepParams{ChangesBefore: far}); n == 0 {
		f.Fatal("a sweep of changes: got none removed, want all but the newest")
	}
	if set := f.since(last); !set.Complete || len(set.Changes) != 0 || set.Mark != last {
		f.Fatalf("the newest change: got complete %t and %d changes, want true and none", set.Complete, len(set.Changes))
	}
	if set := f.since(first); set.Complete || set.Mark != last {
		f.Fatalf("a mark that was swept: got complete %t, want false", set.Complete)
	}
	f.update(k.ID, apikeys.KeyChange{Name: ptr(f.name())})
	f.wantChanges(last, staleKeys(k)...)
}

// history is what was changed after each mark.
type history struct {
	marks []apikeys.ChangeMark
	after map[apikeys.ChangeMark][]apikeys.KeyRecord
}

// note enters a change of keys.
func (h *history) note(mark apikeys.ChangeMark, changed ...apikeys.KeyRecord) {
	for _, m := range h.marks {
		h.after[m] = append(h.after[m], changed...)
	}
	h.marks = append(h.marks, mark)
}

// uneven makes changes at times that do not follow the revisions, as clocks that
// differ do, and one revision of many changes.
func (f *fixture) uneven() history {
	f.Helper()
	o := f.organization()
	keys, single := f.keys(6, o), f.key(o)
	h := history{after: map[apikeys.ChangeMark][]apikeys.KeyRecord{}}
	rename := func(hours int, k apikeys.KeyRecord) {
		m := f.mutationAt("key.update", epoch.Add(time.Duration(hours)*time.Hour))
		_, err := f.store.UpdateKey(f.Context(), m, keyRef(k.ID), apikeys.KeyChange{Name: ptr(f.name())})
		f.must(err)
		h.note(f.mark(), k)
	}
	rename(10, single)
	m := f.mutationAt("key.revoke", epoch.Add(time.Hour)) // by a clock that is behind
	_, err := f.store.RevokeKeys(f.Context(), m, apikeys.KeyQuery{Before: single.ID, Limit: 100}, "over")
	f.must(err)
	h.note(f.mark(), keys...)
	for i, hours := range []int{9, 2, 3, 1} {
		rename(hours, keys[i])
	}
	return h
}

// Catches: rows removed by time, or by any order but that of revisions: clocks
// differ, one revision has many rows, and a chunk may end between two of them. What
// is left looks whole, and is not.
func sweepHidesNothing(f *fixture) {
	h := f.uneven()
	for _, before := range []time.Time{epoch.Add(4 * time.Hour), far} {
		for swept := 1; swept > 0; {
			swept = f.sweep(apikeys.SweepParams{ChangesBefore: before, Limit: 1})
			for i, mark := range h.marks {
				set := f.since(mark)
				missing := slices.ContainsFunc(h.after[mark], func(k apikeys.KeyRecord) bool { return !covered(set, k) })
				if set.Complete && missing {
					f.Fatalf("from mark %d after a sweep: got changes that look complete and leave one out", i)
				}
			}
		}
	}
	if set := f.since(h.marks[len(h.marks)-1]); !set.Complete {
		f.Fatal("the newest mark after all sweeps: got incomplete, want complete")
	}
}

// Catches: one statement that removes millions and holds up everybody.
func sweepBounded(f *fixture) {
	k := f.key(f.organization())
	var deltas []apikeys.UsageDelta
	var leases []apikeys.LeaseRequest
	for i := range 7 {
		deltas = append(deltas, used(k, 1, epoch.Add(time.Duration(i)*time.Hour)))
		leases = append(leases, lease(f.subject(), epoch, 1, apikeys.PerMinute(10)))
		f.addUsage(batch(f.id(), 1))
		f.update(k.ID, apikeys.KeyChange{Name: ptr(f.name())})
	}
	f.addUsage(batch(f.id(), 1, deltas...))
	f.take(leases...)
	events := len(f.events(apikeys.EventQuery{}))
	all := apikeys.SweepParams{Limit: 3, WindowsBefore: far, ChangesBefore: far, EventsBefore: far, UsageBefore: far, WritersBefore: far}
	first := f.sweep(all)
	if first > 15 || first < 1 {
		f.Fatalf("one sweep of at most 3 of 5 kinds: got %d removed, want 1 to 15", first)
	}
	if got, hours := len(f.events(apikeys.EventQuery{})), len(f.usage(k.ID)); got < events-3 || hours < 4 {
		f.Fatalf("one sweep of at most 3: got %d of %d events and %d of 7 hours left", got, events, hours)
	}
	f.sweepAll(all)
	if got, hours := len(f.events(apikeys.EventQuery{})), len(f.usage(k.ID)); got != 0 || hours != 0 {
		f.Fatalf("after all sweeps: got %d events and %d hours left, want none", got, hours)
	}
	f.wantUse("after all sweeps", k.ID, 7, deltas[6].LastAt)
}
