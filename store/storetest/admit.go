package storetest

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func admitTests() []test {
	return []test{
		{"charges and counts together", admitTogether},
		{"counts what was granted only", admitGrantedOnly},
		{"of all limits or of none", admitAllOrNothing},
		{"several at once, in order", admitSeveral},
		{"of unknown keys charges and counts nothing", admitUnknownKeys},
		{"of other secrets of a key", admitSecrets},
		{"at once is exact", admitAtOnce},
		{"by the store's clock", admitByOwnClock},
		{"in any order, beside leases, usage, its adding up and deletions, does not deadlock", admitAnyOrder},
	}
}

// admission asks for one use of a key, under a subject of its own.
func admission(k apikeys.KeyRecord, at time.Time, limits ...apikeys.RateLimit) apikeys.Admission {
	var s apikeys.Subject
	copy(s[:], k.ID[:])
	return apikeys.Admission{Lease: allOrNothing(lease(s, at, 1, limits...)), KeyID: k.ID, Secret: 1}
}

func (f *fixture) admit(at time.Time, admissions ...apikeys.Admission) []apikeys.LeaseGrant {
	f.Helper()
	grants, err := f.store.Admit(f.Context(), at, admissions)
	f.must(err)
	if len(grants) != len(admissions) {
		f.Fatalf("got %d grants for %d admissions", len(grants), len(admissions))
	}
	for i, g := range grants {
		if len(g.Parts) != len(admissions[i].Lease.Parts) {
			f.Fatalf("got %d granted parts for %d", len(g.Parts), len(admissions[i].Lease.Parts))
		}
	}
	return grants
}

// Catches: a use of another hour or time than that of the call; a grant that is not what
// TakeLeases grants.
func admitTogether(f *fixture) {
	k, other := f.key(f.organization()), f.key(f.organization())
	limit, at := apikeys.PerMinute(10), epoch.Add(61*time.Minute+time.Microsecond)
	a := admission(k, epoch, limit)
	for i := range int64(3) {
		g := f.admit(at, a)[0]
		f.equal("the time", g.Now, epoch)
		f.equal("the grant", g.Parts, []apikeys.GrantedPart{{Start: epoch.Truncate(time.Minute), Granted: 1, Used: i + 1}})
	}
	f.wantUsed("of the window", a.Lease.Subject, epoch, limit, 3)
	f.wantUse("admitted", k.ID, 3, at)
	f.wantUse("another key", other.ID, 0, time.Time{})
	f.equal("the usage", f.usage(k.ID), []apikeys.UsageDelta{used(k, 3, at)})
	f.admit(epoch, admission(k, epoch.Add(time.Minute), limit))
	f.wantUse("never takes the last use back", k.ID, 4, at)
	if got := f.admit(epoch); len(got) != 0 {
		f.Fatalf("no admissions: got %d grants, want none", len(got))
	}
}

// Catches: refused requests that are counted, or that move the last use.
func admitGrantedOnly(f *fixture) {
	k := f.key(f.organization())
	limit := apikeys.PerMinute(2)
	a := admission(k, epoch, limit)
	for range 3 {
		f.admit(epoch, a)
	}
	f.admit(epoch.Add(time.Hour), a)
	f.wantUsed("of a full window", a.Lease.Subject, epoch, limit, 2)
	f.wantUse("of a full window", k.ID, 2, epoch)
	f.equal("the usage", f.usage(k.ID), []apikeys.UsageDelta{used(k, 2, epoch)})

	some := admission(f.key(f.organization()), epoch, limit)
	some.Lease.AllOrNothing, some.Lease.Parts[0].Want = false, 3
	if g := f.admit(epoch, some)[0]; g.Parts[0].Granted != 2 {
		f.Fatalf("3 of 2: got %d granted, want 2", g.Parts[0].Granted)
	}
	f.wantUse("granted in part", some.KeyID, 0, time.Time{})
	none := admission(f.key(f.organization()), epoch, limit)
	none.Lease.Parts[0].Want = 0
	f.admit(epoch, none, a)
	f.wantUse("of what is free", none.KeyID, 1, epoch)
	f.wantUse("beside what is free", k.ID, 2, epoch)
}

// Catches: a use counted because the first limit had room.
func admitAllOrNothing(f *fixture) {
	k, free := f.key(f.organization()), f.key(f.organization())
	minute, hour := apikeys.PerMinute(5), apikeys.PerHour(2)
	a := admission(k, epoch, minute, hour)
	for range 4 {
		f.admit(epoch, a, admission(free, epoch, minute))
	}
	f.wantUsed("of the minute", a.Lease.Subject, epoch, minute, 2)
	f.wantUsed("of the hour", a.Lease.Subject, epoch, hour, 2)
	f.wantUse("of both limits", k.ID, 2, epoch)
	f.wantUse("beside it", free.ID, 4, epoch)
}

// Catches: copies of a request decided on the same row, or all counted when some of them
// are granted; other requests of a subject that take each other's place.
func admitSeveral(f *fixture) {
	k, other := f.key(f.organization()), f.key(f.organization())
	a := admission(k, epoch, apikeys.PerMinute(5), apikeys.PerDay(100))
	many := []apikeys.Admission{admission(other, epoch, apikeys.PerDay(100))}
	for range 7 {
		many = append(many, a)
	}
	for i, g := range f.admit(epoch, many...)[1:] {
		if want := int64(1); i < 5 && g.Parts[0].Granted != want || i >= 5 && g.Parts[0].Granted != 0 {
			f.Fatalf("copy %d of 7 for 5: got %d granted", i+1, g.Parts[0].Granted)
		}
	}
	f.wantUse("of 7 for 5", k.ID, 5, epoch)
	f.wantUse("beside them", other.ID, 1, epoch)
	two := admission(other, epoch, apikeys.PerDay(100))
	two.Lease.Parts[0].Want = 2
	one := admission(other, epoch, apikeys.PerDay(100))
	f.admit(epoch, one, two, one)
	f.wantUse("requests that differ", other.ID, 4, epoch)
	f.wantUsed("requests that differ", one.Lease.Subject, epoch, apikeys.PerDay(100), 5)
}

// Catches: rows of usage made for keys that are not there.
func admitUnknownKeys(f *fixture) {
	k := f.key(f.organization())
	unknown := apikeys.KeyRecord{ID: f.id()}
	limit := apikeys.PerMinute(10)
	a := admission(unknown, epoch, limit)
	f.admit(epoch, a, admission(k, epoch, limit))
	f.wantUsed("of an unknown key", a.Lease.Subject, epoch, limit, 1)
	f.wantUse("beside an unknown key", k.ID, 1, epoch)
	made := f.newKey(f.organization())
	made.ID = unknown.ID
	f.storeAll(made)
	f.wantUse("a key of that id, made later", made.ID, 0, time.Time{})
	f.equal("its usage", f.usage(made.ID), []apikeys.UsageDelta(nil))
}

// Catches: copies of a request that are for other secrets counted under the first one.
func admitSecrets(f *fixture) {
	k := f.key(f.organization())
	first := admission(k, epoch, apikeys.PerMinute(3))
	second := first
	second.Secret = 2
	f.admit(epoch, first, second, second, first)
	want := []apikeys.UsageDelta{used(k, 1, epoch), used(k, 2, epoch)}
	want[1].Secret = 2
	f.equal("the usage", f.usage(k.ID), want)
	f.wantUse("of two secrets", k.ID, 3, epoch)
}

// Catches: a decision on rows that are not locked; a use without its charge.
func admitAtOnce(f *fixture) {
	const workers, each = 16, 12 // 192 of 100, twice
	o := f.organization()
	keys := []apikeys.KeyRecord{f.key(o), f.key(o)}
	limits := []apikeys.RateLimit{apikeys.PerMinute(100), apikeys.PerHour(1000)}
	var granted [2]atomic.Int64
	f.together(workers, func(i int) error {
		for j := range each {
			admissions := []apikeys.Admission{admission(keys[j%2], epoch, limits...), admission(keys[1-j%2], epoch, limits...)}
			grants, err := f.store.Admit(f.Context(), epoch, admissions)
			if err != nil {
				return err
			}
			for n, g := range grants {
				granted[(j+n)%2].Add(g.Parts[0].Granted)
			}
		}
		return nil
	})
	for n, k := range keys {
		if got := granted[n].Load(); got != 100 {
			f.Fatalf("admitted by both limits: got %d, want 100", got)
		}
		f.wantUse("admitted", k.ID, 100, epoch)
		f.wantUsed("of the hour", admission(k, epoch).Lease.Subject, epoch, limits[1], 100)
	}
}

// Catches: a clock that is read before the locks, or another than the store's.
func admitByOwnClock(f *fixture) {
	k := f.key(f.organization())
	limit := apikeys.PerDay(1000)
	for range 3 {
		g := f.admit(epoch, admission(k, time.Time{}, limit))[0]
		if g.Now.IsZero() || !g.Parts[0].Start.Equal(limit.Window.Start(g.Now)) {
			f.Fatalf("got a window from %v at %v", g.Parts[0].Start, g.Now)
		}
	}
	f.wantUse("by the store's clock", k.ID, 3, epoch)
}

// Catches: rows locked in the order in which they are asked for or noted, windows after
// usage, or notes after it.
func admitAnyOrder(f *fixture) {
	const workers, each, n = 8, 8, 6
	o := f.organization()
	keys := f.keys(n, o)
	doomed := f.keys(workers*each, o)
	limits := []apikeys.RateLimit{apikeys.PerMinute(100_000), apikeys.PerHour(100_000)}
	writers := make([]uuid.UUID, workers)
	for i := range writers {
		writers[i] = f.id()
	}
	f.together(workers, func(w int) error {
		order := rand.New(rand.NewPCG(uint64(w), 2))
		for j := range each {
			var admissions []apikeys.Admission
			var requests []apikeys.LeaseRequest
			var deltas []apikeys.UsageDelta
			gone := doomed[w*each+j]
			for _, i := range order.Perm(n) {
				a := admission(keys[i], epoch, limits[:1+order.IntN(2)]...)
				admissions = append(admissions, a)
				requests = append(requests, a.Lease)
				deltas = append(deltas, used(keys[i], 1, epoch))
			}
			admissions = append(admissions, admission(gone, epoch, limits[0]))
			if _, err := f.store.Admit(f.Context(), epoch, admissions); err != nil {
				return err
			}
			if _, err := f.store.TakeLeases(f.Context(), requests); err != nil {
				return err
			}
			if err := f.store.AddUsage(f.Context(), batch(writers[w], int64(j+1), deltas...)); err != nil {
				return err
			}
			if err := f.store.FoldUsage(f.Context()); err != nil {
				return err
			}
			if _, err := f.store.DeleteKeys(f.Context(), f.mutation("key.delete"), apikeys.KeyQuery{ID: gone.ID, Limit: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, k := range keys {
		f.wantUse("in any order", k.ID, 2*workers*each, epoch)
		f.wantUsed("in any order", admission(k, epoch).Lease.Subject, epoch, limits[0], 2*workers*each)
	}
}
