package fleettest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// goroutines is how many of each process use a limit up.
const goroutines = 8

// demanded is what a child of the task "demand" does. Each says when it is ready, waits for the others, and reports a
// tally at the end.
type demanded struct {
	place
	// Uses is how often each goroutine asks, or Lasting for how long: then once every Pace, or else without a pause.
	Uses    int
	Lasting time.Duration
	Pace    time.Duration

	// Key is the text of a key for a client; Exact gives that the exact limiter. Durable makes it ask each time, and
	// write each use with the limits that it charges.
	Key            string
	Exact, Durable bool
	// Subject and Limits are for the exact limiter, or, one by one, for the store.
	Subject  apikeys.Subject
	Limits   []apikeys.RateLimit
	OneByOne bool
	// Ahead is how far the process's clock is ahead of the database's.
	Ahead time.Duration
}

// tally is what became of the uses, by the end of the window that they fell in, in Unix time. A use that falls in
// several is counted by the one that ends first.
type tally struct {
	mu                sync.Mutex
	Accepted, Refused map[int64]int64
	Unavailable       int64
}

func newTally() *tally { return &tally{Accepted: map[int64]int64{}, Refused: map[int64]int64{}} }

func (y *tally) count(accepted bool, windowEnds time.Time) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if accepted {
		y.Accepted[windowEnds.Unix()]++
	} else {
		y.Refused[windowEnds.Unix()]++
	}
}

func (y *tally) unavailable() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.Unavailable++
}

func (y *tally) add(other *tally) {
	y.Unavailable += other.Unavailable
	for window, n := range other.Accepted {
		y.Accepted[window] += n
	}
	for window, n := range other.Refused {
		y.Refused[window] += n
	}
}

func sum(counts map[int64]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// use asks once, and tells when the window ends that it fell in.
type use func(ctx context.Context) (accepted bool, windowEnds time.Time, err error)

// demand is the life of a child.
func demand(ctx context.Context, test *child.Pipe) error {
	var todo demanded
	if err := test.Receive(&todo); err != nil {
		return err
	}
	s, err := todo.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	return todo.withUse(ctx, skewed{s, todo.Ahead}, func(once use) error {
		if err := test.Send("ready"); err != nil {
			return err
		}
		if err := test.Receive(new(string)); err != nil {
			return err
		}
		counted, err := todo.useUp(ctx, once)
		return errors.Join(err, test.Send(counted))
	})
}

// withUse lends the use that the child is for.
func (todo demanded) withUse(ctx context.Context, s stores.Store, do func(use) error) error {
	switch {
	case todo.Key != "":
		config := apikeys.Config{}
		if todo.Exact {
			config.RateLimiter = apikeys.NewExactLimiter(s)
		}
		if todo.Durable {
			config.RevocationDelay, config.UsageFlushInterval = -1, -1
		}
		return withClient(ctx, s, config, func(client *apikeys.Client) error { return do(keyUse(client, todo.Key, todo.Ahead)) })
	case todo.OneByOne:
		return do(storeUse(s, todo.Subject, todo.Limits))
	}
	return do(exactUse(apikeys.NewExactLimiter(s), todo.Subject, todo.Limits))
}

// useUp asks with all goroutines at once.
func (todo demanded) useUp(ctx context.Context, once use) (*tally, error) {
	counted, errs := newTally(), make([]error, goroutines)
	began := time.Now()
	var running sync.WaitGroup
	for g := range goroutines {
		running.Go(func() {
			next := began.Add(rand.N(max(todo.Pace, 1)))
			for n := 0; n < todo.Uses || time.Since(began) < todo.Lasting; n++ {
				time.Sleep(time.Until(next)) // how much is demanded
				next = next.Add(todo.Pace)
				accepted, windowEnds, err := once(ctx)
				if todo.Lasting > 0 && errors.Is(err, apikeys.ErrUnavailable) {
					counted.unavailable() // the machine is slower than windows of a second: each lease came too late
					continue
				}
				if err != nil {
					errs[g] = err
					return
				}
				counted.count(accepted, windowEnds)
			}
		})
	}
	running.Wait()
	return counted, errors.Join(errs...)
}

// keyUse validates a key.
func keyUse(client *apikeys.Client, key string, ahead time.Duration) use {
	return func(ctx context.Context) (bool, time.Time, error) {
		v, err := client.Validate(ctx, key, apikeys.ValidateParams{})
		if quota := (*apikeys.QuotaError)(nil); errors.As(err, &quota) {
			return false, quota.ResetAt.Add(ahead), nil
		}
		if err != nil {
			return false, time.Time{}, err
		}
		first := slices.MinFunc(v.Limits(), func(a, b apikeys.LimitState) int { return a.ResetAt.Compare(b.ResetAt) })
		return true, first.ResetAt.Add(ahead), nil
	}
}

// skewed is a store, for a process whose clock is ahead of the database's: seen from there, the database's is as far
// behind, and so are its windows. It has the patience of newClient's OpTimeout, where the exact limiter has its own.
type skewed struct {
	stores.Store
	ahead time.Duration
}

func (s skewed) TakeLeases(ctx context.Context, requests []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	grants, err := s.Store.TakeLeases(ctx, requests)
	for i := range grants {
		grants[i].Now = grants[i].Now.Add(-s.ahead)
		for j := range grants[i].Parts {
			grants[i].Parts[j].Start = grants[i].Parts[j].Start.Add(-s.ahead)
		}
	}
	return grants, err
}

func (s skewed) ReturnLeases(ctx context.Context, unused []apikeys.LeaseReturn) error {
	back := slices.Clone(unused)
	for i := range back {
		back[i].Start = back[i].Start.Add(s.ahead)
	}
	return s.Store.ReturnLeases(ctx, back)
}

// together lets children do this at once, and adds up what they report. Meanwhile is done while they do it.
func together(t *testing.T, meanwhile func(children []*child.Process), todo ...demanded) *tally {
	t.Helper()
	children := startAll(t, "demand", todo...)
	child.All[string](children) // ready
	tellAll(children, "go")
	if meanwhile != nil {
		meanwhile(children)
	}
	all := newTally()
	for _, counted := range child.All[*tally](children) {
		all.add(counted)
	}
	for _, p := range children {
		if err := p.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// fleet is the same to do for each process.
func fleet(todo demanded) []demanded { return slices.Repeat([]demanded{todo}, processes) }
