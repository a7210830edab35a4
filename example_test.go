package apikeys_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// exampleClient returns a client on a database in memory, with an organization.
// A program would keep the database in a file and its secret in the environment.
func exampleClient() (*apikeys.Client, *apikeys.Organization) {
	ctx := context.Background()
	client, err := apikeys.New(ctx, exampleStore(), apikeys.Config{
		SigningSecret: apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35"),
		Now:           ascending(),
	})
	check(err)
	ofExamples.addClient(client)
	acme, err := client.CreateOrganization(ctx, "Acme Inc")
	check(err)
	return client, acme
}

// ascending is a clock that shows another microsecond each time it is looked at, so that what is
// listed by its creation has one order, however fast the machine and coarse its clock.
func ascending() func() time.Time {
	var mu sync.Mutex
	var last time.Time
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now().Round(0); now.Sub(last) >= time.Microsecond {
			last = now
		} else {
			last = last.Add(time.Microsecond)
		}
		return last
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleNew() {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:") // or "app.db"
	check(err)
	defer db.Close()
	check(db.Migrate(ctx)) // safe on every start

	_, err = apikeys.New(ctx, db, apikeys.Config{SigningSecret: apikeys.NewSecret("changeme")})
	fmt.Println(errors.Is(err, apikeys.ErrInvalidArgument))

	client, err := apikeys.New(ctx, db, apikeys.Config{
		SigningSecret: apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35"),
		KeyPrefix:     "myapp",
		Environment:   "live",
	})
	check(err)
	defer client.Close(ctx)
	fmt.Println(client.ScanPattern() != "")
	// Output:
	// true
	// true
}

func ExampleClient_GetOrCreateOrganization() {
	client, _ := exampleClient()
	ctx := context.Background()
	for range 2 {
		_, created, err := client.GetOrCreateOrganization(ctx, "Globex")
		fmt.Println(created, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleClient_CreateOrganization() {
	client, acme := exampleClient()
	_, err := client.CreateOrganization(context.Background(), "Acme Inc")
	var exists *apikeys.AlreadyExistsError
	if errors.As(err, &exists) {
		fmt.Println(exists.Kind, exists.ExistingID == acme.ID)
	}
	// Output: organization true
}

func ExampleClient_CreateKey() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{
		OrganizationID: acme.ID,
		OwnerID:        "u_alice",
		Metadata: apikeys.KeyMetadata{
			Name:       "Alice's laptop",
			Scopes:     []string{"read", "docs:*"},
			RateLimits: []apikeys.RateLimit{apikeys.PerSecond(10), apikeys.PerDay(10_000)},
			ExpiresAt:  time.Now().AddDate(1, 0, 0),
			Custom:     map[string]any{"plan": "pro"},
		},
	})
	check(err)
	text := issued.Plaintext.Reveal() // show it to its owner: it is stored nowhere
	fmt.Println(len(text), text[:3], issued.Key.OwnerID)
	// Output: 52 sk_ u_alice
}

func ExampleClient_Validate() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID, OwnerID: "u_alice",
		Metadata: apikeys.KeyMetadata{Scopes: []string{"docs:*"}, RateLimits: []apikeys.RateLimit{apikeys.PerDay(2)}}})
	check(err)
	text := issued.Plaintext.Reveal()

	v, err := client.Validate(ctx, text, apikeys.ValidateParams{Scopes: []string{"docs:read"}})
	fmt.Println(v.OwnerID(), v.Limits()[0].Remaining, err)

	_, err = client.Validate(ctx, text, apikeys.ValidateParams{Scopes: []string{"admin"}})
	var scope *apikeys.InsufficientScopeError
	fmt.Println(errors.As(err, &scope), scope.Missing)

	_, _ = client.Validate(ctx, text, apikeys.ValidateParams{})
	_, err = client.Validate(ctx, text, apikeys.ValidateParams{})
	var quota *apikeys.QuotaError
	fmt.Println(errors.As(err, &quota), quota.Limit)

	_, err = client.Validate(ctx, "sk_madeup", apikeys.ValidateParams{})
	fmt.Println(err)
	// Output:
	// u_alice 1 <nil>
	// true [admin]
	// true 2/day
	// apikeys: invalid key
}

func ExampleClient_Verify() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID,
		Metadata: apikeys.KeyMetadata{Name: "ci", ExpiresAt: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}})
	check(err)
	_, err = client.Verify(ctx, issued.Plaintext.Reveal())
	var expired *apikeys.ExpiredKeyError
	if errors.As(err, &expired) {
		fmt.Println("expired on", expired.ExpiredAt.Format(time.DateOnly))
	}
	// Output: expired on 2020-01-01
}

func ExampleClient_Explain() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID})
	check(err)
	_, err = client.DisableKey(ctx, issued.Key.ID)
	check(err)
	explanation, err := client.Explain(ctx, issued.Plaintext.Reveal(), apikeys.ValidateParams{Scopes: []string{"read"}})
	check(err)
	for _, c := range explanation.Checks {
		if c.Err != nil {
			fmt.Println(c.Name)
		}
	}
	// Output:
	// disabled
	// scopes
}

func ExampleClient_PatchKey() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID,
		Metadata: apikeys.KeyMetadata{Name: "ci", Scopes: []string{"read"}}})
	check(err)
	key, err := client.PatchKey(ctx, issued.Key.ID, apikeys.KeyPatch{Scopes: &[]string{"read", "write"}})
	fmt.Println(key.Metadata.Name, key.Metadata.Scopes, key.Version, err)

	_, err = client.PatchKey(ctx, issued.Key.ID, apikeys.KeyPatch{IfVersion: 1, Scopes: &[]string{}})
	fmt.Println(errors.Is(err, apikeys.ErrConflict))
	// Output:
	// ci [read write] 2 <nil>
	// true
}

func ExampleClient_RevokeKey() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID})
	check(err)
	_, err = client.RevokeKey(ctx, issued.Key.ID, apikeys.RevokeParams{Reason: "laptop lost"})
	check(err)
	_, err = client.Verify(ctx, issued.Plaintext.Reveal())
	var revoked *apikeys.RevokedKeyError
	if errors.As(err, &revoked) {
		fmt.Println("revoked:", revoked.Reason)
	}
	// Output: revoked: laptop lost
}

func ExampleClient_Keys() {
	client, acme := exampleClient()
	ctx := context.Background()
	for _, name := range []string{"one", "two", "three"} {
		_, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID, Metadata: apikeys.KeyMetadata{Name: name}})
		check(err)
	}
	for key, err := range client.Keys(ctx, apikeys.KeyFilter{OrganizationID: acme.ID, Status: apikeys.StatusActive}) {
		check(err)
		fmt.Println(key.Metadata.Name)
	}
	// Output:
	// three
	// two
	// one
}

func ExampleClient_ListKeys() {
	client, acme := exampleClient()
	ctx := context.Background()
	for range 3 {
		_, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID, OwnerID: "u_alice"})
		check(err)
	}
	filter := apikeys.KeyFilter{OrganizationID: acme.ID, OwnerID: "u_alice"}
	page, err := client.ListKeys(ctx, filter, apikeys.ListOptions{Limit: 2})
	check(err)
	next, err := client.ListKeys(ctx, filter, apikeys.ListOptions{Limit: 2, Cursor: page.NextCursor})
	check(err)
	fmt.Println(len(page.Items), len(next.Items), next.NextCursor == "")
	// Output: 2 1 true
}

func ExampleClient_Scoped() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID, OwnerID: "u_alice"})
	check(err)
	bob := client.Scoped(apikeys.Scope{OrganizationID: acme.ID, OwnerID: "u_bob"})
	_, err = bob.RevokeKey(ctx, issued.Key.ID, apikeys.RevokeParams{})
	fmt.Println(errors.Is(err, apikeys.ErrNotFound))
	// Output: true
}

func ExampleClient_Allow() {
	client, _ := exampleClient()
	ctx := context.Background()
	limits, err := apikeys.ParseRateLimits("1/day")
	check(err)
	_, err = client.Allow(ctx, "address:192.0.2.7", limits, 1)
	fmt.Println(err)
	_, err = client.Allow(ctx, "address:192.0.2.7", limits, 1)
	fmt.Println(errors.Is(err, apikeys.ErrQuotaExceeded))
	// Output:
	// <nil>
	// true
}

func ExampleClient_AddProductToProject() {
	client, acme := exampleClient()
	ctx := context.Background()
	project, err := client.CreateProject(ctx, acme.ID, "v1")
	check(err)
	api, err := client.CreateProduct(ctx, acme.ID, "My API")
	check(err)
	check(client.AddProductToProject(ctx, api.ID, project.ID))

	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID, ProjectID: project.ID})
	check(err)
	_, err = client.Validate(ctx, issued.Plaintext.Reveal(), apikeys.ValidateParams{ProductID: api.ID})
	fmt.Println(err)
	check(client.RemoveProductFromProject(ctx, api.ID, project.ID))
	_, err = client.Validate(ctx, issued.Plaintext.Reveal(), apikeys.ValidateParams{ProductID: api.ID})
	fmt.Println(errors.Is(err, apikeys.ErrInsufficientScope))
	// Output:
	// <nil>
	// true
}

func ExampleClient_SuspendOrganization() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID})
	check(err)
	_, err = client.SuspendOrganization(ctx, acme.ID)
	check(err)
	_, err = client.Verify(ctx, issued.Plaintext.Reveal())
	fmt.Println(errors.Is(err, apikeys.ErrSuspended))
	_, err = client.ResumeOrganization(ctx, acme.ID)
	check(err)
	_, err = client.Verify(ctx, issued.Plaintext.Reveal())
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

func ExampleClient_Recognize() {
	client, acme := exampleClient()
	issued, err := client.CreateKey(context.Background(), apikeys.CreateKeyParams{OrganizationID: acme.ID})
	check(err)
	text := issued.Plaintext.Reveal()
	fmt.Println(client.Recognize(text), client.Recognize(text+"x"))
	// Output: true false
}

func ExamplePlaintext() {
	client, acme := exampleClient()
	issued, err := client.CreateKey(context.Background(), apikeys.CreateKeyParams{OrganizationID: acme.ID})
	check(err)
	fmt.Println(fmt.Sprint(issued.Plaintext) == issued.Key.Hint, len(issued.Plaintext.Reveal()))
	// Output: true 52
}

// A view with the grant of a key hands out no more than that key has.
func ExampleClient_WithGrant() {
	ctx := context.Background()
	client, acme := exampleClient()
	defer client.Close(ctx)
	manager, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID, Metadata: apikeys.KeyMetadata{
		Scopes: []string{"docs:*"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(100)},
	}})
	check(err)

	view := client.WithGrant(apikeys.GrantOf(manager.Key))
	for _, meta := range []apikeys.KeyMetadata{
		{Scopes: []string{"docs:read"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(10)}},
		{Scopes: []string{"billing"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(10)}},
		{Scopes: []string{"docs:read"}},
	} {
		_, err := view.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID, Metadata: meta})
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// apikeys: Metadata.Scopes: beyond the grant: what may be granted is "docs:*"
	// apikeys: Metadata.RateLimits: beyond the grant: the key needs a limit of 100/minute or fewer
}
