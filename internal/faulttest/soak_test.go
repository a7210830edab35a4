package faulttest_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

var soakFor = flag.Duration("soak", time.Second, "how long each database gets mixed traffic")

// Mixed traffic for a long while, with rotations, revocations, and clients that are closed
// and made anew: memory, goroutines and connections stay what they were, and no key
// passes that was revoked.
func TestSoak(t *testing.T) { //nolint:paralleltest // it counts the goroutines of the process
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			dsn := d.Empty(t)
			k := &soak{database: d, dsn: dsn, organization: prepare(t, d, dsn), open: d.Opened(t, dsn)}
			k.run(t, *soakFor)
		})
	}
}

// soak is the traffic on one database.
type soak struct {
	database     stores.Database
	dsn          string
	open         stores.Store
	organization uuid.UUID

	mu   sync.Mutex
	keys []*soaked // the newest last; of bounded number

	validated, refused, changed, restarts, faults atomic.Int64
}

// soaked is a key, and since when it must not pass.
type soaked struct {
	id      uuid.UUID
	text    string
	revoked time.Time
}

// level is what must not grow.
type level struct {
	heap        uint64
	goroutines  int
	connections int
}

const (
	soakRounds = 10 // lives of a client
	soakDelay  = 200 * time.Millisecond
	soakKeys   = 300
)

func (k *soak) run(t *testing.T, lasting time.Duration) {
	t.Helper()
	var warm, end level
	for round := range soakRounds {
		k.live(t, lasting/soakRounds)
		end = k.level(t)
		t.Logf("%s, %3d%%: heap %d KiB, %d goroutines, %d connections", k.database.Name, (round+1)*100/soakRounds, end.heap>>10, end.goroutines, end.connections)
		if round == 2 {
			warm = end
		}
	}
	t.Logf("%s: %v, %d validated, %d refused, %d changes, %d clients, %d faults",
		k.database.Name, lasting, k.validated.Load(), k.refused.Load(), k.changed.Load(), k.restarts.Load(), k.faults.Load())
	if end.heap > warm.heap*3/2+8<<20 || end.goroutines > warm.goroutines+4 || end.connections > warm.connections+4 {
		t.Errorf("it grows: after 30%% %+v, in the end %+v", warm, end)
	}
	if k.validated.Load() == 0 || k.changed.Load() == 0 || k.faults.Load() > 0 {
		t.Errorf("got %d validated, %d changes, %d faults", k.validated.Load(), k.changed.Load(), k.faults.Load())
	}
}

// live is the life of a client.
func (k *soak) live(t *testing.T, lasting time.Duration) {
	t.Helper()
	k.restarts.Add(1)
	c := must(apikeys.New(t.Context(), k.open, apikeys.Config{
		SigningSecret: apikeys.NewSecret(signingSecret), RevocationDelay: soakDelay, OpTimeout: 10 * time.Second,
	}))(t)
	for range 20 {
		k.issue(t.Context(), c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lasting)
	defer cancel()
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() {
			for ctx.Err() == nil {
				k.validate(t, c)
			}
		})
	}
	working.Go(func() {
		for ctx.Err() == nil {
			k.change(t.Context(), c)
			time.Sleep(2 * time.Millisecond) // the rate of changes
		}
	})
	working.Wait()
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
}

func (k *soak) issue(ctx context.Context, c *apikeys.Client) {
	issued, err := c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: k.organization, Metadata: apikeys.KeyMetadata{
		Scopes: []string{"read"}, RateLimits: []apikeys.RateLimit{apikeys.PerSecond(1000), apikeys.PerDay(1e9)},
	}})
	if err != nil {
		k.faults.Add(1)
		return
	}
	k.changed.Add(1)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = append(k.keys, &soaked{id: issued.Key.ID, text: issued.Plaintext.Reveal()})
	if len(k.keys) > soakKeys {
		k.keys = append(k.keys[:0:0], k.keys[1:]...)
	}
}

func (k *soak) pick() soaked {
	k.mu.Lock()
	defer k.mu.Unlock()
	return *k.keys[rand.IntN(len(k.keys))]
}

// validate uses a few keys, and rests.
func (k *soak) validate(t *testing.T, c *apikeys.Client) {
	t.Helper()
	for range 20 {
		key := k.pick()
		_, err := c.Validate(t.Context(), key.text, apikeys.ValidateParams{Scopes: []string{"read"}})
		switch {
		case err == nil:
			k.validated.Add(1)
			if !key.revoked.IsZero() {
				t.Errorf("a key passed that was revoked %v before", time.Since(key.revoked))
			}
		case errors.Is(err, apikeys.ErrUnavailable):
			k.faults.Add(1)
		default:
			k.refused.Add(1)
		}
	}
	_, err := c.Validate(t.Context(), "sk_"+uuid.NewString(), apikeys.ValidateParams{})
	if !errors.Is(err, apikeys.ErrInvalidKey) {
		t.Errorf("a forged key: got error %v", err)
	}
	time.Sleep(time.Millisecond) // leaves the machine to others
}

func (k *soak) change(ctx context.Context, c *apikeys.Client) {
	key := k.pick()
	var err error
	switch rand.IntN(6) {
	case 0:
		_, err = c.RevokeKey(ctx, key.id, apikeys.RevokeParams{Reason: "soak"})
		if err == nil {
			k.mark(key.id)
		}
	case 1:
		_, err = c.RotateKey(ctx, key.id, apikeys.RotateParams{Overlap: time.Minute})
	case 2:
		_, err = c.DisableKey(ctx, key.id)
	case 3:
		_, err = c.EnableKey(ctx, key.id)
	case 4:
		_, err = c.ListKeys(ctx, apikeys.KeyFilter{OrganizationID: k.organization}, apikeys.ListOptions{})
	default:
		k.issue(ctx, c)
		return
	}
	if errors.Is(err, apikeys.ErrUnavailable) {
		k.faults.Add(1)
	}
	k.changed.Add(1)
}

func (k *soak) mark(id uuid.UUID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, key := range k.keys {
		if key.id == id {
			gone := *key
			gone.revoked = time.Now()
			k.keys[i] = &gone
		}
	}
}

// level is read when the client is closed, so that what it left behind shows.
func (k *soak) level(t *testing.T) level {
	t.Helper()
	var m runtime.MemStats
	for range 2 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return level{m.HeapAlloc, runtime.NumGoroutine(), k.connections(t)}
}

// connections counts those to the test's database; of SQLite, the open files.
func (k *soak) connections(t *testing.T) (n int) {
	t.Helper()
	query := "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
	switch k.database.Name {
	case "sqlite":
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return 0 // elsewhere than on Linux
		}
		return len(files)
	case "mysql":
		query = "SELECT count(*) FROM information_schema.processlist WHERE db = database()"
	}
	db := stores.SQL(t, k.database.Name, k.dsn)
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
