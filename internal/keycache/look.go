package keycache

import (
	"context"
	"fmt"
	"slices"
)

// attempt is a look on its way.
type attempt struct {
	number      int64 // of all looks, in the order in which they began
	began       Instant
	done        chan struct{}
	err         error // to be read after done
	unreachable bool
}

// join returns the look that is on its way, or begins one.
func (l *Looker) join() (*attempt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if a := l.current.Load(); a != nil {
		return a, nil
	}
	// The time of a look is taken before it is sent, never when the answer is here:
	// the answer may have been waiting for us.
	a := &attempt{number: l.begun.Add(1), began: l.now(), done: make(chan struct{})}
	l.current.Store(a)
	l.wg.Go(func() { l.run(a) })
	return a, nil
}

// next waits for the look that is on its way, or for one that it begins. With an error
// there was none, or ctx ended first.
func (l *Looker) next(ctx context.Context) (*attempt, error) {
	a, err := l.join()
	if err != nil {
		return nil, err
	}
	select {
	case <-a.done:
		return a, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// run makes one attempt. There is only one at a time, so that looks are published
// in the order in which they began.
func (l *Looker) run(a *attempt) {
	a.err = errAborted
	defer l.tell(a)
	defer l.finish(a)
	a.err = l.look(a)
}

func (l *Looker) finish(a *attempt) {
	l.looks.Add(1)
	if a.err != nil {
		l.failed.Add(1)
	}
	l.outcome.Store(&outcome{began: a.began, ended: l.now(), unreachable: a.unreachable})
	l.mu.Lock()
	l.current.Store(nil)
	l.mu.Unlock()
	close(a.done)
}

// tell reports an error when nobody waits for it any more. What the caller gave us
// may panic, here too: what runs beside the requests does not end the process.
func (l *Looker) tell(a *attempt) {
	err := a.err
	if v := recover(); v != nil {
		err = fmt.Errorf("%w: panic: %T", errAborted, v)
	}
	defer func() { _ = recover() }()
	if err != nil && l.ctx.Err() == nil {
		l.opts.OnError(err)
	}
}

// look asks, drops, and only then publishes.
func (l *Looker) look(a *attempt) error {
	var since Mark
	last := l.last.Load()
	if last != nil {
		since = last.mark
	}
	set, err := l.ask(since)
	if err != nil {
		// Only here: once there is an answer the database was reached, and what comes
		// after it fails because something has changed. No grace covers that.
		a.unreachable = l.ctx.Err() == nil && l.opts.Unreachable(err)
		return err
	}
	lost := last == nil || !follows(since, set)
	if lost {
		// Not our history, or a gap in it: anything may have changed.
		set.Changes = []Change{{Kind: KindAll}}
	}
	l.opts.Drop(set.Changes)
	if slices.ContainsFunc(set.Changes, Change.everything) {
		if err := l.reset(last == nil); err != nil {
			return err
		}
	}
	l.last.Store(&look{mark: set.Mark, began: a.began})
	return nil
}

func (l *Looker) ask(since Mark) (ChangeSet, error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.opts.Timeout)
	defer cancel()
	return l.opts.Look(ctx, since)
}

func (l *Looker) reset(first bool) error {
	if !first {
		l.resets.Add(1)
	}
	ctx, cancel := context.WithTimeout(l.ctx, l.opts.Timeout)
	defer cancel()
	return l.opts.Reset(ctx)
}

// follows tells whether an answer continues the history from a mark: the mark
// itself, or a later one. A history that ends earlier, or at the same revision
// with another stamp, is another one, whatever the answer says.
func follows(since Mark, set ChangeSet) bool {
	return set.Complete && (set.Mark == since || set.Mark.Revision > since.Revision)
}
