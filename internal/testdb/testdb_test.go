package testdb_test

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"github.com/apikeys-platform/apikeys/internal/testdb"
)

func TestPostgresDatabaseIsDroppedWithTheTest(t *testing.T) {
	t.Parallel()
	var name string
	parent := t
	t.Run("user", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), testdb.Postgres(t)) // and leaves it open until the database is gone
		if err != nil {
			t.Fatal(err)
		}
		parent.Cleanup(func() { _ = conn.Close(context.Background()) })
		name = conn.Config().Database
		mustPostgres(t, conn, "CREATE TABLE t (id int)")
	})
	if name == "" {
		t.Skip("no Postgres")
	}
	conn := connectPostgres(t, testdb.Postgres(t))
	if got := conn.Config().Database; got == name {
		t.Errorf("got the same database %s twice", got)
	}
	var left int
	row := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname = $1", name)
	if err := row.Scan(&left); err != nil || left != 0 {
		t.Errorf("got %d databases %s after the test (%v), want 0", left, name, err)
	}
}

func TestMySQLDatabaseIsDroppedWithTheTest(t *testing.T) {
	t.Parallel()
	var name string
	parent := t
	t.Run("user", func(t *testing.T) {
		db, err := sql.Open("mysql", testdb.MySQL(t))
		if err != nil {
			t.Fatal(err)
		}
		mustMySQL(t, db, "CREATE TABLE t (id int)")
		tx, err := db.Begin() // and leaves it open until the database is gone
		if err != nil {
			t.Fatal(err)
		}
		parent.Cleanup(func() { _, _ = tx.Rollback(), db.Close() })
		if err := tx.QueryRow("SELECT database() FROM t RIGHT JOIN (SELECT 1) AS one ON true").Scan(&name); err != nil {
			t.Fatal(err)
		}
	})
	if name == "" {
		t.Skip("no MySQL")
	}
	db := openMySQL(t, testdb.MySQL(t))
	var left int
	row := db.QueryRow("SELECT count(*) FROM information_schema.schemata WHERE schema_name = ?", name)
	if err := row.Scan(&left); err != nil || left != 0 {
		t.Errorf("got %d databases %s after the test (%v), want 0", left, name, err)
	}
}

func TestPostgresTemplateCopiesAreIndependent(t *testing.T) {
	t.Parallel()
	template := testdb.PostgresTemplate(t, func(ctx context.Context, dsn string) error {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
		return err
	})
	for range 4 {
		t.Run("copy", func(t *testing.T) {
			t.Parallel()
			conn := connectPostgres(t, template.Copy(t))
			mustPostgres(t, conn, "INSERT INTO t VALUES (2)")
			var rows int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&rows); err != nil || rows != 2 {
				t.Errorf("got %d rows (%v), want 2", rows, err)
			}
		})
	}
}

func TestMySQLTemplateCopiesAreIndependent(t *testing.T) {
	t.Parallel()
	template := testdb.MySQLTemplate(t, func(_ context.Context, dsn string) error {
		db, err := sql.Open("mysql", dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		for _, statement := range []string{
			"CREATE TABLE t (id int PRIMARY KEY, name VARCHAR(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)",
			"CREATE TABLE a (t_id int, FOREIGN KEY (t_id) REFERENCES t (id))", // sorts before what it refers to
			"INSERT INTO t VALUES (1, '€')",
		} {
			if _, err := db.Exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
	for range 4 {
		t.Run("copy", func(t *testing.T) {
			t.Parallel()
			db := openMySQL(t, template.Copy(t))
			mustMySQL(t, db, "INSERT INTO t VALUES (2, '€')")
			mustMySQL(t, db, "INSERT INTO a VALUES (2)")
			var rows int
			if err := db.QueryRow("SELECT count(*) FROM t WHERE name = '€'").Scan(&rows); err != nil || rows != 2 {
				t.Errorf("got %d rows (%v), want 2", rows, err)
			}
			if _, err := db.Exec("INSERT INTO a VALUES (3)"); err == nil {
				t.Error("the copy has no foreign key")
			}
		})
	}
}

func TestMySQLTemplateRefusesWhatItCannotCopy(t *testing.T) {
	t.Parallel()
	testdb.MySQL(t) // leaves this test out where there is no server
	out, err := runProbe(t, "TestProbeView", "APIKEYS_TEST_PROBE=1")
	if err == nil || !strings.Contains(out, "cannot be copied: [v]") {
		t.Errorf("got %v, %s; want a failure that names the view", err, out)
	}
}

// TestProbeView and TestProbe are run by the tests around them, in a process of their own.
func TestProbeView(t *testing.T) {
	skipUnlessProbe(t)
	testdb.MySQLTemplate(t, func(_ context.Context, dsn string) error {
		db, err := sql.Open("mysql", dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		_, err = db.Exec("CREATE VIEW v AS SELECT 1")
		return err
	})
}

func TestProbe(t *testing.T) {
	skipUnlessProbe(t)
	t.Run("Postgres", func(t *testing.T) { testdb.Postgres(t) })
	t.Run("MySQL", func(t *testing.T) { testdb.MySQL(t) })
}

func skipUnlessProbe(t *testing.T) {
	t.Helper()
	if os.Getenv("APIKEYS_TEST_PROBE") == "" {
		t.Skip("run by another test")
	}
}

func TestMissingServer(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ci     string
		fails  bool
		states []string
	}{
		"is left out, saying so":          {"", false, []string{"--- SKIP: TestProbe/Postgres", "--- SKIP: TestProbe/MySQL"}},
		"fails where everything must run": {"true", true, []string{"--- FAIL: TestProbe/Postgres", "--- FAIL: TestProbe/MySQL"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := runProbe(t, "TestProbe", "APIKEYS_TEST_PROBE=1", "CI="+test.ci,
				testdb.PostgresVariable+"=", testdb.MySQLVariable+"=")
			if (err != nil) != test.fails {
				t.Errorf("got error %v, want a failure: %v", err, test.fails)
			}
			for _, want := range append(test.states, testdb.PostgresVariable+" is not set", testdb.MySQLVariable+" is not set") {
				if !strings.Contains(out, want) {
					t.Errorf("got %s\nwant it to contain %q", out, want)
				}
			}
		})
	}
}

// runProbe runs one test of this binary with further environment variables.
func runProbe(t *testing.T, name string, variables ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+name+"$", "-test.v")
	cmd.Env = append(os.Environ(), variables...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func connectPostgres(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func mustPostgres(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func openMySQL(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func mustMySQL(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
