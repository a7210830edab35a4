package apikeys_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// exampleStore opens a migrated database in memory.
func exampleStore() *sqlite.Store {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:")
	check(err)
	ofExamples.add(db.Close)
	check(db.Migrate(ctx))
	return db
}

// A deployment asks before it replaces what runs.
func ExampleCheckConfig() {
	ctx := context.Background()
	db := exampleStore()
	mine := apikeys.Config{SigningSecret: apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35")}
	client, err := apikeys.New(ctx, db, mine)
	check(err)
	defer client.Close(ctx)

	other := apikeys.Config{SigningSecret: apikeys.NewSecret("f1c2a8e97b604d53a2e8c7d9b05f3146")}
	fmt.Println(apikeys.CheckConfig(ctx, db, mine))
	fmt.Println(errors.Is(apikeys.CheckConfig(ctx, db, other), apikeys.ErrInvalidArgument))
	// Output:
	// <nil>
	// true
}

// Close in the order of opening, reversed: the client, then the store.
func ExampleClient_Close() {
	ctx := context.Background()
	db := exampleStore()
	client, err := apikeys.New(ctx, db, apikeys.Config{SigningSecret: apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35")})
	check(err)
	check(client.Close(ctx)) // writes the uses that are still in memory
	check(db.Close())
	_, err = client.Verify(ctx, "sk_any")
	fmt.Println(errors.Is(err, apikeys.ErrClosed))
	// Output: true
}

func ExampleNewSecret() {
	secret := apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35")
	fmt.Println(secret)
	fmt.Printf("%+v\n", apikeys.Config{SigningSecret: secret}.SigningSecret)
	// Output:
	// [redacted]
	// [redacted]
}

func ExampleSecretFromEnv() {
	_, err := apikeys.SecretFromEnv("APIKEYS_EXAMPLE_UNSET")
	fmt.Println(errors.Is(err, apikeys.ErrInvalidArgument)) // says which variable, and what to set it to
	// Output: true
}

func ExampleSecretFromFile() {
	dir, err := os.MkdirTemp("", "")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "apikeys-secret") // such as /run/secrets/apikeys
	check(os.WriteFile(path, []byte("3b1f0e7d5c9a49628f70d4c2b1a69e35\n"), 0o600))

	secret, err := apikeys.SecretFromFile(path)
	fmt.Println(secret, err)
	// Output: [redacted] <nil>
}
