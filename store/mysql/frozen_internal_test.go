package mysql

import (
	"context"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// A client that is frozen while it holds the revision does not keep others from
// changing anything for longer than the server lets it: wait_timeout is hours otherwise.
func TestFrozenTransactionIsGivenUp(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), testdb.MySQL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	db := newDatabase(s.pool)
	raise := func(ctx context.Context) (sqlstore.Tx, error) {
		tx, err := db.Begin(ctx, sqlstore.TxOptions{})
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
		if time.Since(start) > time.Minute {
			t.Fatalf("the revision was held for a minute: %v", (dialect{}).Fault(err))
		}
	}
	if _, err := frozen.Commit(t.Context()); err == nil {
		t.Fatal("committing what was given up: got no error, want one")
	}
	t.Logf("held for %s", time.Since(start).Round(time.Millisecond))
}
