// Command quickstart walks through the whole life of API keys on SQLite and
// prints what it does. Without arguments the database is in memory and gone at the
// end; with a path, it stays there:
//
//	go run ./examples/quickstart [app.db]
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

func main() {
	ctx := context.Background()
	db := must(sqlite.Open(ctx, append(os.Args, ":memory:")[1]))
	check(db.Migrate(ctx))
	secret := apikeys.NewSecret("8c1f0e7d5b3a49628f70d4c2b1a69e35") // yours: SecretFromEnv
	client := must(apikeys.New(ctx, db, apikeys.Config{SigningSecret: secret, KeyPrefix: "myapp", Environment: "test"}))

	t := tour{ctx: ctx, client: client}
	for _, step := range []func(){t.setUp, t.setUp, t.issue, t.judge, t.limit, t.update, t.expire, t.revoke, t.list, t.erase} {
		step()
	}
	check(errors.Join(client.Close(ctx), db.Close())) // writes the last uses
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// refused stops the program unless the error is of that kind.
func refused[E error](err error) (e E) {
	if !errors.As(err, &e) {
		log.Fatalf("want a %T, got %v", e, err)
	}
	return e
}

// tour is the walk: each step uses what the ones before have made.
type tour struct {
	ctx                   context.Context
	client                *apikeys.Client
	org                   *apikeys.Organization
	project               *apikeys.Project
	product               *apikeys.Product
	wide, narrow, limited *apikeys.IssuedKey
}

// setUp is safe on every deploy: the second time, everything is there already.
func (t *tour) setUp() {
	var created [3]bool
	var err error
	t.org, created[0], err = t.client.GetOrCreateOrganization(t.ctx, "Acme Inc")
	check(err)
	t.project, created[1], err = t.client.GetOrCreateProject(t.ctx, t.org.ID, "v1")
	check(err)
	t.product, created[2], err = t.client.GetOrCreateProduct(t.ctx, t.org.ID, "My API")
	check(err)
	check(t.client.AddProductToProject(t.ctx, t.product.ID, t.project.ID))
	fmt.Printf("set up: organization created=%t, project created=%t, product created=%t\n", created[0], created[1], created[2])
}

// issue makes three kinds of keys: a key is as wide as what it leaves out.
func (t *tour) issue() {
	params := apikeys.CreateKeyParams{OrganizationID: t.org.ID, Metadata: apikeys.KeyMetadata{Name: "wide", Scopes: []string{"*"}}}
	t.wide = must(t.client.CreateKey(t.ctx, params))
	params.ProjectID = t.project.ID
	params.Metadata = apikeys.KeyMetadata{Name: "two a minute", RateLimits: []apikeys.RateLimit{apikeys.PerMinute(2)}}
	t.limited = must(t.client.CreateKey(t.ctx, params))
	params.ProductID, params.OwnerID = t.product.ID, "u_alice"
	params.Metadata = apikeys.KeyMetadata{Name: "Alice's key", Scopes: []string{"read", "docs:*"}, Custom: map[string]any{"plan": "pro"}}
	t.narrow = must(t.client.CreateKey(t.ctx, params))
	fmt.Println("issued:", t.wide.Key.Hint, t.narrow.Key.Hint, t.limited.Key.Hint)
	fmt.Println("the text of a key is shown once:", t.narrow.Plaintext.Reveal())
}

// judge validates: for this product, with this scope.
func (t *tour) judge() {
	text := t.narrow.Plaintext.Reveal()
	for range 2 {
		v := must(t.client.Validate(t.ctx, text, apikeys.ValidateParams{ProductID: t.product.ID, Scopes: []string{"docs:read"}}))
		key := v.Key()
		fmt.Printf("accepted: owner %s, plan %s, use %d\n", v.OwnerID(), key.Metadata.Custom["plan"], key.UseCount)
	}
	_, err := t.client.Validate(t.ctx, text, apikeys.ValidateParams{Scopes: []string{"admin"}})
	fmt.Println("refused:", refused[*apikeys.InsufficientScopeError](err))
	_, err = t.client.Verify(t.ctx, text[:len(text)-1]+"?")
	fmt.Printf("refused: %v (ErrInvalidKey: %t)\n", err, errors.Is(err, apikeys.ErrInvalidKey))
}

// limit uses a key until it is refused: the third time, or later if a minute ends meanwhile.
func (t *tour) limit() {
	var err error
	for err == nil {
		_, err = t.client.Validate(t.ctx, t.limited.Plaintext.Reveal(), apikeys.ValidateParams{})
	}
	fmt.Println("refused:", refused[*apikeys.QuotaError](err))
}

// update changes a key in place: its text stays valid.
func (t *tour) update() {
	meta := apikeys.KeyMetadata{Name: "Alice's upgraded key", Scopes: []string{"read", "write", "admin"}}
	must(t.client.UpdateKey(t.ctx, t.narrow.Key.ID, meta))
	v := must(t.client.Validate(t.ctx, t.narrow.Plaintext.Reveal(), apikeys.ValidateParams{Scopes: []string{"admin"}}))
	fmt.Printf("updated: %q now grants %v\n", v.Key().Metadata.Name, v.Key().Metadata.Scopes)
}

// expire shows that an expired key is told from an invalid one.
func (t *tour) expire() {
	must(t.client.PatchKey(t.ctx, t.limited.Key.ID, apikeys.KeyPatch{ExpiresAt: new(time.Now().Add(-time.Minute))}))
	_, err := t.client.Verify(t.ctx, t.limited.Plaintext.Reveal())
	fmt.Println("refused:", refused[*apikeys.ExpiredKeyError](err))
}

// revoke ends a key and keeps its record.
func (t *tour) revoke() {
	must(t.client.RevokeKey(t.ctx, t.narrow.Key.ID, apikeys.RevokeParams{Reason: "laptop lost"}))
	_, err := t.client.Verify(t.ctx, t.narrow.Plaintext.Reveal())
	fmt.Println("refused: revoked, reason:", refused[*apikeys.RevokedKeyError](err).Reason)
}

func (t *tour) list() {
	for _, status := range []apikeys.KeyStatus{apikeys.StatusActive, apikeys.StatusExpired, apikeys.StatusRevoked, apikeys.StatusAll} {
		page := must(t.client.ListKeys(t.ctx, apikeys.KeyFilter{OrganizationID: t.org.ID, Status: status}, apikeys.ListOptions{}))
		fmt.Printf("%s keys: %d\n", status, len(page.Items))
	}
}

// erase deletes one key, and at last the organization with all it owns.
func (t *tour) erase() {
	check(t.client.DeleteKey(t.ctx, t.narrow.Key.ID))
	_, err := t.client.GetKey(t.ctx, t.narrow.Key.ID)
	fmt.Println("deleted:", refused[*apikeys.NotFoundError](err))
	check(t.client.DeleteOrganization(t.ctx, t.org.ID))
}
