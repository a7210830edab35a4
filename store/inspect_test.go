package store_test

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/migrations"
	"github.com/apikeys-platform/apikeys/store"
	"github.com/apikeys-platform/apikeys/store/mysql"
	"github.com/apikeys-platform/apikeys/store/postgres"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// inspected is a database that is spoiled behind the store's back.
type inspected struct {
	dialect   migrations.Dialect
	server    string
	store     store.DB
	raw       *sql.DB
	dropIndex string
	spoilText string // makes text that is not compared byte by byte
	inexact   string
}

func inspectedDatabases() map[string]func(*testing.T) inspected {
	return map[string]func(*testing.T) inspected{
		"SQLite": func(t *testing.T) inspected {
			path := filepath.Join(t.TempDir(), "app.db")
			return inspected{
				migrations.SQLite, "SQLite ", opened(sqlite.Open(t.Context(), path))(t), raw(t, "sqlite", path),
				"DROP INDEX apikeys_events_at", "CREATE INDEX apikeys_loose ON apikeys_events (actor COLLATE NOCASE)", "apikeys_loose: NOCASE",
			}
		},
		"Postgres": func(t *testing.T) inspected {
			dsn := testdb.Postgres(t)
			return inspected{
				migrations.Postgres, "PostgreSQL ", opened(postgres.Open(t.Context(), dsn))(t), raw(t, "pgx", dsn),
				"DROP INDEX apikeys_events_at", `ALTER TABLE apikeys_events ALTER COLUMN actor TYPE text COLLATE "default"`,
				"apikeys_events.actor: default",
			}
		},
		"MariaDB or MySQL": func(t *testing.T) inspected {
			dsn := testdb.MySQL(t)
			return inspected{
				migrations.MySQL, "M", opened(mysql.Open(t.Context(), dsn))(t), raw(t, "mysql", dsn),
				"DROP INDEX apikeys_events_at ON apikeys_events",
				"ALTER TABLE apikeys_events ADD COLUMN note VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
				"apikeys_events.note: utf8mb4_general_ci",
			}
		},
	}
}

func opened[T store.DB](s T, err error) func(*testing.T) store.DB {
	return func(t *testing.T) store.DB {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
}

func raw(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (d inspected) inspect(t *testing.T) *migrations.Report {
	t.Helper()
	report, err := d.store.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (d inspected) migrate(t *testing.T) {
	t.Helper()
	if err := d.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (d inspected) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := d.raw.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// madeTables returns the tables that the files make.
func madeTables(t *testing.T, dialect migrations.Dialect) (names []string) {
	t.Helper()
	files, err := fs.Glob(migrations.FS, string(dialect)+"/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("got files %v, %v", files, err)
	}
	for _, name := range files {
		text, err := fs.ReadFile(migrations.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`CREATE TABLE (?:IF NOT EXISTS )?(\w+)`).FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	slices.Sort(names)
	return names
}

func TestInspect(t *testing.T) {
	t.Parallel()
	for name, open := range inspectedDatabases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			empty := d.inspect(t)
			if empty.Migrations[0].Applied || empty.Tables != nil || empty.Missing != nil || empty.ReadOnly {
				t.Errorf("an empty database: got %+v", empty)
			}
			if age := time.Since(empty.Now); age.Abs() > time.Minute || !strings.HasPrefix(empty.Server, d.server) {
				t.Errorf("got %q, a clock %v behind", empty.Server, age)
			}
			d.migrate(t)
			healthy := d.inspect(t)
			if healthy.Missing != nil || healthy.Inexact != nil || slices.ContainsFunc(healthy.Migrations, isMissing) {
				t.Errorf("after Migrate: got %+v", healthy)
			}
			var tables []string
			for _, table := range healthy.Tables {
				tables = append(tables, table.Name)
			}
			slices.Sort(tables)
			if diff := cmp.Diff(madeTables(t, d.dialect), tables); diff != "" {
				t.Errorf("tables (-made +inspected):\n%s", diff)
			}
			d.counts(t)
			d.spoiled(t)
			d.downAndUp(t)
		})
	}
}

func isMissing(m migrations.Migration) bool { return !m.Applied || m.Name == "" }

// counts sees rows, and the age of those that are swept.
func (d inspected) counts(t *testing.T) {
	t.Helper()
	client, err := apikeys.New(t.Context(), d.store, apikeys.Config{SigningSecret: apikeys.NewSecret("J3x9Vb7QpL2mZt5RkY8wNc4HsD6fGa1T")})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	for _, name := range []string{"a", "b"} {
		if _, err := client.CreateOrganization(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	// A window that began at second 60.
	d.exec(t, "INSERT INTO apikeys_windows (subject, span, starts, used) SELECT hash, 60, 60, 1 FROM (SELECT "+d.zeros(32)+" AS hash) AS h")
	got := map[string]migrations.TableSize{}
	for _, table := range d.inspect(t).Tables {
		got[table.Name] = table
	}
	for table, rows := range map[string]int64{"resources": 2, "events": 2, "settings": 1, "state": 1, "keys": 0, "windows": 1} {
		if n := got["apikeys_"+table]; n.Rows != rows || n.More {
			t.Errorf("%s: got %+v, want %d rows", table, n, rows)
		}
	}
	if age := time.Since(got["apikeys_events"].Oldest); age.Abs() > time.Minute {
		t.Errorf("the oldest event: got an age of %v", age)
	}
	if got := got["apikeys_windows"].Oldest; !got.Equal(time.Unix(60, 0)) {
		t.Errorf("the oldest window: got %v", got)
	}
}

// zeros is an expression of n bytes.
func (d inspected) zeros(n int) string {
	hex := strings.Repeat("00", n)
	if d.dialect == migrations.Postgres {
		return `'\x` + hex + `'::bytea`
	}
	return "x'" + hex + "'"
}

// spoiled finds what somebody changed by hand.
func (d inspected) spoiled(t *testing.T) {
	t.Helper()
	d.exec(t, d.dropIndex, d.spoilText, "INSERT INTO "+migrations.Table+" (version_id, is_applied) VALUES (99, TRUE)")
	r := d.inspect(t)
	if diff := cmp.Diff([]string{"index apikeys_events_at"}, r.Missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if !slices.Contains(r.Inexact, d.inexact) {
		t.Errorf("inexact: got %q, want %q among them", r.Inexact, d.inexact)
	}
	if got, want := r.Migrations[len(r.Migrations)-1], (migrations.Migration{Version: 99, Applied: true}); got != want {
		t.Errorf("the version of a newer program: got %+v, want %+v", got, want)
	}
	d.exec(t, "DELETE FROM "+migrations.Table+" WHERE version_id = 99")
}

// downAndUp removes everything and makes it again.
func (d inspected) downAndUp(t *testing.T) {
	t.Helper()
	if err := d.store.MigrateDown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := d.inspect(t); r.Migrations[0].Applied || r.Tables != nil || r.Missing != nil {
		t.Errorf("after MigrateDown: got %+v", r)
	}
	d.migrate(t)
	if r := d.inspect(t); r.Missing != nil || r.Inexact != nil || r.Tables == nil {
		t.Errorf("after Migrate again: got %+v", r)
	}
	d.exec(t, "DROP TABLE apikeys_windows")
	r := d.inspect(t)
	if diff := cmp.Diff([]string{"table apikeys_windows", "index apikeys_windows_starts"}, r.Missing); diff != "" || r.Tables != nil {
		t.Errorf("without a table: got %d tables; missing (-want +got):\n%s", len(r.Tables), diff)
	}
}
