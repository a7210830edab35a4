package fleettest_test

import (
	"context"
	"errors"
	"flag"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// TestMain is also what the children run.
func TestMain(m *testing.M) {
	child.Main(map[string]child.Task{"admit": admit, "demand": demand, "migrate": migrate, "serve": serve, "use": useKey, "watch": watch})
	_ = flag.Set("test.parallel", "8") // they mostly wait; the command line comes after this
	goleak.VerifyTestMain(m)
}

// processes is how many make a fleet, where a test does not say otherwise.
const processes = 4

// year is how wrong a clock is.
const year = 365 * 24 * time.Hour

// signingSecret is of no use outside these tests.
const signingSecret = "0f2a7c9be1548d36a0c4f7e2931b8d6540eac7f21d93b58c6e0a47f1d2b3958c"

// place is where a child finds a database.
type place struct {
	Database string
	DSN      string
}

func (p place) open(ctx context.Context) (stores.Store, error) {
	d, known := stores.Named(p.Database)
	if !known {
		return nil, errors.New("no such database: " + p.Database)
	}
	return d.Open(ctx, p.DSN)
}

// withClient lends a client, and closes it.
func withClient(ctx context.Context, s apikeys.Store, config apikeys.Config, use func(*apikeys.Client) error) error {
	client, err := newClient(ctx, s, config)
	if err != nil {
		return err
	}
	return errors.Join(use(client), client.Close(context.WithoutCancel(ctx)))
}

func newClient(ctx context.Context, s apikeys.Store, config apikeys.Config) (*apikeys.Client, error) {
	config.SigningSecret, config.CacheSize = apikeys.NewSecret(signingSecret), 1000
	config.OpTimeout = time.Minute // a machine that is busy with other tests is no reason to refuse
	return apikeys.New(ctx, s, config)
}

// newPlace returns a client of the test's own on an empty database, and where that is.
func newPlace(t *testing.T, d stores.Database) (*apikeys.Client, place) {
	t.Helper()
	s, dsn := d.Migrated(t)
	client, err := newClient(t.Context(), s, apikeys.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return client, place{d.Name, dsn}
}

// issue makes a key.
func issue(t *testing.T, client *apikeys.Client, limits ...apikeys.RateLimit) *apikeys.IssuedKey {
	t.Helper()
	organization, _, err := client.GetOrCreateOrganization(t.Context(), "fleet")
	if err != nil {
		t.Fatal(err)
	}
	issued, err := client.CreateKey(t.Context(), apikeys.CreateKeyParams{
		OrganizationID: organization.ID, Metadata: apikeys.KeyMetadata{RateLimits: limits},
	})
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// startAll starts the same task as often as there are things to do.
func startAll[T any](t *testing.T, task string, todo ...T) []*child.Process {
	t.Helper()
	all := make([]*child.Process, len(todo))
	for i := range todo {
		all[i] = child.Start(t, task, todo[i])
	}
	return all
}

// tellAll tells all children the same.
func tellAll(children []*child.Process, v any) {
	for _, p := range children {
		p.Tell(v)
	}
}

// spread describes how times are distributed.
func spread(took []time.Duration) string {
	if len(took) == 0 {
		return "none"
	}
	slices.Sort(took)
	at := func(part float64) string {
		return took[int(part*float64(len(took)-1))].Round(100 * time.Microsecond).String()
	}
	return "p50 " + at(.5) + ", p90 " + at(.9) + ", p99 " + at(.99) + ", max " + at(1)
}
