package migrations

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3/database"
	_ "modernc.org/sqlite"
)

func openNew(t *testing.T) (db, other *sql.DB) {
	t.Helper()
	dsn := "file:" + filepath.Join(t.TempDir(), "app.db") + "?_txlock=immediate"
	for _, p := range []**sql.DB{&db, &other} {
		opened, err := sql.Open("sqlite", dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := opened.Close(); err != nil {
				t.Error(err)
			}
		})
		*p = opened
	}
	return db, other
}

func lock(t *testing.T, db *sql.DB) *sql.Tx {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "CREATE TABLE in_the_way (x INTEGER)"); err != nil {
		t.Fatal(err)
	}
	return tx
}

// TestUpWaitsForALock: the driver does not wait by itself here.
func TestUpWaitsForALock(t *testing.T) {
	t.Parallel()
	db, other := openNew(t)
	tx := lock(t, other)
	timer := time.AfterFunc(200*time.Millisecond, func() { _ = tx.Rollback() })
	defer timer.Stop()
	if err := Up(t.Context(), db, SQLite); err != nil {
		t.Errorf("got error %v", err)
	}
}

func TestUpWaitsNotForEver(t *testing.T) {
	t.Parallel()
	db, other := openNew(t)
	tx := lock(t, other)
	defer func() { _ = tx.Rollback() }()
	if err := inTurn(t.Context(), db, SQLite, up, 100*time.Millisecond); !errors.Is(err, ErrLocked) {
		t.Errorf("got error %v, want %v", err, ErrLocked)
	}
}

// TestAVersionIsAppliedOnce: two that have both seen that it is missing are one
// too many.
func TestAVersionIsAppliedOnce(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t)
	store, err := database.NewStoreFromQuerier(Table, sqliteVersions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what    string
		version int64
		fails   bool
	}{{"the beginning", 0, false}, {"the beginning again", 0, false}, {"a version", 1, false}, {"it again", 1, true}, {"the next", 2, false}} {
		if err := store.CreateVersionTable(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if err := store.Insert(t.Context(), db, database.InsertRequest{Version: step.version}); (err != nil) != step.fails {
			t.Errorf("%s: got error %v, want one: %t", step.what, err, step.fails)
		}
	}
	list, err := store.ListMigrations(t.Context(), db)
	if err != nil || len(list) != 3 {
		t.Errorf("got %d versions, %v, want 3", len(list), err)
	}
}
