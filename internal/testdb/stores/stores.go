// Package stores names the stores of all databases, for tests that do the same to each.
package stores

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store/mysql"
	"github.com/apikeys-platform/apikeys/store/postgres"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// Store is what they have in common.
type Store interface {
	apikeys.Store
	Migrate(ctx context.Context) error
	Close() error
}

// Database is where a store can be opened.
type Database struct {
	Name string // "sqlite", "postgres", "mysql", or one of [WithPools]
	// Empty names an empty database, which goes with the test; the test ends there when no server is at hand.
	Empty func(testing.TB) string
	// Open needs no more than a text, so that another process can do it too.
	Open func(ctx context.Context, dsn string) (Store, error)
}

// All returns every database.
func All() []Database {
	return []Database{SQLite(), Postgres(), MySQL()}
}

// Named returns the database of that name, and false if there is none.
func Named(name string) (Database, bool) {
	for _, d := range WithPools() {
		if d.Name == name {
			return d, true
		}
	}
	return Database{}, false
}

// SQLite is a file in a directory of the test's.
func SQLite() Database {
	return Database{"sqlite", func(t testing.TB) string {
		t.Helper()
		return filepath.Join(t.TempDir(), "app.db")
	}, func(ctx context.Context, dsn string) (Store, error) { return sqlite.Open(ctx, dsn) }}
}

// Postgres is a database on the server that tests share.
func Postgres() Database {
	return Database{"postgres", testdb.Postgres, func(ctx context.Context, dsn string) (Store, error) { return postgres.Open(ctx, dsn) }}
}

// MySQL is a database on the MySQL or MariaDB server that tests share.
func MySQL() Database {
	return Database{"mysql", testdb.MySQL, func(ctx context.Context, dsn string) (Store, error) { return mysql.Open(ctx, dsn) }}
}

// Migrated opens a store on an empty database and makes the tables. It is closed with the test.
func (d Database) Migrated(t testing.TB) (s Store, dsn string) {
	t.Helper()
	dsn = d.Empty(t)
	if d.Name == SQLite().Name {
		copyTables(t, dsn)
		return d.Opened(t, dsn), dsn
	}
	s = d.Opened(t, dsn)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return s, dsn
}

// copyTables makes the file of a migrated database, which takes a fraction of the time that its migrations take.
func copyTables(t testing.TB, path string) {
	t.Helper()
	file, err := migratedFile()
	if err == nil {
		err = os.WriteFile(path, file, 0o600)
	}
	if err != nil {
		t.Fatalf("copy a migrated database: %v", err)
	}
}

// migratedFile is what is in the file of a migrated database.
var migratedFile = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "app.db")
	s, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.Migrate(context.Background()), s.Close()); err != nil { // which leaves all of it in this file
		return nil, err
	}
	return os.ReadFile(path)
})

// Opened opens a store for the time of a test.
func (d Database) Opened(t testing.TB, dsn string) Store {
	t.Helper()
	s, err := d.Open(t.Context(), dsn)
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}
