package fleettest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// admitting is what a child of the task "admit" does until it is killed: it uses keys, each use charged to exact limits
// and noted in one call, and adds up what is noted again and again.
type admitting struct {
	place
	Keys []string
}

// step is what a child says before and after each use of a key, and before and after it adds up.
type step struct {
	Key   int // which of the keys; -1: adding up
	Ended bool
}

// testTime is the clock of these children: their windows do not end.
var testTime = time.Date(2026, time.March, 5, 12, 30, 0, 0, time.UTC)

func admit(ctx context.Context, test *child.Pipe) error {
	var todo admitting
	if err := test.Receive(&todo); err != nil {
		return err
	}
	s, err := todo.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	return withClient(ctx, s, apikeys.Config{
		RateLimiter: apikeys.NewExactLimiter(s), RevocationDelay: -1, UsageFlushInterval: -1, Now: func() time.Time { return testTime },
	}, func(client *apikeys.Client) error {
		done := make(chan error, goroutines+1)
		go func() { done <- forEver(test, step{Key: -1}, func() error { return s.FoldUsage(ctx) }) }()
		for g := range goroutines {
			go func() {
				key := g % len(todo.Keys)
				done <- forEver(test, step{Key: key}, func() error {
					_, err := client.Validate(ctx, todo.Keys[key], apikeys.ValidateParams{})
					return err
				})
			}()
		}
		return <-done
	})
}

// forEver does the same again and again, and says so before, and after if it is done. On a slow machine others may have
// the database for too long, but not again and again.
func forEver(test *child.Pipe, one step, do func() error) (err error) {
	ended := step{Key: one.Key, Ended: true}
	for failed := 0; failed < 5; {
		if err := test.Send(one); err != nil {
			return err
		}
		if err = do(); err != nil {
			failed++
			continue
		}
		failed = 0
		if err := test.Send(ended); err != nil {
			return err
		}
	}
	return err
}

// Processes are killed amid exact admissions, and amid adding them up: every use that was acknowledged is counted, none
// that nobody asked for is, and what is counted is what the limits were charged.
func TestAdmissionsOfKilledProcesses(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			s, dsn := d.Migrated(t)
			client, err := newClient(t.Context(), s, apikeys.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close(t.Context())
			limits := []apikeys.RateLimit{apikeys.PerHour(1 << 40), apikeys.PerDay(1 << 40)}
			keys := []*apikeys.IssuedKey{issue(t, client, limits[0]), issue(t, client, limits...)}
			b := &book{keys: keys, asked: make([]int64, len(keys)), acknowledged: make([]int64, len(keys))}
			for range testdb.Dose(2, 100) {
				b.killAdmitting(t, place{d.Name, dsn})
				b.check(t, s)
			}
			t.Log(b)
		})
	}
}

// book is what children said that they asked for, and what they were told.
type book struct {
	keys []*apikeys.IssuedKey

	mu                  sync.Mutex
	asked, acknowledged []int64 // uses of each key
	killed, amidFolding int
}

func (b *book) String() string {
	return fmt.Sprintf("%d processes killed, %d of them while they added up; of the keys' uses %v were asked for and %v acknowledged",
		b.killed, b.amidFolding, b.asked, b.acknowledged)
}

// killAdmitting kills children at times of their own, while others go on.
func (b *book) killAdmitting(t *testing.T, at place) {
	t.Helper()
	todo := admitting{place: at}
	for _, k := range b.keys {
		todo.Keys = append(todo.Keys, k.Plaintext.Reveal())
	}
	var running sync.WaitGroup
	for _, p := range startAll(t, "admit", todo, todo) {
		running.Go(func() {
			if !b.read(p) {
				t.Errorf("a process ended before it was killed: %v", p.Wait())
			}
		})
	}
	running.Wait()
}

// read writes down what a child says, and kills it a while after it has done something of each kind. It returns false
// if the child ends before.
func (b *book) read(p *child.Process) (killed bool) {
	var killing *time.Timer
	uses, folds, folding := 0, 0, false
	for one := (step{}); p.Receive(&one) == nil; one = (step{}) {
		switch {
		case one.Key < 0:
			folding = !one.Ended
			if one.Ended {
				folds++
			}
		case one.Ended:
			uses++
		}
		b.write(one)
		if killing == nil && uses > 0 && folds > 0 {
			killing = time.AfterFunc(rand.N(60*time.Millisecond), p.Kill)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.killed++
	if folding {
		b.amidFolding++
	}
	return killing != nil && !killing.Stop()
}

func (b *book) write(one step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case one.Key < 0:
	case one.Ended:
		b.acknowledged[one.Key]++
	default:
		b.asked[one.Key]++
	}
}

// check compares the book with the database, as a survivor finds it.
func (b *book) check(t *testing.T, s stores.Store) {
	t.Helper()
	for i, k := range b.keys {
		counted, hours, charged := settled(t, s, k)
		if counted < b.acknowledged[i] || counted > b.asked[i] {
			t.Errorf("key %d: got %d uses counted, want at least the %d acknowledged, and at most the %d asked for", i, counted, b.acknowledged[i], b.asked[i])
		}
		for j, used := range charged {
			if used != counted {
				t.Errorf("key %d: got %d charged to the window of %v, and %d uses counted", i, used, k.Key.Metadata.RateLimits[j], counted)
			}
		}
		if hours != counted {
			t.Errorf("key %d: got %d uses by hour, and %d counted", i, hours, counted)
		}
	}
}

// settled is what the database tells of a key's uses, in all and by hour, and of what was charged to its windows, when
// a server does not just then complete what a killed process has asked for.
func settled(t *testing.T, s stores.Store, k *apikeys.IssuedKey) (counted, hours int64, charged []int64) {
	t.Helper()
	for {
		before := chargedTo(t, s, k)
		record, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: k.Key.ID})
		if err != nil {
			t.Fatal(err)
		}
		hours = countedByHour(t, s, k.Key.ID)
		if charged = chargedTo(t, s, k); charged[0] == before[0] {
			return record.UseCount, hours, charged
		}
	}
}

// chargedTo is what was charged to each window of a key, at the children's time.
func chargedTo(t *testing.T, s stores.Store, k *apikeys.IssuedKey) (charged []int64) {
	t.Helper()
	look := apikeys.LeaseRequest{At: testTime}
	copy(look.Subject[:], k.Key.ID[:])
	for _, l := range k.Key.Metadata.RateLimits {
		look.Parts = append(look.Parts, apikeys.LeasePart{Limit: l})
	}
	grants, err := s.TakeLeases(t.Context(), []apikeys.LeaseRequest{look})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range grants[0].Parts {
		charged = append(charged, part.Used)
	}
	return charged
}

func countedByHour(t *testing.T, s stores.Store, id uuid.UUID) (n int64) {
	t.Helper()
	hours, err := s.KeyUsage(t.Context(), apikeys.UsageQuery{Ref: apikeys.KeyRef{ID: id}, From: testTime.Add(-time.Hour), To: testTime.Add(time.Hour)})
	if err != nil && !errors.Is(err, apikeys.ErrNotFound) {
		t.Fatal(err)
	}
	for _, h := range hours {
		n += h.Count
	}
	return n
}
