package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func usageTests() []test {
	return []test{
		{"is counted by key and by hour", usageCounted},
		{"of one batch counts once, however often it is sent", usageOnce},
		{"of old batches is dropped", usageOldBatches},
		{"of unknown keys is dropped, not that of others", usageUnknownKeys},
		{"never takes the last use back", usageLastUse},
		{"that was refused is no use", usageRefused},
		{"within a batch adds up", usageAddsUp},
		{"is read by hours, from until before", usageRange},
		{"touches nothing else of a key", usageTouchesNothing},
		{"in any order does not deadlock", usageAnyOrder},
		{"of many keys", usageOfMany},
		{"of a deleted key leaves nothing", usageOfDeleted},
	}
}

func batch(writer uuid.UUID, seq int64, deltas ...apikeys.UsageDelta) apikeys.UsageBatch {
	return apikeys.UsageBatch{Writer: writer, Seq: seq, At: epoch, Deltas: deltas}
}

// used is n accepted uses of a key's first secret, the last one at a time.
func used(k apikeys.KeyRecord, n int64, at time.Time) apikeys.UsageDelta {
	return apikeys.UsageDelta{
		KeyID: k.ID, Secret: 1, Hour: at.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: n, LastAt: at,
	}
}

func (f *fixture) addUsage(b apikeys.UsageBatch) {
	f.Helper()
	f.must(f.store.AddUsage(f.Context(), b))
}

// usage reads the usage of a key, in one order within an hour.
func (f *fixture) usage(id uuid.UUID) []apikeys.UsageDelta {
	f.Helper()
	return f.usageBetween(id, epoch.Add(-1000*time.Hour), epoch.Add(1000*time.Hour))
}

func (f *fixture) usageBetween(id uuid.UUID, from, to time.Time) []apikeys.UsageDelta {
	f.Helper()
	got, err := f.store.KeyUsage(f.Context(), apikeys.UsageQuery{Ref: keyRef(id), From: from, To: to})
	f.must(err)
	if !slices.IsSortedFunc(got, func(a, b apikeys.UsageDelta) int { return a.Hour.Compare(b.Hour) }) {
		f.Fatal("usage: got hours out of order")
	}
	slices.SortStableFunc(got, func(a, b apikeys.UsageDelta) int {
		if c := a.Hour.Compare(b.Hour); c != 0 {
			return c
		}
		if a.Secret != b.Secret {
			return a.Secret - b.Secret
		}
		return slices.Compare([]byte(a.Outcome), []byte(b.Outcome))
	})
	return got
}

func (f *fixture) wantUse(what string, id uuid.UUID, count int64, last time.Time) {
	f.Helper()
	k := f.get(id)
	if k.UseCount != count {
		f.Fatalf("%s: got a use count of %d, want %d", what, k.UseCount, count)
	}
	f.equal(what+": the last use", k.LastUsedAt, last)
}

// Catches: hours, secrets and outcomes mixed up; a list that shows no use.
func usageCounted(f *fixture) {
	o := f.organization()
	k, other := f.key(o), f.key(o)
	f.wantUse("never used", k.ID, 0, time.Time{})
	f.equal("the usage of a key that was never used", f.usage(k.ID), []apikeys.UsageDelta(nil))
	last := epoch.Add(90*time.Minute + time.Microsecond)
	first, later := used(k, 3, epoch), used(k, 1<<40, last)
	second := used(k, 2, epoch)
	second.Secret = 2
	refused := used(k, 7, epoch)
	refused.Outcome = apikeys.CodeQuotaExceeded
	f.addUsage(batch(f.id(), 1, later, first, second, refused, used(other, 1, epoch)))
	f.wantUse("used", k.ID, 1<<40+5, last)
	f.wantUse("another key", other.ID, 1, epoch)
	f.equal("the usage", f.usage(k.ID), []apikeys.UsageDelta{first, refused, second, later})
	list := f.list(apikeys.KeyQuery{ID: k.ID})
	if list[0].UseCount != 1<<40+5 {
		f.Fatalf("the use count in a list: got %d, want %d", list[0].UseCount, int64(1<<40+5))
	}
	f.equal("the last use in a list", list[0].LastUsedAt, last)
	relaxed := batch(f.id(), 1, used(k, 1, last))
	relaxed.Relaxed = true
	f.addUsage(relaxed)
	f.wantUse("a relaxed batch", k.ID, 1<<40+6, last)
}

// Catches: a batch that is sent again after a lost answer and counts twice; a gate
// that is asked before it is locked.
func usageOnce(f *fixture) {
	k := f.key(f.organization())
	writer := f.id()
	want := int64(0)
	for i, times := range []int{1, 2, 50} {
		b := batch(writer, int64(i+1), used(k, 10, epoch), used(k, 1, epoch.Add(time.Hour)))
		f.together(8, func(w int) error {
			for n := w; n < times; n += 8 {
				if err := f.store.AddUsage(f.Context(), b); err != nil {
					return err
				}
			}
			return nil
		})
		want += 11
		f.wantUse("after a batch that was sent many times", k.ID, want, epoch.Add(time.Hour))
	}
	if got := f.usage(k.ID); len(got) != 2 || got[0].Count != 30 || got[1].Count != 3 {
		f.Fatalf("the usage by hour: got %d rows, want 30 and 3", len(got))
	}
}

// Catches: "is it the next one?"; a sequence shared by writers; a sequence that
// goes back.
func usageOldBatches(f *fixture) {
	k := f.key(f.organization())
	a, b := f.id(), f.id()
	want := int64(0)
	for _, tc := range []struct {
		writer uuid.UUID
		seq    int64
		counts bool
	}{
		{a, 5, true}, {a, 4, false}, {a, 5, false}, {a, 1, false}, {a, 9, true}, {a, 6, false}, {a, 9, false},
		{b, 1, true}, {b, 9, true}, {b, 2, false}, {a, 10, true}, {a, 1 << 60, true}, {a, 11, false},
	} {
		f.addUsage(batch(tc.writer, tc.seq, used(k, 1, epoch)))
		if tc.counts {
			want++
		}
		if got := f.get(k.ID).UseCount; got != want {
			f.Fatalf("after batch %d: got a use count of %d, want %d", tc.seq, got, want)
		}
	}
}

// Catches: a foreign key that refuses the batch of everybody else; a batch of
// nothing that can be sent again with something.
func usageUnknownKeys(f *fixture) {
	o := f.organization()
	k, deleted := f.key(o), f.key(o)
	f.deleteKeys(apikeys.KeyQuery{ID: deleted.ID})
	unknown := apikeys.KeyRecord{ID: f.id()}
	writer := f.id()
	f.addUsage(batch(writer, 1, used(unknown, 5, epoch), used(k, 1, epoch), used(deleted, 5, epoch)))
	f.wantUse("a key among unknown ones", k.ID, 1, epoch)
	f.addUsage(batch(writer, 2, used(unknown, 5, epoch)))
	f.addUsage(batch(writer, 2, used(k, 5, epoch)))
	f.addUsage(batch(writer, 3))
	f.wantUse("after a batch of unknown keys only", k.ID, 1, epoch)
}

// Catches: the last write taken for the last use: batches of two processes come in
// any order.
func usageLastUse(f *fixture) {
	k := f.key(f.organization())
	late, early := epoch.Add(25*time.Minute+time.Microsecond), epoch.Add(-time.Second)
	f.addUsage(batch(f.id(), 1, used(k, 1, late)))
	f.addUsage(batch(f.id(), 1, used(k, 1, early)))
	f.wantUse("after an older use", k.ID, 2, late)
	f.equal("the usage by hour", f.usage(k.ID), []apikeys.UsageDelta{used(k, 2, late)})
}

// Catches: attempts counted as uses: somebody who guesses keeps a key alive.
func usageRefused(f *fixture) {
	k := f.key(f.organization())
	var want []apikeys.UsageDelta
	for _, outcome := range []string{apikeys.CodeExpiredKey, apikeys.CodeQuotaExceeded, apikeys.CodeRevokedKey, "ACCEPTED", "accepted "} {
		d := used(k, 3, epoch)
		d.Outcome = outcome
		want = append(want, d)
	}
	f.addUsage(batch(f.id(), 1, want...))
	f.wantUse("after refusals", k.ID, 0, time.Time{})
	want = append(want, used(k, 2, epoch))
	f.addUsage(batch(f.id(), 1, want[len(want)-1]))
	f.wantUse("after refusals and uses", k.ID, 2, epoch)
	slices.SortFunc(want, func(a, b apikeys.UsageDelta) int { return slices.Compare([]byte(a.Outcome), []byte(b.Outcome)) })
	f.equal("the usage by hour", f.usage(k.ID), want)
}

// Catches: one row of each key in a statement: the second delta replaces the first,
// or the statement fails.
func usageAddsUp(f *fixture) {
	k := f.key(f.organization())
	first, last := used(k, 2, epoch), used(k, 3, epoch.Add(time.Second))
	f.addUsage(batch(f.id(), 1, last, first, used(k, 5, epoch.Add(-time.Second)), used(k, 7, epoch.Add(time.Hour))))
	f.wantUse("after a batch with the key four times", k.ID, 17, epoch.Add(time.Hour))
	f.equal("the usage by hour", f.usage(k.ID), []apikeys.UsageDelta{used(k, 10, epoch.Add(time.Second)), used(k, 7, epoch.Add(time.Hour))})
}

// Catches: an end that is included, a beginning that is not; hours of another key.
func usageRange(f *fixture) {
	o := f.organization()
	k, other := f.key(o), f.key(o)
	var want []apikeys.UsageDelta
	for i := range 5 {
		want = append(want, used(k, int64(i+1), epoch.Add(time.Duration(i)*time.Hour)))
		f.addUsage(batch(f.id(), 1, used(other, 100, epoch.Add(time.Duration(i)*time.Hour)), want[i]))
	}
	at := func(i int) time.Time { return want[i].Hour }
	f.equal("from 1 until before 3", f.usageBetween(k.ID, at(1), at(3)), want[1:3])
	f.equal("of one hour", f.usageBetween(k.ID, at(2), at(3)), want[2:3])
	f.equal("of no hour", f.usageBetween(k.ID, at(2), at(2)), []apikeys.UsageDelta(nil))
	f.equal("a microsecond later", f.usageBetween(k.ID, at(1).Add(time.Microsecond), at(3).Add(time.Microsecond)), want[2:4])
	f.equal("all", f.usageBetween(k.ID, at(0), at(4).Add(time.Hour)), want)
	f.equal("before all", f.usageBetween(k.ID, at(0).Add(-9*time.Hour), at(0)), []apikeys.UsageDelta(nil))
}

// Catches: a version or an UpdatedAt that moves with every use.
func usageTouchesNothing(f *fixture) {
	k := f.fullKey()
	f.storeAll(k)
	events := f.events(apikeys.EventQuery{})
	f.addUsage(batch(f.id(), 1, used(k, 5, epoch)))
	want := stored(k)
	want.UseCount, want.LastUsedAt = 5, epoch
	f.equal("the key", f.get(k.ID), want)
	f.equal("its secrets", f.secrets(k.ID), []apikeys.SecretRecord{k.Secret})
	f.equal("the events", f.events(apikeys.EventQuery{}), events)
}

// Catches: rows locked in the order of the batch: 74 deadlocks in one run.
func usageAnyOrder(f *fixture) {
	const writers, each = 8, 6
	keys := f.keys(12, f.organization())
	ids := make([]uuid.UUID, writers)
	for i := range ids {
		ids[i] = f.id()
	}
	f.together(writers, func(w int) error {
		for seq := range each {
			var deltas []apikeys.UsageDelta
			for i := range keys { // 1, 5, 7 and 11 have no divisor in common with 12
				k := keys[(w+seq+i*[]int{1, 5, 7, 11}[w%4])%len(keys)]
				deltas = append(deltas, used(k, 1, epoch))
			}
			if err := f.store.AddUsage(f.Context(), batch(ids[w], int64(seq+1), deltas...)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, k := range keys {
		f.wantUse("after batches in any order", k.ID, writers*each, epoch)
	}
}

// Catches: statements with more parameters than a database takes.
func usageOfMany(f *fixture) {
	keys := f.keys(300, f.organization())
	var deltas []apikeys.UsageDelta
	for i, k := range keys {
		deltas = append(deltas, used(k, int64(i+1), epoch), used(k, 1, epoch.Add(time.Hour)))
	}
	f.addUsage(batch(f.id(), 1, deltas...))
	for _, k := range f.list(apikeys.KeyQuery{}) {
		if want := int64(slices.IndexFunc(keys, func(o apikeys.KeyRecord) bool { return o.ID == k.ID }) + 2); k.UseCount != want {
			f.Fatalf("one of many keys: got a use count of %d, want %d", k.UseCount, want)
		}
	}
}

// Catches: usage that is added after its key was deleted, and stays for ever.
func usageOfDeleted(f *fixture) {
	o := f.organization()
	for range 5 {
		k := f.key(o)
		writer, remove := f.id(), f.mutation("key.delete")
		f.together(2, func(i int) error {
			if i == 0 {
				_, err := f.store.DeleteKeys(f.Context(), remove, apikeys.KeyQuery{ID: k.ID, Limit: 1})
				return err
			}
			return errors.Join(
				f.store.AddUsage(f.Context(), batch(writer, 1, used(k, 1, epoch))),
				f.store.AddUsage(f.Context(), batch(writer, 2, used(k, 1, epoch))))
		})
		_, err := f.store.KeyUsage(f.Context(), apikeys.UsageQuery{Ref: keyRef(k.ID), From: epoch, To: epoch.Add(time.Hour)})
		f.fails(err, apikeys.ErrNotFound)
		faults, err := f.store.CreateKeys(f.Context(), f.mutation("key.create"), []apikeys.KeyRecord{k})
		f.must(err)
		if faults[0] == nil { // a store may well refuse
			f.wantUse("a key under the id of a deleted one", k.ID, 0, time.Time{})
			f.equal("its usage", f.usage(k.ID), []apikeys.UsageDelta(nil))
		}
	}
}
