package usage_test

import (
	"context"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys/internal/usage"
)

var (
	hour10 = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	hour11 = hour10.Add(time.Hour)
)

func TestUsesAreCountedInTheirHour(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRecorder(t, s.options())
	c := r.Counter(keyOf(1), 1)
	c.Accept(hour11.Add(-100 * time.Millisecond))
	c.Accept(hour11.Add(-time.Microsecond))
	c.Accept(hour11)
	c.Accept(hour11.Add(-time.Microsecond)) // a slower goroutine
	c.Accept(hour11.Add(300 * time.Millisecond))
	must(t, r.Flush(t.Context()))
	want := []usage.Delta{
		{Key: keyOf(1), Secret: 1, Hour: hour10, Outcome: usage.Accepted, Count: 3, LastAt: hour11.Add(-time.Microsecond)},
		{Key: keyOf(1), Secret: 1, Hour: hour11, Outcome: usage.Accepted, Count: 2, LastAt: hour11.Add(300 * time.Millisecond)},
	}
	if diff := cmp.Diff(want, s.batches()[0].Deltas); diff != "" {
		t.Errorf("deltas (-want +got):\n%s", diff)
	}
}

func TestOutcomesAreToldApart(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRecorder(t, s.options())
	c := r.Counter(keyOf(1), 2)
	for outcome, n := range map[string]int{"quota_exceeded": 3, "revoked_key": 1, "nonsense": 2, usage.Accepted: 1, "": 1} {
		for range n {
			c.Refuse(outcome, hour10)
		}
	}
	c.Accept(hour10)
	must(t, r.Flush(t.Context()))
	want := map[place]int64{
		{keyOf(1), 2, hour10, "quota_exceeded"}: 3,
		{keyOf(1), 2, hour10, "revoked_key"}:    1,
		{keyOf(1), 2, hour10, usage.Other}:      4,
		{keyOf(1), 2, hour10, usage.Accepted}:   1,
	}
	if diff := cmp.Diff(want, s.places()); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}

// A counter may be held long after the recorder has forgotten it, beside a newer
// one for the same key.
func TestCountersOfOneKeyAreSummed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRecorder(t, s.options())
	old := r.Counter(keyOf(1), 1)
	old.Accept(hour10)
	if r.Counter(keyOf(1), 1) != old {
		t.Error("a counter in use was not found again")
	}
	must(t, r.Flush(t.Context()))
	young, other := r.Counter(keyOf(1), 1), r.Counter(keyOf(1), 2)
	if young == old {
		t.Fatal("the recorder kept an idle counter")
	}
	young.Accept(hour10.Add(2))
	old.Accept(hour10.Add(time.Second))
	old.Accept(hour10)
	other.Accept(hour10)
	count, last := r.Pending(keyOf(1))
	equal(t, "pending", count, 4)
	equal(t, "last at", last, hour10.Add(time.Second))
	must(t, r.Flush(t.Context()))
	want := []usage.Delta{
		{Key: keyOf(1), Secret: 1, Hour: hour10, Outcome: usage.Accepted, Count: 3, LastAt: hour10.Add(time.Second)},
		{Key: keyOf(1), Secret: 2, Hour: hour10, Outcome: usage.Accepted, Count: 1, LastAt: hour10},
	}
	if diff := cmp.Diff(want, s.batches()[1].Deltas); diff != "" {
		t.Errorf("deltas (-want +got):\n%s", diff)
	}
}

func TestIdleCountersAreForgotten(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRecorder(t, s.options())
	counters := make([]weak.Pointer[usage.Counter], 100)
	for i := range counters {
		c := r.Counter(keyOf(i), 1)
		counters[i] = weak.Make(c)
		c.Accept(hour10)
		c.Refuse("revoked_key", hour10)
	}
	runtime.GC()
	if counters[0].Value() == nil {
		t.Error("a counter that holds uses was forgotten")
	}
	must(t, r.Flush(t.Context()))
	runtime.GC()
	for i := range counters {
		if counters[i].Value() != nil {
			t.Fatalf("counter %d is still held", i)
		}
	}
	equal(t, "uses", s.total(usage.Accepted), 100)
	equal(t, "pending", r.Stats().Pending, 0)
}

// Whatever the clock says, forwards or back, every use is in the hour of its own
// time.
func TestAnyTimesAreCounted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := newStore(t)
		r := newRecorder(t, s.options())
		defer func() { must(t, r.Close(context.Background())) }()
		c := r.Counter(keyOf(1), 1)
		want, last := map[place]int64{}, time.Time{}
		times := rapid.OneOf(
			rapid.Int64Range(hour10.UnixMicro()-5, hour10.UnixMicro()+5),
			rapid.Int64Range(hour10.UnixMicro(), hour10.UnixMicro()+4*3600e6),
			rapid.Int64Range(-3*3600e6, 3*3600e6),
			rapid.Int64Range(math.MinInt64/2000, math.MaxInt64/2000),
			rapid.SampledFrom([]int64{0, -1, time.Time{}.UnixMicro(), 1<<20*3600e6 - 1, 1 << 20 * 3600e6, 1<<20*3600e6 + hour10.UnixMicro()}),
		)
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			at := time.UnixMicro(times.Draw(rt, "at")).UTC()
			n := rapid.SampledFrom([]int{1, 2, 3, 4094, 4095, 4096, 9000}).Draw(rt, "n")
			for range n {
				c.Accept(at)
			}
			want[place{keyOf(1), 1, floorHour(at), usage.Accepted}] += int64(n)
			if at.After(last) {
				last = at
			}
			if rapid.IntRange(0, 3).Draw(rt, "flush") == 0 {
				must(t, r.Flush(context.Background()))
			}
		}
		must(t, r.Flush(context.Background()))
		if diff := cmp.Diff(want, s.places()); diff != "" {
			rt.Fatalf("uses (-want +got):\n%s", diff)
		}
		if got := s.at[keyOf(1)]; !got.Equal(last) && last.After(time.Time{}) {
			rt.Fatalf("last at: got %v, want %v", got, last)
		}
	})
}

func floorHour(at time.Time) time.Time {
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), 0, 0, 0, time.UTC)
}

// Goroutines on both sides of an hour, more uses than a word can hold, and
// flushes in between.
func TestNothingIsLostBetweenHoursAndFlushes(t *testing.T) {
	t.Parallel()
	const goroutines, each = 4, 400_000
	s := newStore(t)
	r := newRecorder(t, s.options())
	c := r.Counter(keyOf(1), 1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg, flushes sync.WaitGroup
	flushes.Go(func() {
		for ctx.Err() == nil {
			if err := r.Flush(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				at := hour11.Add(time.Duration(i-each/2+g) * time.Microsecond)
				c.Accept(at)
				if i%4 == 0 {
					c.Refuse("quota_exceeded", at)
				}
			}
		})
	}
	wg.Wait()
	cancel()
	flushes.Wait()
	equal(t, "accepted by the counter", c.Accepted(), goroutines*each)
	must(t, r.Close(t.Context()))
	before := int64(0)
	for g := range goroutines {
		before += int64(each/2 - g)
	}
	want := map[place]int64{
		{keyOf(1), 1, hour10, usage.Accepted}: before,
		{keyOf(1), 1, hour11, usage.Accepted}: goroutines*each - before,
	}
	got := s.places()
	equal(t, "refused", s.total("quota_exceeded"), goroutines*each/4)
	for p := range got {
		if p.outcome != usage.Accepted {
			delete(got, p)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
	equal(t, "last at", s.at[keyOf(1)], hour11.Add((each/2+goroutines-2)*time.Microsecond))
}

func TestAcceptedCountsWhatThisCounterCounted(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRecorder(t, s.options())
	c := r.Counter(keyOf(1), 1)
	for i := range 3 {
		c.Accept(hour10)
		c.Refuse("revoked_key", hour10)
		must(t, c.AcceptNow(t.Context(), hour10))
		equal(t, "before the flush", c.Accepted(), int64(2*i+2))
		must(t, r.Flush(t.Context()))
		equal(t, "after the flush", c.Accepted(), int64(2*i+2))
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	r := newRecorder(t, newStore(t).options())
	c := r.Counter(keyOf(1), 1)
	c.Accept(hour10)
	c.Refuse("revoked_key", hour10)
	// 1,000 fit into a word that was opened just now.
	equal(t, "allocations of Accept", testing.AllocsPerRun(1000, func() { c.Accept(hour10) }), 0)
	equal(t, "allocations of Refuse", testing.AllocsPerRun(1000, func() { c.Refuse("revoked_key", hour10) }), 0)
}

func TestACounterMayBePartOfSomethingElse(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRecorder(t, s.options())
	var holder struct{ counter usage.Counter }
	r.Init(&holder.counter, keyOf(1), 3)
	holder.counter.Accept(hour10)
	holder.counter.Refuse("revoked_key", hour10)
	r.Counter(keyOf(1), 3).Accept(hour10)
	must(t, r.Flush(t.Context()))
	want := map[place]int64{
		{keyOf(1), 3, hour10, usage.Accepted}: 2,
		{keyOf(1), 3, hour10, "revoked_key"}:  1,
	}
	if diff := cmp.Diff(want, s.places()); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}
