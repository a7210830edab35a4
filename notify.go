package apikeys

import (
	"context"
	"errors"
	"sync"
	"time"
)

// NotifyingStore is a [Store] that can tell a client early that something has changed.
// A store need not be one, and nothing depends on it: clients ask what changed at their
// own pace all the same, and what they are told here makes them ask sooner.
type NotifyingStore interface {
	Store
	// Listen calls told once it hears, and then soon after each change that bumps was
	// committed, by whomever; several changes may be one call. It returns when ctx
	// ends, and with an error when it hears no more: then it is called again after a
	// while. errors.ErrUnsupported: it cannot be had, and is not called again.
	Listen(ctx context.Context, told func()) error
}

const (
	// lookSpacing is the least time between two looks that a store's telling leads to:
	// one who changes thousands of things does not make everybody look as often.
	lookSpacing = 2 * time.Millisecond
	// relisten is how long Listen is left alone after it has failed; each failure
	// doubles it.
	relisten    = time.Second
	relistenMax = time.Minute
)

// listener hears what the store tells. Both of its goroutines end with stop.
type listener struct {
	stop context.CancelFunc
	wg   sync.WaitGroup
	told chan struct{} // one: something has changed
}

// startListening begins to hear what the store tells, if it does and anything
// remembered here is used unasked.
func (c *core) startListening(off bool) {
	store, ok := c.store.(NotifyingStore)
	if off || !ok || !c.trusting() {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &listener{stop: stop, told: make(chan struct{}, 1)}
	l.wg.Go(func() { c.hear(ctx, store, l.tell) })
	l.wg.Go(func() { c.lookWhenTold(ctx, l.told) })
	c.listening = l
}

// close ends what was started; nil: nothing was.
func (l *listener) close() {
	if l != nil {
		l.stop()
		l.wg.Wait()
	}
}

// tell does not wait: told twice is told.
func (l *listener) tell() {
	select {
	case l.told <- struct{}{}:
	default:
	}
}

// lookWhenTold makes the early looks.
func (c *core) lookWhenTold(ctx context.Context, told <-chan struct{}) {
	for {
		select {
		case <-told:
		case <-ctx.Done():
			return
		}
		c.calls.told.Add(1)
		c.memory.looks.Early(ctx)
		if !wait(ctx, lookSpacing) {
			return
		}
	}
}

// hear listens, again and again.
func (c *core) hear(ctx context.Context, store NotifyingStore, tell func()) {
	for pause := relisten; ; pause = min(2*pause, relistenMax) {
		heard := false
		err := store.Listen(ctx, func() {
			heard = true
			tell()
		})
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errors.ErrUnsupported):
			c.log.InfoContext(ctx, "apikeys: the store cannot tell of changes; they are asked for within the revocation delay", "error", inert{err})
			return
		}
		if heard {
			pause = relisten
		}
		c.log.WarnContext(ctx, "apikeys: the store does not tell of changes just now; they are asked for within the revocation delay",
			"again in", pause, "error", inert{err})
		if !wait(ctx, pause) {
			return
		}
	}
}

// wait tells whether there is time left after a pause.
func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
