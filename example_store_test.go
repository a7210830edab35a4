package apikeys_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// counted is a store that counts how often keys are read.
type counted struct {
	apikeys.Store
	reads atomic.Int64
}

func (s *counted) KeysByHash(ctx context.Context, hashes []apikeys.Hash) ([]apikeys.KeyRecord, error) {
	s.reads.Add(1)
	return s.Store.KeysByHash(ctx, hashes)
}

// A decorator sees what the client asks of its store: one read for a key that is
// used again and again.
func ExampleStore() {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:")
	check(err)
	defer db.Close()
	check(db.Migrate(ctx))
	store := &counted{Store: db}
	client, err := apikeys.New(ctx, store, apikeys.Config{SigningSecret: apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35")})
	check(err)
	defer client.Close(ctx)

	acme, err := client.CreateOrganization(ctx, "Acme Inc")
	check(err)
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID})
	check(err)
	for range 1000 {
		_, err := client.Verify(ctx, issued.Plaintext.Reveal())
		check(err)
	}
	fmt.Println("reads:", store.reads.Load())
	// Output: reads: 1
}

// What a program does about a refusal depends on its kind.
func ExampleError() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{
		OrganizationID: acme.ID, Metadata: apikeys.KeyMetadata{Scopes: []string{"docs:read"}}})
	check(err)
	text := issued.Plaintext.Reveal()

	var quota *apikeys.QuotaError
	switch _, err := client.Validate(ctx, text, apikeys.ValidateParams{Scopes: []string{"docs:read"}}); {
	case err == nil:
		fmt.Println("welcome")
	case errors.As(err, &quota):
		fmt.Println("come back in", quota.RetryAfter)
	case errors.Is(err, apikeys.ErrUnavailable):
		fmt.Println("nothing is known about the key: ask again")
	default:
		fmt.Println("refused:", err) // names the key by its id, never by its text
	}

	_, err = client.Validate(ctx, text, apikeys.ValidateParams{Scopes: []string{"admin"}})
	var ours apikeys.Error
	fmt.Println(errors.As(err, &ours), ours.Code())
	// Output:
	// welcome
	// true insufficient_scope
}

// A wildcard can be granted, not required: whoever sets up a route is told at once.
func ExampleClient_CheckParams() {
	client, _ := exampleClient()
	fmt.Println(client.CheckParams(apikeys.ValidateParams{Scopes: []string{"docs:read"}}))
	fmt.Println(client.CheckParams(apikeys.ValidateParams{Scopes: []string{"docs:*"}}))
	// Output:
	// <nil>
	// apikeys: Scopes: scope "docs:*" has a "*", which can be granted but not required
}
