package leases

import (
	"context"
	"sync"
)

const (
	// maxCalls is how many calls to the store are under way at once.
	maxCalls = 2
	// maxBatch is how many subjects one call asks for.
	maxBatch = 64
)

// queue gathers flights: while maxCalls calls are under way, others wait and
// then go together in one. The goroutines that call end when nothing waits, so
// that whoever waits for an answer is free to give up.
type queue struct {
	send func([]*flight)

	mu      sync.Mutex // comes after the subjects'
	waiting []*flight
	running int
	closed  bool
	ended   chan struct{} // closed when closed is set and nothing runs
}

func newQueue(send func([]*flight)) *queue {
	return &queue{send: send, ended: make(chan struct{})}
}

// push sends a flight, or reports that the queue was closed.
func (q *queue) push(f *flight) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, f)
	if q.running < maxCalls {
		q.running++
		go q.run()
	}
	return true
}

func (q *queue) run() {
	ended := false
	defer func() {
		if !ended { // by send; another takes its place
			go q.run()
		}
	}()
	for batch := q.next(); len(batch) > 0; batch = q.next() {
		q.send(batch)
	}
	ended = true
}

// next is what goes in one call; nothing ends the goroutine.
func (q *queue) next() []*flight {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.waiting = nil
		if q.running--; q.running == 0 && q.closed {
			close(q.ended)
		}
		return nil
	}
	n := min(len(q.waiting), maxBatch)
	batch := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	return batch
}

// close refuses what waits and waits, until ctx ends, for what is under way.
func (q *queue) close(ctx context.Context) error {
	q.mu.Lock()
	waiting := q.waiting
	q.waiting, q.closed = nil, true
	if q.running == 0 {
		close(q.ended)
	}
	q.mu.Unlock()
	for _, f := range waiting {
		f.subject.mu.Lock()
		f.subject.fail(f, ErrClosed)
		f.subject.mu.Unlock()
	}
	select {
	case <-q.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
