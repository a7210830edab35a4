package leases

import "time"

// How much to ask for. See the package's documentation for what follows from it.
const (
	// fraction of what is left is the most that a lease asks for beyond its cost.
	fraction = 8
	// growth bounds a lease to so many times what was used of the one before.
	growth = 2
	// crumb is the part of a limit that a lease may have whatever was used before. Many
	// subjects that are used now and then, of great limits, would else all be waiting for
	// single requests, and never come to be used more.
	crumb = 512

	minHorizon = 100 * time.Millisecond
	maxHorizon = time.Minute
)

// horizon is the time that a lease should last: a sixtieth of the window, so that
// about as much of what a process uses is what it can leave unused. A subject that
// is busy all the time costs the store ten calls a second if its window is a
// second, one if it is a minute, and one a minute if it is longer.
func horizon(span time.Duration) time.Duration {
	return min(maxHorizon, max(minHorizon, span/60))
}

// ask is what the size of a lease depends on.
type ask struct {
	limit   Limit
	cost    int64 // 0 only looks
	waiting int64 // the costs of others who wait, too
	old     *lease
	carry   int64 // left of the old lease
	now     time.Time
}

// want is how much to ask of the store.
func (a *ask) want() int64 {
	if a.cost == 0 || a.cost > a.limit.Max {
		return 0
	}
	left, carry := a.limit.Max, int64(0)
	if a.sameWindow() {
		left, carry = a.old.rest+a.carry, a.carry
	}
	hold := max(a.cost, min(max(a.demand(), a.cost+a.waiting, a.limit.Max/crumb), left/fraction))
	return max(0, hold-carry)
}

// sameWindow tells whether the window of the old lease is, most likely, not over.
func (a *ask) sameWindow() bool {
	return a.old != nil && a.old.until(a.now) > 0
}

// demand is what is likely to be used within the horizon.
func (a *ask) demand() int64 {
	if a.old == nil {
		return 0
	}
	ahead := horizon(a.limit.Span)
	if a.sameWindow() {
		ahead = min(ahead, a.old.until(a.now))
	}
	lasted := max(1, elapsed(a.old.sent, a.now))
	used := float64(a.old.size - a.carry)
	return int64(min(used*min(growth, float64(ahead)/float64(lasted)), 1<<62))
}
