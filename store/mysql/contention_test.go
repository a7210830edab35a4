package mysql_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
)

// TestManyAtOnce: what everybody does at once, of a row that is not there yet, is
// done by all of them, and once. Shared locks would make all but one of them
// victims of deadlocks, again and again. It has a server of its own, to count them
// and the waits that were in vain.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const callers, rounds = 32, 10
	server := testdb.StartMySQL(t, dbserver.Options{})
	db := openPool(t, server.DSN())
	db.SetMaxOpenConns(callers)
	db.SetMaxIdleConns(callers)
	s := withPool(t, db)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	createOrganization(t, s)
	k := createKeys(t, s, 1)[0]
	together := func(what string, do func() error) {
		var running sync.WaitGroup
		for range callers {
			running.Go(func() {
				if err := do(); err != nil {
					t.Errorf("%s: got error %v", what, err)
				}
			})
		}
		running.Wait()
	}
	for round := range rounds {
		batch := apikeys.UsageBatch{Writer: uuid.New(), Seq: 1, At: testTime, Deltas: []apikeys.UsageDelta{
			{KeyID: k.ID, Secret: 1, Hour: testTime.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: testTime},
		}}
		together("a batch", func() error { return s.AddUsage(t.Context(), batch) })
		lease := []apikeys.LeaseRequest{{Subject: apikeys.Subject{byte(round)}, At: testTime, Parts: []apikeys.LeasePart{
			{Limit: apikeys.PerHour(callers), Want: 1}, {Limit: apikeys.PerDay(callers), Want: 1},
		}}}
		together("a lease", func() error {
			grants, err := s.TakeLeases(t.Context(), lease)
			if err == nil && grants[0].Parts[1].Granted != 1 {
				t.Errorf("got a lease of %d, want 1", grants[0].Parts[1].Granted)
			}
			return err
		})
	}
	got, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: k.ID})
	if err != nil || got.UseCount != rounds {
		t.Errorf("got %d uses, %v, want %d", got.UseCount, err, rounds)
	}
	for _, got := range column(t, db, `SELECT CONCAT(count, ' ', name) FROM information_schema.innodb_metrics
 WHERE name IN ('lock_deadlocks', 'lock_timeouts')`) {
		if !strings.HasPrefix(got, "0 ") {
			t.Errorf("got %s, want none", got)
		}
	}
}
