package keycache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Mark is a place in the history of changes. The history is a chain and not a
// number: after a restore or an asynchronous fail-over the same revision can be
// another change. The random stamp tells them apart.
type Mark struct {
	Revision int64
	Stamp    [16]byte
}

// ChangeSet is what a look has found.
type ChangeSet struct {
	Mark    Mark // what stands now
	Changes []Change
	// Complete says that the mark asked about is in the history, and that nothing
	// after it is missing.
	Complete bool
}

// Options configure a [Looker].
type Options struct {
	// Delay is how long after its start a look vouches for what is in memory. Zero or
	// negative: it does not, and every request wants a look that began after it arrived.
	Delay time.Duration
	// Grace is how much longer, while the database is known to be unreachable. It
	// counts from the last good look, so that a connection that comes and goes
	// never extends it. Zero or negative: not at all.
	Grace time.Duration
	// Timeout bounds one call of Look, of Reset, and of a cache's load. Zero or
	// negative: 2s.
	Timeout time.Duration
	// Look reads what changed after a mark, from what was committed before the
	// call: never from a replica, nor from a snapshot that was opened earlier. It
	// obeys its context and is never called twice at once. In the first look the
	// mark is zero, and only the Mark of the answer matters. Required.
	Look func(ctx context.Context, since Mark) (ChangeSet, error)
	// Drop is given what is no longer true, before the look is published: it calls
	// Drop of every cache. Required.
	Drop func(changes []Change)
	// Reset reads again what is kept outside of the caches (settings), after
	// everything was dropped: in the first look, when everything changed, and when
	// the history is not the one we knew. With an error the look has failed. nil:
	// there is nothing.
	Reset func(ctx context.Context) error
	// Unreachable tells whether an error of Look says that there was no connection,
	// or no answer in time, and nothing else. nil: none does.
	Unreachable func(err error) bool
	// OnError is told the errors of looks that failed. nil: nobody is.
	OnError func(err error)
	// Now reads both clocks. nil: [Now].
	Now func() Instant
}

func (o *Options) setDefaults() {
	if o.Look == nil || o.Drop == nil {
		panic("keycache: Options.Look and Drop are required")
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Reset == nil {
		o.Reset = func(context.Context) error { return nil }
	}
	if o.Unreachable == nil {
		o.Unreachable = func(error) bool { return false }
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	if o.Now == nil {
		o.Now = Now
	}
	o.Delay, o.Grace = max(o.Delay, 0), max(o.Grace, 0)
}

// ErrClosed says that the looker was closed.
var ErrClosed = errors.New("keycache: closed")

var errOutrun = errors.New("keycache: looks do not keep up with the clock")

// maxLooks bounds how many looks Ensure waits for: one that began too early, one
// of its own, and one more if a clock jumped.
const maxLooks = 3

// Looker knows how old the knowledge of this process is, and renews it. It is
// made by [NewLooker] and ended by [Looker.Close]; all of its methods may be
// called by many goroutines at once. It has a goroutine only during a look.
type Looker struct {
	opts Options
	half time.Duration // of the delay: from then on a look is begun ahead

	last    atomic.Pointer[look]    // the last good one; nil: none
	outcome atomic.Pointer[outcome] // of the last one that has ended; nil: none
	current atomic.Pointer[attempt] // the one on its way; nil: none. Written under mu

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
	end    context.CancelFunc
	ctx    context.Context

	begun, looks, failed, resets atomic.Int64
}

// look is a good look. Its parts are published together, and when they are,
// everything that it made stale is gone.
type look struct {
	mark  Mark
	began Instant
}

// outcome is of a look that has ended, good or not.
type outcome struct {
	began, ended Instant
	unreachable  bool
}

// NewLooker returns a looker that has not looked yet: nothing is fresh. The first
// look drops everything, so it is best made by an Ensure at the start.
func NewLooker(opts Options) *Looker {
	opts.setDefaults()
	l := &Looker{opts: opts, half: opts.Delay / 2}
	l.ctx, l.end = context.WithCancel(context.Background())
	return l
}

// Close ends the look that is on its way, and waits for it. Later looks fail with
// [ErrClosed].
func (l *Looker) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.end()
	l.wg.Wait()
}

// Fresh tells whether what is in memory may be used at that moment. It is to be
// asked before memory is read, see [Cache.Lookup]. From half of the delay on it
// also begins a look, without waiting: while there is traffic nobody has to wait
// for one, and without traffic there are none. Safety does not hang on that.
func (l *Looker) Fresh(now Instant) bool {
	last := l.last.Load()
	if last == nil {
		return false
	}
	age := now.Since(last.began)
	return age < l.half || l.fresh(now, age)
}

func (l *Looker) fresh(now Instant, age time.Duration) bool {
	if age >= l.opts.Delay && !l.graced(now, age) {
		return false
	}
	l.lookAhead(now)
	return true
}

// graced tells whether the outage grace covers an age: the last attempt must have
// failed as unreachable, and be recent. An older one says nothing of now.
func (l *Looker) graced(now Instant, age time.Duration) bool {
	o := l.outcome.Load()
	return o != nil && o.unreachable &&
		age < l.opts.Delay+l.opts.Grace &&
		now.Since(o.ended) < l.opts.Delay+l.opts.Timeout
}

// lookAhead begins a look unless one is on its way or has ended just now.
func (l *Looker) lookAhead(now Instant) {
	if l.current.Load() != nil {
		return
	}
	if o := l.outcome.Load(); o == nil || now.Since(o.began) >= l.half {
		_, _ = l.join() // closed: no look
	}
}

// Ensure returns nil when what is in memory may be used for a request that
// arrived then, after waiting for looks if need be. Memory is to be read after
// it has returned. Its error is that of the look, or of ctx.
func (l *Looker) Ensure(ctx context.Context, arrived Instant) error {
	for range maxLooks {
		if l.good(l.now(), arrived) {
			return nil
		}
		a, err := l.next(ctx)
		if err != nil {
			return err
		}
		if a.err != nil && !l.good(l.now(), arrived) {
			return a.err
		}
	}
	return errOutrun
}

// good is Fresh for one who has waited: a look that began after the request
// arrived is good too, however slow it was. Otherwise a database that is slower
// than the delay would refuse everybody. But a machine that was suspended
// meanwhile has seen an answer from before.
func (l *Looker) good(now, arrived Instant) bool {
	if l.Fresh(now) {
		return true
	}
	last := l.last.Load()
	return last != nil && last.began.notBefore(arrived) &&
		now.Since(last.began) < l.opts.Delay+2*l.opts.Timeout
}

// Change runs something that changes the database from this process, around two
// drops: one before it is sent, and one when its outcome is known, or known to be
// unknown, or it panics. After it has returned nobody here is served from what was
// before.
func (l *Looker) Change(changes []Change, do func() error) error {
	l.opts.Drop(changes)
	defer l.opts.Drop(changes)
	return do()
}

func (l *Looker) now() Instant { return l.opts.Now() }

// LookerStats tells what a looker has done since it was made.
type LookerStats struct {
	Revision int64         // of the last good look
	Age      time.Duration // since that began; negative: there was none
	Looks    int64         // that have ended
	Failed   int64         // of these
	Resets   int64         // looks that dropped everything, the first aside
}

// Stats returns the numbers.
func (l *Looker) Stats() LookerStats {
	s := LookerStats{Age: -1, Looks: l.looks.Load(), Failed: l.failed.Load(), Resets: l.resets.Load()}
	if last := l.last.Load(); last != nil {
		s.Revision = last.mark.Revision
		s.Age = max(l.now().Since(last.began), 0)
	}
	return s
}
