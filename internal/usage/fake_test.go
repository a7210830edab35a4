package usage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys/internal/usage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errRefused = errors.New("the store refuses the batch")
	errLost    = errors.New("the connection died")
)

func isUnknown(err error) bool {
	return errors.Is(err, errLost) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// fault is what happens to one send.
type fault int

const (
	fine      fault = iota
	refused         // not applied, and the sender is told so
	lostSend        // not applied, the sender cannot know
	lostReply       // applied, the sender cannot know
	straggles       // applied later, or never if others were first; the sender cannot know
	hangs           // not applied; answers when the context ends
	panics          // applied
	numFaults
)

type place struct {
	key     [16]byte
	secret  int
	hour    time.Time
	outcome string
}

// fakeStore applies batches once, as the database does, and complains of
// whatever no recorder may do.
type fakeStore struct {
	t     testing.TB
	fault func(b usage.Batch) fault
	// before and after are called outside the lock, if not nil.
	before, after func(b usage.Batch)

	busy  atomic.Int32
	wg    sync.WaitGroup
	mu    sync.Mutex
	last  int64 // Seq of the last batch applied
	sent  map[int64]usage.Batch
	doubt int64 // Seq of the batch whose outcome the sender cannot know
	uses  map[place]int64
	at    map[[16]byte]time.Time
	sends []usage.Batch
	times []time.Time // of the sends
}

func newStore(t testing.TB) *fakeStore {
	s := &fakeStore{
		t:     t,
		fault: func(usage.Batch) fault { return fine },
		sent:  map[int64]usage.Batch{},
		uses:  map[place]int64{},
		at:    map[[16]byte]time.Time{},
	}
	t.Cleanup(s.wg.Wait)
	return s
}

// options are for tests that flush by hand.
func (s *fakeStore) options() usage.Options {
	return usage.Options{
		Interval: time.Hour,
		Send:     s.send,
		Unknown:  isUnknown,
		Outcomes: []string{"quota_exceeded", "revoked_key", usage.Accepted},
	}
}

// everySecond are for tests in a bubble of synctest.
func (s *fakeStore) everySecond() usage.Options {
	opts := s.options()
	opts.Interval = time.Second
	return opts
}

func (s *fakeStore) send(ctx context.Context, b usage.Batch) error {
	if s.busy.Add(1) != 1 {
		s.t.Error("two batches on their way at once")
	}
	defer s.busy.Add(-1)
	s.check(b)
	if s.before != nil {
		s.before(b)
	}
	err := s.answer(ctx, b, s.fault(b))
	if s.after != nil {
		s.after(b)
	}
	s.learnt(b, err)
	return err
}

func (s *fakeStore) answer(ctx context.Context, b usage.Batch, f fault) error {
	switch f {
	case refused:
		return fmt.Errorf("store: %w", errRefused)
	case lostSend:
		return fmt.Errorf("store: %w", errLost)
	case hangs:
		<-ctx.Done()
		return fmt.Errorf("store: %w", ctx.Err())
	case straggles:
		s.wg.Go(func() {
			time.Sleep(700 * time.Millisecond)
			s.apply(b)
		})
		return fmt.Errorf("store: %w", errLost)
	}
	s.apply(b)
	switch f {
	case lostReply:
		return fmt.Errorf("store: %w", errLost)
	case panics:
		s.setDoubt(b)
		panic("something secret")
	}
	return nil
}

// apply is what AddUsage does.
func (s *fakeStore) apply(b usage.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Seq <= s.last {
		return
	}
	s.last = b.Seq
	for _, d := range b.Deltas {
		s.uses[place{d.Key, d.Secret, d.Hour, d.Outcome}] += d.Count
		if d.Outcome == usage.Accepted && d.LastAt.After(s.at[d.Key]) {
			s.at[d.Key] = d.LastAt
		}
	}
}

func (s *fakeStore) check(b usage.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sends = append(s.sends, b)
	s.times = append(s.times, time.Now())
	if s.doubt != 0 && b.Seq != s.doubt {
		s.t.Errorf("batch %d sent while the outcome of %d is unknown", b.Seq, s.doubt)
	}
	if first, ok := s.sent[b.Seq]; ok {
		if !slices.Equal(first.Deltas, b.Deltas) {
			s.t.Errorf("batch %d changed:\n got %v\nwant %v", b.Seq, b.Deltas, first.Deltas)
		}
	} else if len(s.sends) > 1 && b.Seq <= s.sends[len(s.sends)-2].Seq {
		s.t.Errorf("batch %d sent after %d", b.Seq, s.sends[len(s.sends)-2].Seq)
	}
	s.sent[b.Seq] = usage.Batch{Deltas: slices.Clone(b.Deltas)}
	checkDeltas(s.t, b)
}

func checkDeltas(t testing.TB, b usage.Batch) {
	if len(b.Deltas) == 0 {
		t.Errorf("batch %d is empty", b.Seq)
	}
	seen := map[place]bool{}
	for _, d := range b.Deltas {
		p := place{d.Key, d.Secret, d.Hour, d.Outcome}
		if seen[p] {
			t.Errorf("batch %d has %v twice", b.Seq, p)
		}
		seen[p] = true
		if d.Count < 1 || d.LastAt.Before(d.Hour) || !d.LastAt.Before(d.Hour.Add(time.Hour)) {
			t.Errorf("batch %d: count %d, last at %v of hour %v", b.Seq, d.Count, d.LastAt, d.Hour)
		}
	}
}

func (s *fakeStore) setDoubt(b usage.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubt = b.Seq
}

// learnt keeps what the sender may conclude from an answer.
func (s *fakeStore) learnt(b usage.Batch, err error) {
	switch {
	case err != nil && isUnknown(err):
		s.setDoubt(b)
	case err == nil, errors.Is(err, errRefused):
		s.mu.Lock()
		defer s.mu.Unlock()
		s.doubt = 0 // of a queue's batch the recorder is stricter: it sends it again
	}
}

// total sums what the store has of one outcome; with a key, only of that key.
func (s *fakeStore) total(outcome string, keys ...[16]byte) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int64(0)
	for p, count := range s.uses {
		if p.outcome == outcome && (len(keys) == 0 || slices.Contains(keys, p.key)) {
			n += count
		}
	}
	return n
}

func (s *fakeStore) batches() []usage.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sends)
}

// sentAfter returns how long after a time the sends began.
func (s *fakeStore) sentAfter(start time.Time) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var d []time.Duration
	for _, at := range s.times {
		d = append(d, at.Sub(start))
	}
	return d
}

func (s *fakeStore) places() map[place]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := map[place]int64{}
	for p, n := range s.uses {
		got[p] = n
	}
	return got
}

// inTurn returns one fault after the other, and then fine.
func inTurn(faults ...fault) func(usage.Batch) fault {
	var n atomic.Int64
	return func(usage.Batch) fault {
		if i := int(n.Add(1)) - 1; i < len(faults) {
			return faults[i]
		}
		return fine
	}
}

// newRecorder returns a recorder that is closed, without regard to the outcome,
// when the test ends.
func newRecorder(t testing.TB, opts usage.Options) *usage.Recorder {
	r := usage.New(opts)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.Close(ctx)
	})
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
