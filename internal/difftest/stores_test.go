package difftest_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	mysqlstore "github.com/apikeys-platform/apikeys/store/mysql"
	"github.com/apikeys-platform/apikeys/store/postgres"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// store is what the stores of the databases have in common.
type store interface {
	apikeys.Store
	Migrate(ctx context.Context) error
	Close() error
}

// database is where a store can be opened.
type database struct {
	name string
	// empty names an empty database; the test ends here when there is no server.
	empty func(testing.TB) string
	// open needs no more than a text, so that another process can do it too.
	open func(ctx context.Context, dsn string) (store, error)
}

func databases() []database {
	return []database{
		{"sqlite", sqliteFile, openSQLite},
		{"postgres", testdb.Postgres, openPostgres},
		{"mysql", testdb.MySQL, openMySQL},
	}
}

func sqliteFile(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "app.db")
}

func openSQLite(ctx context.Context, dsn string) (store, error) { return sqlite.Open(ctx, dsn) }

func openPostgres(ctx context.Context, dsn string) (store, error) { return postgres.Open(ctx, dsn) }

func openMySQL(ctx context.Context, dsn string) (store, error) { return mysqlstore.Open(ctx, dsn) }

// ownedPool is a MySQL store on a pool of the caller's, with the options of its
// dsn: [mysqlstore.Open] overrules them.
type ownedPool struct {
	*mysqlstore.Store
	db *sql.DB
}

func (s ownedPool) Close() error { return s.db.Close() }

func openMySQLPool(_ context.Context, dsn string) (store, error) {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	s, err := mysqlstore.New(db)
	return ownedPool{s, db}, err
}

// withFoundRows is an empty MySQL database whose dsn has the option.
func withFoundRows(found bool) func(testing.TB) string {
	return func(t testing.TB) string {
		t.Helper()
		config, err := mysql.ParseDSN(testdb.MySQL(t))
		if err != nil {
			t.Fatal("the DSN of the test's database cannot be read")
		}
		config.ClientFoundRows = found
		return config.FormatDSN()
	}
}

// openMigrated opens a store on an empty database for the time of a test.
func openMigrated(t testing.TB, d database) (s store, dsn string) {
	t.Helper()
	dsn = d.empty(t)
	s, err := d.open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, dsn
}

// openAll opens a store on each database that there is. What is left out has a
// subtest that says why.
func openAll(t *testing.T) []*participant {
	t.Helper()
	var all []*participant
	for _, d := range databases() {
		found := false
		t.Run("find "+d.name, func(t *testing.T) {
			d.empty(t)
			found = true
		})
		if found {
			s, _ := openMigrated(t, d)
			all = append(all, &participant{name: d.name, store: s})
		}
	}
	return all
}
