package usage_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apikeys-platform/apikeys/internal/usage"
)

func TestBackgroundFlushesEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		start := time.Now()
		r := newRecorder(t, s.everySecond())
		c := r.Counter(keyOf(1), 1)
		c.Accept(time.Now())
		time.Sleep(2500 * time.Millisecond) // nothing to send at 2s
		c.Accept(time.Now())
		c.Accept(time.Now())
		time.Sleep(time.Second)
		if diff := cmp.Diff([]time.Duration{time.Second, 3 * time.Second}, s.sentAfter(start)); diff != "" {
			t.Errorf("times of the sends (-want +got):\n%s", diff)
		}
		equal(t, "uses", s.total(usage.Accepted), 3)
		for _, b := range s.batches() {
			equal(t, "relaxed", b.Relaxed, true)
		}
		got := r.Stats()
		want := usage.Stats{Batches: 2, Uses: 3, LastApplied: start.Add(3 * time.Second)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stats (-want +got):\n%s", diff)
		}
	})
}

func TestBackgroundBacksOffAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		start := time.Now()
		s.fault = inTurn(refused, lostSend, lostReply, refused, panics, lostSend)
		var told []error
		opts := s.everySecond()
		opts.OnError = func(err error) { told = append(told, err); panic("a bad logger") }
		r := newRecorder(t, opts)
		c := r.Counter(keyOf(1), 1)
		c.Accept(time.Now())
		time.Sleep(1500 * time.Millisecond)
		c.Accept(time.Now()) // goes behind the first
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		var seconds []float64
		for _, d := range s.sentAfter(start) {
			seconds = append(seconds, d.Seconds())
		}
		if diff := cmp.Diff([]float64{1, 3, 7, 15, 31, 61, 91, 91}, seconds); diff != "" {
			t.Errorf("seconds of the sends (-want +got):\n%s", diff)
		}
		equal(t, "uses", s.total(usage.Accepted), 2)
		equal(t, "errors told", len(told), 6)
		for i, unknown := range []bool{false, true, true, false, true, true} {
			equal(t, "unknown", errors.Is(told[i], usage.ErrUnknown), unknown)
		}
		equal(t, "the store's error is kept", errors.Is(told[1], errLost), true)
		equal(t, "a panic's value is not told", strings.Contains(told[4].Error(), "secret"), false)
		equal(t, "failures", r.Stats().Failures, 6)
		// Refused at first, the batch got a new number; after that it was in doubt.
		var seqs []int64
		for _, b := range s.batches() {
			seqs = append(seqs, b.Seq)
		}
		if diff := cmp.Diff([]int64{1, 2, 2, 2, 2, 2, 2, 3}, seqs); diff != "" {
			t.Errorf("numbers (-want +got):\n%s", diff)
		}
	})
}

func TestSendIsBoundedByTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.fault = inTurn(hangs)
		opts := s.options()
		opts.Timeout = 300 * time.Millisecond
		r := newRecorder(t, opts)
		r.Counter(keyOf(1), 1).Accept(time.Now())
		start := time.Now()
		err := r.Flush(t.Context())
		equal(t, "unknown", errors.Is(err, usage.ErrUnknown), true)
		equal(t, "deadline", errors.Is(err, context.DeadlineExceeded), true)
		equal(t, "duration", time.Since(start), 300*time.Millisecond)
		equal(t, "in doubt", r.Stats().InDoubt, true)
		must(t, r.Flush(t.Context()))
		equal(t, "uses", s.total(usage.Accepted), 1)
		equal(t, "in doubt", r.Stats().InDoubt, false)
	})
}

func TestFlushEndsWithItsContextButItsSendDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		opts := s.options()
		opts.Send = func(ctx context.Context, b usage.Batch) error {
			time.Sleep(100 * time.Millisecond)
			equal(t, "error of the send's context", ctx.Err(), nil)
			return s.send(ctx, b)
		}
		r := newRecorder(t, opts)
		r.Counter(keyOf(1), 1).Accept(time.Now())
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		first := make(chan error, 1)
		go func() { first <- r.Flush(ctx) }()
		synctest.Wait()
		equal(t, "waiting for the turn", r.Flush(ctx), context.DeadlineExceeded)
		must(t, <-first) // nothing was left to do after the send
		equal(t, "uses", s.total(usage.Accepted), 1)
	})
}

func TestConcurrentFlushesShareTheirSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.before = func(usage.Batch) { time.Sleep(10 * time.Millisecond) }
		r := newRecorder(t, s.options())
		var ok atomic.Int64
		for i := range 100 {
			go func() {
				r.Counter(keyOf(i), 1).Accept(time.Now())
				if r.Flush(context.Background()) == nil && s.total(usage.Accepted, keyOf(i)) == 1 {
					ok.Add(1)
				}
			}()
		}
		time.Sleep(time.Second)
		equal(t, "flushes after which the store had the use", ok.Load(), 100)
		if n := len(s.batches()); n > 2 {
			t.Errorf("sends: got %d, want at most 2", n)
		}
	})
}

// Uses that come during a flush are for the next one, or it would never end.
func TestFlushEndsBesideConstantUse(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRecorder(t, s.options())
	c := r.Counter(keyOf(1), 1)
	s.after = func(b usage.Batch) {
		if b.Seq < 10 {
			c.Accept(hour10)
		}
	}
	c.Accept(hour10)
	must(t, r.Flush(t.Context()))
	equal(t, "sends", len(s.batches()), 1)
	count, _ := r.Pending(keyOf(1))
	equal(t, "pending", count, 1)
}

func TestLongQueueGoesInBatches(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fault = inTurn(fine, lostReply)
	opts := s.options()
	opts.MaxBatch = 10
	r := newRecorder(t, opts)
	for i := range 35 {
		r.Counter(keyOf(i), 1).Accept(hour10)
	}
	if err := r.Flush(t.Context()); !errors.Is(err, errLost) {
		t.Fatalf("first flush: got %v, want %v", err, errLost)
	}
	r.Counter(keyOf(3), 1).Accept(hour10)
	equal(t, "queued", r.Stats().Queued, 25)
	must(t, r.Flush(t.Context()))
	var sizes []int
	for _, b := range s.batches() {
		sizes = append(sizes, len(b.Deltas))
		equal(t, "relaxed", b.Relaxed, false)
	}
	if diff := cmp.Diff([]int{10, 10, 10, 10, 5, 1}, sizes); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
	equal(t, "uses", s.total(usage.Accepted), 36)
}

// A store too slow for a whole batch still gets on, and back to whole batches.
func TestSlowStoreGetsSmallerBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.fault = func(b usage.Batch) fault {
			if len(b.Deltas) > 100 {
				return refused
			}
			return fine
		}
		opts := s.everySecond()
		opts.MaxBatch = 1000
		r := newRecorder(t, opts)
		accept := func() {
			for i := range 1000 {
				r.Counter(keyOf(i), 1).Accept(time.Now())
			}
		}
		accept()
		time.Sleep(time.Hour)
		equal(t, "uses", s.total(usage.Accepted), 1000)
		s.fault = func(usage.Batch) fault { return fine }
		for range 10 {
			accept()
			must(t, r.Flush(t.Context()))
		}
		equal(t, "uses", s.total(usage.Accepted), 11_000)
		all := s.batches()
		equal(t, "deltas of the last batch", len(all[len(all)-1].Deltas), 1000)
	})
}

// While the store is down, memory is bounded, refused uses go first, and what has
// a place is counted on.
func TestPlacesAreBounded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	opts := s.options()
	opts.MaxPending = 20
	down := atomic.Bool{}
	down.Store(true)
	s.fault = func(usage.Batch) fault {
		if down.Load() {
			return lostSend
		}
		return fine
	}
	r := newRecorder(t, opts)
	counters := make([]*usage.Counter, 30)
	for i := range counters {
		counters[i] = r.Counter(keyOf(i), 1)
		counters[i].Accept(hour10) // taken out by the flush, whose batch stays
		if i == 0 {
			_ = r.Flush(t.Context())
		}
	}
	for i := range counters {
		counters[i].Refuse("revoked_key", hour10)
		counters[i].Accept(hour10)
		counters[i].Accept(hour11) // no place for another hour either
	}
	for range 10_000 {
		counters[1].Accept(hour10) // has a place
	}
	got := r.Stats()
	if got.Pending < 20 || got.Pending > 21 { // a full word moves to a place beside it
		t.Errorf("pending: got %d, want about 20", got.Pending)
	}
	equal(t, "queued", got.Queued, 1)
	equal(t, "dropped, accepted", got.DroppedAccepted, 9+10+30)
	equal(t, "dropped, refused", got.DroppedRefused, 30)
	down.Store(false)
	must(t, r.Flush(t.Context()))
	equal(t, "uses", s.total(usage.Accepted), 30+30+30-49+10_000)
	equal(t, "pending after the flush", r.Stats().Pending, 0)
	counters[29].Accept(hour10)
	must(t, r.Flush(t.Context()))
	equal(t, "uses after the flush", s.total(usage.Accepted, keyOf(29)), 1)
}

func TestRefusedUsesGetHalfOfThePlaces(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fault = inTurn(lostSend)
	opts := s.options()
	opts.MaxPending = 20
	r := newRecorder(t, opts)
	r.Counter(keyOf(100), 1).Accept(hour10)
	_ = r.Flush(t.Context())
	for i := range 15 {
		c := r.Counter(keyOf(i), 1)
		c.Refuse("revoked_key", hour10)
		c.Refuse("revoked_key", hour10)
	}
	equal(t, "pending", r.Stats().Pending, 10)
	equal(t, "dropped, refused", r.Stats().DroppedRefused, 10)
	for i := range 15 {
		r.Counter(keyOf(i), 1).Accept(hour10)
	}
	equal(t, "pending", r.Stats().Pending, 20)
	equal(t, "dropped, accepted", r.Stats().DroppedAccepted, 5)
}

func TestManyPlacesStartAFlushEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		opts := s.options()
		opts.MaxPending = 1000
		r := newRecorder(t, opts)
		for i := range 251 {
			r.Counter(keyOf(i), 1).Accept(time.Now())
		}
		synctest.Wait()
		equal(t, "uses", s.total(usage.Accepted), 251)

		// Not while the store is down.
		s.fault = inTurn(refused)
		for i := range 300 {
			r.Counter(keyOf(i), 1).Accept(time.Now())
		}
		synctest.Wait()
		for i := range 300 {
			r.Counter(keyOf(1000+i), 1).Accept(time.Now())
		}
		synctest.Wait()
		equal(t, "failures", r.Stats().Failures, 1)
		equal(t, "sends", len(s.batches()), 2)
	})
}

func TestPanicInSendIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		opts := s.everySecond()
		var told atomic.Value
		opts.OnError = func(err error) { told.Store(err.Error()) }
		n := 0
		opts.Send = func(ctx context.Context, b usage.Batch) error {
			if n++; n == 1 {
				panic(errors.New("planted"))
			}
			return s.send(ctx, b)
		}
		r := newRecorder(t, opts)
		r.Counter(keyOf(1), 1).Accept(time.Now())
		time.Sleep(time.Minute)
		equal(t, "uses", s.total(usage.Accepted), 1)
		text, _ := told.Load().(string)
		equal(t, "panics are told: "+text, strings.Contains(text, "panicked"), true)
	})
}

func TestCloseFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		r := newRecorder(t, s.everySecond())
		c := r.Counter(keyOf(1), 1)
		c.Accept(time.Now())
		c.Refuse("revoked_key", time.Now())
		must(t, r.Close(t.Context()))
		equal(t, "uses", s.total(usage.Accepted), 1)
		equal(t, "refused", s.total("revoked_key"), 1)
		equal(t, "relaxed", s.batches()[0].Relaxed, false)

		must(t, r.Close(t.Context()))
		c.Accept(time.Now())
		c.Refuse("revoked_key", time.Now())
		equal(t, "Flush", r.Flush(t.Context()), usage.ErrClosed)
		equal(t, "AcceptNow", c.AcceptNow(t.Context(), time.Now()), usage.ErrClosed)
		time.Sleep(time.Minute)
		equal(t, "sends", len(s.batches()), 1)
		got := r.Stats()
		equal(t, "dropped", got.DroppedAccepted+got.DroppedRefused, 2)
		equal(t, "pending", got.Pending, 0)
	})
}

// What was sent relaxed and may have been lost is sent unrelaxed by Close, under
// the same number.
func TestCloseSendsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.fault = inTurn(lostReply)
		r := newRecorder(t, s.everySecond())
		c := r.Counter(keyOf(1), 1)
		c.Accept(time.Now())
		time.Sleep(1500 * time.Millisecond)
		c.Accept(time.Now())
		must(t, r.Close(t.Context()))
		var relaxed []bool
		for _, b := range s.batches() {
			relaxed = append(relaxed, b.Relaxed)
		}
		if !slices.Equal(relaxed, []bool{true, false, false}) {
			t.Errorf("relaxed: got %v", relaxed)
		}
		equal(t, "uses", s.total(usage.Accepted), 2)
	})
}

func TestCloseWithADeadStoreReturnsInTime(t *testing.T) {
	for name, test := range map[string]struct{ idle, bound, want time.Duration }{
		"before the first send": {0, 100 * time.Millisecond, 100 * time.Millisecond},
		"during a send":         {1500 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond},
		"no bound":              {0, time.Hour, 2 * time.Second},
		"no bound, in a send":   {1500 * time.Millisecond, time.Hour, 3500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				s.fault = func(usage.Batch) fault { return hangs }
				r := usage.New(s.everySecond())
				r.Counter(keyOf(1), 1).Accept(time.Now())
				time.Sleep(test.idle)
				ctx, cancel := context.WithTimeout(t.Context(), test.bound)
				defer cancel()
				start := time.Now()
				if err := r.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
				}
				equal(t, "duration", time.Since(start), test.want)
				equal(t, "still queued", r.Stats().Queued, 1)
				// The bubble fails when a goroutine is left.
			})
		})
	}
}

func TestCloseOfAnIdleRecorderSendsNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	must(t, usage.New(s.options()).Close(t.Context()))
	equal(t, "sends", len(s.batches()), 0)
}
