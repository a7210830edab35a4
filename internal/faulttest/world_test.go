package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

const signingSecret = "5b0c8e1d97fa42636d8e0b1f2c7394a5e6d1088bf3a2c4957d6e0f1a2b3c4d5e"

// strict is the configuration of a client that does everything in the caller's own
// time, so that the calls of an operation can be counted.
func strict() apikeys.Config {
	return apikeys.Config{
		SigningSecret: apikeys.NewSecret(signingSecret), CacheSize: 1000, RevocationDelay: -1, UsageFlushInterval: -1, SweepInterval: -1, OpTimeout: 5 * time.Second,
		Imported: []apikeys.ImportedKeys{{Scheme: apikeys.ImportSHA256, Prefixes: []string{"old_"}, Length: 32}},
	}
}

// remembering is one whose client asks what changed only when it is made: what it
// remembers is right by its own doing.
func remembering() apikeys.Config {
	config := strict()
	config.RevocationDelay = time.Hour
	return config
}

// newClient returns a client that is closed with the test, whatever the store says.
func newClient(t testing.TB, s apikeys.Store, config apikeys.Config) *apikeys.Client {
	t.Helper()
	c, err := apikeys.New(t.Context(), s, config)
	for try := 0; errors.Is(err, apikeys.ErrUnavailable) && try < 100; try++ { // the machine is slower than a short OpTimeout
		c, err = apikeys.New(t.Context(), s, config)
	}
	if err != nil {
		t.Fatalf("new client: %v", err)
	}
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	return c
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

// world is an organization with one of everything: what an operation is done to.
type world struct {
	store    apikeys.Store   // without faults
	client   *apikeys.Client // on that store, asking it every time
	name     string          // of the organization
	org      uuid.UUID
	p, q     uuid.UUID // projects; of both products only x is linked, to p
	x, y     uuid.UUID
	key      *apikeys.IssuedKey // limited, bound to p and x
	spare    *apikeys.IssuedKey
	disabled *apikeys.IssuedKey
	issued   []string // all texts
}

var worlds atomic.Int64

// newWorld builds one beside all others of the database.
func newWorld(t testing.TB, s apikeys.Store, c *apikeys.Client) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{store: s, client: c, name: fmt.Sprintf("world %d", worlds.Add(1))}
	w.org = must(c.CreateOrganization(ctx, w.name))(t).ID
	w.p = must(c.CreateProject(ctx, w.org, "p"))(t).ID
	w.q = must(c.CreateProject(ctx, w.org, "q"))(t).ID
	w.x = must(c.CreateProduct(ctx, w.org, "x"))(t).ID
	w.y = must(c.CreateProduct(ctx, w.org, "y"))(t).ID
	if err := c.AddProductToProject(ctx, w.x, w.p); err != nil {
		t.Fatal(err)
	}
	w.key = w.issue(t, apikeys.CreateKeyParams{ProjectID: w.p, ProductID: w.x, Metadata: apikeys.KeyMetadata{
		Name: "key", Scopes: []string{"read"}, RateLimits: []apikeys.RateLimit{apikeys.PerHour(1000), apikeys.PerDay(5000)},
	}})
	w.spare = w.issue(t, apikeys.CreateKeyParams{OwnerID: "ann", Metadata: apikeys.KeyMetadata{Name: "spare"}})
	w.disabled = w.issue(t, apikeys.CreateKeyParams{Metadata: apikeys.KeyMetadata{Name: "disabled"}})
	must(c.DisableKey(ctx, w.disabled.Key.ID))(t)
	revoked := w.issue(t, apikeys.CreateKeyParams{Metadata: apikeys.KeyMetadata{Name: "revoked"}})
	must(c.RevokeKey(ctx, revoked.Key.ID, apikeys.RevokeParams{}))(t)
	return w
}

func (w *world) issue(t testing.TB, p apikeys.CreateKeyParams) *apikeys.IssuedKey {
	t.Helper()
	p.OrganizationID = w.org
	k := must(w.client.CreateKey(t.Context(), p))(t)
	w.issued = append(w.issued, k.Plaintext.Reveal())
	return k
}

// snapshot describes all that the database holds of the world, without ids and
// times, so that it can be compared with another world's.
func (w *world) snapshot(t testing.TB) string {
	t.Helper()
	ctx, scope := t.Context(), apikeys.Scope{OrganizationID: w.org}
	var lines []string
	for _, kind := range []apikeys.ResourceKind{apikeys.KindOrganization, apikeys.KindProject, apikeys.KindProduct} {
		for _, r := range must(w.store.ListResources(ctx, apikeys.ResourceQuery{Scope: scope, Kind: kind, Limit: 100}))(t) {
			name := r.Name
			if r.ID == w.org && strings.HasPrefix(name, "world ") {
				name = "world"
			}
			lines = append(lines, fmt.Sprintf("%s %s suspended=%v", kind, name, !r.SuspendedAt.IsZero()))
			if kind == apikeys.KindProject {
				for _, x := range must(w.store.ListResources(ctx, apikeys.ResourceQuery{Scope: scope, Kind: apikeys.KindProduct, LinkOf: r.ID, Limit: 100}))(t) {
					lines = append(lines, fmt.Sprintf("link %s to %s", x.Name, name))
				}
			}
		}
	}
	for _, k := range must(w.store.ListKeys(ctx, apikeys.KeyQuery{Scope: scope, Limit: 100}))(t) {
		_, secrets, err := w.store.GetKey(ctx, apikeys.KeyRef{ID: k.ID})
		if err != nil {
			t.Fatal(err)
		}
		ends := 0
		for _, s := range secrets {
			if !s.EndsAt.IsZero() {
				ends++
			}
		}
		lines = append(lines, fmt.Sprintf("key %s version=%d scopes=%v revoked=%v disabled=%v secrets=%d ended=%d",
			k.Name, k.Version, k.Scopes, !k.RevokedAt.IsZero(), !k.DisabledAt.IsZero(), len(secrets), ends))
	}
	for _, e := range must(w.store.ListEvents(ctx, apikeys.EventQuery{Scope: scope, Limit: 100}))(t) {
		lines = append(lines, "event "+e.Action)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// wantAgreement sees that a client judges the world's keys as the database has them,
// at once: what it remembers is never better than that.
func (w *world) wantAgreement(t testing.TB, c *apikeys.Client, when string) {
	t.Helper()
	for i, text := range w.issued {
		_, want := w.client.Validate(t.Context(), text, apikeys.ValidateParams{SkipRateLimit: true, SkipUsage: true})
		_, got := c.Validate(t.Context(), text, apikeys.ValidateParams{SkipRateLimit: true, SkipUsage: true})
		if code(got) != code(want) {
			t.Errorf("%s: key %d: got %q, want %q as the database has it", when, i, code(got), code(want))
		}
	}
}

// code names an error.
func code(err error) string {
	var ours apikeys.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &ours):
		return ours.Code()
	}
	return err.Error()
}
