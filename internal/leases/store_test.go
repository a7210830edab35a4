package leases_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

var errStore = errors.New("store failed")

// fakeStore has the arithmetic of a real one: one row for each subject and span,
// the window it is of, and what was used of it.
type fakeStore struct {
	now func() time.Time
	// before and after run around the arithmetic, without the lock; an error of
	// before is an answer without effect, one of after is an answer that was lost.
	before, after func(context.Context) error

	mu       sync.Mutex
	rows     map[rowKey]*row
	requests []leases.Request
	calls    int
	largest  int // batch
	returned []leases.Unused
	overdraw error // the store's own invariant was broken
	admitted map[windowKey]int64
}

type rowKey struct {
	subject [32]byte
	span    time.Duration
}

type row struct {
	start time.Time
	used  int64
}

type windowKey struct {
	rowKey
	start int64 // Unix, in microseconds
}

func newFakeStore(now func() time.Time) *fakeStore {
	return &fakeStore{now: now, rows: map[rowKey]*row{}, admitted: map[windowKey]int64{}}
}

func (f *fakeStore) options() leases.Options {
	return leases.Options{Take: f.take, Return: f.giveBack}
}

func (f *fakeStore) take(ctx context.Context, requests []leases.Request) ([]leases.Grant, error) {
	if f.before != nil {
		if err := f.before(ctx); err != nil {
			return nil, err
		}
	}
	grants := f.grantAll(requests)
	if f.after != nil {
		if err := f.after(ctx); err != nil {
			return nil, err
		}
	}
	return grants, ctx.Err()
}

func (f *fakeStore) grantAll(requests []leases.Request) []leases.Grant {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	f.largest = max(f.largest, len(requests))
	f.requests = append(f.requests, requests...)
	own := f.now().UTC().Round(0).Truncate(time.Microsecond)
	grants := make([]leases.Grant, len(requests))
	for i, r := range requests {
		at := r.At
		if at.IsZero() {
			at = own
		}
		grants[i].Now = at
		for _, p := range r.Parts {
			grants[i].Parts = append(grants[i].Parts, f.grant(rowKey{r.Subject, p.Limit.Span}, p, at))
		}
	}
	return grants
}

func (f *fakeStore) grant(key rowKey, p leases.Part, at time.Time) leases.Granted {
	start := windowStart(at, p.Limit.Span)
	r := f.rows[key]
	switch {
	case r != nil && r.start.Equal(start.Add(p.Limit.Span)):
		return leases.Granted{Start: start, Used: p.Limit.Max}
	case r == nil || !r.start.Equal(start):
		r = &row{start: start}
	}
	g := min(p.Want, max(0, p.Limit.Max-r.used))
	if g < 0 || p.Want > p.Limit.Max {
		f.overdraw = fmt.Errorf("want %d of %d", p.Want, p.Limit.Max)
	}
	if g > 0 {
		r.used += g
		f.rows[key] = r
	}
	return leases.Granted{Start: start, Granted: g, Used: r.used}
}

func (f *fakeStore) giveBack(_ context.Context, unused []leases.Unused) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range unused {
		if r := f.rows[rowKey{u.Subject, u.Span}]; r != nil && r.start.Equal(u.Start) && r.used >= u.Unused {
			r.used -= u.Unused
		}
	}
	f.returned = append(f.returned, unused...)
	return nil
}

// used is what the store says is used of the window it has a row of.
func (f *fakeStore) used(subject [32]byte, span time.Duration) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.rows[rowKey{subject, span}]; r != nil {
		return r.used
	}
	return 0
}

func (f *fakeStore) callCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// record counts what was admitted, by the window it was charged to.
func (f *fakeStore) record(subject [32]byte, limits []leases.Limit, cost int64, d leases.Decision) {
	if !d.Allowed {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, limit := range limits {
		start := d.States[i].ResetAt().Add(-limit.Span)
		f.admitted[windowKey{rowKey{subject, limit.Span}, start.UnixMicro()}] += cost
	}
}

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkAdmitted fails if more than the limit was charged to any window.
func (f *fakeStore) checkAdmitted(t failer, limits []leases.Limit) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, n := range f.admitted {
		for _, limit := range limits {
			if limit.Span == key.span && n > limit.Max {
				t.Errorf("window of %v at %v: got %d admitted, want at most %d",
					key.span, time.UnixMicro(key.start).UTC(), n, limit.Max)
			}
		}
	}
	if f.overdraw != nil {
		t.Errorf("the store was asked for too much: %v", f.overdraw)
	}
}

func windowStart(t time.Time, span time.Duration) time.Time {
	us, width := t.UnixMicro(), span.Microseconds()
	into := us % width
	if into < 0 {
		into += width
	}
	return time.UnixMicro(us - into).UTC()
}

func subjectID(n int) (id [32]byte) {
	for i := range 8 {
		id[i], id[31-i] = byte(n>>(8*i)), byte(n>>(8*i))
	}
	return id
}

func perSecond(n int64) leases.Limit { return leases.Limit{Max: n, Span: time.Second} }
func perMinute(n int64) leases.Limit { return leases.Limit{Max: n, Span: time.Minute} }
func perHour(n int64) leases.Limit   { return leases.Limit{Max: n, Span: time.Hour} }
func perDay(n int64) leases.Limit    { return leases.Limit{Max: n, Span: 24 * time.Hour} }
