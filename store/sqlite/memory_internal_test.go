package sqlite

import (
	"database/sql/driver"
	"errors"
	"testing"
)

// TestMemorySurvivesItsConnection: database/sql gives up a connection that it finds
// bad, and the database in memory must not go with it.
func TestMemorySurvivesItsConnection(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := s.pools.writer.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Raw(func(any) error { return driver.ErrBadConn }); !errors.Is(err, driver.ErrBadConn) {
		t.Fatal(err)
	}
	var tables int
	if err := s.pools.writer.QueryRowContext(t.Context(), migrated).Scan(&tables); err != nil || tables != 1 {
		t.Errorf("got %d tables, %v, want 1", tables, err)
	}
}
