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
	path := ":memory:"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	if err := run(context.Background(), path); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, path string) (err error) {
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	// A program of yours reads its secret from the environment, with SecretFromEnv.
	client, err := apikeys.New(ctx, db, apikeys.Config{
		SigningSecret: apikeys.NewSecret("8c1f0e7d5b3a49628f70d4c2b1a69e35c7d80f12e4a6b59d"),
		KeyPrefix:     "myapp",
		Environment:   "test",
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close(ctx)) }()

	t := tour{client: client, ctx: ctx}
	for _, step := range []func() error{t.setUp, t.setUp, t.issue, t.judge, t.limit, t.update, t.expire, t.revoke, t.list, t.erase} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// tour is the walk: each step uses what the ones before have made.
type tour struct {
	ctx     context.Context
	client  *apikeys.Client
	org     *apikeys.Organization
	project *apikeys.Project
	product *apikeys.Product

	wide, narrow, limited *apikeys.IssuedKey
}

// setUp is safe on every deploy: the second time, everything is there already.
func (t *tour) setUp() (err error) {
	var created [3]bool
	if t.org, created[0], err = t.client.GetOrCreateOrganization(t.ctx, "Acme Inc"); err != nil {
		return err
	}
	if t.project, created[1], err = t.client.GetOrCreateProject(t.ctx, t.org.ID, "v1"); err != nil {
		return err
	}
	if t.product, created[2], err = t.client.GetOrCreateProduct(t.ctx, t.org.ID, "My API"); err != nil {
		return err
	}
	fmt.Printf("set up: organization created=%t, project created=%t, product created=%t\n", created[0], created[1], created[2])
	return t.client.AddProductToProject(t.ctx, t.product.ID, t.project.ID)
}

// issue makes three kinds of keys: a key is as wide as what it leaves out.
func (t *tour) issue() (err error) {
	params := apikeys.CreateKeyParams{OrganizationID: t.org.ID, Metadata: apikeys.KeyMetadata{
		Name: "everything of Acme", Scopes: []string{"*"},
	}}
	if t.wide, err = t.client.CreateKey(t.ctx, params); err != nil {
		return err
	}
	params.ProjectID, params.ProductID, params.OwnerID = t.project.ID, t.product.ID, "u_alice"
	params.Metadata = apikeys.KeyMetadata{
		Name: "Alice's key", Scopes: []string{"read", "docs:*"}, Custom: map[string]any{"plan": "pro"},
	}
	if t.narrow, err = t.client.CreateKey(t.ctx, params); err != nil {
		return err
	}
	params = apikeys.CreateKeyParams{OrganizationID: t.org.ID, ProjectID: t.project.ID, Metadata: apikeys.KeyMetadata{
		Name: "two a minute", RateLimits: []apikeys.RateLimit{apikeys.PerMinute(2)},
	}}
	if t.limited, err = t.client.CreateKey(t.ctx, params); err != nil {
		return err
	}
	fmt.Println("issued:", t.wide.Key.Hint, t.narrow.Key.Hint, t.limited.Key.Hint)
	fmt.Println("the text of a key is shown once:", t.narrow.Plaintext.Reveal())
	return nil
}

// judge validates: for this product, with this scope.
func (t *tour) judge() error {
	text := t.narrow.Plaintext.Reveal()
	for range 2 {
		v, err := t.client.Validate(t.ctx, text, apikeys.ValidateParams{ProductID: t.product.ID, Scopes: []string{"docs:read"}})
		if err != nil {
			return err
		}
		key := v.Key()
		fmt.Printf("accepted: owner %s, plan %s, use %d\n", v.OwnerID(), key.Metadata.Custom["plan"], key.UseCount)
	}
	_, err := t.client.Validate(t.ctx, text, apikeys.ValidateParams{Scopes: []string{"admin"}})
	if !errors.Is(err, apikeys.ErrInsufficientScope) {
		return fmt.Errorf("want a missing scope, got %w", err)
	}
	fmt.Println("refused:", err)
	_, err = t.client.Verify(t.ctx, text[:len(text)-1]+"?")
	if !errors.Is(err, apikeys.ErrInvalidKey) {
		return fmt.Errorf("want an invalid key, got %w", err)
	}
	fmt.Println("refused:", err)
	return nil
}

// limit uses the key of two requests a minute three times. A window may end
// between two of them, so it tries until one window has seen all three.
func (t *tour) limit() error {
	for {
		for range 3 {
			_, err := t.client.Validate(t.ctx, t.limited.Plaintext.Reveal(), apikeys.ValidateParams{})
			var quota *apikeys.QuotaError
			if errors.As(err, &quota) {
				fmt.Printf("the third call within a minute is refused; retry after %s\n", quota.RetryAfter.Round(time.Second))
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
}

// update changes a key in place: its text stays valid.
func (t *tour) update() error {
	key, err := t.client.UpdateKey(t.ctx, t.narrow.Key.ID, apikeys.KeyMetadata{Name: "Alice's upgraded key", Scopes: []string{"read", "write", "admin"}})
	if err != nil {
		return err
	}
	_, err = t.client.Validate(t.ctx, t.narrow.Plaintext.Reveal(), apikeys.ValidateParams{Scopes: []string{"admin"}})
	fmt.Printf("updated: %q now grants %v\n", key.Metadata.Name, key.Metadata.Scopes)
	return err
}

// expire shows that an expired key is told from an invalid one.
func (t *tour) expire() error {
	past := time.Now().Add(-time.Minute)
	if _, err := t.client.PatchKey(t.ctx, t.limited.Key.ID, apikeys.KeyPatch{ExpiresAt: &past}); err != nil {
		return err
	}
	_, err := t.client.Verify(t.ctx, t.limited.Plaintext.Reveal())
	var expired *apikeys.ExpiredKeyError
	if !errors.As(err, &expired) {
		return fmt.Errorf("want an expired key, got %w", err)
	}
	fmt.Println("refused:", "expired", time.Since(expired.ExpiredAt).Round(time.Second), "ago: please ask for a new key")
	return nil
}

// revoke ends a key and keeps its record.
func (t *tour) revoke() error {
	if _, err := t.client.RevokeKey(t.ctx, t.narrow.Key.ID, apikeys.RevokeParams{Reason: "laptop lost"}); err != nil {
		return err
	}
	_, err := t.client.Verify(t.ctx, t.narrow.Plaintext.Reveal())
	var revoked *apikeys.RevokedKeyError
	if !errors.As(err, &revoked) {
		return fmt.Errorf("want a revoked key, got %w", err)
	}
	fmt.Println("refused: revoked, reason:", revoked.Reason)
	return nil
}

func (t *tour) list() error {
	for _, status := range []apikeys.KeyStatus{apikeys.StatusActive, apikeys.StatusExpired, apikeys.StatusRevoked, apikeys.StatusAll} {
		page, err := t.client.ListKeys(t.ctx, apikeys.KeyFilter{OrganizationID: t.org.ID, Status: status}, apikeys.ListOptions{})
		if err != nil {
			return err
		}
		fmt.Printf("%s keys: %d\n", status, len(page.Items))
	}
	return nil
}

// erase deletes one key, and at last the organization with all it owns.
func (t *tour) erase() error {
	if err := t.client.DeleteKey(t.ctx, t.narrow.Key.ID); err != nil {
		return err
	}
	_, err := t.client.GetKey(t.ctx, t.narrow.Key.ID)
	fmt.Println("deleted:", err)
	return t.client.DeleteOrganization(t.ctx, t.org.ID)
}
