package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"modernc.org/sqlite"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openDB returns a database of one connection: who waits for a second one, waits
// for ever.
func openDB(t *testing.T) *sqlstore.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE words (word TEXT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	return sqlstore.NewDB(sqlstore.DBConfig{Readers: db, Writer: db, Looker: db, Classify: classify})
}

func classify(err error) sqlstore.Class {
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code() == 1555 {
		return sqlstore.Duplicate
	}
	return sqlstore.Refused
}

const (
	insertWord = "INSERT INTO words (word) VALUES (?)"
	allWords   = "SELECT word FROM words ORDER BY word"
)

func words(t *testing.T, c sqlstore.Conn) []string {
	t.Helper()
	rows, err := c.Query(t.Context(), allWords)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var word string
		if err := rows.Scan(&word); err != nil {
			t.Fatal(err)
		}
		found = append(found, word)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

func begin(t *testing.T, ctx context.Context, db *sqlstore.DB) sqlstore.Tx {
	t.Helper()
	tx, err := db.Begin(ctx, sqlstore.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tx.Rollback)
	return tx
}

// TestStatementsInATransaction uses the same texts again and again: prepared by the
// transaction, then on the pool, then taken from there.
func TestStatementsInATransaction(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	var want []string
	for _, word := range []string{"a", "b", "c", "d"} {
		tx := begin(t, t.Context(), db)
		if n, err := tx.Exec(t.Context(), insertWord, word); n != 1 || err != nil {
			t.Fatalf("got %d, %v, want 1 row", n, err)
		}
		want = append(want, word)
		if got := words(t, tx); !slices.Equal(got, want) {
			t.Errorf("in the transaction: got %q, want %q", got, want)
		}
		if sent, err := tx.Commit(t.Context()); !sent || err != nil {
			t.Fatalf("commit: got %t, %v", sent, err)
		}
		tx.Rollback() // nothing any more
		if got := words(t, db); !slices.Equal(got, want) {
			t.Errorf("after the commit: got %q, want %q", got, want)
		}
	}
}

func TestExecEachGoesOnAfterDuplicates(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	tx := begin(t, t.Context(), db)
	affected, err := tx.ExecEach(t.Context(), insertWord, [][]any{{"a"}, {"b"}, {"a"}, {"c"}})
	if want := []int64{1, 1, 0, 1}; err != nil || !slices.Equal(affected, want) {
		t.Errorf("got %v, %v, want %v", affected, err, want)
	}
	if _, err := tx.ExecEach(t.Context(), "INSERT INTO nowhere VALUES (?)", [][]any{{"a"}}); err == nil {
		t.Error("a statement that fails: got no error")
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := words(t, db), []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCommitIsNotSentWhenTheContextHasEnded(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tx := begin(t, ctx, db)
	if _, err := tx.Exec(ctx, insertWord, "a"); err != nil {
		t.Fatal(err)
	}
	cancel()
	sent, err := tx.Commit(ctx)
	if sent || err == nil {
		t.Errorf("got sent %t, %v, want an error and nothing sent", sent, err)
	}
	tx.Rollback()
	if got := words(t, db); len(got) != 0 {
		t.Errorf("got %q, want nothing: no lock and no row is left", got)
	}
}

func TestRollbackUndoes(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	tx := begin(t, t.Context(), db)
	if _, err := tx.Exec(t.Context(), insertWord, "a"); err != nil {
		t.Fatal(err)
	}
	tx.Rollback()
	if got := words(t, db); len(got) != 0 {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestWhatCannotBePreparedFailsWhereItIsUsed(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	for range 2 { // the second time, the statement is known as one to prepare
		tx := begin(t, t.Context(), db)
		if _, err := tx.Exec(t.Context(), "INSERT INTO nowhere VALUES (?)", "a"); err == nil {
			t.Error("got no error")
		}
		tx.Rollback()
	}
	if _, err := db.Exec(t.Context(), "no SQL"); err == nil {
		t.Error("got no error")
	}
}
