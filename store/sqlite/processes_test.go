package sqlite_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// leaseAt is in a window that does not end while the test runs.
var leaseAt = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

// testOrganization is in every database of these tests.
var testOrganization = apikeys.ResourceRecord{
	Kind: apikeys.KindOrganization, ID: uuid.UUID{0xaa}, OrganizationID: uuid.UUID{0xaa}, Name: "organization", CreatedAt: leaseAt, UpdatedAt: leaseAt,
}

func createOrganization(t *testing.T, s apikeys.Store) {
	t.Helper()
	if _, _, err := s.CreateResource(t.Context(), mutation(), testOrganization); err != nil {
		t.Fatal(err)
	}
}

func mutation() apikeys.Mutation {
	return apikeys.Mutation{ID: uuid.New(), At: leaseAt, Action: "test"}
}

func newKey() apikeys.KeyRecord {
	id, err := uuid.NewV7()
	if err != nil {
		panic(err)
	}
	return apikeys.KeyRecord{
		ID: id, OrganizationID: testOrganization.ID, Head: "sk", Hint: "sk_Ab3d…x9Qz", Name: "key", Version: 1,
		CreatedAt: leaseAt, UpdatedAt: leaseAt,
		Secret: apikeys.SecretRecord{KeyID: id, Number: 1, Hash: sha256.Sum256(id[:]), SigningID: "s", CreatedAt: leaseAt},
	}
}

func newKeys(n int) []apikeys.KeyRecord {
	keys := make([]apikeys.KeyRecord, n)
	for i := range keys {
		keys[i] = newKey()
	}
	return keys
}

// createForEver is a process that creates keys until it is killed, and tells which were acknowledged.
func createForEver(ctx context.Context, test *child.Pipe) error {
	var path string
	if err := test.Receive(&path); err != nil {
		return err
	}
	s, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		k := newKey()
		faults, err := s.CreateKeys(ctx, mutation(), []apikeys.KeyRecord{k})
		if err := errors.Join(append(faults, err)...); err != nil {
			return err
		}
		if err := test.Send(k.ID); err != nil {
			return err
		}
	}
}

func TestAcknowledgedKeysSurviveAKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	createOrganization(t, open(t, path))
	var acknowledged []uuid.UUID
	for range testdb.Dose(3, 100) {
		p := child.Start(t, "create", path)
		for n, id := 0, uuid.Nil; p.Receive(&id) == nil; n++ {
			acknowledged = append(acknowledged, id)
			if n == 50 {
				p.Kill()
			}
		}
	}
	s := open(t, path)
	for _, id := range acknowledged {
		if _, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: id}); err != nil {
			t.Errorf("an acknowledged key: got error %v", err)
		}
	}
	if len(acknowledged) < 150 {
		t.Errorf("got %d acknowledged keys, want at least 150", len(acknowledged))
	}
	checkIntegrity(t, path)
}

// checkIntegrity asks SQLite whether the file is whole.
func checkIntegrity(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, check := range []string{"PRAGMA integrity_check", "SELECT count(*) FROM pragma_foreign_key_check"} {
		var got string
		if err := db.QueryRowContext(t.Context(), check).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != "ok" && got != "0" {
			t.Errorf("%s: got %s", check, got)
		}
	}
}
