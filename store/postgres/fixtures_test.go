package postgres_test

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// testTime is in a rate limit window that does not end while tests run: it is given
// to the store, which then asks no clock.
var testTime = time.Date(2026, 5, 6, 7, 8, 9, 123456000, time.UTC)

// testOrganization is in every database of these tests.
var testOrganization = apikeys.ResourceRecord{
	Kind: apikeys.KindOrganization, ID: uuid.UUID{0xaa}, OrganizationID: uuid.UUID{0xaa}, Name: "organization",
	CreatedAt: testTime, UpdatedAt: testTime,
}

func createOrganization(t testing.TB, s apikeys.Store) {
	t.Helper()
	if _, _, err := s.CreateResource(t.Context(), mutation(), testOrganization); err != nil {
		t.Fatal(err)
	}
}

func mutation() apikeys.Mutation {
	return apikeys.Mutation{ID: uuid.New(), At: testTime, Action: "test"}
}

func newKey() apikeys.KeyRecord {
	id, err := uuid.NewV7()
	if err != nil {
		panic(err)
	}
	return apikeys.KeyRecord{
		ID: id, OrganizationID: testOrganization.ID, Head: "sk", Hint: "sk_Ab3d…x9Qz", Name: "key", Version: 1,
		CreatedAt: testTime, UpdatedAt: testTime,
		Secret: apikeys.SecretRecord{KeyID: id, Number: 1, Hash: sha256.Sum256(id[:]), SigningID: "s", CreatedAt: testTime},
	}
}

func createKeys(t testing.TB, s apikeys.Store, keys ...apikeys.KeyRecord) {
	t.Helper()
	faults, err := s.CreateKeys(t.Context(), mutation(), keys)
	if err := errors.Join(append(faults, err)...); err != nil {
		t.Fatal(err)
	}
}
