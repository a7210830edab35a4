// Package testdb gives each test an empty database of its own on a real server, and a real server of its own to those that
// want to kill it.
//
// The servers are named by two environment variables, which `make test` sets. A test whose server is missing is skipped,
// saying so, except where the variable CI is set: there it fails.
package testdb

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
)

// The environment variables that name the servers. The user in them must be allowed to create databases.
const (
	PostgresVariable = "APIKEYS_TEST_POSTGRES" // a URL, or keywords and values
	MySQLVariable    = "APIKEYS_TEST_MYSQL"    // as go-sql-driver writes it, or a mysql:// URL
)

// cleanupTimeout bounds the removal of one database.
const cleanupTimeout = 30 * time.Second

// Postgres returns the DSN of an empty Postgres database, which is dropped with the test, connections and all.
func Postgres(t testing.TB) string {
	t.Helper()
	return newPostgres(t, serverDSN(t, PostgresVariable), "template0")
}

// MySQL returns the DSN of an empty MySQL or MariaDB database, in the form of go-sql-driver. It is dropped with the test,
// connections and all. Its default character set is the server's, whatever that is.
func MySQL(t testing.TB) string {
	t.Helper()
	return newMySQL(t, serverDSN(t, MySQLVariable)).FormatDSN()
}

// Template is a database that was filled once, to be copied for many tests. Make it in the test that runs the others as
// its subtests: it is dropped with that one. Copies may be made at the same time.
type Template struct {
	copyFor func(testing.TB) string
}

// Copy returns the DSN of a copy, which is dropped with the test.
func (tp *Template) Copy(t testing.TB) string {
	t.Helper()
	return tp.copyFor(t)
}

// PostgresTemplate makes a template with what prepare leaves in the database: everything is copied. Prepare must close its
// connections.
func PostgresTemplate(t testing.TB, prepare func(ctx context.Context, dsn string) error) *Template {
	t.Helper()
	server := serverDSN(t, PostgresVariable)
	dsn := newPostgres(t, server, "template0")
	if err := prepare(t.Context(), dsn); err != nil {
		t.Fatalf("prepare a template database: %v", err)
	}
	template := postgresDatabase(t, dsn)
	return &Template{copyFor: func(t testing.TB) string {
		t.Helper()
		return newPostgres(t, server, template)
	}}
}

// MySQLTemplate makes a template with what prepare leaves in the database: tables and their rows are copied, and there may
// be nothing else.
func MySQLTemplate(t testing.TB, prepare func(ctx context.Context, dsn string) error) *Template {
	t.Helper()
	server := serverDSN(t, MySQLVariable)
	template := newMySQL(t, server)
	if err := prepare(t.Context(), template.FormatDSN()); err != nil {
		t.Fatalf("prepare a template database: %v", err)
	}
	tables := readTables(t, template)
	return &Template{copyFor: func(t testing.TB) string {
		t.Helper()
		config := newMySQL(t, server)
		createTables(t, config, tables)
		return config.FormatDSN()
	}}
}

// StartPostgres starts a Postgres server of the test's own, which it may kill and restart. It ends with the test.
func StartPostgres(t testing.TB, options dbserver.Options) *dbserver.Server {
	t.Helper()
	return start(t, dbserver.Postgres, options)
}

// StartMySQL starts a MariaDB or MySQL server of the test's own, which it may kill and restart. It ends with the test.
func StartMySQL(t testing.TB, options dbserver.Options) *dbserver.Server {
	t.Helper()
	return start(t, dbserver.MySQL, options)
}

// StartPgBouncer starts a PgBouncer before the server that gives tests their databases. It hands out connections by
// transaction, and ends with the test. The test is left out where there is none, also where everything else has to run.
func StartPgBouncer(t testing.TB) *dbserver.Server {
	t.Helper()
	upstream := serverDSN(t, PostgresVariable)
	if _, err := dbserver.Find(t.Context(), dbserver.PgBouncer); errors.Is(err, dbserver.ErrNotInstalled) {
		t.Skipf("left out: %v", err)
	}
	return start(t, dbserver.PgBouncer, dbserver.Options{Upstream: upstream})
}

func start(t testing.TB, kind dbserver.Kind, options dbserver.Options) *dbserver.Server {
	t.Helper()
	skipIfShort(t, string(kind))
	installation, err := dbserver.Find(t.Context(), kind)
	if errors.Is(err, dbserver.ErrNotInstalled) {
		leaveOut(t, "this test starts a %s server of its own, and none is installed", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	if options.Log == nil {
		options.Log = t.Output()
	}
	server, err := installation.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close the server: %v", err)
		}
	})
	return server
}

// serverDSN reads the variable that names a server, or leaves the test out.
func serverDSN(t testing.TB, variable string) string {
	t.Helper()
	skipIfShort(t, variable)
	dsn := os.Getenv(variable)
	if dsn == "" {
		leaveOut(t, "%s is not set: `make test` finds or starts a server, or name one where the user may create databases",
			variable)
	}
	return dsn
}

func skipIfShort(t testing.TB, server string) {
	t.Helper()
	if testing.Short() {
		t.Skipf("left out with -short: needs a server (%s)", server)
	}
}

// leaveOut skips the test, or fails it where everything has to run.
func leaveOut(t testing.TB, reason string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("CI is set, so nothing may be left out: "+reason, args...)
	}
	t.Skipf("left out: "+reason, args...)
}

// newName is short, lower case, and needs no quotes in any SQL.
func newName() string { return "apikeys_test_" + strings.ToLower(rand.Text()[:16]) }

// cleanupContext outlives the test's own, which is cancelled before its cleanups run.
func cleanupContext(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(context.WithoutCancel(t.Context()), cleanupTimeout)
}
