package migrations

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/apikeys-platform/apikeys/internal/testdb"
)

func openMySQL(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func withOption(dsn, option string) string {
	if strings.Contains(dsn, "?") {
		return dsn + "&" + option
	}
	return dsn + "?" + option
}

// wantMySQL ends the test unless the version is n, once, and the tables are there.
func wantMySQL(t *testing.T, db *sql.DB, n int64) {
	t.Helper()
	if got, err := Version(t.Context(), db, MySQL); err != nil || got != n {
		t.Fatalf("got version %d, %v, want %d", got, err, n)
	}
	var rows, tables, states int64
	row := db.QueryRowContext(t.Context(), `SELECT (SELECT COUNT(*) FROM `+Table+`),
       (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'apikeys\_%')`)
	if err := row.Scan(&rows, &tables); err != nil {
		t.Fatal(err)
	}
	want := int64(1)
	if n > 0 {
		want = 14
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM apikeys_state").Scan(&states); err != nil || states != 1 {
			t.Errorf("got %d rows of state, %v, want 1", states, err)
		}
	}
	if rows != n+1 || tables != want {
		t.Errorf("got %d versions and %d tables, want %d and %d", rows, tables, n+1, want)
	}
}

func TestMySQLUpAndDown(t *testing.T) {
	t.Parallel()
	dsn := testdb.MySQL(t)
	for _, option := range []string{"", "parseTime=true", "autocommit=0", "sql_mode=''&charset=latin1", "interpolateParams=true&multiStatements=true"} {
		db := openMySQL(t, withOption(dsn, option))
		db.SetMaxOpenConns(1)
		for range 2 {
			if err := Up(t.Context(), db, MySQL); err != nil {
				t.Fatalf("%q: %v", option, err)
			}
			wantMySQL(t, openMySQL(t, dsn), 1)
			if err := Down(t.Context(), db, MySQL); err != nil {
				t.Fatalf("%q: %v", option, err)
			}
			wantMySQL(t, openMySQL(t, dsn), 0)
		}
	}
}

// TestMySQLGoesOnWhereAnotherWasKilled: no statement is undone here.
func TestMySQLGoesOnWhereAnotherWasKilled(t *testing.T) {
	t.Parallel()
	dsn := testdb.MySQL(t)
	db := openMySQL(t, dsn)
	if err := Up(t.Context(), db, MySQL); err != nil {
		t.Fatal(err)
	}
	for _, half := range []string{
		"DELETE FROM " + Table,
		"DELETE FROM " + Table + " WHERE version_id = 1",
		"DELETE FROM " + Table + "; DROP TABLE apikeys_events; DROP TABLE apikeys_changes; DELETE FROM apikeys_state",
		"DROP TABLE " + Table + ", apikeys_secrets, apikeys_state",
	} {
		for _, statement := range strings.Split(half, "; ") {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := Up(t.Context(), db, MySQL); err != nil {
			t.Errorf("%s: %v", half, err)
		}
		wantMySQL(t, db, 1)
	}
	// And down.
	if _, err := db.ExecContext(t.Context(), "DROP TABLE apikeys_events, apikeys_secrets, apikeys_keys"); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), db, MySQL); err != nil {
		t.Error(err)
	}
	wantMySQL(t, db, 0)
}

// TestMySQLFilesRunUnderGoose does what its command does.
func TestMySQLFilesRunUnderGoose(t *testing.T) {
	t.Parallel()
	dsn := withOption(testdb.MySQL(t), "parseTime=true")
	db := openMySQL(t, dsn)
	sub, err := files(MySQL)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := goose.NewProvider(goose.DialectMySQL, db, sub, goose.WithTableName(Table))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantMySQL(t, db, 1)
	if err := Up(t.Context(), db, MySQL); err != nil {
		t.Errorf("ours after theirs: %v", err)
	}
	if err := Down(t.Context(), db, MySQL); err != nil {
		t.Errorf("ours down: %v", err)
	}
	wantMySQL(t, db, 0)
	if err := Up(t.Context(), db, MySQL); err != nil {
		t.Fatal(err)
	}
	if status, err := theirs.Status(t.Context()); err != nil || len(status) != 1 || status[0].State != goose.StateApplied {
		t.Errorf("their status after ours: got %v, %v", status, err)
	}
	if _, err := theirs.DownTo(t.Context(), 0); err != nil {
		t.Errorf("theirs after ours: %v", err)
	}
	wantMySQL(t, db, 0)
}

func TestMySQLWaitsNotForEver(t *testing.T) {
	t.Parallel()
	dsn := testdb.MySQL(t)
	db, other := openMySQL(t, dsn), openMySQL(t, dsn)
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "DO GET_LOCK("+mysqlLockName+", 0)"); err != nil {
		t.Fatal(err)
	}
	before := sessionOf(t, db)
	waiting, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := (mysqlLock{time.Second}).SessionLock(t.Context(), waiting); !errors.Is(err, ErrLocked) {
		t.Errorf("got error %v, want %v", err, ErrLocked)
	}
	if waited := time.Since(begun); waited < time.Second || waited > 20*time.Second {
		t.Errorf("waited %v, want 1s", waited)
	}
	if err := waiting.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, sessionOf(t, db)); diff != "" {
		t.Errorf("the session (-before +after):\n%s", diff)
	}
	// Another database is another lock, although locks are the server's.
	if err := Up(t.Context(), openMySQL(t, testdb.MySQL(t)), MySQL); err != nil {
		t.Errorf("another database: %v", err)
	}
	// The lock ends with the connection.
	if err := errors.Join(conn.Close(), other.Close()); err != nil {
		t.Fatal(err)
	}
	if err := Up(t.Context(), db, MySQL); err != nil {
		t.Error(err)
	}
}

func sessionOf(t *testing.T, db *sql.DB) (of [3]string) {
	t.Helper()
	row := db.QueryRowContext(t.Context(), "SELECT CONNECTION_ID(), CONCAT_WS(' ', @@autocommit, @@wait_timeout, @@lock_wait_timeout), @@sql_mode")
	if err := row.Scan(&of[0], &of[1], &of[2]); err != nil {
		t.Fatal(err)
	}
	return of
}

// TestMySQLAddsAColumnAgain is how the documentation of the package adds one.
func TestMySQLAddsAColumnAgain(t *testing.T) {
	t.Parallel()
	dsn := testdb.MySQL(t)
	db := openMySQL(t, dsn)
	store, err := database.NewStoreFromQuerier(Table, mysqlVersions{})
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{
		"00001_a.sql": {Data: []byte("-- +goose NO TRANSACTION\n-- +goose Up\nCREATE TABLE IF NOT EXISTS apikeys_keys (id INT);\n")},
		"00002_b.sql": {Data: []byte(`-- +goose NO TRANSACTION
-- +goose Up
SET @ddl = (SELECT IF(COUNT(*) = 0, 'ALTER TABLE apikeys_keys ADD COLUMN note VARBINARY(255)', 'DO 0')
              FROM information_schema.columns
             WHERE table_schema = DATABASE() AND table_name = 'apikeys_keys' AND column_name = 'note');
PREPARE ddl FROM @ddl;
EXECUTE ddl;
`)},
	}
	for range 2 {
		p, err := goose.NewProvider(goose.DialectCustom, db, files, goose.WithStore(store), goose.WithSessionLocker(mysqlLock{patience}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), "INSERT INTO apikeys_keys (id, note) VALUES (1, 'x')"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), "DELETE FROM "+Table+" WHERE version_id = 2"); err != nil {
			t.Fatal(err)
		}
	}
}
