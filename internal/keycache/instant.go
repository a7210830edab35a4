package keycache

import "time"

// Instant is one moment on both clocks of the machine, in nanoseconds. Only the
// differences between two of one process mean something.
type Instant struct {
	Mono int64 // the monotonic clock
	Wall int64 // the wall clock
}

// origin is what monotonic readings are counted from.
var origin = time.Now()

// Now reads the clocks.
func Now() Instant { return At(time.Now()) }

// At is the instant of a time that time.Now has returned, unchanged: UTC, Round
// and Truncate may take the monotonic reading away.
func At(t time.Time) Instant {
	return Instant{Mono: int64(t.Sub(origin)), Wall: t.UnixNano()}
}

// Since returns how much time has passed since an earlier instant, on the clock
// that says more. Linux's monotonic clock stands still while the machine is
// suspended, and the wall clock can be set back: each covers for the other.
func (i Instant) Since(earlier Instant) time.Duration {
	return time.Duration(max(i.Mono-earlier.Mono, i.Wall-earlier.Wall))
}

// notBefore tells the order of two instants. Only the monotonic clock knows it.
func (i Instant) notBefore(other Instant) bool { return i.Mono >= other.Mono }
