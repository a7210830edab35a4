package coalesce

import (
	"context"
	"runtime"
)

// leads makes one call for the first of the queue, which p is.
func (g *Group[Q, A]) leads(ctx context.Context, p *place[Q, A]) {
	if g.opts.Gather {
		g.gather()
	}
	shared, cancel := g.shared(ctx)
	defer cancel()
	batch := g.take(&call{cancel: cancel})
	// The one who leads is one of those who wait.
	stop := context.AfterFunc(ctx, func() { g.abandon(p) })
	defer stop()

	var answers []A
	err := ErrAborted
	defer func() { // also when Do panics or ends the goroutine
		g.settle(batch, answers, err)
		g.leave()
	}()
	answers, err = g.call(shared, queries(batch))
}

// shared is the context of a call for several callers.
func (g *Group[Q, A]) shared(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	if g.opts.Timeout < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, g.opts.Timeout)
}

// gather lets others run for as long as the queue grows by it.
func (g *Group[Q, A]) gather() {
	for before, now := 0, g.waiting(); now > before && now < g.opts.Batch; before, now = now, g.waiting() {
		runtime.Gosched()
	}
}

func (g *Group[Q, A]) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue)
}

// take takes the queries of one call out of the queue: the first one, and as many
// others as may go with it.
func (g *Group[Q, A]) take(c *call) []*place[Q, A] {
	g.mu.Lock()
	defer g.mu.Unlock()
	batch := make([]*place[Q, A], 0, min(len(g.queue), g.opts.Batch))
	for i, p := range g.queue {
		if i > 0 && (p.alone || g.queue[0].alone) {
			continue
		}
		if len(batch) == g.opts.Batch {
			break
		}
		batch = append(batch, p)
		p.call = c
		c.waiting += p.waiting
	}
	g.remove(batch...)
	g.called = false
	g.next()
	return batch
}

func queries[Q comparable, A any](batch []*place[Q, A]) []Q {
	list := make([]Q, len(batch))
	for i, p := range batch {
		list[i] = p.query
	}
	return list
}

// settle gives all who wait their answers, or the error.
func (g *Group[Q, A]) settle(batch []*place[Q, A], answers []A, err error) {
	again := err != nil && len(batch) > 1 && g.opts.Alone(err)
	for i, p := range batch {
		if p.err, p.again = err, again; err == nil {
			p.answer = answers[i]
		}
		close(p.turn)
	}
}
