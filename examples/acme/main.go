// Command acme is a company that issues keys to the users of its API: the set-up
// runs on every deploy, and an upgrade changes a key in place.
//
//	go run ./examples/acme [app.db]
//
// Without a path the database is in memory. Run it twice on a file.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

func main() {
	path := append(os.Args, ":memory:")[1]
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
	if err = db.Migrate(ctx); err != nil {
		return err
	}
	client, err := apikeys.New(ctx, db, apikeys.Config{
		// A service reads its secret with apikeys.SecretFromEnv.
		SigningSecret: apikeys.NewSecret("5d1f7c02b8e94a6db3c8e5f1a0974d2e"), KeyPrefix: "acme", Environment: "live",
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close(ctx)) }()

	acme := company{client: client}
	if err := acme.setUp(ctx); err != nil {
		return err
	}
	return acme.serve(ctx, "u_alice")
}

type company struct {
	client  *apikeys.Client
	org     *apikeys.Organization
	project *apikeys.Project
	maps    *apikeys.Product
}

// setUp runs on every deploy, on every machine.
func (c *company) setUp(ctx context.Context) (err error) {
	var created bool
	if c.org, created, err = c.client.GetOrCreateOrganization(ctx, "Acme Inc"); err != nil {
		return err
	}
	if c.project, _, err = c.client.GetOrCreateProject(ctx, c.org.ID, "v1"); err != nil {
		return err
	}
	if c.maps, _, err = c.client.GetOrCreateProduct(ctx, c.org.ID, "Maps API"); err != nil {
		return err
	}
	fmt.Println("set up, created now:", created)

	// Who insists on creating is told what stands in the way.
	var exists *apikeys.AlreadyExistsError
	if _, err = c.client.CreateOrganization(ctx, "Acme Inc"); !errors.As(err, &exists) || exists.ExistingID != c.org.ID {
		return fmt.Errorf("want the organization that is there, got %w", err)
	}
	return c.client.AddProductToProject(ctx, c.maps.ID, c.project.ID)
}

// plan is the company's own data on a key.
type plan struct {
	User string `json:"user"`
	Plan string `json:"plan"`
}

// serve is the life of one user's keys.
func (c *company) serve(ctx context.Context, user string) error {
	issued, err := c.client.CreateKey(ctx, apikeys.CreateKeyParams{
		OrganizationID: c.org.ID, ProjectID: c.project.ID, ProductID: c.maps.ID, OwnerID: user,
		Metadata: apikeys.KeyMetadata{
			Name: "Alice's key", Scopes: []string{"tiles:read"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(1000)},
			Custom: map[string]any{"user": user, "plan": "free"},
		},
	})
	if err != nil {
		return err
	}
	text := issued.Plaintext.Reveal() // shown to the user now, and never again

	if err := c.request(ctx, text, "tiles:read"); err != nil {
		return err
	}
	var lacking *apikeys.InsufficientScopeError
	if err := c.request(ctx, text, "routes:read"); !errors.As(err, &lacking) {
		return fmt.Errorf("want a missing scope, got %w", err)
	}
	fmt.Println("refused, missing:", lacking.Missing)

	// The user pays: the same text does more from now on.
	_, err = c.client.PatchKey(ctx, issued.Key.ID, apikeys.KeyPatch{
		Scopes: &[]string{"tiles:read", "routes:*"},
		Custom: &map[string]any{"user": user, "plan": "pro"},
	})
	if err := errors.Join(err, c.request(ctx, text, "routes:read")); err != nil {
		return err
	}
	return c.leave(ctx, user)
}

// request is what package httpmw does with the key of a request.
func (c *company) request(ctx context.Context, text, scope string) error {
	v, err := c.client.Validate(ctx, text, apikeys.ValidateParams{ProductID: c.maps.ID, Scopes: []string{scope}})
	if err != nil {
		return err
	}
	key := v.Key()
	var p plan
	if err := key.Metadata.DecodeCustom(&p); err != nil {
		return err
	}
	fmt.Printf("accepted: %s for %s on the plan %s, use %d\n", scope, p.User, p.Plan, key.UseCount)
	return nil
}

// leave lists the keys of one user and revokes them.
func (c *company) leave(ctx context.Context, user string) error {
	mine := c.client.Scoped(apikeys.Scope{OrganizationID: c.org.ID, OwnerID: user})
	for key, err := range mine.Keys(ctx, apikeys.KeyFilter{Status: apikeys.StatusActive}) {
		if err != nil {
			return err
		}
		if _, err := mine.RevokeKey(ctx, key.ID, apikeys.RevokeParams{Reason: "account closed"}); err != nil {
			return err
		}
		fmt.Println("revoked:", key.Metadata.Name)
	}
	return nil
}
