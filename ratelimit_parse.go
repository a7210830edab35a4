package apikeys

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// maxLimitRequests keeps sums of counters far from the end of an int64, and
// exact in the float64 of those who read them as JSON.
const maxLimitRequests = 1_000_000_000_000_000

// rateLimitForms is what ParseRateLimits tells whoever wrote something else.
const rateLimitForms = `"100/minute" or "1000 per hour", with second, minute, hour or day`

// ParseRateLimits reads rate limits as operators write them in an environment
// variable: "100/minute; 1000 per hour". Each is a whole number from 0 to 10^15,
// then "/" or "per", then a unit:
//
//	s, sec, second, seconds
//	m, min, minute, minutes
//	h, hr, hour, hours
//	d, day, days
//
// in upper or lower case. They are separated by ";", "," or line ends; spaces
// and empty pieces do not matter. There may be one limit for each window. The result
// is sorted by window, the shortest first; it is nil when s holds no limit.
//
// Errors are [InvalidArgumentError] and quote the piece that is wrong.
func ParseRateLimits(s string) ([]RateLimit, error) {
	var limits []RateLimit
	for piece := range strings.FieldsFuncSeq(s, isLimitSeparator) {
		piece = strings.TrimSpace(piece)
		if piece == "" {
			continue
		}
		l, ok := parseRateLimit(piece)
		if !ok {
			return nil, invalid("RateLimits", "%s is not a rate limit: write %s", quoteClipped(piece), rateLimitForms)
		}
		if l.Requests > maxLimitRequests {
			return nil, invalid("RateLimits", "%s is too large: at most 10^15 requests", quoteClipped(piece))
		}
		if hasWindow(limits, l.Window) {
			return nil, invalid("RateLimits", "%s is a second limit for each %s: at most one", quoteClipped(piece), l.Window)
		}
		limits = append(limits, l)
	}
	sortRateLimits(limits)
	return limits, nil
}

func isLimitSeparator(r rune) bool {
	return r == ';' || r == ',' || r == '\n' || r == '\r'
}

// parseRateLimit reads one limit, without space around it. Numbers too large
// for an int64 come back as its maximum.
func parseRateLimit(s string) (RateLimit, bool) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if digits == 0 {
		return RateLimit{}, false
	}
	// Out of range is the only error left; n is then the maximum.
	n, _ := strconv.ParseInt(s[:digits], 10, 64)
	unit, ok := cutPer(s[digits:])
	if !ok {
		return RateLimit{}, false
	}
	w, ok := parseWindow(unit)
	return RateLimit{Requests: n, Window: w}, ok
}

// cutPer takes the "/" or the word "per" off the front.
func cutPer(s string) (unit string, ok bool) {
	if unit, ok = strings.CutPrefix(strings.TrimSpace(s), "/"); ok {
		return strings.TrimSpace(unit), true
	}
	words := strings.Fields(s)
	if len(words) != 2 || strings.ToLower(words[0]) != "per" {
		return "", false
	}
	return words[1], true
}

func parseWindow(unit string) (RateLimitWindow, bool) {
	switch strings.ToLower(unit) {
	case "s", "sec", "second", "seconds":
		return WindowSecond, true
	case "m", "min", "minute", "minutes":
		return WindowMinute, true
	case "h", "hr", "hour", "hours":
		return WindowHour, true
	case "d", "day", "days":
		return WindowDay, true
	}
	return 0, false
}

// normalizeRateLimits checks limits and returns them sorted by window, the
// shortest first, in a slice of its own; nil for none.
func normalizeRateLimits(field string, limits []RateLimit) ([]RateLimit, error) {
	var kept []RateLimit
	for _, l := range limits {
		switch {
		case !l.Window.valid():
			return nil, invalid(field, "the window of %d seconds is unknown: use second, minute, hour or day", int64(l.Window))
		case l.Requests < 0:
			return nil, invalid(field, "%s is negative; 0 denies everything", l)
		case l.Requests > maxLimitRequests:
			return nil, invalid(field, "%s is too large: at most 10^15 requests", l)
		case hasWindow(kept, l.Window):
			return nil, invalid(field, "%s is a second limit for each %s: at most one", l, l.Window)
		}
		kept = append(kept, l)
	}
	sortRateLimits(kept)
	return kept, nil
}

func hasWindow(limits []RateLimit, w RateLimitWindow) bool {
	return slices.ContainsFunc(limits, func(l RateLimit) bool { return l.Window == w })
}

func sortRateLimits(limits []RateLimit) {
	slices.SortFunc(limits, func(a, b RateLimit) int { return cmp.Compare(a.Window, b.Window) })
}
