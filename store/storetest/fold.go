package storetest

import (
	"sync/atomic"
	"time"

	"github.com/apikeys-platform/apikeys"
)

func foldTests() []test {
	return []test{
		{"adds every use once", foldOnce},
		{"adds to the hour of the use", foldHours},
		{"adds many calls", foldMany},
		{"comes before what is read", foldBeforeReads},
		{"drops what is of no key any more", foldDeleted},
		{"at once, beside admissions, adds every use once", foldAtOnce},
	}
}

func (f *fixture) fold() {
	f.Helper()
	f.must(f.store.FoldUsage(f.Context()))
}

// uses is how many a key has by what the path of requests is told, which adds up nothing.
func (f *fixture) uses(k apikeys.KeyRecord) int64 {
	f.Helper()
	found, err := f.store.KeysByHash(f.Context(), []apikeys.Hash{k.Secret.Hash})
	f.must(err)
	if len(found) != 1 {
		f.Fatalf("got %d keys for a hash, want 1", len(found))
	}
	return found[0].UseCount
}

// Catches: notes that are added and not forgotten, or forgotten and not added.
func foldOnce(f *fixture) {
	k, other := f.key(f.organization()), f.key(f.organization())
	f.fold()
	limit := apikeys.PerMinute(3)
	for range 5 {
		f.admit(epoch, admission(k, epoch, limit), admission(other, epoch, limit))
	}
	for range 3 {
		f.fold()
		if a, b := f.uses(k), f.uses(other); a != 3 || b != 3 {
			f.Fatalf("got %d and %d uses, want 3 and 3", a, b)
		}
	}
	f.wantUse("added up", k.ID, 3, epoch)
	f.admit(epoch.Add(time.Hour), admission(k, epoch.Add(time.Hour), limit))
	f.fold()
	f.wantUse("added up later", k.ID, 4, epoch.Add(time.Hour))
}

// Catches: the hour of adding up; a last use that goes back.
func foldHours(f *fixture) {
	k := f.key(f.organization())
	limit := apikeys.PerDay(100)
	hour := epoch.Truncate(time.Hour)
	last := hour.Add(2*time.Hour + time.Microsecond)
	for _, at := range []time.Time{last, hour, hour.Add(time.Minute), hour.Add(time.Hour - time.Microsecond)} {
		f.admit(at, admission(k, epoch, limit))
	}
	f.fold()
	f.wantUse("of several hours", k.ID, 4, last)
	f.equal("the usage", f.usage(k.ID), []apikeys.UsageDelta{used(k, 3, hour.Add(time.Hour-time.Microsecond)), used(k, 1, last)})
}

// Catches: an end after the first page of notes, and rows removed that were not read.
func foldMany(f *fixture) {
	const calls, n = 2300, 3 // more than are read at a time
	keys := f.keys(n, f.organization())
	limit := apikeys.PerDay(1 << 40)
	f.together(8, func(w int) error {
		for i := w; i < calls; i += 8 {
			if _, err := f.store.Admit(f.Context(), epoch, []apikeys.Admission{admission(keys[i%n], epoch, limit)}); err != nil {
				return err
			}
		}
		return nil
	})
	f.fold()
	total := int64(0)
	for _, k := range keys {
		total += f.uses(k)
	}
	f.equal("uses of many calls", total, int64(calls))
}

// Catches: counts that lack what was acknowledged before they were read.
func foldBeforeReads(f *fixture) {
	k := f.key(f.organization())
	limit := apikeys.PerDay(100)
	n := int64(0)
	admit := func() int64 {
		f.admit(epoch, admission(k, epoch, limit))
		n++
		return n
	}
	want := admit()
	got, _, err := f.store.GetKey(f.Context(), keyRef(k.ID))
	f.must(err)
	f.equal("GetKey", got.UseCount, want)
	want = admit()
	listed, err := f.store.ListKeys(f.Context(), apikeys.KeyQuery{ID: k.ID, Now: epoch, Limit: 1})
	f.must(err)
	f.equal("ListKeys", listed[0].UseCount, want)
	want = admit()
	f.equal("KeyUsage", f.usage(k.ID), []apikeys.UsageDelta{used(k, want, epoch)})
}

// Catches: rows of usage made for a key that was deleted meanwhile.
func foldDeleted(f *fixture) {
	o := f.organization()
	k, other := f.key(o), f.key(o)
	limit := apikeys.PerDay(100)
	f.admit(epoch, admission(k, epoch, limit), admission(other, epoch, limit))
	_, err := f.store.DeleteKeys(f.Context(), f.mutation("key.delete"), apikeys.KeyQuery{ID: k.ID, Now: epoch, Limit: 1})
	f.must(err)
	f.fold()
	f.equal("uses of the other", f.uses(other), int64(1))
	made := f.newKey(o)
	made.ID = k.ID
	f.storeAll(made)
	f.wantUse("a key of that id, made later", made.ID, 0, time.Time{})
	f.equal("its usage", f.usage(made.ID), []apikeys.UsageDelta(nil))
}

// Catches: a note that two add at once; one that is removed because its number lies
// between those of others.
func foldAtOnce(f *fixture) {
	const workers, each, n = 12, 25, 4
	keys := f.keys(n, f.organization())
	limits := []apikeys.RateLimit{apikeys.PerDay(1 << 40)}
	var admitted [n]atomic.Int64
	f.together(workers, func(w int) error {
		for i := range each {
			k := (w + i) % n
			if w%3 == 0 {
				before := admitted[k].Load()
				got, _, err := f.store.GetKey(f.Context(), keyRef(keys[k].ID))
				if err != nil {
					return err
				}
				if got.UseCount < before {
					f.Errorf("got %d uses, want at least the %d that were acknowledged before", got.UseCount, before)
				}
				continue
			}
			if _, err := f.store.Admit(f.Context(), epoch, []apikeys.Admission{admission(keys[k], epoch, limits...)}); err != nil {
				return err
			}
			admitted[k].Add(1)
		}
		return nil
	})
	for i, k := range keys {
		f.wantUse("added up at once", k.ID, admitted[i].Load(), epoch)
	}
}
