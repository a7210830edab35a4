package apikeys_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// Keys of the Python SDK, which signed with a secret of its own.
func ExampleConfig_imported() {
	ctx, db := context.Background(), exampleStore()
	secret, theirs := apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35"), apikeys.NewSecret("what the SDK signed with")
	client, err := apikeys.New(ctx, db, apikeys.Config{
		SigningSecret: secret, // a new one: not the other system's
		Imported: []apikeys.ImportedKeys{
			{Scheme: apikeys.ImportPythonSDK, Secret: theirs, Prefixes: []string{"sk_", "myapp_live_"}},
		},
	})
	check(err)
	defer client.Close(ctx)
	fmt.Println(client != nil)
	// Output: true
}

// row is one of better-auth's table apikey.
type row struct {
	ID, Key, Start, Name, UserID string
	Enabled, RateLimitEnabled    bool
	RateLimitMax                 int64
	RateLimitTimeWindow          int64 // milliseconds
	CreatedAt                    time.Time
	ExpiresAt                    *time.Time
	Permissions                  map[string][]string
}

func importKey(r row, organization uuid.UUID) (key apikeys.ImportKey, err error) {
	key = apikeys.ImportKey{
		Scheme: apikeys.ImportBetterAuth, ForeignID: r.ID, Hint: r.Start + "…",
		OrganizationID: organization, OwnerID: r.UserID, CreatedAt: r.CreatedAt,
		Metadata: apikeys.KeyMetadata{Name: r.Name},
	}
	if key.Digest, err = apikeys.ParseDigest(r.Key); err != nil {
		return key, err
	}
	if !r.Enabled {
		key.DisabledAt = time.Now()
	}
	if r.ExpiresAt != nil {
		key.Metadata.ExpiresAt = *r.ExpiresAt
	}
	if r.RateLimitEnabled { // the window is in milliseconds
		window := apikeys.RateLimitWindow(r.RateLimitTimeWindow / 1000)
		key.Metadata.RateLimits = []apikeys.RateLimit{{Requests: r.RateLimitMax, Window: window}}
	}
	for resource, actions := range r.Permissions {
		for _, action := range actions {
			key.Metadata.Scopes = append(key.Metadata.Scopes, resource+":"+action)
		}
	}
	return key, nil
}

// A key of better-auth, moved over by the digest that it kept.
func Example_betterAuth() {
	client, acme := importingClient(apikeys.Config{
		Imported: []apikeys.ImportedKeys{{Scheme: apikeys.ImportBetterAuth, Prefixes: []string{"", "ba_"}}},
	})
	text := "ba_" + strings.Repeat("aB", 32)
	digest := sha256.Sum256([]byte(text))
	key, err := importKey(row{
		ID: "1", Key: base64.RawURLEncoding.EncodeToString(digest[:]), Start: "ba_aBa", Name: "laptop", UserID: "u_alice",
		Enabled: true, RateLimitEnabled: true, RateLimitMax: 10, RateLimitTimeWindow: 86_400_000,
		CreatedAt: time.Now(), Permissions: map[string][]string{"docs": {"read"}},
	}, acme.ID)
	check(err)
	presentImported(client, key, text, "docs:read")
	// Output: created, accepted: u_alice
}

// A key of Laravel Sanctum, moved over by the digest that it kept.
func Example_sanctum() {
	client, organization := importingClient(apikeys.Config{
		Imported: []apikeys.ImportedKeys{{Scheme: apikeys.ImportSanctum}}, // Prefixes: the setting token_prefix
	})
	presentImported(client, sanctumKey(organization.ID), "7|"+sanctumToken, "docs:read")
	// Output: created, accepted: user:42
}

var sanctumToken = strings.Repeat("Ab3x", 10)

// sanctumKey is what a row of personal_access_tokens becomes.
func sanctumKey(organization uuid.UUID) apikeys.ImportKey {
	id, tokenableID, name, abilities := "7", "42", "laptop", []string{"docs:read"}
	createdAt, expiresAt := time.Now(), time.Time{}
	sum := sha256.Sum256([]byte(sanctumToken))
	digest, err := apikeys.ParseDigest(hex.EncodeToString(sum[:]))
	check(err)
	key := apikeys.ImportKey{
		Scheme: apikeys.ImportSanctum, ForeignID: id, Digest: digest, // of the column token
		OrganizationID: organization, OwnerID: "user:" + tokenableID, CreatedAt: createdAt,
		Metadata: apikeys.KeyMetadata{Name: name, Scopes: abilities, ExpiresAt: expiresAt},
	}
	return key
}

func importingClient(config apikeys.Config) (*apikeys.Client, *apikeys.Organization) {
	ctx := context.Background()
	config.SigningSecret = apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35")
	client, err := apikeys.New(ctx, exampleStore(), config)
	check(err)
	ofExamples.addClient(client)
	acme, err := client.CreateOrganization(ctx, "Acme Inc")
	check(err)
	return client, acme
}

// presentImported imports a key and presents its old text.
func presentImported(client *apikeys.Client, key apikeys.ImportKey, text, scope string) {
	ctx := context.Background()
	results, err := client.ImportKeys(ctx, []apikeys.ImportKey{key}, apikeys.ImportParams{})
	check(err)
	v, err := client.Validate(ctx, text, apikeys.ValidateParams{Scopes: []string{scope}})
	check(err)
	fmt.Printf("%s, accepted: %s\n", results[0].Outcome, v.OwnerID())
}

// What the holder of a key could hand out, and no more.
func ExampleGrantOf() {
	client, acme := exampleClient()
	ctx := context.Background()
	mine := exampleKey(client, acme.ID) // grants "read"
	bounded := client.WithGrant(apikeys.GrantOf(mine.Key))
	_, err := bounded.CreateKey(ctx, apikeys.CreateKeyParams{
		OrganizationID: acme.ID, OwnerID: "u_alice", Metadata: apikeys.KeyMetadata{Scopes: []string{"read", "write"}},
	})
	fmt.Println(err)
	// Output: apikeys: Metadata.Scopes: beyond the grant: what may be granted is "read"
}
