package keycache_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

// ledger knows which versions of a key were acknowledged, and when.
type ledger struct {
	mu   sync.Mutex
	acks []ack
	here atomic.Int64 // the last that was acknowledged by this process
}

type ack struct {
	version int
	mono    int64
}

func (l *ledger) acknowledge(version int, at keycache.Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = append(l.acks, ack{version, at.Mono})
}

// floor is the version that nobody may go below at that moment: acknowledged here,
// or a delay ago.
func (l *ledger) floor(now keycache.Instant) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.acks) - 1; i >= 0; i-- {
		if l.acks[i].mono <= now.Mono-int64(delay) {
			return l.acks[i].version
		}
	}
	return 0
}

// crowd is goroutines that repeat something until the end.
type crowd struct {
	sync.WaitGroup
	over atomic.Bool
}

func (c *crowd) repeat(body func(r *rand.Rand)) {
	c.Go(func() {
		for r := rand.New(rand.NewPCG(rand.Uint64(), 1)); !c.over.Load(); {
			body(r)
		}
	})
}

// Readers, writers here and elsewhere, and a clock that runs, jumps and is set: no
// reader is served a version that was out of date for a delay, or that this
// process had replaced before.
func TestNobodyIsServedWhatIsTooOld(t *testing.T) {
	t.Parallel()
	duration := 1500 * time.Millisecond
	if testing.Short() {
		duration /= 5
	}
	clk := newClock()
	r := newRig(t, func(o *keycache.Options) { o.Now = clk.now })
	r.mustLook()
	r.db.slow = func(context.Context) { runtime.Gosched() }
	var ledgers [20]ledger
	var crowd crowd
	crowd.repeat(func(rnd *rand.Rand) { runClock(clk, rnd) })
	crowd.repeat(func(rnd *rand.Rand) { // another process
		i := rnd.IntN(len(ledgers))
		version := r.db.commit(idOf(i))
		ledgers[i].acknowledge(version, clk.now())
		time.Sleep(time.Duration(rnd.IntN(100)) * time.Microsecond)
	})
	crowd.repeat(func(rnd *rand.Rand) { // this process
		i := rnd.IntN(len(ledgers))
		version := 0
		_ = r.looker.Change([]keycache.Change{{Kind: keycache.KindKey, ID: idOf(i)}}, func() error {
			runtime.Gosched()
			version = r.db.commit(idOf(i))
			runtime.Gosched()
			return nil
		})
		ledgers[i].here.Store(int64(version))
		time.Sleep(time.Duration(rnd.IntN(1000)) * time.Microsecond)
	})
	var hits, finds, refused atomic.Int64
	for range 4 {
		crowd.repeat(func(rnd *rand.Rand) {
			i := rnd.IntN(len(ledgers))
			here, now := ledgers[i].here.Load(), clk.now()
			floor := max(int(here), ledgers[i].floor(now))
			if rnd.IntN(20) == 0 {
				runtime.Gosched()
			}
			if got := r.lookupAt(now, idOf(i)); got >= 0 {
				hits.Add(1)
				if got < floor {
					t.Errorf("Lookup: got version %d, want %d at least", got, floor)
				}
				return
			}
			finds.Add(1)
			switch got, err := r.find(idOf(i)); {
			case err != nil: // changed again and again, or the clock ran away
				refused.Add(1)
			case got < floor:
				t.Errorf("Find: got version %d, want %d at least", got, floor)
			}
		})
	}
	time.Sleep(duration)
	crowd.over.Store(true)
	crowd.Wait()
	looks, loads := r.db.asked()
	t.Logf("%d hits, %d finds (%d refused), %d looks, %d loads, %d changes",
		hits.Load(), finds.Load(), refused.Load(), looks, loads, r.db.mark.Revision)
	if hits.Load() < 1000 || finds.Load() < 100 || refused.Load() > finds.Load()/20 {
		t.Error("too few were served to mean anything")
	}
}

func runClock(clk *clock, rnd *rand.Rand) {
	switch step := time.Duration(rnd.IntN(int(delay / 20))); rnd.IntN(300) {
	case 0:
		clk.pass(3 * delay)
	case 1:
		clk.move(step, -time.Duration(rnd.IntN(int(delay))))
	default:
		clk.pass(step)
	}
	time.Sleep(time.Duration(rnd.IntN(50)) * time.Microsecond)
}
