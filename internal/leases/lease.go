package leases

import (
	"math"
	"sync/atomic"
	"time"
)

// driftShift is the part of the time until a window's end by which a lease ends
// earlier, as a power of two: about 500 ppm, the fastest that a disciplined clock is slewed.
// What is left of it then is taken over by the next lease of the same window.
const driftShift = 11

// aside is what remains in a lease from which what remained was taken: less than
// any cost, and yet not a reason to refuse.
const aside = -1

// lease is what may be charged to one window. All but remaining is fixed: more of
// the same window makes a new lease, which takes over what is left of this one.
//
// What a charge reads comes first, and fills a cache line: as large as this, a lease
// begins with one.
type lease struct {
	remaining atomic.Int64 // aside: not here

	rest  int64         // what the store had left; 0: the lease is the last of its window
	reset int64         // the window's end, by the clock that defines it, in microseconds
	end   time.Time     // by both clocks
	tail  time.Duration // from end to the end of the window
	from  int64         // no earlier than this, in microseconds

	grace time.Duration // from end to when it can be forgotten

	size int64     // remaining, at first
	debt int64     // what was counted in this window without asking the store
	sent time.Time // the request

	_ [16]byte
}

// newLease returns a lease of the window that ends at reset, which was until away
// when the clock of this process said sent.
func (c *clock) newLease(reset time.Time, span, until time.Duration, sent time.Time) *lease {
	l := &lease{reset: reset.UnixMicro(), sent: sent, from: math.MinInt64}
	if c.injected {
		// A clock that went back less than a window goes on counting in this one.
		l.end, l.from, l.grace = reset, reset.Add(-2*span).UnixMicro(), span
	} else {
		until = min(until, span)
		l.tail = max(0, until>>driftShift)
		l.end = sent.Add(until - l.tail)
	}
	return l
}

// fill sets what can be charged, before others see the lease.
func (l *lease) fill(amount, rest, debt int64) *lease {
	l.size, l.rest, l.debt = amount, rest, debt
	l.remaining.Store(amount)
	return l
}

// left is the time that the lease has, by the clock that says less. It may be
// charged while that is more than none.
func (l *lease) left(now time.Time) time.Duration {
	wall := now.UnixMicro()
	if wall < l.from {
		return 0
	}
	return min(l.end.Sub(now), time.Duration(l.end.UnixMicro()-wall)*time.Microsecond)
}

func (l *lease) live(now time.Time) bool { return l.left(now) > 0 }

// over tells whether the lease can be forgotten. An injected clock may go back
// into the window, so that its lease is kept for one more.
func (l *lease) over(now time.Time) bool {
	if l.grace == 0 || now.UnixMicro() < l.from {
		return !l.live(now)
	}
	return !now.Before(l.end.Add(l.grace))
}

// take charges the lease and returns what is left of it, or aside.
func (l *lease) take(cost int64) (remains int64, ok bool) {
	for {
		remains = l.remaining.Load()
		if remains < cost {
			return remains, false
		}
		if l.remaining.CompareAndSwap(remains, remains-cost) {
			return remains - cost, true
		}
	}
}

// charge decides on a single limit of which this is the lease, if it can.
func (l *lease) charge(cost int64, now time.Time, d *Decision) bool {
	left := l.left(now)
	if left <= 0 {
		return false
	}
	n, ok := l.take(cost)
	if !ok && (l.rest > 0 || n == aside) {
		return false
	}
	d.Allowed, d.Refused, d.at, d.until = ok, -1, 0, left+l.tail
	d.States[0] = l.state(n)
	if !ok {
		d.Refused = 0
	}
	return true
}

// until is the time to the end of the window.
func (l *lease) until(now time.Time) time.Duration { return l.left(now) + l.tail }

// state is where the limit stands when n is left of the lease.
func (l *lease) state(n int64) State {
	return State{Remaining: l.rest + max(0, n), Reset: l.reset}
}

// begin is the window's beginning, by the clock that defines it.
func (l *lease) begin(span time.Duration) time.Time {
	return time.UnixMicro(l.reset).UTC().Add(-span)
}
