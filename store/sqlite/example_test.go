package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	db, err := sqlite.Open(ctx, filepath.Join(dir, "app.db")) // made if it is not there
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil { // safe on every start
		log.Fatal(err)
	}
	client, err := apikeys.New(ctx, db, apikeys.Config{
		// A program of yours reads its secret with apikeys.SecretFromEnv.
		SigningSecret: apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35"),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	acme, err := client.CreateOrganization(ctx, "Acme Inc")
	fmt.Println(acme.Name, err)
	// Output: Acme Inc <nil>
}
