package clienttest_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

func TestMain(m *testing.M) {
	if os.Getenv("RAPID_CHECKS") == "" {
		_ = flag.Set("rapid.checks", strconv.Itoa(testdb.Dose(25, 100))) // the command line comes after this
	}
	goleak.VerifyTestMain(m)
}

// database is an empty one with its tables, for the time of a test.
type database struct {
	stores.Database
	dsn   string
	store stores.Store
}

// onAll runs a test on each database that there is, all at once.
func onAll(t *testing.T, test func(t *testing.T, d database)) {
	t.Helper()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			store, dsn := d.Migrated(t)
			test(t, database{d, dsn, store})
		})
	}
}

// Signing secrets.
const (
	secretA = "5e0c0f3a9b7d4e21a86f13c2d7b94850aa11"
	secretB = "c3d94e1870fb42a69d5b2e7f80a1c36455bb"
	secretC = "81f7a2d05c3e4b96b0d8e9471c2a5f3377cc"
)

// cacheSize is small, because tests make many clients and changes, and each goes over all of the cache.
const cacheSize = 1000

// epoch is where clocks begin.
var epoch = time.Date(2026, time.January, 2, 18, 0, 0, 0, time.UTC)

// client returns a client on the store, that is closed with the test.
func client(t testing.TB, store apikeys.Store, configure ...func(*apikeys.Config)) *apikeys.Client {
	t.Helper()
	config := apikeys.Config{
		SigningSecret: apikeys.NewSecret(secretA), CacheSize: cacheSize,
		OpTimeout: time.Minute, // the machine may be busy
	}
	for _, f := range configure {
		f(&config)
	}
	c, err := apikeys.New(t.Context(), store, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, c) })
	return c
}

func shut(t testing.TB, c *apikeys.Client) {
	t.Helper()
	if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// fakeClock makes a client go by a clock of the test's, and write uses at once.
func fakeClock(clock *apikeystest.Clock) func(*apikeys.Config) {
	return func(c *apikeys.Config) { c.Now, c.UsageFlushInterval = clock.Now, -1 }
}

// must returns v and ends the test if there is an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected error: %v", err)
		}
		return v
	}
}

func wantIs(t testing.TB, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: got error %v, want %v", what, err, kind)
	}
}

func second[A, B any](_ A, b B) B { return b }
