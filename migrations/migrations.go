// Package migrations has the tables of apikeys as goose migrations, and applies
// them. The stores call it from their Migrate methods.
//
// The files also run under the goose command, with the same version table:
//
//	goose -dir migrations/sqlite -table apikeys_schema_version sqlite3 app.db up
//	goose -dir migrations/postgres -table apikeys_schema_version postgres "$DSN" up
//	goose -dir migrations/mysql -table apikeys_schema_version mysql "$DSN" up
//
// All tables are named apikeys_…, so that they can live in a database of yours. A
// database that is newer than the program is left as it is: a release works on the
// tables of the next one, so that programs can be replaced one by one.
//
// # Changing the tables
//
// A release that needs a column adds it so that older programs, which name the columns
// they write, may leave it out: with a DEFAULT, or NULL. Only the release after it may
// count on what stands there, and only that one may drop what the older ones used.
// A number means the same in every folder.
//
// In MySQL, DDL ends a transaction. There a file says NO TRANSACTION, and each of its
// statements can be run again after a migration was killed: CREATE TABLE IF NOT EXISTS;
// and, because MySQL has no such words for columns and indexes,
//
//	SET @ddl = (SELECT IF(COUNT(*) = 0, 'ALTER TABLE apikeys_keys ADD COLUMN note VARBINARY(255)', 'DO 0')
//	              FROM information_schema.columns
//	             WHERE table_schema = DATABASE() AND table_name = 'apikeys_keys' AND column_name = 'note');
//	PREPARE ddl FROM @ddl;
//	EXECUTE ddl;
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// FS holds the migrations, a folder for each database.
//
//go:embed sqlite/*.sql postgres/*.sql mysql/*.sql
var FS embed.FS

// Table is where the applied versions are kept.
const Table = "apikeys_schema_version"

// Dialect names a database.
type Dialect string

// The databases.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
	MySQL    Dialect = "mysql" // and MariaDB
)

// ErrLocked is returned when another process kept the database locked for longer
// than a migration may take. Nothing was changed; try again.
var ErrLocked = errors.New("migrations: another process is migrating or has locked the database: try again when it has ended")

// Up applies what is missing. Any number of processes may call it at once, on every
// start: each migration is applied once, the others wait for it; for 30 seconds at
// most, then [ErrLocked] is returned. When nothing is missing it only reads.
//
// An SQLite db should begin its transactions with BEGIN IMMEDIATE (_txlock=immediate).
// A Postgres db needs two connections at a time: one of them holds an advisory lock.
func Up(ctx context.Context, db *sql.DB, dialect Dialect) error {
	return inTurn(ctx, db, dialect, up, patience)
}

// Down removes all tables and everything in them.
func Down(ctx context.Context, db *sql.DB, dialect Dialect) error {
	return inTurn(ctx, db, dialect, down, patience)
}

// Version returns the version of a database; 0 when it has no tables.
func Version(ctx context.Context, db *sql.DB, dialect Dialect) (int64, error) {
	_, store, err := provider(db, dialect)
	if err != nil {
		return 0, err
	}
	return version(ctx, db, store)
}

// Latest returns the version that Up brings a database to.
func Latest(dialect Dialect) (int64, error) {
	names, err := names(dialect)
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(names[len(names)-1])
}

func files(dialect Dialect) (fs.FS, error) {
	switch dialect {
	case SQLite, Postgres, MySQL:
		return fs.Sub(FS, string(dialect))
	}
	return nil, fmt.Errorf("migrations: unknown database %q", dialect)
}
