package mysql_test

import (
	"context"
	"database/sql"
	"log"
	"os"

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
}

// The store shares the pool of the program, which goes on to own it.
func ExampleNew() {
	ctx := context.Background()
	pool, err := sql.Open("mysql", os.Getenv("DATABASE_DSN"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	db, err := mysql.New(pool)
	if err != nil {
		log.Fatal(err)
	}
	if err := db.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
}
