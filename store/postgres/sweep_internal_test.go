package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// What comes back into use while it is swept stays: a window that was opened again
// would forget what was charged, a writer would count its last batch twice.
func TestSweepLeavesWhatComesBackIntoUse(t *testing.T) {
	t.Parallel()
	pool := newPool(t, testdb.Postgres(t))
	s := New(pool)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	old, now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	lease := []apikeys.LeaseRequest{{Subject: apikeys.Subject{1}, At: old, Parts: []apikeys.LeasePart{{Limit: apikeys.PerHour(9), Want: 5}}}}
	if _, err := s.TakeLeases(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	if err := s.AddUsage(t.Context(), apikeys.UsageBatch{Writer: testID(7, 1), Seq: 1, At: old}); err != nil {
		t.Fatal(err)
	}
	swept := make(chan error, 1)
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "UPDATE apikeys_windows SET starts = 1778050800, used = 7; "+
			"UPDATE apikeys_writers SET seq = 2, seen_at = '2026-05-07'")
		go func() {
			_, err := s.Sweep(t.Context(), apikeys.SweepParams{WindowsBefore: now, WritersBefore: now, Limit: 10})
			swept <- err
		}()
		return errors.Join(err, awaitWaiting(t.Context(), pool, swept))
	})
	if err := errors.Join(err, <-swept); err != nil {
		t.Fatal(err)
	}
	var windows, writers int
	row := pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM apikeys_windows), (SELECT count(*) FROM apikeys_writers)")
	if err := row.Scan(&windows, &writers); err != nil {
		t.Fatal(err)
	}
	if windows != 1 || writers != 1 {
		t.Errorf("got %d windows and %d writers, want the one of each that came back into use", windows, writers)
	}
}

// awaitWaiting returns when what sends to done waits for a lock, or is done without.
func awaitWaiting(ctx context.Context, pool *pgxpool.Pool, done chan error) error {
	for waiting := 0; waiting == 0 && len(done) == 0; {
		row := pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		if err := row.Scan(&waiting); err != nil {
			return err
		}
	}
	return nil
}
