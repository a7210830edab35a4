package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/migrations"
)

// converge is how long the others may take when one of those who migrate is killed: 10 s where the test has the machine
// for itself.
func converge() time.Duration { return time.Duration(testdb.Dose(60, 10)) * time.Second }

// migrateAsChild is a process that migrates the database it is told.
func migrateAsChild(ctx context.Context, test *child.Pipe) error {
	var dsn string
	if err := test.Receive(&dsn); err != nil {
		return err
	}
	return migrate(ctx, dsn)
}

// The killed one holds the lock, and is in the middle of a migration.
func TestMigratingIsTakenOver(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	blocker := connect(t, dsn)
	defer blocker.Close(t.Context())
	if _, err := blocker.Exec(t.Context(), "BEGIN; CREATE TABLE apikeys_resources ()"); err != nil {
		t.Fatal(err)
	}
	victim := child.Start(t, "migrate", dsn)
	watch := connect(t, dsn)
	defer watch.Close(t.Context())
	for waiting := 0; waiting == 0; {
		row := watch.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		if err := row.Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	var others sync.WaitGroup
	errs := make(chan error, 3)
	for range 3 {
		others.Go(func() { errs <- migrate(t.Context(), dsn) })
	}
	victim.Kill()
	if _, err := blocker.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	others.Wait()
	for range 3 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(start); took > converge() {
		t.Errorf("took %s after the kill, want at most %s", took, converge())
	}
	wantSchema(t, dsn)
}

func TestMigratingWaitsForSoLong(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	holder := connect(t, dsn)
	defer holder.Close(t.Context())
	if _, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock(4707192803512470883)"); err != nil {
		t.Fatal(err)
	}
	s := open(t, dsn)
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := s.Migrate(short); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, migrations.ErrLocked) {
		t.Errorf("got error %v, want the context's", err)
	}
	if testdb.Full() {
		if err := s.Migrate(t.Context()); !errors.Is(err, migrations.ErrLocked) {
			t.Errorf("got error %v, want ErrLocked", err)
		}
	}
	if _, err := holder.Exec(t.Context(), "SELECT pg_advisory_unlock_all()"); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Errorf("when the lock is free: got error %v, want none", err)
	}
}

// The files are goose's: its own command runs them, with its own version table.
func TestGooseRunsTheFiles(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	db := openSQL(t, dsn)
	files, err := fs.Sub(migrations.FS, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithTableName(migrations.Table), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSchema(t, dsn)
	if err := migrate(t.Context(), dsn); err != nil {
		t.Errorf("migrating what goose has migrated: got error %v, want none", err)
	}
	if _, err := provider.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	wantNoTables(t, db)
}

func TestDownAndUpAgain(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	db := openSQL(t, dsn)
	for range 2 {
		if err := migrations.Up(t.Context(), db, migrations.Postgres); err != nil {
			t.Fatal(err)
		}
		wantSchema(t, dsn)
		if err := migrations.Down(t.Context(), db, migrations.Postgres); err != nil {
			t.Fatal(err)
		}
		wantNoTables(t, db)
	}
	db.SetMaxOpenConns(1)
	if err := migrations.Up(t.Context(), db, migrations.Postgres); err == nil {
		t.Error("with one connection: got no error, want one that says that two are needed")
	}
}

// wantSchema fails unless the schema is there, once, in its latest version.
func wantSchema(t *testing.T, dsn string) {
	t.Helper()
	db := openSQL(t, dsn)
	latest, err := migrations.Latest(migrations.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := migrations.Version(t.Context(), db, migrations.Postgres); err != nil || got != latest {
		t.Errorf("got version %d, %v, want %d", got, err, latest)
	}
	var versions, distinct, states int64
	row := db.QueryRowContext(t.Context(), "SELECT count(*), count(DISTINCT version_id), (SELECT count(*) FROM apikeys_state) FROM "+migrations.Table)
	if err := row.Scan(&versions, &distinct, &states); err != nil {
		t.Fatal(err)
	}
	if versions != latest+1 || distinct != versions || states != 1 {
		t.Errorf("got %d rows of %d versions and %d of state, want one for each of %d and for 0, and one", versions, distinct, states, latest)
	}
}

func wantNoTables(t *testing.T, db *sql.DB) {
	t.Helper()
	var tables int
	row := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'apikeys%' AND tablename <> $1", migrations.Table)
	if err := row.Scan(&tables); err != nil || tables != 0 {
		t.Errorf("got %d tables, %v, want none", tables, err)
	}
}

func openSQL(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
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

func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
