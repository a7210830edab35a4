package coalesce_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys/internal/coalesce"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// callLog is a Do that takes a second and answers with the squares. It keeps the
// queries of each call, sorted, in the order in which the calls began.
type callLog struct {
	mu    sync.Mutex
	calls [][]int
	// fails returns the error of a call; nil: none.
	fails func(queries []int) error
}

func (l *callLog) do(ctx context.Context, queries []int) ([]int, error) {
	sorted := slices.Sorted(slices.Values(queries))
	l.mu.Lock()
	l.calls = append(l.calls, sorted)
	l.mu.Unlock()
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l.fails != nil {
		if err := l.fails(sorted); err != nil {
			return nil, err
		}
	}
	answers := make([]int, len(queries))
	for i, q := range queries {
		answers[i] = q * q
	}
	return answers, nil
}

func (l *callLog) all() [][]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

// want compares the calls that were made.
func (l *callLog) want(t *testing.T, calls ...[]int) {
	t.Helper()
	if diff := cmp.Diff(calls, l.all()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// outcome is what a caller got, and when.
type outcome struct {
	answer int
	err    error
	after  time.Duration
}

// asking are callers that run on their own.
type asking struct {
	t     *testing.T
	group *coalesce.Group[int, int]
	wg    sync.WaitGroup
	mu    sync.Mutex
	got   map[string]outcome
}

func newAsking(t *testing.T, opts coalesce.Options[int, int]) *asking {
	return &asking{t: t, group: coalesce.New(opts), got: map[string]outcome{}}
}

// ask begins a caller and lets it come as far as it can.
func (a *asking) ask(ctx context.Context, name string, query int) {
	a.t.Helper()
	begun := time.Now()
	a.wg.Go(func() {
		answer, err := a.group.Do(ctx, query)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got[name] = outcome{answer, err, time.Since(begun)}
	})
	synctest.Wait()
}

func (a *asking) want(name string, want outcome) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	got, ended := a.got[name]
	if !ended {
		a.t.Errorf("%s has not ended", name)
	} else if got.answer != want.answer || !errors.Is(got.err, want.err) || got.after != want.after {
		a.t.Errorf("%s: got %+v, want %+v", name, got, want)
	}
}

// inBubble runs a test with a fake clock.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

func TestACallerAloneMakesItsOwnCall(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{}
		a := newAsking(t, coalesce.Options[int, int]{Do: log.do, Max: 2})
		a.ask(t.Context(), "a", 2)
		a.ask(t.Context(), "b", 3)
		a.wg.Wait()
		a.want("a", outcome{4, nil, time.Second})
		a.want("b", outcome{9, nil, time.Second})
		log.want(t, []int{2}, []int{3})
	})
}

func TestWhoMakesACallGathersThoseAboutToAsk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{}
		group := coalesce.New(coalesce.Options[int, int]{Do: log.do, Max: 1, Gather: true})
		var wg sync.WaitGroup
		const rounds = 200
		for range rounds {
			for i := range 8 { // runnable together
				wg.Go(func() {
					if got, err := group.Do(t.Context(), i); got != i*i || err != nil {
						t.Errorf("got %d, %v, want %d", got, err, i*i)
					}
				})
			}
			wg.Wait()
		}
		// Without gathering, the first makes a call of its own, and the others the next.
		if got := len(log.all()); got > rounds*3/2 {
			t.Errorf("got %d calls for %d times 8 queries that come together, want about one each time", got, rounds)
		}
	})
}

func TestThoseWhoWaitShareACall(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{}
		a := newAsking(t, coalesce.Options[int, int]{Do: log.do, Max: 1})
		a.ask(t.Context(), "first", 1)
		for i := 2; i <= 5; i++ {
			a.ask(t.Context(), fmt.Sprint(i), i)
			a.ask(t.Context(), fmt.Sprint(i, "again"), i) // one query for both
		}
		a.wg.Wait()
		a.want("first", outcome{1, nil, time.Second})
		for i := 2; i <= 5; i++ {
			a.want(fmt.Sprint(i), outcome{i * i, nil, 2 * time.Second})
			a.want(fmt.Sprint(i, "again"), outcome{i * i, nil, 2 * time.Second})
		}
		log.want(t, []int{1}, []int{2, 3, 4, 5})
	})
}

func TestNobodyJoinsACallThatWasSent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{}
		a := newAsking(t, coalesce.Options[int, int]{Do: log.do, Max: 1})
		a.ask(t.Context(), "a", 7)
		a.ask(t.Context(), "b", 7)
		time.Sleep(1500 * time.Millisecond) // b's is under way
		a.ask(t.Context(), "c", 7)
		a.wg.Wait()
		a.want("c", outcome{49, nil, 1500 * time.Millisecond})
		log.want(t, []int{7}, []int{7}, []int{7})
	})
}

func TestABatchIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{}
		a := newAsking(t, coalesce.Options[int, int]{Do: log.do, Max: 1, Batch: 3})
		for i := range 8 {
			a.ask(t.Context(), fmt.Sprint(i), i)
		}
		a.wg.Wait()
		log.want(t, []int{0}, []int{1, 2, 3}, []int{4, 5, 6}, []int{7})
	})
}

// What is left of the queue goes at once, if a further call may be made.
func TestCallsAreAsManyAsMayBe(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{}
		a := newAsking(t, coalesce.Options[int, int]{Do: log.do, Max: 3, Batch: 2})
		for i := range 9 {
			a.ask(t.Context(), fmt.Sprint(i), i)
		}
		a.wg.Wait()
		a.want("8", outcome{64, nil, 2 * time.Second})
		if n := len(log.all()); n != 6 {
			t.Errorf("got %d calls, want 3 and then 3", n)
		}
	})
}

var errLate = errors.New("late")

func TestACallerIsLetGoWhenItsContextEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{}
		a := newAsking(t, coalesce.Options[int, int]{Do: log.do, Max: 1})
		hurried := func(after time.Duration) context.Context {
			ctx, cancel := context.WithTimeoutCause(t.Context(), after, errLate)
			t.Cleanup(cancel)
			return ctx
		}
		a.ask(t.Context(), "first", 1)
		a.ask(hurried(500*time.Millisecond), "in the queue", 2)
		a.ask(hurried(500*time.Millisecond), "in the queue, with another", 3)
		a.ask(t.Context(), "the other", 3)
		a.ask(hurried(1500*time.Millisecond), "in the call", 4)
		a.wg.Wait()
		a.want("in the queue", outcome{0, errLate, 500 * time.Millisecond})
		a.want("in the queue, with another", outcome{0, errLate, 500 * time.Millisecond})
		a.want("in the call", outcome{0, errLate, 1500 * time.Millisecond})
		a.want("the other", outcome{9, nil, 2 * time.Second})
		log.want(t, []int{1}, []int{3, 4})
	})
}

func TestACallerIsLetGoWhenItsPatienceEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{}
		a := newAsking(t, coalesce.Options[int, int]{Do: log.do, Max: 1, Batch: 2, Patience: 1500 * time.Millisecond})
		for range 2 { // the second time with the timers of the first
			a.ask(t.Context(), "first", 1)
			a.ask(t.Context(), "leader", 2)
			a.ask(t.Context(), "in the call", 3)
			a.ask(t.Context(), "in the queue", 4)
			a.wg.Wait()
			a.want("first", outcome{1, nil, time.Second})
			a.want("leader", outcome{4, nil, 2 * time.Second}) // stays for the others
			a.want("in the call", outcome{0, context.DeadlineExceeded, 1500 * time.Millisecond})
			a.want("in the queue", outcome{0, context.DeadlineExceeded, 1500 * time.Millisecond})
		}
		log.want(t, []int{1}, []int{2, 3}, []int{1}, []int{2, 3})
	})
}

// Whoever leads makes the call for the others to its end.
func TestALeaderStaysForTheOthers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{}
		a := newAsking(t, coalesce.Options[int, int]{Do: log.do, Max: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		a.ask(t.Context(), "first", 1)
		a.ask(ctx, "leader", 2)
		a.ask(t.Context(), "other", 3)
		a.wg.Wait()
		a.want("leader", outcome{4, nil, 2 * time.Second})
		a.want("other", outcome{9, nil, 2 * time.Second})
	})
}

func TestACallThatNobodyWaitsForIsCancelled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{}
		a := newAsking(t, coalesce.Options[int, int]{Do: log.do, Max: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		a.ask(t.Context(), "first", 1)
		a.ask(ctx, "leader", 2)
		a.ask(ctx, "other", 3)
		a.wg.Wait()
		a.want("leader", outcome{0, context.Canceled, 1500 * time.Millisecond})
		a.want("other", outcome{0, context.DeadlineExceeded, 1500 * time.Millisecond})
		a.ask(t.Context(), "later", 5)
		a.wg.Wait()
		a.want("later", outcome{25, nil, time.Second})
	})
}

func TestACallForOthersHasItsOwnTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		hang := func(ctx context.Context, queries []int) ([]int, error) {
			if len(queries) == 1 {
				time.Sleep(time.Second)
				return queries, nil
			}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		a := newAsking(t, coalesce.Options[int, int]{
			Do: hang, Max: 1, Timeout: 3 * time.Second, Alone: func(error) bool { return false },
		})
		a.ask(t.Context(), "first", 1)
		a.ask(t.Context(), "a", 2)
		a.ask(t.Context(), "b", 3)
		a.wg.Wait()
		a.want("a", outcome{0, context.DeadlineExceeded, 4 * time.Second})
		a.want("b", outcome{0, context.DeadlineExceeded, 4 * time.Second})
	})
}

func TestACallForOthersMayLastWhileOneOfThemWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow := func(ctx context.Context, queries []int) ([]int, error) {
			select {
			case <-time.After(time.Minute):
				return queries, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		a := newAsking(t, coalesce.Options[int, int]{Do: slow, Max: 1, Gather: true, Timeout: -1})
		patient, end := context.WithTimeout(t.Context(), 2*time.Minute)
		defer end()
		hasty, end := context.WithTimeout(t.Context(), 90*time.Second)
		defer end()
		a.ask(t.Context(), "first", 1) // for a minute
		a.ask(patient, "patient", 2)
		a.ask(hasty, "hasty", 3)
		a.wg.Wait()
		a.want("hasty", outcome{0, context.DeadlineExceeded, 90 * time.Second})
		a.want("patient", outcome{2, nil, 2 * time.Minute})
		hasty, end = context.WithTimeout(t.Context(), time.Second)
		defer end()
		a.ask(hasty, "last", 4)
		a.wg.Wait()
		a.want("last", outcome{0, context.Canceled, time.Second}) // its call was: nobody waited
	})
}

var errBad = errors.New("bad")

func failOn(bad int) func([]int) error {
	return func(queries []int) error {
		if slices.Contains(queries, bad) {
			return errBad
		}
		return nil
	}
}

func TestAfterAnErrorEachIsTriedAloneOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{fails: failOn(3)}
		a := newAsking(t, coalesce.Options[int, int]{Do: log.do, Max: 1})
		for i := 1; i <= 4; i++ {
			a.ask(t.Context(), fmt.Sprint(i), i)
		}
		a.wg.Wait()
		for _, i := range []int{2, 4} {
			if got := a.got[fmt.Sprint(i)]; got.answer != i*i || got.err != nil {
				t.Errorf("%d: got %+v, want its answer", i, got)
			}
		}
		if got := a.got["3"]; !errors.Is(got.err, errBad) {
			t.Errorf("3: got %+v, want its error", got)
		}
		calls := log.all()
		if diff := cmp.Diff([][]int{{1}, {2, 3, 4}}, calls[:2]); diff != "" {
			t.Error(diff)
		}
		slices.SortFunc(calls[2:], slices.Compare)
		if diff := cmp.Diff([][]int{{2}, {3}, {4}}, calls[2:]); diff != "" {
			t.Errorf("after the error (-want +got):\n%s", diff)
		}
	})
}

func TestAnErrorThatConcernsAllIsFinal(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{fails: failOn(3)}
		a := newAsking(t, coalesce.Options[int, int]{
			Do: log.do, Max: 1, Alone: func(err error) bool { return !errors.Is(err, errBad) },
		})
		for i := 1; i <= 4; i++ {
			a.ask(t.Context(), fmt.Sprint(i), i)
		}
		a.wg.Wait()
		a.want("2", outcome{0, errBad, 2 * time.Second})
		log.want(t, []int{1}, []int{2, 3, 4})
	})
}

// A call that panics, or ends its goroutine, takes no place for ever.
func TestACallThatDoesNotReturn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		log := &callLog{fails: func(queries []int) error {
			if slices.Contains(queries, 2) {
				panic("in Do")
			}
			return nil
		}}
		group := coalesce.New(coalesce.Options[int, int]{Do: log.do, Max: 1})
		var wg sync.WaitGroup
		var panics, answers atomic.Int64
		for i := 1; i <= 4; i++ {
			wg.Go(func() {
				defer func() {
					if recover() != nil {
						panics.Add(1)
					}
				}()
				if answer, err := group.Do(t.Context(), i); err == nil && answer == i*i {
					answers.Add(1)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if panics.Load() != 1 || answers.Load() != 3 {
			t.Errorf("got %d panics and %d answers, want 1 and 3", panics.Load(), answers.Load())
		}
		if got, err := group.Do(t.Context(), 5); got != 25 || err != nil {
			t.Errorf("afterwards: got %d, %v, want 25", got, err)
		}
	})
}

func TestTooFewAnswersAreAnError(t *testing.T) {
	t.Parallel()
	group := coalesce.New(coalesce.Options[int, int]{
		Do: func(context.Context, []int) ([]int, error) { return nil, nil },
	})
	if _, err := group.Do(t.Context(), 1); err == nil {
		t.Error("got no error, want one")
	}
}

func TestAContextThatHasEndedAsksNothing(t *testing.T) {
	t.Parallel()
	log := &callLog{}
	group := coalesce.New(coalesce.Options[int, int]{Do: log.do})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errLate)
	if _, err := group.Do(ctx, 1); !errors.Is(err, errLate) {
		t.Errorf("got error %v, want %v", err, errLate)
	}
	log.want(t)
}
