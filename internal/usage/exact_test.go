package usage_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys/internal/usage"
)

// someFault is fine in four of ten cases, and else anything.
func someFault(usage.Batch) fault {
	return max(0, fault(rand.IntN(int(numFaults)*3/2))-numFaults/2)
}

func doze(limit time.Duration) { time.Sleep(rand.N(limit)) }

// flushUntilDone flushes until the store has everything and no batch straggles.
func flushUntilDone(t testing.TB, s *fakeStore, r *usage.Recorder) {
	for r.Flush(context.Background()) != nil {
		doze(time.Second)
	}
	s.wg.Wait()
	got := r.Stats()
	if got.Pending != 0 || got.Queued != 0 || got.InDoubt {
		t.Errorf("after the last flush: %+v", got)
	}
}

// Whatever happens to the batches, the store never has more uses than were
// counted, and in the end exactly as many.
func TestEveryUseIsAppliedOnce(t *testing.T) {
	const goroutines, steps, keys = 8, 500, 20
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		var begun, refusals atomic.Int64
		s.fault = someFault
		s.before = func(usage.Batch) { doze(50 * time.Millisecond) }
		s.after = func(usage.Batch) {
			if got, most := s.total(usage.Accepted), begun.Load(); got > most {
				t.Errorf("the store has %d uses of %d", got, most)
			}
		}
		opts := s.options()
		opts.Interval = 20 * time.Millisecond
		opts.Timeout = 100 * time.Millisecond
		opts.MaxBatch = 7
		r := newRecorder(t, opts)
		held := make([]*usage.Counter, keys)
		for i := range held {
			held[i] = r.Counter(keyOf(i), 1)
		}
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range steps {
					i := rand.IntN(keys)
					c := held[i]
					if rand.IntN(2) == 0 {
						c = r.Counter(keyOf(i), 1)
					}
					for range rand.IntN(50) {
						begun.Add(1)
						c.Accept(time.Now())
					}
					c.Refuse("revoked_key", time.Now())
					refusals.Add(1)
					doze(100 * time.Millisecond)
					if rand.IntN(20) == 0 {
						_ = r.Flush(t.Context())
					}
				}
			})
		}
		wg.Wait()
		flushUntilDone(t, s, r)
		equal(t, "uses", s.total(usage.Accepted), begun.Load())
		equal(t, "refused", s.total("revoked_key"), refusals.Load())
		equal(t, "dropped", r.Stats().DroppedAccepted, 0)
		t.Logf("%d batches sent, %d failed", len(s.batches()), r.Stats().Failures)
	})
}

// Of those who waited for it, every use that was confirmed is in the store, no use
// that was denied, and of those with an unknown outcome any.
func TestEveryConfirmedUseIsApplied(t *testing.T) {
	const goroutines, steps = 8, 200
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.fault = someFault
		s.before = func(usage.Batch) { doze(20 * time.Millisecond) }
		opts := s.everySecond()
		opts.Timeout = 50 * time.Millisecond
		r := newRecorder(t, opts)
		var confirmed, denied, unknown [goroutines]int64
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				for range steps {
					ctx, cancel := context.WithTimeout(t.Context(), rand.N(200*time.Millisecond))
					switch err := r.Counter(keyOf(g), 1).AcceptNow(ctx, time.Now()); {
					case err == nil:
						confirmed[g]++
						if got := s.total(usage.Accepted, keyOf(g)); got < confirmed[g] {
							t.Errorf("the store has %d uses of %d confirmed", got, confirmed[g])
						}
					case errors.Is(err, usage.ErrUnknown):
						unknown[g]++
					default:
						denied[g]++
					}
					cancel()
					r.Counter(keyOf(g), 1).Refuse("revoked_key", time.Now())
					doze(30 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		flushUntilDone(t, s, r)
		for g := range goroutines {
			got := s.total(usage.Accepted, keyOf(g))
			if got < confirmed[g] || got > confirmed[g]+unknown[g] {
				t.Errorf("uses: got %d, want %d to %d", got, confirmed[g], confirmed[g]+unknown[g])
			}
		}
		equal(t, "refused", s.total("revoked_key"), goroutines*steps)
		t.Logf("confirmed %v, denied %v, unknown %v", confirmed, denied, unknown)
	})
}

// machine is a recorder and a store driven step by step, beside what should come
// of it.
type machine struct {
	t     testing.TB
	s     *fakeStore
	r     *usage.Recorder
	next  fault
	kept  map[[16]byte]*usage.Counter
	want  map[place]int64 // counted by Accept and Refuse, and confirmed
	maybe map[place]int64 // by AcceptNow, of unknown outcome
	now   time.Time
}

func newMachine(t testing.TB) *machine {
	m := &machine{t: t, s: newStore(t), now: hour10, kept: map[[16]byte]*usage.Counter{}, want: map[place]int64{}, maybe: map[place]int64{}}
	m.s.fault = func(usage.Batch) fault {
		f := m.next
		m.next = fine // one fault for each draw
		return f
	}
	opts := m.s.options()
	opts.MaxBatch = 3
	m.r = usage.New(opts)
	return m
}

// counter is an old one or one of now.
func (m *machine) counter(rt *rapid.T) (*usage.Counter, [16]byte) {
	key := keyOf(rapid.IntRange(0, 4).Draw(rt, "key"))
	if c := m.kept[key]; c != nil && rapid.Bool().Draw(rt, "old") {
		return c, key
	}
	m.kept[key] = m.r.Counter(key, 1)
	return m.kept[key], key
}

func (m *machine) count(rt *rapid.T) {
	c, key := m.counter(rt)
	n := int64(rapid.IntRange(1, 3).Draw(rt, "n"))
	outcome := rapid.SampledFrom([]string{usage.Accepted, "revoked_key"}).Draw(rt, "outcome")
	for range n {
		if outcome == usage.Accepted {
			c.Accept(m.now)
		} else {
			c.Refuse(outcome, m.now)
		}
	}
	m.want[place{key, 1, floorHour(m.now), outcome}] += n
}

func (m *machine) countNow(rt *rapid.T) {
	m.drawFault(rt)
	c, key := m.counter(rt)
	p := place{key, 1, floorHour(m.now), usage.Accepted}
	err := c.AcceptNow(context.Background(), m.now)
	switch {
	case err == nil:
		m.want[p]++
	case errors.Is(err, usage.ErrUnknown):
		m.maybe[p]++
	}
}

func (m *machine) drawFault(rt *rapid.T) {
	m.next = rapid.SampledFrom([]fault{fine, fine, refused, lostSend, lostReply, panics}).Draw(rt, "fault")
}

func (m *machine) flush(rt *rapid.T) {
	m.drawFault(rt)
	_ = m.r.Flush(context.Background())
	m.next = fine
}

func (m *machine) moveClock(rt *rapid.T) {
	m.now = m.now.Add(rapid.SampledFrom([]time.Duration{1, time.Minute, time.Hour, -time.Hour, -1}).Draw(rt, "step") * 1000)
}

// check compares with the bounds that hold at any time.
func (m *machine) check(rt *rapid.T) {
	for p, n := range m.s.places() {
		if n > m.want[p]+m.maybe[p] {
			rt.Fatalf("%v: the store has %d of %d and %d", p, n, m.want[p], m.maybe[p])
		}
	}
	for key := range m.kept {
		sum, _ := read(m.t, m.s, m.r, key, 0, 0)
		least, most := m.bounds(key)
		if sum > most || sum < least && !m.r.Stats().InDoubt {
			rt.Fatalf("key %v: read %d, want %d to %d", key, sum, least, most)
		}
	}
}

func (m *machine) bounds(key [16]byte) (least, most int64) {
	for p, n := range m.want {
		if p.key == key && p.outcome == usage.Accepted {
			least += n
		}
	}
	most = least
	for p, n := range m.maybe {
		if p.key == key {
			most += n
		}
	}
	return least, most
}

// end flushes until all is settled; then nothing may be missing.
func (m *machine) end(rt *rapid.T) {
	m.next = fine
	must(m.t, m.r.Flush(context.Background()))
	must(m.t, m.r.Close(context.Background()))
	got := m.s.places()
	for p, n := range m.want {
		if got[p] < n {
			rt.Fatalf("%v: the store has %d of %d", p, got[p], n)
		}
	}
	m.check(rt)
}

func TestMachine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(t)
		defer func() { _ = m.r.Close(context.Background()) }()
		rt.Repeat(map[string]func(*rapid.T){
			"count":    m.count,
			"countNow": m.countNow,
			"flush":    m.flush,
			"clock":    m.moveClock,
			"":         m.check,
		})
		m.end(rt)
	})
}
