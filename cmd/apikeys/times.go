package main

import (
	"strconv"
	"time"
)

// readSpan reads a length of time: 36h, 90m, 30d, 2w.
func readSpan(flag, s string) (time.Duration, error) {
	days := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	span, err := time.ParseDuration(s)
	if n := len(s); n > 1 && days[s[n-1]] != 0 {
		var count int
		count, err = strconv.Atoi(s[:n-1])
		if unit := days[s[n-1]]; count > int(maxSpan/unit) {
			err = strconv.ErrRange
		} else {
			span = time.Duration(count) * unit
		}
	}
	if err != nil || span < 0 || span > maxSpan {
		return 0, usagef("%s: is not a length of time such as 30d, 2w, 36h or 90m (at most 100 years)", flag)
	}
	return span, nil
}

const maxSpan = 100 * 365 * 24 * time.Hour

// readEnd reads when something ends: a time, a date, how long from now, or never,
// which is the zero time.
func (a *app) readEnd(flag, s string) (time.Time, error) {
	if s == "never" {
		return time.Time{}, nil
	}
	return a.readTime(flag, s, a.clock().Add)
}

// readPast reads a time in the past: a time, a date, or how long ago.
func (a *app) readPast(flag, s string) (time.Time, error) {
	return a.readTime(flag, s, func(span time.Duration) time.Time { return a.clock().Add(-span) })
}

// readTime reads a time, a date, or a length of time that away gives its time.
func (a *app) readTime(flag, s string, away func(time.Duration) time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	span, err := readSpan(flag, s)
	if err != nil {
		example := away(30 * 24 * time.Hour).Truncate(time.Hour)
		return time.Time{}, usagef("%s: is neither a time (%s), nor a date (%s), nor a length of time (30d, 36h)",
			flag, example.Format(time.RFC3339), example.Format(time.DateOnly))
	}
	return away(span).Truncate(time.Second), nil
}
