package leases_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

func TestAloneAdmitsTheWholeLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{0, 1, 2, 7, 8, 9, 63, 64, 65, 1000, 12_345} {
		for _, cost := range []int64{1, 2, 3, 7, 50} {
			t.Run(fmt.Sprintf("limit %d cost %d", limit, cost), func(t *testing.T) {
				t.Parallel()
				clock := &manual{noon}
				store := newFakeStore(clock.now)
				s := injected(t, store, clock).Subject(subjectID(1), []leases.Limit{perDay(limit)})
				want := limit - limit%cost
				if got := drain(t, s, cost, clock.now()); got != want {
					t.Errorf("admitted: got %d, want %d", got, want)
				}
				if got := drain(t, s, 1, clock.now()); got != limit-want {
					t.Errorf("admitted of the rest: got %d, want %d", got, limit-want)
				}
				if store.overdraw != nil {
					t.Error(store.overdraw)
				}
			})
		}
	}
}

func TestStatesCountDown(t *testing.T) {
	t.Parallel()
	clock := &manual{noon.Add(90 * time.Second)}
	store := newFakeStore(clock.now)
	limits := []leases.Limit{perMinute(3), perDay(10)}
	s := injected(t, store, clock).Subject(subjectID(1), limits)

	minute, day := noon.Add(2*time.Minute), noon.Add(12*time.Hour)
	type answer struct {
		Allowed        bool
		Refused        int8
		Minute, Day    int64
		MinEnd, DayEnd time.Time
		Now            time.Time
	}
	for i, want := range []answer{
		{true, -1, 2, 9, minute, day, clock.t},
		{true, -1, 1, 8, minute, day, clock.t},
		{true, -1, 0, 7, minute, day, clock.t},
		{false, 0, 0, 7, minute, day, clock.t},
		{false, 0, 0, 7, minute, day, clock.t},
	} {
		d := charge(t, s, 1, clock.now())
		got := answer{
			d.Allowed, d.Refused, d.States[0].Remaining, d.States[1].Remaining,
			d.States[0].ResetAt(), d.States[1].ResetAt(), d.Now(),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("charge %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestFullWindowIsRefusedFromMemoryUntilItEnds(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string][]leases.Limit{
		"one limit":      {perMinute(5)},
		"several limits": {perSecond(1000), perMinute(5), perDay(1000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &manual{noon}
			store := newFakeStore(clock.now)
			l := injected(t, store, clock)
			s := l.Subject(subjectID(1), limits)
			drain(t, s, 1, clock.now())
			before := store.callCount()
			for range 59 {
				clock.advance(time.Second)
				if charge(t, s, 1, clock.now()).Allowed {
					t.Fatal("a full window admitted")
				}
			}
			if got := store.callCount() - before; got != 0 {
				t.Errorf("calls while the window was full: got %d, want 0", got)
			}
			if got := l.Stats().Refused; got < 59 {
				t.Errorf("Stats.Refused: got %d, want at least 59", got)
			}
			clock.advance(time.Second)
			if !charge(t, s, 1, clock.now()).Allowed {
				t.Error("the next window refused")
			}
		})
	}
}

func TestRefusalNamesTheLimitThatEndsLast(t *testing.T) {
	t.Parallel()
	clock := &manual{noon.Add(30 * time.Second)}
	store := newFakeStore(clock.now)
	s := injected(t, store, clock).Subject(subjectID(1), []leases.Limit{perSecond(2), perMinute(2), perDay(9)})
	drain(t, s, 1, clock.now())
	d := charge(t, s, 1, clock.now())
	if d.Allowed || d.Refused != 1 {
		t.Errorf("got allowed %v, refused %d, want the minute's refusal", d.Allowed, d.Refused)
	}
	if got, want := d.States[1].ResetAt().Sub(d.Now()), 30*time.Second; got != want {
		t.Errorf("time until it passes: got %v, want %v", got, want)
	}
	// A second later the second's window is over and nothing is known of the new one.
	clock.advance(time.Second)
	d = charge(t, s, 1, clock.now())
	want := leases.State{Remaining: 2, Reset: clock.t.Add(time.Second).UnixMicro()}
	if d.Allowed || d.Refused != 1 || d.States[0] != want {
		t.Errorf("got allowed %v, refused %d, %+v, want refusal by 1 and %+v", d.Allowed, d.Refused, d.States[0], want)
	}
}

func TestCostAboveTheLimitIsRefusedAndTakesNothing(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	s := injected(t, store, clock).Subject(subjectID(1), []leases.Limit{perMinute(5), perDay(100)})
	for range 3 {
		d := charge(t, s, 6, clock.now())
		if d.Allowed || d.Refused != 0 || d.States[0].Remaining != 5 {
			t.Errorf("got %+v, want a refusal by the first limit with 5 left", d)
		}
	}
	if got := store.used(subjectID(1), time.Minute); got != 0 {
		t.Errorf("used: got %d, want 0", got)
	}
	if got := drain(t, s, 1, clock.now()); got != 5 {
		t.Errorf("admitted afterwards: got %d, want 5", got)
	}
}

func TestPeekChargesNothing(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	limits := []leases.Limit{perMinute(2), perDay(3)}
	s := injected(t, store, clock).Subject(subjectID(1), limits)
	peek := func() leases.Decision {
		d, err := s.Peek(t.Context(), clock.now())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for want := int64(2); want >= 0; want-- {
		for range 3 {
			d := peek()
			if d.Allowed != (want > 0) || d.States[0].Remaining != want || d.States[1].Remaining != want+1 {
				t.Errorf("got %+v, want %d and %d left", d, want, want+1)
			}
		}
		charge(t, s, 1, clock.now())
	}
	clock.advance(time.Minute)
	charge(t, s, 1, clock.now())
	if d := peek(); d.Allowed || d.Refused != 1 || d.States[0].Remaining != 1 {
		t.Errorf("got %+v, want the day to be full", d)
	}
	if got := store.used(subjectID(1), 24*time.Hour); got != 3 {
		t.Errorf("used of the day: got %d, want 3", got)
	}
}

func TestPeekAsksOncePerWindow(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	store := newFakeStore(clock.now)
	s := injected(t, store, clock).Subject(subjectID(1), []leases.Limit{perMinute(100)})
	for range 10 {
		if _, err := s.Peek(t.Context(), clock.now()); err != nil {
			t.Fatal(err)
		}
	}
	if got := store.callCount(); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
	if got := store.requests[0].Parts[0].Want; got != 0 {
		t.Errorf("Want: got %d, want 0", got)
	}
}

func TestTryNeverWaits(t *testing.T) {
	t.Parallel()
	for _, limits := range [][]leases.Limit{{perDay(1)}, {perHour(1), perDay(1)}} {
		clock := &manual{noon}
		store := newFakeStore(clock.now)
		s := injected(t, store, clock).Subject(subjectID(1), limits)
		var d leases.Decision
		if s.TryInto(1, clock.now(), &d) || store.calls != 0 {
			t.Errorf("%d limits: got a decision without a lease", len(limits))
		}
		charge(t, s, 1, clock.now())
		if !s.TryInto(1, clock.now(), &d) || d.Allowed {
			t.Errorf("%d limits: got %v, want a refusal from memory", len(limits), d.Allowed)
		}
	}
}

func TestInvalidInput(t *testing.T) {
	t.Parallel()
	clock := &manual{noon}
	l := injected(t, newFakeStore(clock.now), clock)
	for name, limits := range map[string][]leases.Limit{
		"negative":     {perSecond(-1)},
		"no span":      {{Max: 1}},
		"odd span":     {{Max: 1, Span: time.Millisecond + 1}},
		"unsorted":     {perMinute(1), perSecond(1)},
		"twice":        {perSecond(1), perSecond(2)},
		"one too many": {{1, time.Millisecond}, perSecond(1), perMinute(1), perHour(1), perDay(1)},
	} {
		if _, err := l.Subject(subjectID(1), limits).Charge(t.Context(), 1, noon); !errors.Is(err, leases.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	for _, n := range []int{1, 2} {
		s := l.Subject(subjectID(1), []leases.Limit{perSecond(1), perDay(1)}[:n])
		if _, err := s.Charge(t.Context(), -1, noon); !errors.Is(err, leases.ErrInvalid) {
			t.Errorf("negative cost, %d limits: got %v, want ErrInvalid", n, err)
		}
	}
	if d, err := l.Subject(subjectID(1), nil).Charge(t.Context(), 1, noon); err != nil || !d.Allowed {
		t.Errorf("no limits: got %v, %v, want yes", d.Allowed, err)
	}
}

func TestChargeAllocatesNothing(t *testing.T) {
	clock := &manual{noon}
	for name, limits := range map[string][]leases.Limit{
		"one limit":      {perDay(1 << 40)},
		"several limits": {perMinute(1 << 40), perDay(1 << 40)},
		"full":           {perDay(1)},
		"several full":   {perMinute(1), perDay(1 << 40)},
	} {
		s := injected(t, newFakeStore(clock.now), clock).Subject(subjectID(1), limits)
		for range 40 {
			charge(t, s, min(limits[0].Max, 1<<20), clock.now())
		}
		ctx := t.Context()
		got := testing.AllocsPerRun(1000, func() {
			if _, err := s.Charge(ctx, 1, noon); err != nil {
				t.Fatal(err)
			}
		})
		if got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
}
