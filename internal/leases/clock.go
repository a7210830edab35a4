package leases

import "time"

// clock tells the time of this process. An injected one also says which windows
// are meant; else the store's clock does.
type clock struct {
	read     func() time.Time // nil: injected, and known from the callers only
	injected bool
}

// again is the time after something that blocked, for a caller who came at given.
func (c *clock) again(given time.Time) time.Time {
	if c.read == nil {
		return given
	}
	return c.read()
}

// trusted returns a time that can be compared with the end of a lease. Real time
// without its monotonic reading cannot: the wall clock may have been set back.
func (c *clock) trusted(now time.Time) time.Time {
	if bare(now) && !c.injected {
		return c.read()
	}
	return now
}

// bare tells whether a time has no monotonic reading.
func bare(t time.Time) bool { return t == t.Round(0) }

// elapsed is the time between two readings, by the clock that says more.
func elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

// windowEnd is the end of the window that t falls in.
func windowEnd(t time.Time, span time.Duration) time.Time {
	us, width := t.UnixMicro(), span.Microseconds()
	into := us % width
	if into < 0 {
		into += width
	}
	return time.UnixMicro(us - into + width).UTC()
}

// sighting is a look at the store's clock: what it said, to a request sent when
// ours said sent.
type sighting struct {
	sent, store time.Time
}

// at estimates the store's time. It may be ahead, by what the request took.
func (s *sighting) at(now time.Time) time.Time {
	if s == nil {
		return now.Round(0)
	}
	return s.store.Add(elapsed(s.sent, now))
}
