package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
)

// A replica may be behind: a look at it is no look.
func TestReplicaAnswersNoLook(t *testing.T) {
	t.Parallel()
	server := testdb.StartPostgres(t, dbserver.Options{})
	s := openMigrated(t, server.DSN())
	before, err := s.Changes(t.Context(), apikeys.ChangeMark{})
	if err != nil {
		t.Fatal(err)
	}
	makeReplica(t, server)
	for _, since := range []apikeys.ChangeMark{{}, before.Mark, {Revision: 7}} {
		if _, err := s.Changes(t.Context(), since); err == nil {
			t.Errorf("since %d: got no error, want one", since.Revision)
		}
	}
	if _, err := s.CreateKeys(t.Context(), mutation(), []apikeys.KeyRecord{newKey()}); err == nil || errors.Is(err, apikeys.ErrOutcomeUnknown) {
		t.Errorf("a write: got error %v, want one that is certain", err)
	}
	if _, err := s.ListResources(t.Context(), apikeys.ResourceQuery{Kind: apikeys.KindOrganization}); err != nil {
		t.Errorf("a read: got error %v, want none", err)
	}
}

// makeReplica restarts a server as one that follows another (which there is not).
func makeReplica(t *testing.T, server *dbserver.Server) {
	t.Helper()
	conn := connect(t, server.DSN())
	var dir string
	if err := conn.QueryRow(t.Context(), "SHOW data_directory").Scan(&dir); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}
