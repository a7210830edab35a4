package sqlstore

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys"
)

// noon is in the middle of no window but the second's: minute and hour begin with it.
var noon = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)

func part(limit apikeys.RateLimit, want int64) apikeys.LeasePart {
	return apikeys.LeasePart{Limit: limit, Want: want}
}

func TestGrant(t *testing.T) {
	t.Parallel()
	minute, hour := int64(60), int64(3600)
	now := noon.Add(30*time.Second).Unix() / minute * minute
	for name, tc := range map[string]struct {
		rows         map[int64]window // by span
		allOrNothing bool
		parts        []apikeys.LeasePart
		granted      []int64
		used         []int64
		after        map[int64]window // those that changed
	}{
		"of nothing yet": {
			parts: []apikeys.LeasePart{part(apikeys.PerMinute(10), 3)}, granted: []int64{3}, used: []int64{3},
			after: map[int64]window{minute: {now, 3, true, true}},
		},
		"of what is left": {
			rows:  map[int64]window{minute: {starts: now, used: 8}},
			parts: []apikeys.LeasePart{part(apikeys.PerMinute(10), 3)}, granted: []int64{2}, used: []int64{10},
			after: map[int64]window{minute: {now, 10, true, false}},
		},
		"all or nothing: not enough is nothing": {
			rows: map[int64]window{minute: {starts: now, used: 8}}, allOrNothing: true,
			parts: []apikeys.LeasePart{part(apikeys.PerMinute(10), 3)}, granted: []int64{0}, used: []int64{8},
		},
		"all or nothing: one full window refuses all": {
			rows: map[int64]window{minute: {starts: now, used: 1}, hour: {starts: noon.Unix(), used: 100}}, allOrNothing: true,
			parts:   []apikeys.LeasePart{part(apikeys.PerMinute(10), 1), part(apikeys.PerHour(100), 1)},
			granted: []int64{0, 0}, used: []int64{1, 100},
		},
		"each for itself: the other is granted": {
			rows:    map[int64]window{hour: {starts: noon.Unix(), used: 100}},
			parts:   []apikeys.LeasePart{part(apikeys.PerMinute(10), 1), part(apikeys.PerHour(100), 1)},
			granted: []int64{1, 0}, used: []int64{1, 100},
			after: map[int64]window{minute: {now, 1, true, true}},
		},
		"an older window makes room": {
			rows:  map[int64]window{minute: {starts: now - minute, used: 10}},
			parts: []apikeys.LeasePart{part(apikeys.PerMinute(10), 4)}, granted: []int64{4}, used: []int64{4},
			after: map[int64]window{minute: {now, 4, true, true}},
		},
		"a look at an older window changes nothing": {
			rows:  map[int64]window{minute: {starts: now - minute, used: 10}},
			parts: []apikeys.LeasePart{part(apikeys.PerMinute(10), 0)}, granted: []int64{0}, used: []int64{0},
		},
		"a look does not charge": {
			rows:  map[int64]window{minute: {starts: now, used: 7}},
			parts: []apikeys.LeasePart{part(apikeys.PerMinute(10), 0)}, granted: []int64{0}, used: []int64{7},
		},
		"a clock that went back gets nothing, and nothing remains": {
			rows:  map[int64]window{minute: {starts: now + minute, used: 2}},
			parts: []apikeys.LeasePart{part(apikeys.PerMinute(10), 1)}, granted: []int64{0}, used: []int64{10},
		},
		"a window a whole one ahead was a mistake": {
			rows:  map[int64]window{minute: {starts: now + 2*minute, used: 2}},
			parts: []apikeys.LeasePart{part(apikeys.PerMinute(10), 1)}, granted: []int64{1}, used: []int64{1},
			after: map[int64]window{minute: {now, 1, true, true}},
		},
		"a limit of zero denies everything": {
			parts: []apikeys.LeasePart{part(apikeys.PerMinute(0), 1)}, granted: []int64{0}, used: []int64{0},
		},
		"a limit that was lowered gives nothing more, and lowers nothing": {
			rows:  map[int64]window{minute: {starts: now, used: 50}},
			parts: []apikeys.LeasePart{part(apikeys.PerMinute(10), 1)}, granted: []int64{0}, used: []int64{50},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, want := map[windowID]window{}, map[windowID]window{}
			for span, w := range tc.rows {
				rows[windowID{span: span}] = w
			}
			maps.Copy(want, rows)
			for span, w := range tc.after {
				want[windowID{span: span}] = w
			}
			g := grant(rows, apikeys.LeaseRequest{Parts: tc.parts, AllOrNothing: tc.allOrNothing}, noon)
			for i, p := range g.Parts {
				if p.Granted != tc.granted[i] || p.Used != tc.used[i] || !p.Start.Equal(tc.parts[i].Limit.Window.Start(noon)) {
					t.Errorf("part %d: got %+v, want %d granted, %d used", i, p, tc.granted[i], tc.used[i])
				}
			}
			if diff := cmp.Diff(want, rows, cmp.AllowUnexported(windowID{}, window{})); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// TestGrantKeepsItsPromises sends any requests at clocks that go back and forth to
// one state, and keeps an account of its own.
func TestGrantKeepsItsPromises(t *testing.T) {
	t.Parallel()
	limits := []apikeys.RateLimit{apikeys.PerSecond(5), apikeys.PerMinute(20), apikeys.PerHour(40)}
	rapid.Check(t, func(t *rapid.T) {
		rows := map[windowID]window{}
		type place struct {
			windowID
			starts int64
		}
		admitted := map[place]int64{}
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			// Up to one second, minute and hour back or ahead of the one before: never
			// a whole window ahead, so that nothing may be taken for a mistake.
			now := noon.Add(time.Duration(rapid.IntRange(0, 1999).Draw(t, "ms")) * time.Millisecond)
			r := drawRequest(t, limits)
			before := maps.Clone(rows)
			g := grant(rows, r, now)
			all, none := true, true
			for i, p := range g.Parts {
				want := r.Parts[i].Want
				all, none = all && p.Granted == want, none && p.Granted == 0
				id := windowID{r.Subject, int64(r.Parts[i].Limit.Window)}
				at := place{id, p.Start.Unix()}
				admitted[at] += p.Granted
				switch {
				case p.Granted < 0 || p.Granted > want:
					t.Fatalf("granted %d of %d", p.Granted, want)
				case admitted[at] > r.Parts[i].Limit.Requests:
					t.Fatalf("admitted %d above the limit %s", admitted[at], r.Parts[i].Limit)
				case p.Granted == 0 && rows[id] != before[id]:
					t.Fatalf("a part that got nothing changed its row")
				case before[id].starts > p.Start.Unix() && p.Granted > 0:
					t.Fatalf("a clock that went back was granted %d", p.Granted)
				case rows[id].starts == before[id].starts && rows[id].used < before[id].used:
					t.Fatalf("used went down")
				}
			}
			if r.AllOrNothing && !all && !none {
				t.Fatalf("all or nothing, and got some: %+v", g.Parts)
			}
		}
	})
}

func drawRequest(t *rapid.T, limits []apikeys.RateLimit) apikeys.LeaseRequest {
	r := apikeys.LeaseRequest{
		Subject:      apikeys.Subject{byte(rapid.IntRange(0, 1).Draw(t, "subject"))},
		AllOrNothing: rapid.Bool().Draw(t, "all or nothing"),
	}
	for _, l := range limits {
		if rapid.Bool().Draw(t, "with") {
			r.Parts = append(r.Parts, part(l, rapid.Int64Range(0, 9).Draw(t, "want")))
		}
	}
	return r
}
