package usage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"
)

// maxBackoff bounds the time between two background flushes while they fail.
const maxBackoff = 30 * time.Second

// never is before every time of a use.
const never = math.MinInt64

// queue is what was taken out of the counters, sorted and merged: entries up to
// done are in the store. When all of them are, an empty queue takes its place.
type queue struct {
	entries []entry
	done    int
	number  int64
}

func (q *queue) empty() bool { return q.done == len(q.entries) }

// next is the queue after this one.
func (q *queue) next(entries []entry) queue {
	return queue{entries: entries, number: q.number + 1}
}

// frozen is a batch from just before its first send until its outcome is known.
type frozen struct {
	batch Batch
	n     int  // entries of the queue that it is made of; 0: those of a group
	doubt bool // a send before this one had an unknown outcome
}

// flushOptions are of one flush.
type flushOptions struct {
	relaxed bool            // nobody waits for it
	detach  bool            // sends survive the end of the caller's context
	stop    <-chan struct{} // ends the flush between two sends
}

// Flush returns nil when everything that was counted before the call is in the
// store. Concurrent calls share their sends. It ends with ctx, but a send that it
// has begun goes on until Timeout. After an error, which is [ErrUnknown] or not,
// what was counted stays counted, and is sent by later flushes.
func (r *Recorder) Flush(ctx context.Context) error {
	if r.closed.Load() {
		return ErrClosed
	}
	return r.flush(ctx, flushOptions{detach: true})
}

func (r *Recorder) flush(ctx context.Context, opts flushOptions) error {
	collected := false
	for {
		more, err := r.step(ctx, opts, &collected)
		if err != nil || !more {
			return err
		}
	}
}

// step sends one batch, in a turn of its own, so that others are not held up by
// a long queue. There is nothing more when the queue is empty after having
// collected once.
func (r *Recorder) step(ctx context.Context, opts flushOptions, collected *bool) (more bool, err error) {
	if r.idle() {
		return false, nil
	}
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	case <-opts.stop:
		return false, nil
	}
	defer func() { <-r.turn }()
	if err := ctx.Err(); err != nil { // select chooses at random
		return false, err
	}
	if !r.freezeQueue(opts.relaxed, collected) {
		return false, nil
	}
	if opts.detach {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	if unknown, err := r.sendFrozen(ctx, opts.relaxed); err != nil {
		return false, asUnknown(unknown, err)
	}
	return true, nil
}

// idle tells whether there is nothing to send.
func (r *Recorder) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.frozen == nil && r.queue.empty() && r.pending.Load() == 0
}

// freezeQueue makes the next batch, unless one is frozen already. The caller has
// the turn.
func (r *Recorder) freezeQueue(relaxed bool, collected *bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen != nil {
		return true
	}
	if r.queue.empty() && !*collected {
		*collected = true
		r.collect()
	}
	n := min(len(r.queue.entries)-r.queue.done, r.limit)
	if n == 0 {
		return false
	}
	r.freeze(r.queue.entries[r.queue.done:][:n], n, relaxed)
	return true
}

// collect fills the queue with what the counters hold. It does so under r.mu, so
// that nobody who looks at both misses a count or sees it twice.
func (r *Recorder) collect() {
	var entries []entry
	if n := r.pending.Load(); n > 0 {
		entries = make([]entry, 0, n)
	}
	for i := range r.shards {
		entries = r.shards[i].take(entries)
	}
	r.queue = r.queue.next(merge(entries))
}

// freeze gives entries a number. r.mu is locked.
func (r *Recorder) freeze(entries []entry, n int, relaxed bool) {
	r.seq++
	b := Batch{Seq: r.seq, Relaxed: relaxed, Deltas: make([]Delta, len(entries))}
	for i := range entries {
		b.Deltas[i] = entries[i].delta()
	}
	r.frozen = &frozen{batch: b, n: n}
}

// sendFrozen sends the frozen batch and draws the consequences. Somebody who
// waits for a batch makes it unrelaxed; its content never changes. The caller
// has the turn: nobody else changes r.frozen.
func (r *Recorder) sendFrozen(ctx context.Context, relaxed bool) (unknown bool, err error) {
	sending := make(chan struct{})
	r.mu.Lock()
	r.sending = sending
	r.frozen.batch.Relaxed = r.frozen.batch.Relaxed && relaxed
	batch := r.frozen.batch
	r.mu.Unlock()

	unknown, err = true, errEnded // should Send end its goroutine
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.settle(unknown, err)
		r.sending = nil
		close(sending)
	}()
	if err = r.call(ctx, batch); err != nil {
		var p *panicError
		unknown = errors.As(err, &p) || r.opts.Unknown(err)
	}
	return unknown, err
}

var errEnded = errors.New("usage: send ended its goroutine")

// settle keeps a batch frozen while it may be in the store, now or later.
//
// A definite no frees the entries of the queue, but only if no send before it was
// of unknown outcome. They get a new number next time, and half of them at once, so
// that a store too slow for so many still gets on. A group's batch is given up:
// its callers were told an error. r.mu is locked.
func (r *Recorder) settle(unknown bool, err error) {
	f := r.frozen
	switch {
	case err == nil:
		r.frozen = nil
		r.queue.done += f.n
		if f.n > 0 {
			r.limit = min(2*r.limit, r.opts.MaxBatch)
		}
		if f.n > 0 && r.queue.empty() {
			r.queue = r.queue.next(nil)
		}
		r.applied(f.batch)
	case unknown:
		f.doubt = true
	case f.n == 0:
		r.frozen = nil
	case !f.doubt:
		r.frozen = nil
		r.limit = max(1, f.n/2)
	}
	if err != nil {
		r.stats.Failures++
	}
}

func (r *Recorder) applied(b Batch) {
	r.stats.Batches++
	for i := range b.Deltas {
		r.stats.Uses += b.Deltas[i].Count
	}
	r.stats.LastApplied = r.opts.Now()
}

// call calls Send and turns a panic into an error.
func (r *Recorder) call(ctx context.Context, b Batch) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v}
		}
	}()
	return r.opts.Send(ctx, b)
}

// panicError stands for a panic of Send. It gives the type of its value only,
// which may hold anything, unless the runtime made it.
type panicError struct{ value any }

func (e *panicError) Error() string {
	if err, ok := e.value.(runtime.Error); ok {
		return "usage: send panicked: " + err.Error()
	}
	return fmt.Sprintf("usage: send panicked: %T", e.value)
}

// unknownError is err, and ErrUnknown too.
type unknownError struct{ err error }

func (e *unknownError) Error() string   { return ErrUnknown.Error() + ": " + e.err.Error() }
func (e *unknownError) Unwrap() []error { return []error{ErrUnknown, e.err} }

func asUnknown(unknown bool, err error) error {
	if unknown && err != nil {
		return &unknownError{err}
	}
	return err
}

// run flushes every interval until the recorder is closed.
func (r *Recorder) run(ctx context.Context) {
	defer close(r.ended)
	failures := 0
	for r.wait(failures) {
		err := r.flush(ctx, flushOptions{relaxed: true, stop: r.stop})
		if err == nil {
			failures = 0
			continue
		}
		failures++
		r.report(err)
	}
}

// wait returns false when the recorder is closed. While flushes fail, the time
// between two doubles up to maxBackoff, and nobody can ask for one before.
func (r *Recorder) wait(failures int) bool {
	d, kick := r.opts.Interval, r.kick
	if failures > 0 {
		kick = nil
		d = max(d, min(d<<min(failures, 20), maxBackoff))
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.stop:
		return false
	case <-kick:
	case <-timer.C:
	}
	return true
}

// report survives what it reports to.
func (r *Recorder) report(err error) {
	defer func() { _ = recover() }()
	r.opts.OnError(err)
}
