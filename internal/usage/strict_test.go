package usage_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys/internal/usage"
)

// callers calls AcceptNow of counters of different keys at once; their errors
// come in any order.
func callers(r *usage.Recorder, first, n int) <-chan error {
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- r.Counter(keyOf(first+i), 1).AcceptNow(context.Background(), time.Now()) }()
	}
	return errs
}

func TestAcceptNowReturnsWhenTheStoreHasIt(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRecorder(t, s.options())
	must(t, r.Counter(keyOf(1), 1).AcceptNow(t.Context(), hour10))
	equal(t, "uses", s.total(usage.Accepted), 1)
	equal(t, "relaxed", s.batches()[0].Relaxed, false)
	count, _ := r.Pending(keyOf(1))
	equal(t, "pending", count, 0)
}

func TestAcceptNowIsSharedByConcurrentCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.before = func(usage.Batch) { time.Sleep(10 * time.Millisecond) }
		r := newRecorder(t, s.options())
		first := callers(r, 0, 1)
		synctest.Wait()
		others := callers(r, 0, 100) // one of the same key
		start := time.Now()
		must(t, <-first)
		for range 100 {
			must(t, <-others)
		}
		equal(t, "sends", len(s.batches()), 2)
		equal(t, "duration", time.Since(start), 20*time.Millisecond)
		equal(t, "uses", s.total(usage.Accepted), 101)
	})
}

// A batch that was definitely refused counts nothing, and its callers are told;
// what others counted stays.
func TestRefusedBatchOfAcceptNowIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.before = func(usage.Batch) { time.Sleep(10 * time.Millisecond) }
		s.fault = inTurn(fine, refused)
		r := newRecorder(t, s.options())
		r.Counter(keyOf(3), 1).Refuse("revoked_key", time.Now())
		first := callers(r, 0, 1)
		synctest.Wait()
		others := callers(r, 1, 5)
		must(t, <-first)
		for range 5 {
			err := <-others
			equal(t, "the store's error", errors.Is(err, errRefused), true)
			equal(t, "unknown", errors.Is(err, usage.ErrUnknown), false)
		}
		must(t, r.Flush(t.Context()))
		must(t, r.Counter(keyOf(1), 1).AcceptNow(t.Context(), time.Now()))
		equal(t, "uses", s.total(usage.Accepted), 2)
		equal(t, "uses of the key", s.total(usage.Accepted, keyOf(1)), 1)
		equal(t, "refused", s.total("revoked_key"), 1)
	})
}

func TestUnknownBatchOfAcceptNowGoesFirst(t *testing.T) {
	for name, lost := range map[string]fault{
		"not applied": lostSend, "applied": lostReply, "panics": panics, "hangs": hangs,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				s.fault = inTurn(lost)
				r := newRecorder(t, s.options())
				err := r.Counter(keyOf(1), 1).AcceptNow(t.Context(), time.Now())
				equal(t, "unknown", errors.Is(err, usage.ErrUnknown), true)
				must(t, r.Counter(keyOf(2), 1).AcceptNow(t.Context(), time.Now()))
				equal(t, "sends", len(s.batches()), 3)
				equal(t, "number sent again", s.batches()[1].Seq, 1)
				equal(t, "uses", s.total(usage.Accepted), 2)
			})
		})
	}
}

// Without further callers, the background sends it.
func TestUnknownBatchOfAcceptNowIsSettledInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.fault = inTurn(lostSend)
		opts := s.options()
		opts.Interval = -1
		r := newRecorder(t, opts)
		_ = r.Counter(keyOf(1), 1).AcceptNow(t.Context(), time.Now())
		time.Sleep(1500 * time.Millisecond)
		equal(t, "uses", s.total(usage.Accepted), 1)
		equal(t, "relaxed", s.batches()[1].Relaxed, false)
	})
}

// While an earlier batch is in doubt nothing may overtake it: callers are told
// that they were not counted.
func TestAcceptNowBehindABatchInDoubt(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fault = inTurn(lostReply, lostSend)
	r := newRecorder(t, s.options())
	r.Counter(keyOf(1), 1).Accept(hour10)
	_ = r.Flush(t.Context())
	err := r.Counter(keyOf(2), 1).AcceptNow(t.Context(), hour10)
	equal(t, "the store's error", errors.Is(err, errLost), true)
	equal(t, "unknown", errors.Is(err, usage.ErrUnknown), false)
	must(t, r.Flush(t.Context()))
	equal(t, "uses", s.total(usage.Accepted), 1)
}

// Its callers were told that the outcome is unknown; a store that then refuses it
// must not block all others for ever.
func TestUnknownBatchOfAcceptNowIsGivenUpWhenRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fault = inTurn(lostSend, refused)
	r := newRecorder(t, s.options())
	_ = r.Counter(keyOf(1), 1).AcceptNow(t.Context(), hour10)
	err := r.Counter(keyOf(2), 1).AcceptNow(t.Context(), hour10)
	equal(t, "refused", errors.Is(err, errRefused), true)
	must(t, r.Counter(keyOf(3), 1).AcceptNow(t.Context(), hour10))
	equal(t, "uses", s.total(usage.Accepted), 1)
	equal(t, "number", s.last, 2)
}

func TestWaitingCallerHonoursItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.before = func(usage.Batch) { time.Sleep(100 * time.Millisecond) }
		r := newRecorder(t, s.options())
		first := callers(r, 1, 1)
		synctest.Wait()

		// Not sent yet: it leaves, and was not counted.
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		stays := callers(r, 3, 1)
		equal(t, "error", r.Counter(keyOf(2), 1).AcceptNow(ctx, time.Now()), context.DeadlineExceeded)

		// On its way: it may come to be counted.
		ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := r.Counter(keyOf(4), 1).AcceptNow(ctx, time.Now())
		if err != nil { // else it led the batch itself, and had to stay
			equal(t, "unknown", errors.Is(err, usage.ErrUnknown), true)
			equal(t, "deadline", errors.Is(err, context.DeadlineExceeded), true)
		}
		must(t, <-first)
		must(t, <-stays)
		equal(t, "uses of the one that left", s.total(usage.Accepted, keyOf(2)), 0)
		equal(t, "uses of the others", s.total(usage.Accepted), 3)

		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		equal(t, "error", r.Counter(keyOf(5), 1).AcceptNow(ctx, time.Now()), context.Canceled)
		equal(t, "sends", len(s.batches()), 2)
	})
}

func TestSendOutlivesTheLeadersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type ctxKey struct{}
		s := newStore(t)
		opts := s.options()
		opts.Timeout = time.Second
		opts.Send = func(ctx context.Context, b usage.Batch) error {
			time.Sleep(100 * time.Millisecond)
			equal(t, "error of the context", ctx.Err(), nil)
			equal(t, "value of the context", ctx.Value(ctxKey{}), any("trace"))
			deadline, _ := ctx.Deadline()
			equal(t, "time left", time.Until(deadline), 900*time.Millisecond)
			return s.send(ctx, b)
		}
		r := newRecorder(t, opts)
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), ctxKey{}, "trace"), 50*time.Millisecond)
		defer cancel()
		must(t, r.Counter(keyOf(1), 1).AcceptNow(ctx, time.Now()))
		equal(t, "uses", s.total(usage.Accepted), 1)
	})
}

// The batch in doubt and their own share one Timeout.
func TestAcceptNowTakesOneTimeoutAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.fault = func(usage.Batch) fault { return hangs }
		r := newRecorder(t, s.options())
		for i := range 3 {
			start := time.Now()
			err := r.Counter(keyOf(1), 1).AcceptNow(t.Context(), start)
			equal(t, "duration", time.Since(start), 2*time.Second)
			equal(t, "unknown", errors.Is(err, usage.ErrUnknown), i == 0)
		}
	})
}

func TestAcceptNowBehindASlowBatchInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		s.fault = inTurn(lostSend)
		s.before = func(usage.Batch) { time.Sleep(3 * time.Second) } // heedless of its context
		r := newRecorder(t, s.options())
		_ = r.Counter(keyOf(1), 1).AcceptNow(t.Context(), time.Now())
		err := r.Counter(keyOf(2), 1).AcceptNow(t.Context(), time.Now())
		equal(t, "deadline", errors.Is(err, context.DeadlineExceeded), true)
		equal(t, "unknown", errors.Is(err, usage.ErrUnknown), false)
		equal(t, "sends", len(s.batches()), 2)
		equal(t, "uses", s.total(usage.Accepted), 1)
	})
}

// A send that ends its goroutine, as t.FailNow does, must not look like success
// to those who wait, nor keep the turn.
func TestSendThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		opts := s.options()
		n := 0
		opts.Send = func(ctx context.Context, b usage.Batch) error {
			time.Sleep(10 * time.Millisecond)
			if n++; n == 2 {
				runtime.Goexit()
			}
			return s.send(ctx, b)
		}
		r := newRecorder(t, opts)
		first := callers(r, 1, 1)
		synctest.Wait()
		others := callers(r, 2, 3) // one of them leads, and is never heard of again
		must(t, <-first)
		for range 2 {
			equal(t, "unknown", errors.Is(<-others, usage.ErrUnknown), true)
		}
		must(t, r.Counter(keyOf(5), 1).AcceptNow(t.Context(), time.Now()))
		equal(t, "uses", s.total(usage.Accepted), 5)
	})
}
