package leases_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

// world is some processes that share a store, each with a clock of its own.
type world struct {
	t         *rapid.T
	store     *fakeStore
	limits    []leases.Limit
	processes []*process
	greatest  int64 // cost
	lossy     bool  // something was lost, so that what is missing has no bound
	real      time.Time
	time      time.Time // the store's
	mode      answerMode
}

type answerMode int

const (
	answers answerMode = iota
	fails
	loses
)

type process struct {
	limiter *leases.Limiter
	subject *leases.Subject
	handle  *leases.Handle // of it
	turns   int
	awake   time.Duration // by its monotonic clock
	skew    int64         // of its wall clock, in seconds
	// sleeps says that its machine is suspended now and then; else its wall clock is
	// set back. Both together, nobody could notice.
	sleeps bool
}

func (w *world) now(p *process) time.Time {
	reading := w.real.Add(p.awake)
	return setWall(reading, w.time.Unix()-reading.Unix()+p.skew)
}

func newWorld(t *rapid.T, processes int) *world {
	w := &world{t: t, greatest: 1, real: time.Now(), time: noon.Add(rapid.Custom(anyTime).Draw(t, "time"))}
	w.store = newFakeStore(func() time.Time { return w.time })
	w.store.before = func(ctx) error { return w.fail(fails) }
	w.store.after = func(ctx) error { return w.fail(loses) }
	spans := []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}
	for i, span := range spans {
		if rapid.Bool().Draw(t, "has limit") || i == 3 && len(w.limits) == 0 {
			w.limits = append(w.limits, leases.Limit{Max: rapid.Int64Range(0, 300).Draw(t, "limit"), Span: span})
		}
	}
	for range processes {
		w.processes = append(w.processes, &process{
			skew:   rapid.Int64Range(-1e8, 1e8).Draw(t, "skew"),
			sleeps: rapid.Bool().Draw(t, "sleeps"),
		})
	}
	for _, p := range w.processes {
		w.boot(p)
	}
	return w
}

func anyTime(t *rapid.T) time.Duration {
	scale := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour}).Draw(t, "scale")
	return time.Duration(rapid.Int64Range(0, 100).Draw(t, "n"))*scale + time.Duration(rapid.Int64Range(0, 999).Draw(t, "us"))*time.Microsecond
}

func (w *world) fail(mode answerMode) error {
	if w.mode == mode {
		return errStore
	}
	return nil
}

func (w *world) boot(p *process) {
	opts := w.store.options()
	opts.Now = func() time.Time { return w.now(p) }
	p.limiter = leases.New(opts)
	p.subject = p.limiter.Subject(subjectID(1), w.limits)
	p.handle = handleOf(p.subject)
}

func (w *world) charge(p *process, cost int64) {
	w.greatest = max(w.greatest, cost)
	charge := p.subject.Charge
	if p.turns++; p.turns%3 > 0 {
		charge = p.handle.Charge
	}
	d, err := charge(context.Background(), cost, w.now(p))
	switch {
	case err != nil:
		if w.mode == answers || !errors.Is(err, errStore) {
			w.t.Fatalf("Charge: %v", err)
		}
		return
	case d.Allowed:
		w.checkTime(d)
	default:
		w.checkRefusal(cost, d)
	}
	w.store.record(subjectID(1), w.limits, cost, d)
}

func (w *world) checkTime(d leases.Decision) {
	for i := range w.limits {
		if !w.time.Before(d.States[i].ResetAt()) {
			w.t.Fatalf("admitted at %v, after the window's end at %v", w.time, d.States[i].ResetAt())
		}
	}
}

func (w *world) checkRefusal(cost int64, d leases.Decision) {
	limit := w.limits[d.Refused]
	if cost > limit.Max {
		return
	}
	start := d.States[d.Refused].ResetAt().Add(-limit.Span)
	admitted := w.store.admitted[windowKey{rowKey{subjectID(1), limit.Span}, start.UnixMicro()}]
	least := limit.Max - strandable(limit, int64(len(w.processes)), cost, w.greatest)
	if !w.lossy && admitted < least {
		w.t.Fatalf("refused %d of %v after %d were admitted, want at least %d", cost, limit, admitted, least)
	}
}

// checkReturned closes all processes and compares what is used with what was
// admitted. A lease ends a little before its window, lest a clock that drifts goes on with
// it: what remains of it then is not given back.
func (w *world) checkReturned() {
	for _, p := range w.processes {
		if err := p.limiter.Close(context.Background()); err != nil {
			w.t.Fatalf("Close: %v", err)
		}
	}
	for _, limit := range w.limits {
		r := w.store.rows[rowKey{subjectID(1), limit.Span}]
		if r == nil || !r.start.Equal(windowStart(w.time, limit.Span)) || w.lossy {
			continue
		}
		want := w.store.admitted[windowKey{rowKey{subjectID(1), limit.Span}, r.start.UnixMicro()}]
		ending := w.time.Add(limit.Span >> 11).After(r.start.Add(limit.Span))
		if r.used < want || r.used > want && !ending {
			w.t.Fatalf("used of %v: got %d, want %d, what was admitted", limit, r.used, want)
		}
	}
}

func TestPropertyLimitHoldsAndLittleIsMissing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, rapid.IntRange(1, 4).Draw(t, "processes"))
		any := rapid.Custom(func(t *rapid.T) *process { return rapid.SampledFrom(w.processes).Draw(t, "process") })
		t.Repeat(map[string]func(*rapid.T){
			"charge": func(t *rapid.T) {
				p, cost := any.Draw(t, "p"), rapid.Int64Range(1, 20).Draw(t, "cost")
				for range rapid.IntRange(1, 50).Draw(t, "times") {
					w.charge(p, cost)
				}
			},
			"peek": func(t *rapid.T) {
				p := any.Draw(t, "p")
				if _, err := p.subject.Peek(context.Background(), w.now(p)); err != nil {
					t.Fatal(err)
				}
			},
			"pass time": func(t *rapid.T) {
				d := anyTime(t)
				w.time = w.time.Add(d)
				for _, p := range w.processes {
					p.awake += d
				}
			},
			"": func(t *rapid.T) { w.store.checkAdmitted(t, w.limits) },
		})
		w.checkReturned()
	})
}

func TestPropertyLimitHoldsThroughFaults(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 3)
		w.lossy = true
		any := rapid.Custom(func(t *rapid.T) *process { return rapid.SampledFrom(w.processes).Draw(t, "process") })
		t.Repeat(map[string]func(*rapid.T){
			"charge": func(t *rapid.T) {
				p, cost := any.Draw(t, "p"), rapid.Int64Range(1, 20).Draw(t, "cost")
				for range rapid.IntRange(1, 50).Draw(t, "times") {
					w.charge(p, cost)
				}
			},
			"pass time, some asleep": func(t *rapid.T) {
				d := anyTime(t)
				w.time = w.time.Add(d)
				for _, p := range w.processes {
					if !p.sleeps || rapid.Bool().Draw(t, "awake") {
						p.awake += d
					}
				}
			},
			"set a clock forward": func(t *rapid.T) { any.Draw(t, "p").skew += rapid.Int64Range(0, 1e8).Draw(t, "s") },
			"set a clock back": func(t *rapid.T) {
				if p := any.Draw(t, "p"); !p.sleeps {
					p.skew -= rapid.Int64Range(0, 1e8).Draw(t, "s")
				}
			},
			"kill": func(t *rapid.T) { w.boot(any.Draw(t, "p")) },
			"close": func(t *rapid.T) {
				p := any.Draw(t, "p")
				if err := p.limiter.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
				w.boot(p)
			},
			"answer": func(t *rapid.T) { w.mode = rapid.SampledFrom([]answerMode{answers, fails, loses}).Draw(t, "mode") },
			"":       func(t *rapid.T) { w.store.checkAdmitted(t, w.limits) },
		})
	})
}
