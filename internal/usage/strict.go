package usage

import (
	"context"
	"fmt"
	"time"
)

// group is what callers of AcceptNow have put together while a batch was on its
// way: the next batch. Whichever of them gets the turn sends it for all.
type group struct {
	entries []entry // guarded by the recorder's lock, until frozen
	done    chan struct{}
	err     error // to be read after done
}

// AcceptNow counts an accepted use and returns nil when the store has it.
// Concurrent calls share a batch.
//
// After an error nothing was counted, nor will be, unless the error is
// [ErrUnknown]: then the batch goes once more, unchanged, before any other. A
// caller who waits for others is let go when ctx ends; one who sends for
// others stays until the send has ended, at most Timeout, and the send does not
// end with ctx.
func (c *Counter) AcceptNow(ctx context.Context, at time.Time) error {
	r := c.shard.rec
	g, i, err := r.join(ctx, c, at.UnixMicro())
	if err != nil {
		return err
	}
	select {
	case r.turn <- struct{}{}:
		r.lead(ctx, g)
	case <-g.done:
	case <-ctx.Done():
		if left, err := r.leave(ctx, g, i); left {
			return err
		}
	}
	<-g.done
	if g.err == nil {
		c.Credit()
	}
	return g.err
}

// join adds a use to the group that waits.
func (r *Recorder) join(ctx context.Context, c *Counter, at int64) (g *group, i int, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() {
		return nil, 0, ErrClosed
	}
	if r.group == nil {
		r.group = &group{done: make(chan struct{})}
	}
	g = r.group
	g.entries = append(g.entries, entry{
		key: c.key, secret: int(c.secret), outcome: Accepted,
		hour: hourOf(at), count: 1, last: at,
	})
	return g, len(g.entries) - 1, nil
}

// leave takes the use back if it was not frozen; otherwise its outcome is
// unknown, unless it is there.
func (r *Recorder) leave(ctx context.Context, g *group, i int) (left bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.group == g {
		g.entries[i].count = 0
		return true, ctx.Err()
	}
	select {
	case <-g.done:
		return false, nil
	default:
		return true, asUnknown(true, ctx.Err())
	}
}

// lead sends the group's batch, unless a leader before has done so, and gives up
// the turn.
func (r *Recorder) lead(ctx context.Context, g *group) {
	defer func() { <-r.turn }()
	if !r.claim(g) {
		return
	}
	defer close(g.done)
	g.err = asUnknown(true, errEnded)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.opts.Timeout)
	defer cancel()
	if err := r.resend(ctx); err != nil {
		g.err = fmt.Errorf("usage: batch before this one: %w", err)
		return
	}
	r.freezeGroup(g)
	g.err = asUnknown(r.sendFrozen(ctx, false))
}

// claim closes the group to others.
func (r *Recorder) claim(g *group) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.group != g {
		return false
	}
	r.group = nil
	return true
}

// resend sends the batch of unknown outcome, if there is one: nothing may
// overtake it. The caller has the turn.
func (r *Recorder) resend(ctx context.Context) error {
	r.mu.Lock()
	none := r.frozen == nil
	r.mu.Unlock()
	if none {
		return nil
	}
	if _, err := r.sendFrozen(ctx, false); err != nil {
		return err
	}
	return ctx.Err()
}

func (r *Recorder) freezeGroup(g *group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.freeze(merge(g.entries), 0, false)
}
