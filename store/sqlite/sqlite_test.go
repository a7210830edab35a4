package sqlite_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/store/sqlite"
	"github.com/apikeys-platform/apikeys/store/storetest"
)

// TestMain also runs the processes that tests start.
func TestMain(m *testing.M) {
	child.Main(map[string]child.Task{"create": createForEver})
	goleak.VerifyTestMain(m)
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) apikeys.Store { return openFile(t) })
}

func TestStoreInMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) apikeys.Store { return open(t, ":memory:") })
}

// open returns a migrated store that is closed when the test ends.
func open(t *testing.T, dsn string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func openFile(t *testing.T) *sqlite.Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "app.db"))
}
