package keycache

import (
	"context"
	"errors"
)

// LoadFunc reads what a hash stands for. nil without an error: nothing.
type LoadFunc[V any] func(ctx context.Context) (*Entry[V], error)

// errAborted is the outcome of a load or a look that panicked.
var errAborted = errors.New("keycache: the call did not return")

// flight is a load that was sent, for all who want the same.
type flight[V any] struct {
	ticket Ticket
	done   chan struct{}
	entry  *Entry[V] // to be read after done
	err    error     // to be read after done
}

// share joins the load of a hash that is on its way, or sends one. A caller who
// waits for another's is let go when ctx ends; one who sends stays until the load
// has ended.
func (c *Cache[V]) share(ctx context.Context, hash [32]byte, load LoadFunc[V]) (*flight[V], error) {
	f, mine := c.board(hash)
	if mine {
		c.fly(ctx, hash, f, load)
		return f, f.err
	}
	select {
	case <-f.done:
		return f, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// board finds the flight to wait for, or makes one that the caller has to fly.
// Who arrives after a drop never joins a load that began before it: whom a drop
// concerns is not known until the load has ended, so any drop counts.
func (c *Cache[V]) board(hash [32]byte) (f *flight[V], mine bool) {
	s := c.table.stripeOf(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[hash]; f != nil && f.ticket.seq == c.drops.seq.Load() {
		return f, false
	}
	f = &flight[V]{ticket: c.Begin(), done: make(chan struct{}), err: errAborted}
	s.flights[hash] = f // an older one goes on for those who wait for it
	return f, true
}

func (c *Cache[V]) fly(ctx context.Context, hash [32]byte, f *flight[V], load LoadFunc[V]) {
	defer c.land(hash, f)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.looks.opts.Timeout)
	defer cancel()
	c.count.loads.Add(1)
	e, err := load(ctx)
	if err == nil && e != nil {
		// Refused or not, each caller judges for itself what it has waited for.
		c.Put(f.ticket, hash, e)
		f.entry = e
	}
	f.err = err
}

func (c *Cache[V]) land(hash [32]byte, f *flight[V]) {
	s := c.table.stripeOf(hash)
	s.mu.Lock()
	if s.flights[hash] == f {
		delete(s.flights, hash)
	}
	s.mu.Unlock()
	close(f.done)
}
