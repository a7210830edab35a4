package storetest

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/apikeys-platform/apikeys"
)

func leaseWindowTests() []test {
	return []test{
		{"begin at the epoch's multiples", windowsAligned},
		{"by the store's own clock", windowsByOwnClock},
		{"of a clock that went back get nothing", windowsGoBack},
		{"far ahead are a mistake", windowsFarAhead},
		{"are decided one by one, or together", windowsTogether},
		{"take back what was not used", returnUnused},
		{"take back only what is theirs", returnOnlyTheirs},
		{"take back while others take", returnAtOnce},
	}
}

// Catches: windows that begin with the first request; a microsecond on the wrong
// side.
func windowsAligned(f *fixture) {
	for _, w := range []apikeys.RateLimitWindow{apikeys.WindowSecond, apikeys.WindowMinute, apikeys.WindowHour, apikeys.WindowDay} {
		s, limit := f.subject(), apikeys.RateLimit{Requests: 5, Window: w}
		start := w.Start(epoch)
		last := start.Add(w.Duration() - time.Microsecond)
		f.wantGrant("at the first instant", lease(s, start, 1, limit), [2]int64{1, 1})
		f.wantGrant("at the last instant", lease(s, last, 1, limit), [2]int64{1, 2})
		f.wantGrant("in between", lease(s, epoch, 1, limit), [2]int64{1, 3})
		f.wantGrant("in the next", lease(s, last.Add(time.Microsecond), 1, limit), [2]int64{1, 1})
	}
}

// Catches: the client's clock, or a clock in local time.
func windowsByOwnClock(f *fixture) {
	s, limit := f.subject(), apikeys.PerDay(10)
	first := f.take(lease(s, time.Time{}, 4, limit))[0]
	if first.Now.IsZero() || first.Now.Location() != time.UTC || first.Parts[0].Granted != 4 {
		f.Fatalf("by the store's own clock: got %d at %v, want 4 at a time in UTC", first.Parts[0].Granted, first.Now)
	}
	f.equal("the window", first.Parts[0].Start, limit.Window.Start(first.Now))
	again := f.take(lease(s, first.Now, 10, limit))[0]
	if again.Parts[0].Granted != 6 {
		f.Fatalf("at the time that the store told: got %d, want the 6 that are left", again.Parts[0].Granted)
	}
	if looked := f.since(apikeys.ChangeMark{}).Now; looked.Sub(first.Now).Abs() > patience {
		f.Fatalf("the clock of Changes and that of TakeLeases: got %v apart, want one clock", looked.Sub(first.Now))
	}
}

// Catches: a window that is opened anew by whoever is behind; a grant of a window
// that is over.
func windowsGoBack(f *fixture) {
	for _, w := range []apikeys.RateLimitWindow{apikeys.WindowSecond, apikeys.WindowDay} {
		s, limit := f.subject(), apikeys.RateLimit{Requests: 10, Window: w}
		next := epoch.Add(w.Duration())
		f.wantGrant("before", lease(s, epoch, 4, limit), [2]int64{4, 4})
		f.wantGrant("in the next window", lease(s, next, 7, limit), [2]int64{7, 7})
		for _, r := range []apikeys.LeaseRequest{
			lease(s, epoch, 1, limit), allOrNothing(lease(s, epoch, 1, limit)), lease(s, epoch, 0, limit),
			lease(s, w.Start(epoch), 1, limit),
		} {
			if got := f.take(r)[0].Parts[0].Granted; got != 0 {
				f.Fatalf("of the window before: got %d, want nothing", got)
			}
		}
		f.wantUsed("the window that the others are in", s, next, limit, 7)
		f.wantGrant("its rest", lease(s, next, 10, limit), [2]int64{3, 10})
	}
}

// Catches: one clock that is a year ahead and locks everybody out for a year.
func windowsFarAhead(f *fixture) {
	limit := apikeys.PerMinute(10)
	for _, ahead := range []time.Duration{2 * time.Minute, 3 * time.Minute, 365 * 24 * time.Hour} {
		s := f.subject()
		f.wantGrant("far ahead", lease(s, epoch.Add(ahead), 9, limit), [2]int64{9, 9})
		f.wantGrant("now", lease(s, epoch, 4, limit), [2]int64{4, 4})
		f.wantGrant("now again", allOrNothing(lease(s, epoch, 6, limit)), [2]int64{6, 10})
		f.wantGrant("now full", lease(s, epoch, 1, limit), [2]int64{0, 10})
	}
	s := f.subject()
	f.wantGrant("long ago", lease(s, epoch.Add(-365*24*time.Hour), 9, limit), [2]int64{9, 9})
	f.wantGrant("now", lease(s, epoch, 10, limit), [2]int64{10, 10})
}

// Catches: one window that is ahead and decides for the other; all or nothing that
// charges the one that is not ahead.
func windowsTogether(f *fixture) {
	s := f.subject()
	second, hour := apikeys.PerSecond(10), apikeys.PerHour(10)
	f.wantGrant("a second ahead", lease(s, epoch.Add(time.Second), 2, second), [2]int64{2, 2})
	refused := f.take(allOrNothing(lease(s, epoch, 1, second, hour)))[0]
	if a, b := refused.Parts[0].Granted, refused.Parts[1].Granted; a != 0 || b != 0 {
		f.Fatalf("all or nothing, one a window behind: got %d and %d, want nothing", a, b)
	}
	f.wantUsed("the hour, after nothing was granted", s, epoch, hour, 0)
	some := f.take(lease(s, epoch, 3, second, hour))[0]
	if a, b := some.Parts[0].Granted, some.Parts[1].Granted; a != 0 || b != 3 {
		f.Fatalf("one by one, one a window behind: got %d and %d, want 0 and 3", a, b)
	}
	f.wantGrant("both in the next second", allOrNothing(lease(s, epoch.Add(time.Second), 7, second, hour)), [2]int64{7, 9}, [2]int64{7, 10})
}

func giveBack(s apikeys.Subject, w apikeys.RateLimitWindow, start time.Time, n int64) apikeys.LeaseReturn {
	return apikeys.LeaseReturn{Subject: s, Window: w, Start: start, Unused: n}
}

func (f *fixture) giveBack(unused ...apikeys.LeaseReturn) {
	f.Helper()
	f.must(f.store.ReturnLeases(f.Context(), unused))
}

// Catches: only the first of several; a return that is not for others to take.
func returnUnused(f *fixture) {
	s, other := f.subject(), f.subject()
	minute, hour := apikeys.PerMinute(10), apikeys.PerHour(10)
	f.take(lease(s, epoch, 8, minute, hour), lease(other, epoch, 8, minute))
	f.giveBack()
	f.giveBack(giveBack(s, apikeys.WindowMinute, apikeys.WindowMinute.Start(epoch), 3),
		giveBack(s, apikeys.WindowHour, apikeys.WindowHour.Start(epoch), 8),
		giveBack(other, apikeys.WindowMinute, apikeys.WindowMinute.Start(epoch), 1))
	f.wantUsed("the minute", s, epoch, minute, 5)
	f.wantUsed("the hour", s, epoch, hour, 0)
	f.wantUsed("the other's minute", other, epoch, minute, 7)
	f.wantGrant("what was given back", lease(s, epoch, 10, minute, hour), [2]int64{5, 10}, [2]int64{10, 10})
}

// Catches: a return into a later window, or below zero: more is admitted than the
// limit.
func returnOnlyTheirs(f *fixture) {
	s, minute := f.subject(), apikeys.PerMinute(10)
	next := epoch.Add(time.Minute)
	start, nextStart := apikeys.WindowMinute.Start(epoch), apikeys.WindowMinute.Start(next)
	f.take(lease(s, epoch, 4, minute))
	for what, r := range map[string]apikeys.LeaseReturn{
		"more than is used":  giveBack(s, apikeys.WindowMinute, start, 5),
		"a later window":     giveBack(s, apikeys.WindowMinute, nextStart, 1),
		"an earlier window":  giveBack(s, apikeys.WindowMinute, start.Add(-time.Minute), 1),
		"another length":     giveBack(s, apikeys.WindowSecond, start, 1),
		"another subject":    giveBack(f.subject(), apikeys.WindowMinute, start, 1),
		"a day of that time": giveBack(s, apikeys.WindowDay, start, 1),
	} {
		f.giveBack(r)
		f.wantUsed("after a return of "+what, s, epoch, minute, 4)
	}
	f.giveBack(giveBack(s, apikeys.WindowMinute, start, 5), giveBack(s, apikeys.WindowMinute, start, 4))
	f.wantUsed("after one that is too much and one that is not", s, epoch, minute, 0)
	f.take(lease(s, next, 4, minute))
	f.giveBack(giveBack(s, apikeys.WindowMinute, start, 4))
	f.wantUsed("the next window, after a late return", s, next, minute, 4)
}

// Catches: "has that much used?" asked before the lock.
func returnAtOnce(f *fixture) {
	const workers, each = 8, 10
	s, limit := f.subject(), apikeys.PerMinute(40)
	start := limit.Window.Start(epoch)
	var held atomic.Int64
	f.together(workers, func(i int) error {
		for range each {
			grants, err := f.store.TakeLeases(f.Context(), []apikeys.LeaseRequest{lease(s, epoch, 7, limit)})
			if err != nil {
				return err
			}
			n := grants[0].Parts[0].Granted
			if now := held.Add(n); now > limit.Requests {
				return fmt.Errorf("held at once: got %d, want at most %d", now, limit.Requests)
			}
			if i%2 == 0 && n > 0 { // these give all of it back
				held.Add(-n)
				if err := f.store.ReturnLeases(f.Context(), []apikeys.LeaseReturn{giveBack(s, limit.Window, start, n)}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	f.wantUsed("after leases and returns at once", s, epoch, limit, held.Load())
}
