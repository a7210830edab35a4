package leases

import (
	"math"
	"testing"
	"time"
)

func TestWant(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	const minute = time.Minute
	// held is a lease of the minute that begins at noon, taken at its beginning.
	held := func(size, rest int64, span time.Duration) *lease {
		c := clock{injected: true}
		return c.newLease(noon.Add(span), span, span, noon).fill(size, rest, 0)
	}
	for _, tc := range []struct {
		name string
		ask  ask
		want int64
	}{
		{"the first takes its cost", ask{limit: Limit{800, minute}, cost: 3}, 3},
		{"with those who wait", ask{limit: Limit{800, minute}, cost: 3, waiting: 20}, 23},
		{"an eighth at most", ask{limit: Limit{800, minute}, cost: 3, waiting: 2000}, 100},
		{"or the cost", ask{limit: Limit{800, minute}, cost: 300, waiting: 2000}, 300},
		{"looking takes nothing", ask{limit: Limit{800, minute}, waiting: 20}, 0},
		{"too much takes nothing", ask{limit: Limit{8, minute}, cost: 9}, 0},
		{"twice what was used at once", ask{
			limit: Limit{800, minute}, cost: 1, old: held(10, 790, minute), now: noon.Add(time.Millisecond),
		}, 20},
		{"as much as was used in a sixtieth", ask{
			limit: Limit{800, minute}, cost: 1, old: held(10, 790, minute), now: noon.Add(time.Second),
		}, 10},
		{"less than was used in longer", ask{
			limit: Limit{800, minute}, cost: 1, old: held(10, 790, minute), now: noon.Add(5 * time.Second),
		}, 2},
		{"100 ms of a second", ask{
			limit: Limit{800, time.Second}, cost: 1, old: held(10, 790, time.Second), now: noon.Add(200 * time.Millisecond),
		}, 5},
		{"a minute of a day", ask{
			limit: Limit{800, 24 * time.Hour}, cost: 1, old: held(10, 790, 24*time.Hour), now: noon.Add(2 * time.Minute),
		}, 5},
		{"what the time left needs", ask{
			limit: Limit{8000, minute}, cost: 1, old: held(1180, 7000, minute), now: noon.Add(59 * time.Second),
		}, 20},
		{"a 512th, whatever was used", ask{
			limit: Limit{51_200, minute}, cost: 1, old: held(1, 50_000, minute), now: noon.Add(30 * time.Second),
		}, 100},
		{"an eighth of what is left", ask{
			limit: Limit{800, minute}, cost: 1, old: held(50, 80, minute), now: noon.Add(time.Millisecond),
		}, 10},
		{"one at a time at the end", ask{
			limit: Limit{800, minute}, cost: 1, old: held(50, 12, minute), now: noon.Add(time.Millisecond),
		}, 1},
		{"less what is in hand", ask{
			limit: Limit{800, minute}, cost: 7, old: held(10, 790, minute), carry: 5, now: noon.Add(time.Millisecond),
		}, 5},
		{"nothing is in hand of a window that is over", ask{
			limit: Limit{800, minute}, cost: 7, old: held(10, 0, minute), carry: 5, now: noon.Add(minute),
		}, 7},
		{"no overflow", ask{
			limit: Limit{math.MaxInt64, minute}, cost: 1, old: held(math.MaxInt64/2, math.MaxInt64/2, minute), now: noon,
		}, math.MaxInt64 / 16},
	} {
		if tc.ask.now.IsZero() {
			tc.ask.now = noon
		}
		if got := tc.ask.want(); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}
