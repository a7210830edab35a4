package migrations_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/apikeys-platform/apikeys/migrations"
)

// TestMain is also the process that migrates, when a test starts it.
func TestMain(m *testing.M) {
	if path := os.Getenv("APIKEYS_TEST_MIGRATE"); path != "" {
		if err := migrateFile(context.Background(), path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func openFile(path string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(50)")
}

func migrateFile(ctx context.Context, path string) error {
	db, err := openFile(path)
	if err != nil {
		return err
	}
	defer db.Close()
	return migrations.Up(ctx, db, migrations.SQLite)
}

func openNew(t *testing.T) (*sql.DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.db")
	db, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, path
}

// wantSchema ends the test unless the schema is there, once.
func wantSchema(t *testing.T, db *sql.DB) {
	t.Helper()
	latest, err := migrations.Latest(migrations.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := migrations.Version(t.Context(), db, migrations.SQLite); err != nil || got != latest {
		t.Errorf("got version %d, %v, want %d", got, err, latest)
	}
	var rows, versions, states int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*), count(DISTINCT version_id) FROM "+migrations.Table).Scan(&rows, &versions); err != nil {
		t.Fatal(err)
	}
	if rows != versions || rows != int(latest)+1 {
		t.Errorf("got %d rows of %d versions, want one for each of %d and one for 0", rows, versions, latest)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM apikeys_state").Scan(&states); err != nil || states != 1 {
		t.Errorf("got %d rows in apikeys_state, %v, want 1", states, err)
	}
}

func tables(t *testing.T, db *sql.DB) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestUpAndDown(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t)
	for range 2 {
		if got, err := migrations.Version(t.Context(), db, migrations.SQLite); err != nil || got != 0 {
			t.Errorf("before: got version %d, %v, want 0", got, err)
		}
		for range 2 {
			if err := migrations.Up(t.Context(), db, migrations.SQLite); err != nil {
				t.Fatal(err)
			}
			wantSchema(t, db)
		}
		for _, name := range tables(t, db) {
			if !strings.HasPrefix(name, "apikeys_") {
				t.Errorf("got a table named %s in somebody else's database", name)
			}
		}
		for range 2 {
			if err := migrations.Down(t.Context(), db, migrations.SQLite); err != nil {
				t.Fatal(err)
			}
			if got := tables(t, db); len(got) != 1 || got[0] != migrations.Table {
				t.Errorf("after Down: got tables %q, want only %s", got, migrations.Table)
			}
		}
	}
}

// TestUpOnlyReadsWhenThereIsNothingToDo: a start needs no lock, and no permission
// to write.
func TestUpOnlyReadsWhenThereIsNothingToDo(t *testing.T) {
	t.Parallel()
	db, path := openNew(t)
	if err := migrations.Up(t.Context(), db, migrations.SQLite); err != nil {
		t.Fatal(err)
	}
	ro, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	if err := migrations.Up(t.Context(), ro, migrations.SQLite); err != nil {
		t.Errorf("got error %v", err)
	}
}

func TestNewerDatabaseIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t)
	if err := migrations.Up(t.Context(), db, migrations.SQLite); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO "+migrations.Table+" (version_id, is_applied) VALUES (99, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Up(t.Context(), db, migrations.SQLite); err != nil {
		t.Errorf("got error %v", err)
	}
	if got, err := migrations.Version(t.Context(), db, migrations.SQLite); err != nil || got != 99 {
		t.Errorf("got version %d, %v, want 99", got, err)
	}
}

func TestUpInMemory(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := migrations.Up(t.Context(), db, migrations.SQLite); err != nil {
		t.Fatal(err)
	}
	wantSchema(t, db)
}

func TestUpFailsWithWhatIsWrong(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t)
	if err := migrations.Up(t.Context(), db, "oracle"); err == nil || !strings.Contains(err.Error(), "oracle") {
		t.Errorf("an unknown database: got error %v", err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE apikeys_keys (id INTEGER)"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := migrations.Up(t.Context(), db, migrations.SQLite); err == nil || errors.Is(err, migrations.ErrLocked) {
		t.Errorf("a table in the way: got error %v", err)
	}
	if waited := time.Since(begun); waited > 20*time.Second {
		t.Errorf("a table in the way: waited %v", waited)
	}
	if got := tables(t, db); len(got) != 2 {
		t.Errorf("got tables %q: a migration that failed left something", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := migrations.Up(ctx, db, migrations.SQLite); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestManyMigrateAtOnce(t *testing.T) {
	t.Parallel()
	const n = 16
	db, path := openNew(t)
	start := make(chan struct{})
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			<-start
			if err := migrateFile(t.Context(), path); err != nil {
				t.Errorf("goroutine %d: %v", i, err)
			}
		})
		running.Go(func() {
			<-start
			if output, err := migrator(t.Context(), path).CombinedOutput(); err != nil {
				t.Errorf("process %d: %v: %s", i, err, output)
			}
		})
	}
	close(start)
	running.Wait()
	wantSchema(t, db)
}

func migrator(ctx context.Context, path string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "APIKEYS_TEST_MIGRATE="+path)
	return cmd
}

// TestKilledMigratorsLeaveNothingInTheWay kills each process a little later than
// the one before, so that some die in the middle.
func TestKilledMigratorsLeaveNothingInTheWay(t *testing.T) {
	t.Parallel()
	for round := range 12 {
		db, path := openNew(t)
		victim, survivor := migrator(t.Context(), path), migrator(t.Context(), path)
		var output bytes.Buffer
		survivor.Stderr = &output
		if err := errors.Join(victim.Start(), survivor.Start()); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(round)*2*time.Millisecond, func() { _ = victim.Process.Kill() })
		_ = victim.Wait()
		if err := survivor.Wait(); err != nil {
			t.Errorf("round %d: %v: %s", round, err, output.String())
		}
		wantSchema(t, db)
	}
}
