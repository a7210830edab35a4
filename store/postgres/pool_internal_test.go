package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

func newPool(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// A client that is frozen while it holds the revision does not keep others from
// changing anything for longer than the server lets it.
func TestFrozenTransactionIsGivenUp(t *testing.T) {
	t.Parallel()
	pool := newPool(t, testdb.Postgres(t))
	s := New(pool)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	raise := func(ctx context.Context) (sqlstore.Tx, error) {
		tx, err := s.db.Begin(ctx, sqlstore.TxOptions{})
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, raiseRevision, dialect{}.ID([16]byte{1}))
		return tx, err
	}
	frozen, err := raise(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Rollback()
	start := time.Now()
	for {
		tx, err := raise(t.Context())
		if tx != nil {
			tx.Rollback()
		}
		if err == nil {
			break
		}
		if class := (dialect{}).Classify(err); class != sqlstore.Busy {
			t.Fatalf("waiting for the revision: got error %v of class %d, want Busy", err, class)
		}
		if time.Since(start) > time.Minute {
			t.Fatal("the revision was held for a minute")
		}
	}
	sent, err := frozen.Commit(t.Context())
	if err == nil {
		t.Fatal("committing what was given up: got no error, want one")
	}
	t.Logf("held for %s; its commit: sent %t, %v", time.Since(start).Round(time.Millisecond), sent, (dialect{}).Fault(err))
}

// The settings of a transaction are its own, and end with it.
func TestTransactionsKeepTheirSettings(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(testdb.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 1
	config.ConnConfig.RuntimeParams["default_transaction_isolation"] = "serializable"
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "local"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	db := newDatabase(pool)
	const settings = `SELECT current_setting('transaction_isolation') || ' ' || current_setting('lock_timeout') || ' ' ||
		current_setting('idle_in_transaction_session_timeout') || ' ' || current_setting('synchronous_commit')`
	read := func(c sqlstore.Conn) (got string) {
		t.Helper()
		rows, err := c.Query(t.Context(), settings)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			if err := rows.Scan(&got); err != nil {
				t.Fatal(err)
			}
		}
		return got
	}
	for _, tc := range []struct {
		relaxed bool
		want    string
	}{{false, "read committed 5s 5s local"}, {true, "read committed 5s 5s off"}} {
		tx, err := db.Begin(t.Context(), sqlstore.TxOptions{Relaxed: tc.relaxed})
		if err != nil {
			t.Fatal(err)
		}
		if got := read(tx); got != tc.want {
			t.Errorf("relaxed %t: got %q, want %q", tc.relaxed, got, tc.want)
		}
		if _, err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := read(db), "serializable 0 0 local"; got != want {
			t.Errorf("afterwards: got %q, want %q", got, want)
		}
	}
}
