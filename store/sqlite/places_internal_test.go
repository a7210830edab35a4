package sqlite

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// TestPlaceOfAnotherKey: a secret leads to the place of its key's row. When another key is
// there, it leads to nobody: not to that one.
func TestPlaceOfAnotherKey(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	mutation := func() apikeys.Mutation { return apikeys.Mutation{ID: uuid.New(), At: at, Action: "test"} }
	organization := apikeys.ResourceRecord{Kind: apikeys.KindOrganization, ID: uuid.UUID{1}, OrganizationID: uuid.UUID{1}, Name: "a", CreatedAt: at, UpdatedAt: at}
	if _, _, err := s.CreateResource(t.Context(), mutation(), organization); err != nil {
		t.Fatal(err)
	}
	keys := make([]apikeys.KeyRecord, 2)
	for i := range keys {
		keys[i] = apikeys.KeyRecord{
			ID: uuid.UUID{byte(i + 1)}, OrganizationID: organization.ID, Head: "sk", Name: "key", Version: 1, CreatedAt: at, UpdatedAt: at,
			Secret: apikeys.SecretRecord{Number: 1, Hash: apikeys.Hash{byte(i + 1)}, SigningID: "s", CreatedAt: at},
		}
	}
	if faults, err := s.CreateKeys(t.Context(), mutation(), keys); err != nil || faults[0] != nil || faults[1] != nil {
		t.Fatal(faults, err)
	}
	look := func(wantOf0, wantOf1 int) {
		t.Helper()
		for i, want := range []int{wantOf0, wantOf1} {
			found, err := s.KeysByHash(t.Context(), []apikeys.Hash{keys[i].Secret.Hash})
			if err != nil || len(found) != want || want == 1 && found[0].ID != keys[i].ID {
				t.Errorf("by the secret of key %d: got %d keys and error %v, want %d", i, len(found), err, want)
			}
		}
	}
	look(1, 1)
	if _, err := s.pools.writer.ExecContext(t.Context(), "UPDATE apikeys_secrets SET place = 3 - place"); err != nil {
		t.Fatal(err)
	}
	look(0, 0)
}
