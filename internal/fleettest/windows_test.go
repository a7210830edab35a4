package fleettest_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// least is how much of a limit is admitted at least before a request is refused, when each costs 1: see package leases.
func least(limit int64) int64 { return limit - (processes-1)*max(1, limit/8) }

func TestLeasesStayWithinTheirBoundsAcrossProcesses(t *testing.T) {
	t.Parallel()
	const uses = 100
	const limit = processes * goroutines * uses / 2
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			client, at := newPlace(t, d)
			for name, limits := range map[string][]apikeys.RateLimit{
				"one limit":  {apikeys.PerHour(limit)},
				"two limits": {apikeys.PerHour(limit), apikeys.PerDay(2 * limit)},
			} {
				t.Run(name, func(t *testing.T) {
					counted := inOneHour(t, func() *tally {
						key := issue(t, client, limits...).Plaintext.Reveal()
						return together(t, nil, fleet(demanded{place: at, Uses: uses, Key: key})...)
					})
					got := sum(counted.Accepted)
					if got > limit || got < least(limit) {
						t.Errorf("got %d accepted, want %d to %d", got, least(limit), limit)
					}
					t.Logf("%d of %d accepted", got, limit)
				})
			}
		})
	}
}

// In each of many windows of a second, twice the limit is demanded.
func TestLimitHoldsInEachOfManyWindows(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run("leases, "+d.Name, func(t *testing.T) {
			t.Parallel()
			w := newWindows(t, d, testdb.Dose(3, 1000))
			// The small dose shares the machine with other tests: what a lease held is lost when its window is over before
			// the answer is there.
			w.check(t, w.demand(t, nil, fleet(w.todo)...), int64(testdb.Dose(0, int(least(w.limit)))))
		})
		t.Run("exact, "+d.Name, func(t *testing.T) {
			t.Parallel()
			w := newWindows(t, d, testdb.Dose(3, 200))
			w.todo.Exact = true
			w.check(t, w.demand(t, nil, fleet(w.todo)...), w.limit)
		})
	}
}

// One clock is a year ahead, one a year behind, and one process is frozen now and then, with leases in its hands. This
// costs some of what is admitted, and admits no more.
func TestLimitHoldsWithWrongClocksAndFrozenProcesses(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			w := newWindows(t, d, testdb.Dose(4, 200))
			todo := fleet(w.todo)
			todo[1].Ahead, todo[2].Ahead = year, -year
			counted := w.demand(t, func(children []*child.Process) {
				for ends := time.Now().Add(w.todo.Lasting); time.Now().Before(ends); {
					time.Sleep(rand.N(time.Second)) // of traffic
					children[3].Freeze()
					time.Sleep(rand.N(2 * time.Second)) // into another window, or not
					children[3].Thaw()
				}
			}, todo...)
			w.check(t, counted, 0)
		})
	}
}

// windows is one key in many windows.
type windows struct {
	limit int64
	todo  demanded
}

// newWindows lets a fleet demand twice the limit of windows of a second, for some seconds; twenty times as much in the
// small dose, so that a machine that is busy with other tests demands enough, too.
func newWindows(t *testing.T, d stores.Database, seconds int) windows {
	t.Helper()
	limit := testdb.Dose(25, 1000)
	client, at := newPlace(t, d)
	key := issue(t, client, apikeys.PerSecond(int64(limit)), apikeys.PerHour(1<<40))
	return windows{int64(limit), demanded{
		place: at, Key: key.Plaintext.Reveal(), Lasting: time.Duration(seconds) * time.Second,
		Pace: time.Second * processes * goroutines / time.Duration(testdb.Dose(20, 2)*limit),
	}}
}

// demand lets children demand, again and again until some of it was refused: on a machine that is busy with other tests
// it may be too little.
func (w windows) demand(t *testing.T, meanwhile func(children []*child.Process), todo ...demanded) *tally {
	t.Helper()
	all := newTally()
	for try := 0; try < 10 && len(all.Refused) == 0; try++ {
		all.add(together(t, meanwhile, todo...))
	}
	return all
}

// check sees that no window admitted more than the limit; and not less than so much, if it refused anything: else there
// may have been no more requests. What was charged before a request ended as unavailable may be missing.
func (w windows) check(t *testing.T, counted *tally, least int64) {
	t.Helper()
	full, short, shortest := 0, int64(0), w.limit
	for window, got := range counted.Accepted {
		if got > w.limit {
			t.Errorf("a window admitted %d, want at most %d", got, w.limit)
		}
		if counted.Refused[window] == 0 {
			continue
		}
		full++
		short += w.limit - got
		shortest = min(shortest, got)
		if got < least && counted.Unavailable == 0 {
			t.Errorf("a window admitted %d and refused %d, want at least %d", got, counted.Refused[window], least)
		}
	}
	if full == 0 {
		t.Error("got no window in which requests were refused")
	}
	t.Logf("%d windows, of which %d refused; of a limit of %d these admitted %.1f less on average, and %d at least; %d requests were unavailable",
		len(counted.Accepted), full, w.limit, float64(short)/float64(max(full, 1)), shortest, counted.Unavailable)
}
