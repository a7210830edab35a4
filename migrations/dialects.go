package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// provider returns goose for a database, and where it keeps the versions. Nothing
// in it is global.
func provider(db *sql.DB, dialect Dialect) (*goose.Provider, database.Store, error) {
	files, err := files(dialect)
	if err != nil {
		return nil, nil, err
	}
	store, options, err := versions(dialect)
	if err != nil {
		return nil, nil, err
	}
	options = append(options, goose.WithStore(store), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	p, err := goose.NewProvider(goose.DialectCustom, db, files, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("migrations: %w", err)
	}
	return p, store, nil
}

// versions returns where a database keeps its versions, and how processes that
// migrate it at once wait for each other.
func versions(dialect Dialect) (database.Store, []goose.ProviderOption, error) {
	switch dialect {
	case SQLite:
		// No lock beside SQLite's own: see sqliteVersions.
		store, err := database.NewStoreFromQuerier(Table, sqliteVersions{})
		return store, nil, err
	case Postgres:
		store, err := database.NewStoreFromQuerier(Table, postgresVersions{})
		return store, []goose.ProviderOption{goose.WithLocker(&postgresLock{})}, err
	case MySQL:
		store, err := database.NewStoreFromQuerier(Table, mysqlVersions{})
		return store, []goose.ProviderOption{goose.WithSessionLocker(mysqlLock{patience})}, err
	}
	return nil, nil, fmt.Errorf("migrations: unknown database %q", dialect)
}

func tableExists(ctx context.Context, db *sql.DB, store database.Store) (bool, error) {
	extended, ok := store.(interface {
		TableExists(ctx context.Context, db database.DBTxConn) (bool, error)
	})
	if !ok {
		return false, errors.ErrUnsupported
	}
	return extended.TableExists(ctx, db)
}

// sqliteVersions is goose's version table in SQLite, column by column, with two
// statements that expect others to migrate at the same time. A migration runs in
// one transaction with the row of its version, and a transaction excludes other
// writers: the loser of a race finds the row there, fails, and undoes its own.
type sqliteVersions struct{}

// CreateTable returns a statement that does nothing if another was first.
func (sqliteVersions) CreateTable(table string) string {
	return `CREATE TABLE IF NOT EXISTS ` + table + ` (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    version_id INTEGER NOT NULL,
    is_applied INTEGER NOT NULL,
    tstamp     TIMESTAMP DEFAULT (datetime('now'))
)`
}

// InsertVersion returns a statement that fails, by NOT NULL, for a version that is
// there. The row of version 0, which comes with the table, may be there.
func (sqliteVersions) InsertVersion(table string) string {
	return `INSERT INTO ` + table + ` (version_id, is_applied)
SELECT CASE WHEN EXISTS (SELECT 1 FROM ` + table + ` WHERE version_id = ?1) THEN NULL ELSE ?1 END, ?2
 WHERE ?1 > 0 OR NOT EXISTS (SELECT 1 FROM ` + table + `)`
}

func (sqliteVersions) DeleteVersion(table string) string {
	return `DELETE FROM ` + table + ` WHERE version_id = ?`
}

func (sqliteVersions) GetMigrationByVersion(table string) string {
	return `SELECT tstamp, is_applied FROM ` + table + ` WHERE version_id = ? ORDER BY tstamp DESC LIMIT 1`
}

func (sqliteVersions) ListMigrations(table string) string {
	return `SELECT version_id, is_applied FROM ` + table + ` ORDER BY id DESC`
}

func (sqliteVersions) GetLatestVersion(table string) string {
	return `SELECT MAX(version_id) FROM ` + table
}

func (sqliteVersions) TableExists(table string) string {
	return `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '` + table + `')`
}
