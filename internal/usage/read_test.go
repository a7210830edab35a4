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

	"github.com/apikeys-platform/apikeys/internal/usage"
)

// read returns what the store has, and what is to be added. The load takes a
// while before and after it looks.
func read(t testing.TB, s *fakeStore, r *usage.Recorder, key [16]byte, before, after time.Duration) (sum int64, loads int) {
	stored := int64(0)
	count, _, err := r.Read(context.Background(), key, func() error {
		loads++
		time.Sleep(before)
		stored = s.total(usage.Accepted, key)
		time.Sleep(after)
		return nil
	})
	must(t, err)
	return stored + count, loads
}

// One use is counted; the flush begins at 1s, the store has it at 1.1s, and the
// answer comes at 1.2s. Whenever the store is read, the sum is one.
func TestReadIsExactAroundAFlush(t *testing.T) {
	for begin := 900 * time.Millisecond; begin < 1300*time.Millisecond; begin += 10 * time.Millisecond {
		for _, took := range [][2]time.Duration{{0, 0}, {7e6, 8e6}, {50e6, 45e6}, {125e6, 125e6}, {5e6, 250e6}, {250e6, 5e6}} {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				s.before = func(usage.Batch) { time.Sleep(100 * time.Millisecond) }
				s.after = s.before
				opts := s.everySecond()
				opts.MaxBatch = 1
				r := newRecorder(t, opts)
				r.Counter(keyOf(1), 1).Accept(time.Now())
				time.Sleep(begin + time.Microsecond)
				sum, loads := read(t, s, r, keyOf(1), took[0], took[1])
				if sum != 1 || loads > 2 {
					t.Errorf("at %v, taking %v: got %d after %d loads, want 1 after at most 2", begin, took, sum, loads)
				}
			})
		}
	}
}

// While other keys are sent, one load is enough.
func TestReadDoesNotWaitForOtherKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.before = func(usage.Batch) { time.Sleep(100 * time.Millisecond) }
		opts := s.everySecond()
		opts.MaxBatch = 1
		r := newRecorder(t, opts)
		for i := range 5 {
			r.Counter(keyOf(i), 1).Accept(time.Now())
		}
		time.Sleep(950 * time.Millisecond)
		sum, loads := read(t, s, r, keyOf(4), 100*time.Millisecond, 100*time.Millisecond)
		equal(t, "sum beside a flush that begins", sum, 1)
		equal(t, "loads beside a flush that begins", loads, 1)
		// Now the second is on its way, since 50ms.
		r.Counter(keyOf(3), 1).Accept(time.Now())
		start := time.Now()
		for key, want := range map[int]int64{0: 1, 2: 1, 3: 2, 4: 1, 5: 0} {
			sum, loads := read(t, s, r, keyOf(key), 0, 0)
			equal(t, "sum", sum, want)
			equal(t, "loads", loads, 1)
		}
		equal(t, "waited", time.Since(start), 0)
		sum, loads = read(t, s, r, keyOf(1), 0, 0)
		equal(t, "sum", sum, 1)
		equal(t, "loads", loads, 2)
		equal(t, "waited", time.Since(start), 50*time.Millisecond)
	})
}

func TestReadWithABatchInDoubt(t *testing.T) {
	for name, test := range map[string]struct {
		fault fault
		want  int64
	}{
		"applied":                 {lostReply, 2},
		"not applied, too low":    {lostSend, 1},
		"certainly not applied":   {refused, 2},
		"applied by a late store": {straggles, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				s.fault = inTurn(test.fault)
				r := newRecorder(t, s.options())
				c := r.Counter(keyOf(1), 1)
				at := time.Now().Truncate(time.Microsecond).UTC()
				c.Accept(at)
				_ = r.Flush(t.Context())
				c.Accept(at.Add(time.Second))
				sum, loads := read(t, s, r, keyOf(1), 0, 0)
				equal(t, "sum", sum, test.want)
				equal(t, "loads", loads, 1)
				_, last := r.Pending(keyOf(1))
				equal(t, "last", last, at.Add(time.Second))
				must(t, r.Flush(t.Context()))
				sum, _ = read(t, s, r, keyOf(1), 0, 0)
				equal(t, "sum after the flush", sum, 2)
			})
		})
	}
}

func TestReadGivesBackAnErrorOfLoad(t *testing.T) {
	t.Parallel()
	r := newRecorder(t, newStore(t).options())
	r.Counter(keyOf(1), 1).Accept(hour10)
	want := errors.New("unreachable")
	count, last, err := r.Read(t.Context(), keyOf(1), func() error { return want })
	if count != 0 || !last.IsZero() || !errors.Is(err, want) {
		t.Errorf("got %d, %v, %v", count, last, err)
	}
}

func TestReadStopsWaitingWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.fault = func(usage.Batch) fault { return hangs }
		r := newRecorder(t, s.everySecond())
		r.Counter(keyOf(1), 1).Accept(time.Now())
		time.Sleep(1500 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		count, _, err := r.Read(ctx, keyOf(1), func() error { return nil })
		must(t, err)
		equal(t, "count", count, 0)
		equal(t, "waited", time.Since(start), 100*time.Millisecond)
	})
}

// Readers beside writers and flushes of any speed: never more than was counted
// when Read returned, and, as no outcome is unknown, never less than was counted
// when it was called.
func TestReadBesideWritersAndFlushes(t *testing.T) {
	const keys = 7
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.before = func(usage.Batch) { doze(20 * time.Millisecond) }
		s.after = s.before
		s.fault = func(usage.Batch) fault {
			if rand.IntN(5) == 0 {
				return refused
			}
			return fine
		}
		opts := s.options()
		opts.Interval = 300 * time.Millisecond
		opts.MaxBatch = 2
		r := newRecorder(t, opts)
		var begun, done [keys]atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 400 {
					i := rand.IntN(keys)
					begun[i].Add(1)
					r.Counter(keyOf(i), rand.IntN(2)).Accept(time.Now())
					done[i].Add(1)
					doze(30 * time.Millisecond)
				}
			})
			wg.Go(func() {
				for range 200 {
					i := rand.IntN(keys)
					least := done[i].Load()
					sum, loads := read(t, s, r, keyOf(i), rand.N(10*time.Millisecond), rand.N(10*time.Millisecond))
					if most := begun[i].Load(); sum > most || sum < least && loads < 3 {
						t.Errorf("sum: got %d after %d loads, want %d to %d", sum, loads, least, most)
					}
					doze(30 * time.Millisecond)
				}
			})
		}
		wg.Wait()
	})
}
