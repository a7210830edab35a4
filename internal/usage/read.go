package usage

import (
	"context"
	"time"
)

// maxReads bounds how often Read loads.
const maxReads = 3

// Read calls load, which reads from the store what it has of a key, and returns
// the accepted uses to be added to that, and the time of the last of them (zero:
// none).
//
// The sum is never too high. It is exact for the uses that this recorder counted
// before the call, unless a batch with uses of this key is of unknown outcome
// just then, or three loads in a row met with one on its way: then those uses are
// left out of the count. load may be called up to three times, and its
// last call is the one that counts. An error of load is returned as it is.
func (r *Recorder) Read(ctx context.Context, key [16]byte, load func() error) (int64, time.Time, error) {
	for tries := 1; ; tries++ {
		m := r.mark(key)
		if err := load(); err != nil {
			return 0, time.Time{}, err
		}
		p := r.since(m, key)
		if p.exact || tries == maxReads || !p.await(ctx) {
			return p.count, timeOf(p.last), nil
		}
	}
}

// Pending returns the accepted uses of a key that were never handed to Send, and
// the time of the last of them (zero: none). Added to a count that was read from
// the store before the call, they are never too high. A use whose batch is on
// its way is in neither: [Recorder.Read] is exact.
func (r *Recorder) Pending(key [16]byte) (int64, time.Time) {
	p := r.since(r.mark(key), key)
	return p.count, timeOf(p.last)
}

// mark is where the uses of a key stood in the queue before a load.
type mark struct {
	queue  int64
	lo, hi int // the key's entries that were not known to be in the store
}

func (r *Recorder) mark(key [16]byte) mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	lo, hi := keyRange(r.queue.entries, key)
	return mark{queue: r.queue.number, lo: max(lo, r.queue.done), hi: hi}
}

// unsent is what was never sent since a mark.
type unsent struct {
	count, last int64
	exact       bool            // nothing of the key was on its way meanwhile
	frozen      bool            // something of the key is in a frozen batch now
	sending     <-chan struct{} // closed when the send in flight has ended; nil: none is
}

// since looks at the queue and at the counters, in one moment.
//
// Entries that were sent between the mark and now, or had been sent and were not
// acknowledged at the mark, may be part of what was loaded or not. Those never
// sent until now are certainly not.
func (r *Recorder) since(m mark, key [16]byte) unsent {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := r.queue.done
	if r.frozen != nil {
		sent += r.frozen.n
	}
	lo, hi := keyRange(r.queue.entries, key)
	mid := max(lo, min(hi, sent))
	p := unsent{frozen: max(lo, r.queue.done) < mid, sending: r.sending}
	switch m.queue {
	case r.queue.number:
		p.exact = m.lo >= min(m.hi, sent)
	case r.queue.number - 1: // the store has all of that one
		p.exact = m.lo >= m.hi && lo == mid
	}
	p.count, p.last = r.shard(key).accepted(key)
	for _, e := range r.queue.entries[mid:hi] {
		if e.outcome == Accepted {
			p.count += e.count
			p.last = max(p.last, e.last)
		}
	}
	return p
}

// await waits until another load may do better, and tells whether it may.
func (p unsent) await(ctx context.Context) bool {
	switch {
	case !p.frozen:
		return ctx.Err() == nil
	case p.sending == nil:
		return false
	}
	select {
	case <-p.sending:
		return true
	case <-ctx.Done():
		return false
	}
}

func timeOf(micros int64) time.Time {
	if micros == never {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
