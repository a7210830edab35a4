package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/postgres"
)

// What is written in one statement meets others' writes as if the host had left
// default_transaction_isolation alone: it waits, and never fails because they were first.
func TestHostsIsolation(t *testing.T) {
	t.Parallel()
	template := newTemplate(t)
	for _, level := range []string{"repeatable%20read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			useAtOnce(t, open(t, with(t, template.Copy(t), "pool_max_conns=8&default_transaction_isolation="+level)))
		})
	}
}

// The same behind a pooler, whose servers differ: what was learnt of a connection is not
// true the next time.
func TestIsolationChanges(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(with(t, newTemplate(t).Copy(t), "pool_max_conns=8"))
	if err != nil {
		t.Fatal(err)
	}
	config.AfterRelease = func(conn *pgx.Conn) bool {
		if len(conn.PgConn().CustomData()) == 0 {
			return true // nothing was learnt of it
		}
		_, err := conn.Exec(context.Background(), "SET default_transaction_isolation = 'repeatable read'")
		return err == nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	useAtOnce(t, postgres.New(pool))
}

func useAtOnce(t *testing.T, s apikeys.Store) {
	t.Helper()
	createOrganization(t, s)
	k := newKey()
	createKeys(t, s, k)
	const workers, each = 16, 30
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { errs[i] = useMany(t, s, k.ID, each) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: k.ID}); err != nil || got.UseCount != workers*each {
		t.Errorf("got %d uses, %v, want %d", got.UseCount, err, workers*each)
	}
}

// useMany takes leases of windows that all share, each time one that nobody has opened
// among them, and counts a use.
func useMany(t *testing.T, s apikeys.Store, key uuid.UUID, times int) error {
	writer := uuid.New()
	for n := range times {
		requests := []apikeys.LeaseRequest{
			{Subject: apikeys.Subject{1}, At: testTime, Parts: []apikeys.LeasePart{{Limit: apikeys.PerDay(1_000_000), Want: 1}}},
			{Subject: apikeys.Subject{2, byte(n)}, At: testTime, Parts: []apikeys.LeasePart{{Limit: apikeys.PerDay(1_000_000), Want: 1}}},
		}
		if _, err := s.TakeLeases(t.Context(), requests); err != nil {
			return err
		}
		err := s.AddUsage(t.Context(), apikeys.UsageBatch{Writer: writer, Seq: int64(n + 1), At: testTime, Deltas: []apikeys.UsageDelta{
			{KeyID: key, Secret: 1, Hour: testTime.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: testTime},
		}})
		if err != nil {
			return err
		}
	}
	return nil
}
