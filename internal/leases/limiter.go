package leases

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

const (
	defaultTimeout     = 2 * time.Second
	defaultMaxSubjects = 100_000
	// maxReturn is how much one call of Return gives back.
	maxReturn = 1000
)

var (
	errAnswer = errors.New("leases: the store's answer does not fit the request")
	errEnded  = errors.New("leases: Take did not return")
)

// Options configure a [Limiter].
type Options struct {
	// Take is required by [New]. Return may be nil: nothing is given back.
	Take   TakeFunc
	Return ReturnFunc
	// Timeout bounds one call of Take. Zero: 2s.
	Timeout time.Duration
	// Local tells that limits are counted per process for now, because the store is
	// not reachable: then nothing is asked of it, and a process admits up to the
	// limit in each window, what it knows to be used already included. Once it says
	// no, the next leases pay for what was used. It is asked often, and must not
	// wait for anything. nil: never; then what the store cannot answer is an error.
	Local func() bool

	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Injected says that the clock also tells which windows are meant: requests
	// carry its time. Now may be nil then: time is what callers say.
	Injected bool
	// MaxSubjects bounds how many subjects are remembered. Further ones work, by
	// asking the store each time they are asked for anew; without a store they are
	// refused. Zero: 100,000, about 50 MB.
	MaxSubjects int
}

// Limiter counts limits for any number of subjects. It is made by [New] or
// [NewMemory]; all of its methods may be called by many goroutines at once.
type Limiter struct {
	opts     Options
	clock    clock
	registry registry
	queue    *queue
	closed   atomic.Bool
	// seen is the last look at the store's clock; nil: there was none.
	seen  atomic.Pointer[sighting]
	calls atomic.Int64
	fails atomic.Int64
	parts [16]counters
}

// counters are of some of the subjects, so that not all write to one place.
type counters struct {
	leases, refused atomic.Int64
	_               [48]byte
}

// Stats tell what a limiter did since it was made.
type Stats struct {
	Calls    int64 // of Take
	Failed   int64 // of those
	Leases   int64 // granted
	Refused  int64 // charges refused from memory
	Subjects int   // remembered now
}

// New returns a limiter that takes leases from a store.
func New(opts Options) *Limiter {
	if opts.Take == nil {
		panic("leases: Options.Take is nil")
	}
	return newLimiter(opts)
}

// NewMemory returns a limiter that counts in this process alone: exactly, and for
// at most MaxSubjects at a time. It has no use for Take, Return, Timeout and Local.
func NewMemory(opts Options) *Limiter {
	opts.Take, opts.Return = nil, nil
	return newLimiter(opts)
}

func newLimiter(opts Options) *Limiter {
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.MaxSubjects <= 0 {
		opts.MaxSubjects = defaultMaxSubjects
	}
	l := &Limiter{opts: opts, clock: clock{read: opts.Now, injected: opts.Injected}}
	if opts.Now == nil && !opts.Injected {
		l.clock.read = time.Now
	}
	l.registry.max = int64(opts.MaxSubjects)
	l.queue = newQueue(l.fly)
	return l
}

// Subject returns what counts these limits for id: at most [MaxLimits], each of
// another span, the shortest first. All who ask for the same get the same, as
// long as it is in use; with other limits, it is another subject.
func (l *Limiter) Subject(id [32]byte, limits []Limit) *Subject {
	key := subjectKey{id: id}
	if !valid(limits) {
		return &Subject{limiter: l, invalid: true}
	}
	copy(key.limits[:], limits)
	if s := l.registry.find(&key); s != nil {
		return s
	}
	return &Subject{limiter: l, key: key, n: len(limits)}
}

func valid(limits []Limit) bool {
	for i, limit := range limits {
		if limit.Max < 0 || limit.Span < time.Millisecond || limit.Span%time.Millisecond != 0 {
			return false
		}
		if i > 0 && limit.Span <= limits[i-1].Span {
			return false
		}
	}
	return len(limits) <= MaxLimits
}

// counters are those for a subject.
func (l *Limiter) counters(s *Subject) *counters {
	return &l.parts[s.key.id[15]%16]
}

// Stats tells what the limiter did.
func (l *Limiter) Stats() Stats {
	s := Stats{
		Calls:    l.calls.Load(),
		Failed:   l.fails.Load(),
		Subjects: int(l.registry.count.Load()),
	}
	for i := range l.parts {
		s.Leases += l.parts[i].leases.Load()
		s.Refused += l.parts[i].refused.Load()
	}
	return s
}

// fly asks the store for many subjects at once.
func (l *Limiter) fly(batch []*flight) {
	requests := make([]Request, len(batch))
	for i, f := range batch {
		requests[i] = f.request()
	}
	grants, err := []Grant(nil), errEnded
	sent := l.clock.again(batch[0].at)
	defer func() { // also when Take ends the goroutine
		l.calls.Add(1)
		if err != nil {
			l.fails.Add(1)
		}
		for i, f := range batch {
			if err != nil {
				f.land(Grant{}, sent, err)
			} else {
				f.land(grants[i], sent, nil)
			}
		}
	}()
	grants, err = l.take(batch[0].ctx, requests)
	if err == nil && len(grants) != len(batch) {
		err = errAnswer
	}
	if err == nil {
		l.seen.Store(&sighting{sent: sent, store: grants[0].Now.Round(0)})
	}
}

// take calls Take within Timeout, whatever becomes of the callers. What it
// panics with stays in it: a fault of the store's is never a yes, and never the
// end of the process.
func (l *Limiter) take(ctx context.Context, requests []Request) (grants []Grant, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.opts.Timeout)
	defer cancel()
	defer func() {
		if recover() != nil {
			err = errEnded
		}
	}()
	return l.opts.Take(ctx, requests)
}

// Close ends the limiter: charges return [ErrClosed] from now on. It waits for
// what is under way, and gives back what was not used of windows that are not
// over. What it cannot give back, because ctx ends or the store fails, is lost
// until the window ends. Closing again does nothing.
func (l *Limiter) Close(ctx context.Context) error {
	if l.closed.Swap(true) {
		return nil
	}
	if err := l.queue.close(ctx); err != nil {
		return err
	}
	unused := l.collect()
	if l.opts.Return == nil {
		return nil
	}
	for part := range slices.Chunk(unused, maxReturn) {
		if err := l.opts.Return(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// collect takes what is unused out of all leases.
func (l *Limiter) collect() (all []Unused) {
	for _, s := range l.registry.all() {
		s.mu.Lock()
		for i := range s.n {
			if u := s.unused(i); u.Unused > 0 {
				all = append(all, u)
			}
		}
		s.mu.Unlock()
	}
	return all
}

// unused takes out what the store granted and was not used. The subject is locked.
func (s *Subject) unused(i int) Unused {
	l, limit := s.leases[i].Load(), s.key.limits[i]
	if l == nil {
		return Unused{}
	}
	left := l.remaining.Swap(aside)
	if !l.live(s.limiter.clock.again(l.sent)) {
		return Unused{}
	}
	return Unused{Subject: s.key.id, Span: limit.Span, Start: l.begin(limit.Span), Unused: left - l.debt}
}
