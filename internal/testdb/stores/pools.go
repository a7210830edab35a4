package stores

import (
	"context"
	"database/sql"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store/mysql"
)

// WithPools returns every database, and MySQL on pools of a caller: to it, the number of rows that a statement affected
// means one thing or another by an option that such a pool may have.
func WithPools() []Database {
	return append(All(),
		Database{"mysql, a pool with clientFoundRows", withFoundRows(true), openPool},
		Database{"mysql, a pool without clientFoundRows", withFoundRows(false), openPool},
	)
}

// pool is a MySQL store on a pool of the caller's, with the options of its dsn: [mysql.Open] overrules them.
type pool struct {
	*mysql.Store
	db *sql.DB
}

func (p pool) Close() error { return p.db.Close() }

func openPool(_ context.Context, dsn string) (Store, error) {
	const connections = 8
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	s, err := mysql.New(db)
	if err != nil {
		return nil, err
	}
	return pool{s, db}, nil
}

// withFoundRows is an empty MySQL database whose dsn has the option.
func withFoundRows(found bool) func(testing.TB) string {
	return func(t testing.TB) string {
		t.Helper()
		config, err := driver.ParseDSN(testdb.MySQL(t))
		if err != nil {
			t.Fatal("the DSN of the test's database cannot be read")
		}
		config.ClientFoundRows = found
		return config.FormatDSN()
	}
}
