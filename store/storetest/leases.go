package storetest

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/apikeys-platform/apikeys"
)

func leaseTests() []test {
	return []test{
		{"are granted as far as there is", leaseWhatThereIs},
		{"of all limits or of none", leaseAllOrNothing},
		{"of nothing only look", leaseLooks},
		{"several at once, in order", leaseSeveral},
		{"keep subjects and windows apart", leaseSubjects},
		{"keep what is used when the limit changes", leaseOtherLimit},
		{"at once never exceed the limit", leaseAtOnce},
		{"at once, by the store's clock, never exceed the limit", leaseAtOnceByOwnClock},
		{"of several limits at once are exact", leaseAllOrNothingAtOnce},
		{"in any order do not deadlock", leaseAnyOrder},
	}
}

// lease asks for want of each limit.
func lease(s apikeys.Subject, at time.Time, want int64, limits ...apikeys.RateLimit) apikeys.LeaseRequest {
	r := apikeys.LeaseRequest{Subject: s, At: at}
	for _, limit := range limits {
		r.Parts = append(r.Parts, apikeys.LeasePart{Limit: limit, Want: want})
	}
	return r
}

func allOrNothing(r apikeys.LeaseRequest) apikeys.LeaseRequest {
	r.AllOrNothing = true
	return r
}

func (f *fixture) take(requests ...apikeys.LeaseRequest) []apikeys.LeaseGrant {
	f.Helper()
	grants, err := f.store.TakeLeases(f.Context(), requests)
	f.must(err)
	if len(grants) != len(requests) {
		f.Fatalf("got %d grants for %d requests", len(grants), len(requests))
	}
	for i, g := range grants {
		if len(g.Parts) != len(requests[i].Parts) {
			f.Fatalf("got %d granted parts for %d", len(g.Parts), len(requests[i].Parts))
		}
	}
	return grants
}

// used looks at how much of a window is used.
func (f *fixture) used(s apikeys.Subject, at time.Time, limit apikeys.RateLimit) int64 {
	f.Helper()
	return f.take(lease(s, at, 0, limit))[0].Parts[0].Used
}

func (f *fixture) wantUsed(what string, s apikeys.Subject, at time.Time, limit apikeys.RateLimit, want int64) {
	f.Helper()
	if got := f.used(s, at, limit); got != want {
		f.Fatalf("%s: got %d used of %v, want %d", what, got, limit, want)
	}
}

// wantGrant takes one lease and compares what was granted and is used of each part.
func (f *fixture) wantGrant(what string, r apikeys.LeaseRequest, want ...[2]int64) {
	f.Helper()
	g := f.take(r)[0]
	f.equal(what+": the time", g.Now, r.At)
	for i, w := range want {
		part := apikeys.GrantedPart{Start: r.Parts[i].Limit.Window.Start(r.At), Granted: w[0], Used: w[1]}
		f.equal(fmt.Sprintf("%s: part %d", what, i), g.Parts[i], part)
	}
}

// Catches: more than there is; less than there is; a grant left out of Used.
func leaseWhatThereIs(f *fixture) {
	for _, limit := range []apikeys.RateLimit{apikeys.PerSecond(10), apikeys.PerMinute(10), apikeys.PerHour(10), apikeys.PerDay(10)} {
		s := f.subject()
		f.wantGrant("6 of 10", lease(s, epoch, 6, limit), [2]int64{6, 6})
		f.wantGrant("6 of 4", lease(s, epoch, 6, limit), [2]int64{4, 10})
		f.wantGrant("1 of 0", lease(s, epoch, 1, limit), [2]int64{0, 10})
		f.wantGrant("all of the next", lease(s, epoch.Add(limit.Window.Duration()), 11, limit), [2]int64{10, 10})
	}
	f.wantGrant("of a limit of 0", lease(f.subject(), epoch, 1, apikeys.PerMinute(0)), [2]int64{0, 0})
	huge := apikeys.PerDay(1_000_000_000_000_000)
	f.wantGrant("of a huge limit", lease(f.subject(), epoch, huge.Requests, huge), [2]int64{huge.Requests, huge.Requests})
	f.wantGrant("of several limits", lease(f.subject(), epoch, 5, apikeys.PerSecond(3), apikeys.PerMinute(10), apikeys.PerHour(0)),
		[2]int64{3, 3}, [2]int64{5, 5}, [2]int64{0, 0})
}

// Catches: the first limit charged although the second is full: refused requests
// that use the others up.
func leaseAllOrNothing(f *fixture) {
	s := f.subject()
	second, minute, hour := apikeys.PerSecond(2), apikeys.PerMinute(3), apikeys.PerHour(100)
	take := func(want int64) apikeys.LeaseRequest {
		return allOrNothing(lease(s, epoch, want, second, minute, hour))
	}
	f.wantGrant("the first", take(2), [2]int64{2, 2}, [2]int64{2, 2}, [2]int64{2, 2})
	f.wantGrant("refused by the second", take(1), [2]int64{0, 2}, [2]int64{0, 2}, [2]int64{0, 2})
	next := func(want int64) apikeys.LeaseRequest {
		r := take(want)
		r.At = epoch.Add(time.Second)
		return r
	}
	f.wantGrant("refused by the minute", next(2), [2]int64{0, 0}, [2]int64{0, 2}, [2]int64{0, 2})
	f.wantGrant("what is left", next(1), [2]int64{1, 1}, [2]int64{1, 3}, [2]int64{1, 3})
	f.wantGrant("of nothing", next(0), [2]int64{0, 1}, [2]int64{0, 3}, [2]int64{0, 3})
	one := allOrNothing(lease(f.subject(), epoch, 4, minute))
	f.wantGrant("more than there can be", one, [2]int64{0, 0})
}

// Catches: a look that charges, or that throws a window away.
func leaseLooks(f *fixture) {
	s, limit := f.subject(), apikeys.PerMinute(10)
	for range 3 {
		f.wantGrant("a look at nothing", lease(s, epoch, 0, limit), [2]int64{0, 0})
	}
	f.wantGrant("7 of 10", lease(s, epoch, 7, limit), [2]int64{7, 7})
	for _, r := range []apikeys.LeaseRequest{lease(s, epoch, 0, limit), allOrNothing(lease(s, epoch, 0, limit))} {
		f.wantGrant("a look", r, [2]int64{0, 7})
	}
	f.wantGrant("a look at the next window", lease(s, epoch.Add(time.Minute), 0, limit), [2]int64{0, 0})
	f.wantGrant("the rest", lease(s, epoch.Add(time.Minute), 20, limit), [2]int64{10, 10})
}

// Catches: grants out of order; a batch in which the same row is decided twice on
// what it was before.
func leaseSeveral(f *fixture) {
	if got := f.take(); len(got) != 0 {
		f.Fatalf("no requests: got %d grants, want none", len(got))
	}
	var requests []apikeys.LeaseRequest
	for i := range 40 {
		requests = append(requests, lease(f.subject(), epoch, int64(i), apikeys.PerMinute(20), apikeys.PerHour(int64(i))))
	}
	for i, g := range f.take(requests...) {
		if g.Parts[0].Granted != int64(min(i, 20)) || g.Parts[1].Granted != int64(i) {
			f.Fatalf("request %d of many: got %d and %d, want %d and %d", i, g.Parts[0].Granted, g.Parts[1].Granted, min(i, 20), i)
		}
	}
	s := f.subject()
	six := lease(s, epoch, 6, apikeys.PerMinute(10))
	twice := f.take(six, lease(f.subject(), epoch, 1, apikeys.PerMinute(10)), six)
	if a, b := twice[0].Parts[0].Granted, twice[2].Parts[0].Granted; a+b != 10 || max(a, b) != 6 {
		f.Fatalf("one subject twice: got %d and %d, want 6 and 4", a, b)
	}
	s = f.subject()
	exact := allOrNothing(lease(s, epoch, 6, apikeys.PerMinute(10), apikeys.PerHour(50)))
	twice = f.take(exact, exact)
	if a, b := twice[0].Parts[0].Granted, twice[1].Parts[0].Granted; a+b != 6 || a*b != 0 {
		f.Fatalf("one subject twice, all or nothing: got %d and %d, want 6 once", a, b)
	}
	f.wantUsed("one subject twice, all or nothing", s, epoch, apikeys.PerHour(50), 6)
}

// Catches: subjects compared by a collation, as text, or by a prefix.
func leaseSubjects(f *fixture) {
	limit := apikeys.PerMinute(10)
	var upper, spaces, zeros apikeys.Subject
	for i := range upper {
		upper[i], spaces[i] = 'A', ' '
	}
	subjects := []apikeys.Subject{upper, spaces, zeros}
	for i := range upper {
		for _, b := range []byte{'a', 'B', 0, 0xff} {
			s := upper
			s[i] = b
			subjects = append(subjects, s)
		}
	}
	var requests []apikeys.LeaseRequest
	for _, s := range subjects {
		requests = append(requests, lease(s, epoch, 7, limit))
	}
	for _, g := range f.take(requests...) {
		if g.Parts[0].Used != 7 {
			f.Fatalf("subjects that differ by a byte: got %d used, want 7 by each", g.Parts[0].Used)
		}
	}
	f.wantUsed("another window of the subject", upper, epoch, apikeys.PerSecond(10), 0)
	f.wantUsed("the same window under another limit", upper, epoch, apikeys.PerMinute(1000), 7)
}

// Catches: a limit in the row's key; a lowered limit that lowers what is used, or
// grants less than nothing.
func leaseOtherLimit(f *fixture) {
	s := f.subject()
	f.wantGrant("all of 10", lease(s, epoch, 10, apikeys.PerMinute(10)), [2]int64{10, 10})
	f.wantGrant("of 15", lease(s, epoch, 10, apikeys.PerMinute(15)), [2]int64{5, 15})
	f.wantGrant("of 3", lease(s, epoch, 10, apikeys.PerMinute(3)), [2]int64{0, 15})
	f.wantGrant("a look with 3", lease(s, epoch, 0, apikeys.PerMinute(3)), [2]int64{0, 15})
	f.wantGrant("of 0", allOrNothing(lease(s, epoch, 1, apikeys.PerMinute(0))), [2]int64{0, 15})
	f.wantGrant("of 16", lease(s, epoch, 10, apikeys.PerMinute(16)), [2]int64{1, 16})
}

// Catches: read, decide, write without a lock: more is admitted than the limit.
func leaseAtOnce(f *fixture) {
	const workers, each = 16, 15
	s, limit := f.subject(), apikeys.PerMinute(300)
	var granted atomic.Int64
	f.together(workers, func(i int) error {
		for j := range each { // 480 in all
			grants, err := f.store.TakeLeases(f.Context(), []apikeys.LeaseRequest{lease(s, epoch, int64((i+j)%3+1), limit)})
			if err != nil {
				return err
			}
			granted.Add(grants[0].Parts[0].Granted)
		}
		return nil
	})
	if got := granted.Load(); got != limit.Requests {
		f.Fatalf("granted to many at once: got %d, want %d", got, limit.Requests)
	}
	f.wantUsed("after many at once", s, epoch, limit, limit.Requests)
}

// Catches: windows that are not those of one clock: each window that the grants
// name holds its limit at most.
func leaseAtOnceByOwnClock(f *fixture) {
	const workers, each = 8, 15
	s, limits := f.subject(), []apikeys.RateLimit{apikeys.PerSecond(9), apikeys.PerDay(60)}
	granted := make([]map[time.Time][2]int64, workers)
	f.together(workers, func(i int) error {
		granted[i] = map[time.Time][2]int64{}
		for range each {
			grants, err := f.store.TakeLeases(f.Context(), []apikeys.LeaseRequest{lease(s, time.Time{}, 2, limits...)})
			if err != nil {
				return err
			}
			for p, part := range grants[0].Parts {
				if want := limits[p].Window.Start(grants[0].Now); grants[0].Now.IsZero() || !part.Start.Equal(want) {
					return fmt.Errorf("the window of %v: got one from %v, want from %v", limits[p], part.Start, want)
				}
				sums := granted[i][part.Start]
				sums[p] += part.Granted
				granted[i][part.Start] = sums
			}
		}
		return nil
	})
	sums := map[time.Time][2]int64{}
	for _, g := range granted {
		for start, n := range g {
			sums[start] = [2]int64{sums[start][0] + n[0], sums[start][1] + n[1]}
		}
	}
	for start, n := range sums {
		if n[0] > limits[0].Requests || n[1] > limits[1].Requests {
			f.Fatalf("granted of the windows from %v: got %d and %d, want at most %d and %d",
				start, n[0], n[1], limits[0].Requests, limits[1].Requests)
		}
	}
}

// Catches: limits decided one after the other: a refused request has charged the
// first.
func leaseAllOrNothingAtOnce(f *fixture) {
	const workers, each = 16, 12 // 192 of 100
	s := f.subject()
	minute, hour := apikeys.PerMinute(100), apikeys.PerHour(1000)
	var granted atomic.Int64
	f.together(workers, func(int) error {
		for range each {
			grants, err := f.store.TakeLeases(f.Context(), []apikeys.LeaseRequest{allOrNothing(lease(s, epoch, 1, minute, hour))})
			if err != nil {
				return err
			}
			if a, b := grants[0].Parts[0].Granted, grants[0].Parts[1].Granted; a != b {
				return fmt.Errorf("all or nothing: got %d of the minute and %d of the hour", a, b)
			}
			granted.Add(grants[0].Parts[0].Granted)
		}
		return nil
	})
	if got := granted.Load(); got != minute.Requests {
		f.Fatalf("admitted by both limits: got %d, want %d", got, minute.Requests)
	}
	f.wantUsed("of the minute", s, epoch, minute, minute.Requests)
	f.wantUsed("of the hour: refused requests cost nothing", s, epoch, hour, minute.Requests)
}

// Catches: rows locked in the order in which they are asked for.
func leaseAnyOrder(f *fixture) {
	const workers, each, subjects = 8, 8, 6
	limits := []apikeys.RateLimit{apikeys.PerMinute(1000), apikeys.PerHour(1000)}
	all := make([]apikeys.Subject, subjects)
	for i := range all {
		all[i] = f.subject()
	}
	f.together(workers, func(i int) error {
		order := rand.New(rand.NewPCG(uint64(i), 1))
		for range each {
			var requests []apikeys.LeaseRequest
			for _, n := range order.Perm(subjects) {
				requests = append(requests, lease(all[n], epoch, 1, limits...))
			}
			if _, err := f.store.TakeLeases(f.Context(), requests); err != nil {
				return err
			}
			unused := []apikeys.LeaseReturn{}
			for _, n := range order.Perm(subjects)[:2] {
				unused = append(unused, apikeys.LeaseReturn{Subject: all[n], Window: apikeys.WindowMinute, Start: epoch, Unused: 1})
			}
			if err := f.store.ReturnLeases(f.Context(), unused); err != nil { // of no window: nothing happens
				return err
			}
		}
		return nil
	})
	for _, s := range all {
		f.wantUsed("after leases in any order", s, epoch, limits[0], workers*each)
		f.wantUsed("after leases in any order", s, epoch, limits[1], workers*each)
	}
}
