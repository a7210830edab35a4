package postgres_test

import (
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store/storetest"
)

// Behind a PgBouncer that hands out connections by transaction, everything works in the modes that do without prepared
// statements.
func TestStoreBehindPgBouncer(t *testing.T) {
	t.Parallel()
	pooler := testdb.StartPgBouncer(t)
	free := newDatabases(t)
	modes := []string{"cache_describe", "exec", "simple_protocol"}
	if !testdb.Full() {
		modes = modes[1:2]
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) apikeys.Store {
				return open(t, with(t, pooler.Through(free.Take(t)), "default_query_exec_mode="+mode))
			})
		})
	}
}

func TestMigrateBehindPgBouncer(t *testing.T) {
	t.Parallel()
	pooler := testdb.StartPgBouncer(t)
	dsn := testdb.Postgres(t)
	through := with(t, pooler.Through(dsn), "default_query_exec_mode=exec")
	const processes = 8
	errs := make(chan error, processes)
	for range processes {
		go func() { errs <- migrate(t.Context(), through) }()
	}
	for range processes {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	wantSchema(t, dsn)
}
