// Package apikeystest helps to test programs that use apikeys: a real client on
// a database in memory, in one line, with a clock that the test moves and keys of
// every kind.
//
//	client := apikeystest.New(t)
//	handler := newHandler(client.Client) // the program's own: it takes an *apikeys.Client
//	key := client.Issue("read")
//	req.Header.Set("X-API-Key", key.Plaintext.Reveal())
//	client.Clock.Advance(time.Hour)
//
// Nothing is mocked: keys are hashed, limits are charged and changes are
// committed as in production. Each client has a database of its own, so tests can
// run in parallel. Uses are written before Validate returns, so that counts are there
// at once. How a program behaves on Postgres or MySQL, or when the database is gone, is
// not for this package to show.
package apikeystest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// SigningSecret is the secret that New signs with. It is public: use it in tests only.
const SigningSecret = "3f6d0c1be45a97288dd1f0a2c6b79e5436fa08e1d2c3b4957a6e8f10bc2d4e59"

// epoch is what the clock of a new client shows: a Friday evening.
var epoch = time.Date(2026, time.January, 2, 18, 0, 0, 0, time.UTC)

// Client is an apikeys.Client on an empty database in memory, with what a test
// needs beside it.
type Client struct {
	*apikeys.Client
	// Clock is the client's clock: expiry and rate limit windows follow it. It
	// begins at 18:00 UTC on 2 January 2026 and stands still. A configure function
	// that sets Config.Now takes its place.
	Clock *Clock
	// Store is the database under the client.
	Store *sqlite.Store
	// Organization owns the keys that Issue and its likes make.
	Organization *apikeys.Organization

	t testing.TB
}

// New returns a client that is closed when the test ends. Each configure may
// change the configuration before the client is made.
func New(t testing.TB, configure ...func(*apikeys.Config)) *Client {
	t.Helper()
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:")
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	check(t, db.Migrate(ctx))

	clock := NewClock(epoch)
	config := apikeys.Config{
		SigningSecret:      apikeys.NewSecret(SigningSecret),
		CacheSize:          1000,        // to make a large one takes longer than many a test
		UsageFlushInterval: -1,          // counts are there when Validate returns
		OpTimeout:          time.Minute, // a busy machine is no outage
		Now:                clock.Now,
	}
	for _, f := range configure {
		f(&config)
	}
	client, err := apikeys.New(ctx, db, config)
	check(t, err)
	t.Cleanup(func() { check(t, client.Close(context.Background())) })
	organization, err := client.CreateOrganization(ctx, "Test organization")
	check(t, err)
	return &Client{Client: client, Clock: clock, Store: db, Organization: organization, t: t}
}

// Issue returns a key of the client's organization that grants these scopes.
func (c *Client) Issue(scopes ...string) *apikeys.IssuedKey {
	c.t.Helper()
	return c.IssueWith(apikeys.KeyMetadata{Name: "test key", Scopes: scopes})
}

// IssueWith returns a key of the client's organization with this metadata.
func (c *Client) IssueWith(meta apikeys.KeyMetadata) *apikeys.IssuedKey {
	c.t.Helper()
	key, err := c.CreateKey(context.Background(), apikeys.CreateKeyParams{OrganizationID: c.Organization.ID, Metadata: meta})
	check(c.t, err)
	return key
}

// IssueLimited returns a key with these rate limits.
func (c *Client) IssueLimited(limits ...apikeys.RateLimit) *apikeys.IssuedKey {
	c.t.Helper()
	return c.IssueWith(apikeys.KeyMetadata{Name: "limited key", RateLimits: limits})
}

// IssueExpired returns a key that ended a second ago.
func (c *Client) IssueExpired() *apikeys.IssuedKey {
	c.t.Helper()
	return c.IssueWith(apikeys.KeyMetadata{Name: "expired key", ExpiresAt: c.Clock.Now().Add(-time.Second)})
}

// IssueRevoked returns a key that was revoked.
func (c *Client) IssueRevoked() *apikeys.IssuedKey {
	c.t.Helper()
	return c.changed("revoked key", func(ctx context.Context, id uuid.UUID) (*apikeys.Key, error) {
		return c.RevokeKey(ctx, id, apikeys.RevokeParams{Reason: "test"})
	})
}

// IssueDisabled returns a key that was disabled.
func (c *Client) IssueDisabled() *apikeys.IssuedKey {
	c.t.Helper()
	return c.changed("disabled key", c.DisableKey)
}

func (c *Client) changed(name string, change func(context.Context, uuid.UUID) (*apikeys.Key, error)) *apikeys.IssuedKey {
	c.t.Helper()
	issued := c.IssueWith(apikeys.KeyMetadata{Name: name})
	key, err := change(context.Background(), issued.Key.ID)
	check(c.t, err)
	issued.Key = *key
	return issued
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
