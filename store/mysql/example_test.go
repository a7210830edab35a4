package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/mysql"
)

// DATABASE_URL is a URL such as mariadb://app:…@db.example.com/app, or what go-sql-driver takes.
func ExampleOpen() {
	ctx := context.Background()
	db, err := mysql.Open(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil { // safe on every start, on many machines at once
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
	acme, _, err := client.GetOrCreateOrganization(ctx, "Acme Inc")
	fmt.Println(acme.Name, err)
	// Output: Acme Inc <nil>
}

// The store shares the pool of the program, which goes on to own it.
func ExampleNew() {
	ctx := context.Background()
	pool, err := sql.Open("mysql", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	db, err := mysql.New(pool)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(db.Migrate(ctx))
	// Output: <nil>
}
