package stores

import (
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"; the stores have those of the others
)

// SQL opens a database past its store, for what an operator does by hand. On SQLite a
// statement waits for those of clients, as elsewhere. It is closed at the end of the test.
func SQL(t testing.TB, name, dsn string) *sql.DB {
	t.Helper()
	driver := map[string]string{"sqlite": "sqlite", "postgres": "pgx", "mysql": "mysql"}[name]
	if driver == "sqlite" {
		dsn = "file:" + dsn + "?_txlock=immediate&_pragma=busy_timeout(30000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
