package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migration is one step that the tables are made in.
type Migration struct {
	Version int64
	Name    string // of its file; empty for one of a newer program
	Applied bool
}

// Status tells what Up would do, and changes nothing: the migrations of this program,
// and those that a newer one has applied, in their order.
func Status(ctx context.Context, db *sql.DB, dialect Dialect) ([]Migration, error) {
	applied, err := appliedVersions(ctx, db, dialect)
	if err != nil {
		return nil, err
	}
	names, err := names(dialect)
	if err != nil {
		return nil, err
	}
	var list []Migration
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
		list = append(list, Migration{Version: version, Name: name, Applied: slices.Contains(applied, version)})
	}
	latest := list[len(list)-1].Version
	for _, version := range applied {
		if version > latest {
			list = append(list, Migration{Version: version, Applied: true})
		}
	}
	return list, nil
}

// appliedVersions returns what stands in the version table, in ascending order,
// without the row of version 0 that comes with it.
func appliedVersions(ctx context.Context, db *sql.DB, dialect Dialect) ([]int64, error) {
	_, store, err := provider(db, dialect)
	if err != nil {
		return nil, err
	}
	exists, err := tableExists(ctx, db, store)
	if err != nil || !exists {
		return nil, err
	}
	rows, err := store.ListMigrations(ctx, db)
	if err != nil && !errors.Is(err, database.ErrVersionNotFound) {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	var versions []int64
	for _, row := range rows {
		if row.IsApplied && row.Version > 0 {
			versions = append(versions, row.Version)
		}
	}
	slices.Sort(versions)
	return versions, nil
}

// Report is what Inspect found in a database.
type Report struct {
	Server string // its name and version: "PostgreSQL 15.8"
	// Now is the database's clock when it was asked.
	Now time.Time
	// ReadOnly says that nothing can be written: a replica, most likely.
	ReadOnly   bool
	Migrations []Migration
	// Missing are tables and indexes that the applied migrations made and that are
	// not there, or not usable: "index apikeys_keys_owner".
	Missing []string
	// Inexact are columns and indexes of text that is not compared byte by byte, with
	// what compares it: "apikeys_keys.name: utf8mb4_general_ci".
	Inexact []string
	// Tables are what is in the tables; none as long as one is missing.
	Tables []TableSize
}

// TableSize is what is in a table.
type TableSize struct {
	Name string
	Rows int64
	// More says that there are more than Rows, which are all that were counted.
	More bool
	// Oldest is the time of the oldest row of a table that is swept; zero for the
	// others, and where there is no row.
	Oldest time.Time
}

// maxCounted is how many rows of a table are counted; the statements have it too.
const maxCounted = 1_000_000

// inspection is how a database is inspected: whole statements.
type inspection struct {
	server   string // → name and version
	now      string // → microseconds since the Unix epoch
	readOnly string // → 1 if nothing can be written
	objects  string // → "table" or "index", name: what is there and can be used
	inexact  string // → where: what compares it
	tables   string // → name, rows up to maxCounted + 1, microseconds of the oldest (or NULL)
}

func inspectionOf(dialect Dialect) (inspection, error) {
	switch dialect {
	case SQLite:
		return sqliteInspection, nil
	case Postgres:
		return postgresInspection, nil
	case MySQL:
		return mysqlInspection, nil
	}
	return inspection{}, fmt.Errorf("migrations: unknown database %q", dialect)
}

// Inspect looks at a database, and changes nothing: for people who look for what is
// wrong. It counts rows, so it takes a while on a big one.
func Inspect(ctx context.Context, db *sql.DB, dialect Dialect) (*Report, error) {
	statements, err := inspectionOf(dialect)
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if r.Migrations, err = Status(ctx, db, dialect); err != nil {
		return nil, err
	}
	var now int64
	for _, question := range []struct {
		statement string
		answer    any
	}{{statements.server, &r.Server}, {statements.now, &now}, {statements.readOnly, &r.ReadOnly}} {
		if err := db.QueryRowContext(ctx, question.statement).Scan(question.answer); err != nil {
			return nil, fmt.Errorf("migrations: inspect: %w", err)
		}
	}
	r.Now = time.UnixMicro(now).UTC()
	if r.Missing, err = missing(ctx, db, dialect, statements.objects, r.Migrations); err != nil {
		return nil, err
	}
	if r.Inexact, err = texts(ctx, db, statements.inexact); err != nil {
		return nil, err
	}
	if whole(r) {
		r.Tables, err = tables(ctx, db, statements.tables)
	}
	return r, err
}

// whole tells whether all tables are there.
func whole(r *Report) bool {
	missing := slices.ContainsFunc(r.Missing, func(s string) bool { return strings.HasPrefix(s, "table ") })
	return r.Migrations[0].Applied && !missing
}

// missing returns what the applied migrations of this program made and the database
// does not have.
func missing(ctx context.Context, db *sql.DB, dialect Dialect, objects string, migrations []Migration) ([]string, error) {
	there, err := texts(ctx, db, objects)
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, m := range migrations {
		if !m.Applied || m.Name == "" {
			continue
		}
		made, err := made(dialect, m.Name)
		if err != nil {
			return nil, err
		}
		for _, object := range made {
			if !slices.Contains(there, object) {
				gone = append(gone, object)
			}
		}
	}
	return gone, nil
}

// made returns the tables and indexes that a file makes.
func made(dialect Dialect, name string) ([]string, error) {
	text, err := fs.ReadFile(FS, string(dialect)+"/"+name)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	up, _, _ := strings.Cut(string(text), "-- +goose Down")
	var list []string
	for _, match := range createdIn.FindAllStringSubmatch(up, -1) {
		list = append(list, strings.ToLower(match[1])+" "+match[2])
	}
	return list, nil
}

// createdIn finds what a migration makes: statements of their own, and in MySQL the
// lines of a table.
var createdIn = regexp.MustCompile(`(?m)^(?:CREATE |    )(?:UNIQUE )?(TABLE|INDEX) (?:IF NOT EXISTS )?(apikeys_\w+)`)

// texts returns the only column of a query.
func texts(ctx context.Context, db *sql.DB, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("migrations: inspect: %w", err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("migrations: inspect: %w", err)
		}
		list = append(list, text)
	}
	return list, rows.Err()
}

func tables(ctx context.Context, db *sql.DB, query string) ([]TableSize, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("migrations: inspect: %w", err)
	}
	defer rows.Close()
	var list []TableSize
	for rows.Next() {
		var t TableSize
		var oldest sql.NullInt64
		if err := rows.Scan(&t.Name, &t.Rows, &oldest); err != nil {
			return nil, fmt.Errorf("migrations: inspect: %w", err)
		}
		if t.Rows > maxCounted {
			t.Rows, t.More = maxCounted, true
		}
		if oldest.Valid {
			t.Oldest = time.UnixMicro(oldest.Int64).UTC()
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

// names returns the files of a database, in the order of their versions.
func names(dialect Dialect) ([]string, error) {
	files, err := files(dialect)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.sql") // sorted, with leading zeros
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("migrations: none for %q", dialect)
	}
	return names, nil
}
