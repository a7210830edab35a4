// Package coalesce makes one call of many that wait.
//
// A [Group] is for calls that cost about the same for many queries as for one, such
// as a statement that reads rows by a list of keys. A caller makes its own call while
// fewer than a bound are under way. Otherwise it queues; and whoever ends a call wakes
// one of those who wait, who then makes one call for up to a batch of them. So a caller
// alone pays nothing, and under load the calls become fewer as they become larger.
//
// There is no goroutine: each call runs in that of a caller. The queue is taken just
// before the call, so that an answer is never older than the question: nobody joins
// a call that was sent already.
package coalesce

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrAborted is the outcome of a call that panicked or ended its goroutine, for those
// who waited for it.
var ErrAborted = errors.New("coalesce: the call did not return")

// errCount says that Do broke its word.
var errCount = errors.New("coalesce: another number of answers than of queries")

const (
	defaultMax     = 4
	defaultBatch   = 64
	defaultTimeout = 2 * time.Second
)

// Options configure a [Group].
type Options[Q comparable, A any] struct {
	// Do answers queries, one answer for each, in their order. It obeys its context.
	// With an error there are no answers. Required.
	Do func(ctx context.Context, queries []Q) ([]A, error)
	// Max is how many calls of Do are under way at once. Zero or negative: 4.
	Max int
	// Batch is how many queries one call has at most. Zero or negative: 64.
	Batch int
	// Gather has whoever is to make a call let others run first who are about to ask, for
	// calls that cost much however few queries they have: those whom the last call has
	// just answered ask again at once, and would else come one by one. Nobody waits: when
	// no more come, the call is made.
	Gather bool
	// Timeout bounds a call of Do that is for several callers, which outlives the
	// context of the one who makes it. Zero: 2s. Negative: it lasts for as long as one of
	// them waits, so that their contexts bound it.
	Timeout time.Duration
	// Patience bounds how long a caller waits for others, as a context with a timeout
	// would, but for less: the wait for its turn to make a call, and for a call that
	// another makes. Zero or negative: as long as its context lets it.
	Patience time.Duration
	// Alone tells, after the error of a call for several queries, whether each of
	// them is tried once more by itself: one may have spoilt it for the others. nil:
	// always.
	Alone func(err error) bool
}

// Group answers queries. Those that are equal and wait at the same time are one:
// where each must be answered by itself, Q is a pointer. It is made by [New]; its
// methods may be called by many goroutines at once.
type Group[Q comparable, A any] struct {
	opts   Options[Q, A]
	timers sync.Pool // of *time.Timer: what bounds the wait of one caller serves the next

	mu      sync.Mutex
	running int            // calls under way, the one that is about to begin included
	queue   []*place[Q, A] // the oldest first
	places  map[Q]*place[Q, A]
	called  bool // the first of the queue was called upon to lead
}

// place is a query in the queue, of one caller or of several who ask the same.
type place[Q comparable, A any] struct {
	query Q
	// turn gives one of those who wait a token: it leads. It is closed when the place
	// has its answer.
	turn chan struct{}

	// Guarded by the group's lock.
	waiting int // callers
	alone   bool
	call    *call // nil: in the queue

	// To be read when turn is closed.
	answer A
	err    error
	again  bool // each caller tries once more, alone
}

// call is a call of Do on behalf of several callers.
type call struct {
	waiting int // callers; guarded by the group's lock
	cancel  context.CancelFunc
}

// New returns a group.
func New[Q comparable, A any](opts Options[Q, A]) *Group[Q, A] {
	if opts.Do == nil {
		panic("coalesce: Options.Do is nil")
	}
	if opts.Max <= 0 {
		opts.Max = defaultMax
	}
	if opts.Batch <= 0 {
		opts.Batch = defaultBatch
	}
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.Alone == nil {
		opts.Alone = func(error) bool { return true }
	}
	return &Group[Q, A]{opts: opts, places: map[Q]*place[Q, A]{}}
}

// Do answers a query, by a call that begins after Do did. Callers who waited for the
// same call get the same error. A caller is let go when ctx ends, unless it makes a
// call for others too: then it stays until that has ended, or nobody waits for it
// any more.
func (g *Group[Q, A]) Do(ctx context.Context, query Q) (A, error) {
	if err := context.Cause(ctx); err != nil {
		var none A
		return none, err
	}
	p := g.enter(query)
	if p == nil {
		return g.solo(ctx, query)
	}
	var over <-chan time.Time // nil: never
	if g.opts.Patience > 0 {
		timer := g.timer()
		defer g.putBack(timer)
		over = timer.C
	}
	answer, again, err := g.wait(ctx, over, p)
	if again && ctx.Err() == nil {
		answer, _, err = g.wait(ctx, over, g.join(query, true))
	}
	return answer, err
}

// enter takes one of the calls that may be under way (nil), or a place in the queue.
func (g *Group[Q, A]) enter(query Q) *place[Q, A] {
	g.mu.Lock()
	defer g.mu.Unlock()
	free := g.running < g.opts.Max && len(g.queue) == 0
	if free && !g.opts.Gather {
		g.running++
		return nil
	}
	p := g.seat(query)
	if free {
		g.next()
	}
	return p
}

// join takes a place in the queue.
func (g *Group[Q, A]) join(query Q, alone bool) *place[Q, A] {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.seat(query)
	p.alone = p.alone || alone
	g.next()
	return p
}

// seat adds a caller to the place of its query. The group is locked.
func (g *Group[Q, A]) seat(query Q) *place[Q, A] {
	p := g.places[query]
	if p == nil {
		p = &place[Q, A]{query: query, turn: make(chan struct{}, 1)}
		g.places[query] = p
		g.queue = append(g.queue, p)
	}
	p.waiting++
	return p
}

// solo makes the caller's own call.
func (g *Group[Q, A]) solo(ctx context.Context, query Q) (answer A, err error) {
	defer g.leave()
	answers, err := g.call(ctx, []Q{query})
	if err != nil {
		return answer, err
	}
	return answers[0], nil
}

func (g *Group[Q, A]) call(ctx context.Context, queries []Q) ([]A, error) {
	answers, err := g.opts.Do(ctx, queries)
	if err == nil && len(answers) != len(queries) {
		err = errCount
	}
	return answers, err
}

// leave ends a call, and calls upon the next to lead.
func (g *Group[Q, A]) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.next()
}

// next calls upon the first of the queue to lead, if another call may be made and
// nobody was called upon yet. The group is locked.
func (g *Group[Q, A]) next() {
	if g.called || len(g.queue) == 0 || g.running >= g.opts.Max {
		return
	}
	g.running++
	g.called = true
	g.queue[0].turn <- struct{}{}
}

// timer bounds the wait of a caller.
func (g *Group[Q, A]) timer() *time.Timer {
	if t, ok := g.timers.Get().(*time.Timer); ok {
		t.Reset(g.opts.Patience)
		return t
	}
	return time.NewTimer(g.opts.Patience)
}

func (g *Group[Q, A]) putBack(t *time.Timer) {
	t.Stop()
	g.timers.Put(t)
}

// wait waits until a place has its answer, or is called upon to lead.
func (g *Group[Q, A]) wait(ctx context.Context, over <-chan time.Time, p *place[Q, A]) (answer A, again bool, err error) {
	select {
	case _, leads := <-p.turn:
		if leads {
			g.leads(ctx, p)
		}
	case <-ctx.Done():
		g.abandon(p)
		return answer, false, context.Cause(ctx)
	case <-over:
		g.abandon(p)
		return answer, false, context.DeadlineExceeded
	}
	return p.answer, p.again, p.err
}

// abandon takes a caller out of its place; with the last one the place goes, or the
// call that nobody waits for.
func (g *Group[Q, A]) abandon(p *place[Q, A]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.waiting--
	switch {
	case p.call != nil:
		if p.call.waiting--; p.call.waiting == 0 {
			p.call.cancel()
		}
	case p.waiting == 0:
		g.vacate(p)
	}
}

// vacate takes a place out of the queue. If it was called upon, the next one is. The
// group is locked.
func (g *Group[Q, A]) vacate(p *place[Q, A]) {
	first := g.queue[0] == p
	g.remove(p)
	if first && g.called {
		g.called = false
		g.running--
		g.next()
	}
}

// remove takes places out of the queue. The group is locked.
func (g *Group[Q, A]) remove(gone ...*place[Q, A]) {
	kept := g.queue[:0]
	n := 0 // of gone, which are in the order of the queue
	for _, p := range g.queue {
		if n < len(gone) && gone[n] == p {
			delete(g.places, p.query)
			n++
			continue
		}
		kept = append(kept, p)
	}
	clear(g.queue[len(kept):])
	g.queue = kept
}
