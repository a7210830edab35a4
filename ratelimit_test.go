package apikeys_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys"
)

var windows = []apikeys.RateLimitWindow{
	apikeys.WindowSecond, apikeys.WindowMinute, apikeys.WindowHour, apikeys.WindowDay,
}

// A window holds its time, is as long as it says, and is aligned to the epoch:
// windows of one length neither overlap nor leave gaps.
func TestWindowsTileTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMicro(rapid.Int64Range(-1e15, 2.5e17).Draw(t, "at"))
		w := rapid.SampledFrom(windows).Draw(t, "window")
		start := w.Start(at)
		if at.Before(start) || !at.Before(start.Add(w.Duration())) {
			t.Fatalf("%s: %s is not within %s from %s", w, at, w.Duration(), start)
		}
		if start.Unix()%int64(w) != 0 || start.Nanosecond() != 0 || start.Location() != time.UTC {
			t.Fatalf("%s: %s is not aligned to the epoch in UTC", w, start)
		}
		if next := w.Start(start.Add(w.Duration())); !next.Equal(start.Add(w.Duration())) {
			t.Fatalf("%s: the window after %s begins at %s", w, start, next)
		}
		if last := w.Start(start.Add(w.Duration() - 1)); !last.Equal(start) {
			t.Fatalf("%s: the last instant from %s falls into %s", w, start, last)
		}
	})
}

func TestRateLimitStrings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		limit apikeys.RateLimit
		want  string
	}{
		{apikeys.PerSecond(1), "1/second"}, {apikeys.PerMinute(20), "20/minute"},
		{apikeys.PerHour(300), "300/hour"}, {apikeys.PerDay(0), "0/day"},
	} {
		if got := tt.limit.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
