// Package leases counts fixed windows in memory. What it may count it takes
// from a store, in leases: parts of a window that one process may use up without
// asking again.
//
// A [Subject] is what limits are counted for. With one limit, a charge is the
// load of a pointer, a look at two clocks and one compare-and-swap; with several
// it takes the subject's lock, so that all limits are charged or none is. Only
// when a lease is used up, or its window is over, is the store asked, once for
// all who wait. When the store has said that a window is full, memory refuses
// until the window ends.
//
// # What holds
//
// All processes together never charge more to a window than its limit: whatever
// is charged was granted by the store before. A lease is of one window and is
// never used for another. It ends, by the clocks of this process, before the
// window does by the store's: the time that is left counts from when the request
// was sent, less a part in 2048 for clocks that do not run alike, and elapsed time
// is what the monotonic or the wall clock says, whichever is more. (The first
// stands still while a machine is suspended, the second can be set back.) When a
// call to the store fails, what it may have granted is lost until the window
// ends, and never used.
//
// # What leases cost
//
// A request is refused only when the store has nothing left. What others hold
// and do not use is then missing: with N processes, a limit L and costs up to C,
// a request of cost c is refused only after at least
//
//	L - (c-1) - (N-1)·max(C, L/8)
//
// of the window was admitted. The last term is the most that can happen, and only
// if others stop having requests just after a burst: a lease is at most twice what
// was used of the one before it, at most what is expected to be used within a
// sixtieth of the window (100 ms to a minute) or a 512th of the limit, and at most an
// eighth of what was left, so that leases are single requests before a window is full. As long as
// requests come to all processes, nothing is missing, and a process alone admits
// all of the limit. A limit that was changed, a process that was killed and a call
// that failed count as one more process.
package leases

import (
	"context"
	"errors"
	"time"
)

// MaxLimits is how many limits a subject can have.
const MaxLimits = 4

var (
	// ErrClosed says that the limiter was closed.
	ErrClosed = errors.New("leases: limiter closed")
	// ErrLate says that the store answered several times in a row, but each time
	// only after the window that it answered for was over.
	ErrLate = errors.New("leases: the store answers later than windows end")
	// ErrTooMany says that a limiter without a store has no place for another
	// subject, and so cannot count it.
	ErrTooMany = errors.New("leases: too many subjects")
	// ErrInvalid says that limits or a cost make no sense.
	ErrInvalid = errors.New("leases: invalid limits or cost")
)

// Limit allows Max within each window of Span, aligned to the Unix epoch. A Max
// of zero denies everything.
type Limit struct {
	Max  int64
	Span time.Duration // a whole number of milliseconds
}

// Request asks the store for parts of a subject's windows.
type Request struct {
	Subject [32]byte
	// At is the time whose windows are meant; zero: now, by the store's own clock.
	At    time.Time
	Parts []Part // by span, the shortest first
}

// Part asks for Want of the current window of Limit; 0 only looks.
type Part struct {
	Limit Limit
	Want  int64
}

// Grant answers a [Request], part by part.
type Grant struct {
	Now   time.Time // the time that chose the windows
	Parts []Granted
}

// Granted is what was granted of a window: as much of what was wanted as there
// was. Used is of the window, by all, this grant included.
type Granted struct {
	Start   time.Time
	Granted int64
	Used    int64
}

// Unused is what was granted of a window and is given back.
type Unused struct {
	Subject [32]byte
	Span    time.Duration
	Start   time.Time
	Unused  int64
}

// TakeFunc takes leases from the store: all windows of a request at one time, by
// the store's clock. It obeys its context. After an error nothing is used of what
// it may have granted. The limiter calls it from a goroutine of its own.
type TakeFunc func(ctx context.Context, requests []Request) ([]Grant, error)

// ReturnFunc gives back to the store what was granted and not used.
type ReturnFunc func(ctx context.Context, unused []Unused) error

// Decision is the answer to a charge.
type Decision struct {
	// Allowed says that all limits had room and all were charged. When false, none
	// was. For a cost of 0 it says whether a cost of 1 would pass.
	Allowed bool
	// Refused is the index of the limit that had no room, of several the one whose
	// window ends last; -1 when allowed.
	Refused int8
	// Held says that a [Handle] decided by the lease that it remembered. If it refused,
	// [Stats] does not count it: that is left to whoever counts refusals anyway.
	Held  bool
	at    int8          // the state that says what time it was
	until time.Duration // the end of its window

	// States has one state for each limit of the subject, in its order.
	States [MaxLimits]State
}

// Now is the time of the decision by the clock that defines the windows, as far
// as it is known here.
func (d *Decision) Now() time.Time { return d.States[d.at].ResetAt().Add(-d.until) }

// After is the time from the decision to the end of the window of the limit that had
// no room; never negative.
func (d *Decision) After() time.Duration {
	if d.at == d.Refused {
		return max(0, d.until)
	}
	return max(0, d.States[d.Refused].ResetAt().Sub(d.Now()))
}

// State is where a subject stands within a limit. Remaining is what this process
// holds and what the store had left when it was last asked.
type State struct {
	Remaining int64
	Reset     int64 // the window's end, in microseconds since the Unix epoch
}

// ResetAt is the window's end, UTC.
func (s State) ResetAt() time.Time { return time.UnixMicro(s.Reset).UTC() }
