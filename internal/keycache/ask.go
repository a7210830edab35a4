package keycache

import "context"

// Early waits for a look that begins after the call: for those who were told that
// something has changed. When memory is not fresh anyway it does nothing: without
// traffic there are no looks, and the next request looks. Nothing depends on it; an
// error of the look is told as ever.
func (l *Looker) Early(ctx context.Context) {
	if last := l.last.Load(); last == nil || l.now().Since(last.began) >= l.opts.Delay {
		return
	}
	_ = l.Ask(ctx)
}

// Ask waits for a look that begins after the call, one of its own if need be, and
// returns its error, or that of ctx. Looks are counted for this, not timed: a clock may
// say the same of two moments.
func (l *Looker) Ask(ctx context.Context) error {
	asked := l.begun.Load()
	for {
		a, err := l.next(ctx)
		if err != nil {
			return err
		}
		if a.number > asked {
			return a.err
		}
	}
}
