package usage

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a [Recorder].
type Options struct {
	// Send gives a batch to the store. It obeys its context, whose end is at most
	// Timeout away, and is never called twice at once. A panic in it counts as an
	// error whose outcome is unknown. Required.
	Send func(ctx context.Context, b Batch) error
	// Unknown tells whether, after this error of Send, the batch may be in the store
	// or come to be there. nil: after every error, which is always safe.
	Unknown func(err error) bool

	// Interval is the time between two flushes in the background. Zero or negative:
	// 1s. A caller who wants every use written before going on (a negative
	// interval, in configurations) uses [Counter.AcceptNow] in place of Accept; what
	// nobody waits for then still goes in the background.
	Interval time.Duration
	// Timeout bounds one call of Send. Zero: 2s.
	Timeout time.Duration
	// MaxBatch bounds the deltas of one batch; it must be possible to apply that
	// many well within Timeout. A batch that failed goes in smaller ones next time,
	// but one whose outcome is unknown is never cut. Callers of [Counter.AcceptNow]
	// are not bounded. Zero: 2000.
	MaxBatch int
	// MaxPending bounds what is held in memory while the store does not answer:
	// places for counts, one for each key, secret, outcome and hour, beside as many
	// again taken out of the counters and waiting to be sent. What has a place is
	// counted on without bound. From half of it on no refused use gets a new place,
	// and at the bound no use: it is dropped, and [Stats] tells. A quarter of it
	// starts a flush before the interval is over. Zero: 100,000, about 15 MB.
	MaxPending int
	// Outcomes are those that [Counter.Refuse] tells apart.
	Outcomes []string

	// OnError is told the errors of background flushes. nil: nobody is.
	OnError func(err error)
	// Now is the clock for [Stats.LastApplied]. nil: time.Now.
	Now func() time.Time
}

func (o *Options) setDefaults() {
	if o.Send == nil {
		panic("usage: Options.Send is nil")
	}
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.MaxBatch <= 0 {
		o.MaxBatch = 2000
	}
	if o.MaxPending <= 0 {
		o.MaxPending = 100_000
	}
	if o.Unknown == nil {
		o.Unknown = func(error) bool { return true }
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Outcomes = slices.Clone(o.Outcomes)
}

// Recorder counts uses and sends them. It is made by [New] and ended by
// [Recorder.Close]; all of its methods may be called by many goroutines at once.
type Recorder struct {
	opts   Options
	shards [16]shard

	pending         atomic.Int64 // places in the counters
	droppedAccepted atomic.Int64
	droppedRefused  atomic.Int64
	closed          atomic.Bool

	// turn holds one token while somebody may send. It comes before mu.
	turn chan struct{}

	mu      sync.Mutex // comes before the shards' locks
	queue   queue
	limit   int           // on the entries of the next batch
	frozen  *frozen       // in flight, or of unknown outcome
	sending chan struct{} // closed when the send in flight has ended; nil: none is
	seq     int64         // of the last batch frozen
	group   *group        // of callers of AcceptNow, not yet frozen; nil: none wait
	stats   Stats

	kick   chan struct{} // asks for a flush before the interval is over
	stop   chan struct{} // closed by Close
	ended  chan struct{} // closed when the background goroutine has ended
	cancel context.CancelFunc
}

// New returns a recorder. Its goroutine ends with [Recorder.Close].
func New(opts Options) *Recorder {
	opts.setDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	r := &Recorder{
		opts:   opts,
		limit:  opts.MaxBatch,
		turn:   make(chan struct{}, 1),
		kick:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		ended:  make(chan struct{}),
		cancel: cancel,
	}
	for i := range r.shards {
		r.shards[i].rec = r
		r.shards[i].dirty = map[[16]byte]*Counter{}
	}
	go r.run(ctx)
	return r
}

// Counter returns a counter for the uses of one secret of one key. The recorder
// keeps it only while it holds something that was not flushed.
func (r *Recorder) Counter(key [16]byte, secret int) *Counter {
	return r.shard(key).counter(key, secret)
}

// Init makes a counter ready that is a part of something else: its zero value, before
// anybody uses it. While it holds something that was not flushed, the recorder keeps
// what it is a part of. Of those who come and go faster than flushes, [Recorder.Counter]
// makes fewer.
func (r *Recorder) Init(c *Counter, key [16]byte, secret int) { c.init(r.shard(key), key, secret) }

func (r *Recorder) shard(key [16]byte) *shard {
	return &r.shards[int(key[15])%len(r.shards)]
}

// Close ends the background goroutine and sends everything that was counted
// before Close was called. It returns when ctx ends, even if a send has not: that
// send is cancelled then, and the goroutine ends with it. Uses counted later are
// dropped. A second Close does nothing.
func (r *Recorder) Close(ctx context.Context) error {
	if !r.closed.CompareAndSwap(false, true) {
		return nil
	}
	defer r.cancel()
	close(r.stop)
	select {
	case <-r.ended:
	case <-ctx.Done():
		return fmt.Errorf("usage: close: %w", ctx.Err())
	}
	return r.flush(ctx, flushOptions{})
}

// Stats is what happened since [New], but for the first three fields: they are
// what stands now.
type Stats struct {
	// Pending is the number of places (of a key, secret, outcome and hour) that
	// hold counts, and Queued that of deltas taken out of them and not yet applied.
	Pending, Queued int64
	// InDoubt says that a batch is in flight or of unknown outcome.
	InDoubt bool

	Batches     int64     // applied
	Uses        int64     // in those batches, refused ones too
	Failures    int64     // sends that returned an error
	LastApplied time.Time // zero: never

	// DroppedAccepted and DroppedRefused are uses for which there was no place, or
	// that came after Close.
	DroppedAccepted, DroppedRefused int64
}

// Stats returns them as of now.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Pending = r.pending.Load()
	s.Queued = int64(len(r.queue.entries) - r.queue.done)
	s.InDoubt = r.frozen != nil
	s.DroppedAccepted = r.droppedAccepted.Load()
	s.DroppedRefused = r.droppedRefused.Load()
	return s
}

// admits tells whether a count may take a new place.
func (r *Recorder) admits(accepted bool) bool {
	limit := int64(r.opts.MaxPending)
	if !accepted {
		limit /= 2
	}
	return r.pending.Load() < limit && !r.closed.Load()
}

func (r *Recorder) drop(accepted bool) {
	if accepted {
		r.droppedAccepted.Add(1)
	} else {
		r.droppedRefused.Add(1)
	}
}

// grew is told of new places.
func (r *Recorder) grew(n int64) {
	if r.pending.Add(n) <= int64(r.opts.MaxPending)/4 {
		return
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// known returns the outcome if it is one of those to tell apart.
func (r *Recorder) known(outcome string) string {
	if outcome != Accepted && slices.Contains(r.opts.Outcomes, outcome) {
		return outcome
	}
	return Other
}
