package postgres_test

import (
	"context"
	"log"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/apikeys-platform/apikeys/store/postgres"
)

// DATABASE_URL is a URL such as postgres://app:…@db.example.com/app?search_path=keys, or keywords and values.
func ExampleOpen() {
	ctx := context.Background()
	db, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil { // safe on every start, on many machines at once
		log.Fatal(err)
	}
}

// The store shares the pool of the program, which goes on to own it.
func ExampleNew() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	db := postgres.New(pool)
	if err := db.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
}
