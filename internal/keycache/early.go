package keycache

import "context"

// Early waits for a look that begins after the call, one of its own if need be: for
// those who were told that something has changed. When memory is not fresh anyway it
// does nothing: without traffic there are no looks, and the next request looks. Nothing
// depends on it; an error of the look is told as ever.
func (l *Looker) Early(ctx context.Context) {
	told := l.now()
	if last := l.last.Load(); last == nil || told.Since(last.began) >= l.opts.Delay {
		return
	}
	for range 2 { // one that began too early, and the next
		a, err := l.join()
		if err != nil {
			return
		}
		select {
		case <-a.done:
		case <-ctx.Done():
			return
		}
		if a.began.notBefore(told) {
			return
		}
	}
}
