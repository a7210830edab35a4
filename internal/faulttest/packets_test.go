package faulttest_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// For every mutation and every k: the server does what the k-th packet says, and its
// answer is lost with the connection; or the server is gone from then on. Where the
// packet was a commit, the client repeats it under the same operation id and learns
// that it was done; if the server is gone, it reports that the outcome is unknown. It
// is done once or not at all.
func TestAnswersAreLost(t *testing.T) {
	t.Parallel()
	for _, d := range proxied() {
		for _, gone := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, gone afterwards %v", d.Name, gone), func(t *testing.T) {
				t.Parallel()
				direct, dsn := d.Migrated(t)
				p := d.proxy(t, dsn)
				lose := &losses{proxy: p, gone: gone, store: d.Opened(t, p.DSN), direct: direct}
				for i, op := range mutations() {
					if i%testdb.Dose(6, 1) == 0 {
						lose.everyAnswer(t, op)
					}
				}
				t.Log(lose)
				if lose.unknown == 0 && gone || lose.settled == 0 && !gone {
					t.Error("no outcome was in doubt: nothing was tested")
				}
			})
		}
	}
}

// losses are the answers that a proxy loses.
type losses struct {
	proxy         *testdb.Proxy
	gone          bool
	store, direct stores.Store // through the proxy, and past it

	trials, settled, unknown, undone int
}

func (l *losses) String() string {
	return fmt.Sprintf("%d answers lost: %d operations came through, %d reported an unknown outcome, %d that nothing was done",
		l.trials, l.settled, l.unknown, l.undone)
}

func (l *losses) everyAnswer(t *testing.T, op operation) {
	t.Helper()
	direct := newClient(t, l.direct, strict())
	w := newWorld(t, l.direct, direct)
	before := w.snapshot(t)
	if err := op.do(t.Context(), direct, w); err != nil {
		t.Fatalf("%s without a fault: %v", op.name, err)
	}
	after := w.snapshot(t)
	client := newClient(t, l.store, strict())
	for k, more := 1, true; more; k++ {
		var packets atomic.Int64
		x := trial{op: op, w: newWorld(t, l.direct, direct), client: client, before: before, after: after}
		x.name = fmt.Sprintf("%s, the answer to packet %d lost", op.name, k)
		x.breakIt = func() { l.proxy.Befall(l.mishap(int64(k), &packets)) }
		x.heal = func() bool {
			l.proxy.Heal()
			l.await(t, client, w)
			return packets.Load() >= int64(k)
		}
		x.ended = l.count
		more = x.run(t)
	}
}

func (l *losses) mishap(k int64, packets *atomic.Int64) func([]byte) testdb.Mishap {
	return func([]byte) testdb.Mishap {
		switch n := packets.Add(1); {
		case n == k:
			return testdb.Cut
		case n > k && l.gone:
			return testdb.Reset
		}
		return testdb.Pass
	}
}

// await waits until the client has connections that work.
func (l *losses) await(t *testing.T, client *apikeys.Client, w *world) {
	t.Helper()
	for began := time.Now(); ; {
		_, err := client.GetOrganization(t.Context(), w.org)
		if err == nil || code(err) == apikeys.CodeNotFound {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("a minute after the network is well again: got error %v", err)
		}
	}
}

// count counts what operations said that met a loss.
func (l *losses) count(err error) {
	l.trials++
	switch code(err) {
	case "ok":
		l.settled++
	case apikeys.CodeOutcomeUnknown:
		l.unknown++
	default:
		l.undone++
	}
}
