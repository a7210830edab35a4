package fleettest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// used is what a child of the task "use" does: it uses a key and says how often, until it is told to end or killed.
type used struct {
	place
	Key string
}

// progress is how many uses a process has had accepted, and how many it will have when it says so next.
type progress struct {
	At         time.Time
	Done, Next int64
}

func useKey(ctx context.Context, test *child.Pipe) error {
	var todo used
	if err := test.Receive(&todo); err != nil {
		return err
	}
	s, err := todo.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	stop := make(chan error, 1)
	go func() { stop <- test.Receive(new(string)) }()
	done := int64(0)
	err = withClient(ctx, s, apikeys.Config{}, func(client *apikeys.Client) error {
		for len(stop) == 0 {
			const batch = 10
			if err := test.Send(progress{time.Now(), done, done + batch}); err != nil {
				return err
			}
			for range batch {
				if _, err := client.Verify(ctx, todo.Key); err != nil {
					return err
				}
				done++
			}
			time.Sleep(time.Millisecond) // leaves the machine to others
		}
		return nil
	})
	return errors.Join(err, test.Send(progress{time.Now(), done, done}))
}

// usageInterval is the default of Config.UsageFlushInterval.
const usageInterval = time.Second

// slack is what a flush may take in the full dose, which has the machine for itself.
const slack = 2 * time.Second

// Of processes that use keys, some are killed and some are closed: at most one interval of uses is lost with those, none
// with these, and no use is counted twice.
func TestUsesOfKilledProcesses(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			client, at := newPlace(t, d)
			all := &losses{}
			for range testdb.Dose(1, 50) {
				var running sync.WaitGroup
				for i := range processes {
					key := issue(t, client)
					p := child.Start(t, "use", used{at, key.Plaintext.Reveal()})
					running.Go(func() { all.add(useThenEnd(t, client, key, p, i%2 == 0)) })
				}
				running.Wait()
			}
			t.Log(all)
		})
	}
}

// useThenEnd ends a child after a while. It returns how many uses are lost, and since when; nothing of one that was
// closed.
func useThenEnd(t *testing.T, client *apikeys.Client, key *apikeys.IssuedKey, p *child.Process, kill bool) (lost int64, since time.Duration) {
	t.Helper()
	first, heard := make(chan struct{}), make(chan []progress)
	go func() {
		var all []progress
		for one := (progress{}); p.Receive(&one) == nil; one = (progress{}) {
			if all = append(all, one); len(all) == 1 {
				close(first)
			}
		}
		heard <- all
	}()
	select {
	case <-first:
	case all := <-heard:
		t.Errorf("got %v, and %d reports of a process", p.Wait(), len(all))
		return 0, 0
	}
	time.Sleep(500*time.Millisecond + rand.N(2*usageInterval)) // of uses
	ended := time.Now()
	if kill {
		p.Kill()
	} else if err := p.Send("end"); err != nil {
		t.Error(err)
	}
	all := <-heard
	if err := p.Wait(); err != nil && !kill {
		t.Error(err)
	}
	k, err := client.GetKey(t.Context(), key.Key.ID)
	if err != nil {
		t.Error(err)
		return 0, 0
	}
	last := all[len(all)-1]
	if !kill && k.UseCount != last.Done || k.UseCount > last.Next {
		t.Errorf("got %d uses of a process that had %d to %d (killed: %v)", k.UseCount, last.Done, last.Next, kill)
	}
	for _, one := range all {
		if one.Done <= k.UseCount {
			since = ended.Sub(one.At)
		}
	}
	if testdb.Full() && since > usageInterval+slack {
		t.Errorf("the uses of %s before the kill are lost, want at most of %s", since, usageInterval)
	}
	return max(0, last.Done-k.UseCount), since
}

// losses are what killed processes took with them.
type losses struct {
	mu    sync.Mutex
	ended int
	lost  int64
	since []time.Duration
}

func (l *losses) add(lost int64, since time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended++
	if lost > 0 {
		l.lost += lost
		l.since = append(l.since, since)
	}
}

func (l *losses) String() string {
	return fmt.Sprintf("%d processes ended; %d of them lost %d uses, of the time before: %s", l.ended, len(l.since), l.lost, spread(l.since))
}
