// Package store opens the database that a URL names, for programs whose operators
// choose it:
//
//	db, err := store.Open(ctx, os.Getenv("DATABASE_URL"))
//	err = db.Migrate(ctx)
//	client, err := apikeys.New(ctx, db, config)
//	defer db.Close()
//
// It links the drivers of all databases. A program that knows its database opens it
// with the package of that database ([sqlite.Open], [postgres.Open], [mysql.Open]), and
// gives a pool that it has to [postgres.New] or [mysql.New].
package store

import (
	"context"
	"strings"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/sqlstore"
	"github.com/apikeys-platform/apikeys/migrations"
	"github.com/apikeys-platform/apikeys/store/mysql"
	"github.com/apikeys-platform/apikeys/store/postgres"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// DB is a store with its database.
type DB interface {
	apikeys.Store
	// Migrate brings the tables to the version that this module needs. It is safe on
	// every start, in any number of processes at once.
	Migrate(ctx context.Context) error
	// MigrateDown removes all tables with everything in them.
	MigrateDown(ctx context.Context) error
	// Inspect looks at the database, and changes nothing: its version and clock, what
	// is missing, how many rows there are. For people who look for what is wrong.
	Inspect(ctx context.Context) (*migrations.Report, error)
	// Close closes the connections. Close the client first.
	Close() error
}

var (
	_ DB = (*sqlite.Store)(nil)
	_ DB = (*postgres.Store)(nil)
	_ DB = (*mysql.Store)(nil)
)

// ErrNotMigrated is wrapped by what the stores return as long as the database has no
// tables: call Migrate.
var ErrNotMigrated error = sqlstore.ErrNotMigrated

// Open opens the database that url names, by its scheme:
//
//	sqlite:///app.db, sqlite:////var/lib/app.db     a file, relative or absolute
//	sqlite://:memory:                               memory
//	postgres://user:password@host:5432/app          also postgresql://
//	mysql://user:password@host:3306/app             also mariadb://, for either of the two
//
// A scheme may name a driver, as SQLAlchemy has it (postgresql+psycopg2, mysql+pymysql,
// sqlite+aiosqlite): it plays no part. See [sqlite.Open], [postgres.Open] and
// [mysql.Open] for options.
//
// Errors: an [apikeys.InvalidArgumentError] for a url that cannot be read, and those of
// the packages. None shows a password, or what may be one.
func Open(ctx context.Context, url string) (DB, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return nil, errScheme(url)
	}
	name, _, _ := strings.Cut(strings.ToLower(scheme), "+")
	switch name {
	case "sqlite":
		return opened(sqlite.Open(ctx, "sqlite://"+rest))
	case "postgres", "postgresql":
		return opened(postgres.Open(ctx, "postgres://"+rest))
	case "mysql", "mariadb":
		return opened(mysql.Open(ctx, "mysql://"+rest))
	}
	return nil, errScheme(url)
}

// opened makes of a store that is nil a DB that is nil.
func opened[T DB](s T, err error) (DB, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func errScheme(url string) error {
	reason := "does not begin with one of sqlite://, postgres://, postgresql://, mysql:// and mariadb://"
	if url == "" {
		reason = "is empty: write sqlite:///app.db or sqlite://:memory:, postgres://user:password@host/database or mysql://user:password@host/database"
	}
	return &apikeys.InvalidArgumentError{Field: "url", Reason: reason}
}
