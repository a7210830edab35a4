package sqlite_test

import (
	"os"
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

// TestStore copies a database that has its tables, which is faster than to make them.
func TestStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "template.db")
	t.Run("template", func(t *testing.T) { open(t, path) }) // and closes it
	template, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, func(t *testing.T) apikeys.Store {
		path := filepath.Join(t.TempDir(), "app.db")
		if err := os.WriteFile(path, template, 0o600); err != nil {
			t.Fatal(err)
		}
		return openUnmigrated(t, path)
	})
}

func TestStoreInMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) apikeys.Store { return open(t, ":memory:") })
}

// open returns a migrated store that is closed when the test ends.
func open(t *testing.T, dsn string) *sqlite.Store {
	t.Helper()
	s := openUnmigrated(t, dsn)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func openUnmigrated(t *testing.T, dsn string) *sqlite.Store {
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
	return s
}

func openFile(t *testing.T) *sqlite.Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "app.db"))
}
