package fleettest_test

import (
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// A page costs the same wherever it is, and the look-up of a key that is in use however many others there are. That of
// one key after the other, all over the tables, also pays for what is in nobody's memory: this is told, and bounded.
func TestManyKeysCostNoMoreThanFew(t *testing.T) {
	const pages, few = 10_000, 1000
	many := testdb.Dose(20_000, 1_000_000)
	size := many / pages
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			small, _ := d.Migrated(t)
			big, _ := d.Migrated(t)
			smallKeys, bigKeys := fill(t, small, few), fill(t, big, many)
			first, last := interleaved(page(t, big, uuid.Nil, size), page(t, big, bigKeys[size].ID, size))
			wantAlike(t, first, last, "page 1 and page 10,000")
			fast, slow := interleaved(lookUp(t, small, smallKeys, 0), lookUp(t, big, bigKeys, 0))
			wantAlike(t, fast, slow, "the look-up of a key among 1,000 and among all")
			t.Logf("of %d keys: page 1 %s, page %d %s; a look-up among %d %s, among all %s", many, first, pages, last, few, fast, slow)
			a, b := lookUp(t, small, smallKeys, prime), lookUp(t, big, bigKeys, prime)
			for range testdb.Dose(0, 40_000) { // the databases' caches hold then what they can
				a()
				b()
			}
			fast, slow = interleaved(a, b)
			if ratio, most := float64(slow)/float64(fast), float64(testdb.Dose(8, 5))/2; ratio > most {
				t.Errorf("look-ups all over: got %s among 1,000 keys and %s among all, want at most %.1f times as much", fast, slow, most)
			}
			t.Logf("look-ups all over %d keys %s, all over all %s", few, fast, slow)
		})
	}
}

// wantAlike fails if the second takes longer than is promised; in the small dose, which runs beside other tests, only if
// it takes much longer.
func wantAlike(t *testing.T, first, second time.Duration, what string) {
	t.Helper()
	most := 4.0
	if testdb.Full() {
		most = 1.5
	}
	if ratio := float64(second) / float64(first); ratio > most {
		t.Errorf("%s: got %s and %s, want at most %.1f times as much", what, first, second, most)
	}
}

// fill makes n keys of one organization. The first ones are on the last page.
func fill(t *testing.T, s apikeys.Store, n int) []apikeys.KeyRecord {
	t.Helper()
	at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	mutation := func() apikeys.Mutation { return apikeys.Mutation{ID: uuid.New(), At: at, Action: "test"} }
	organization := apikeys.ResourceRecord{
		Kind: apikeys.KindOrganization, ID: theOrganization, OrganizationID: theOrganization, Name: "many", CreatedAt: at, UpdatedAt: at,
	}
	if _, _, err := s.CreateResource(t.Context(), mutation(), organization); err != nil {
		t.Fatal(err)
	}
	keys := make([]apikeys.KeyRecord, n)
	for i := range keys {
		id := uuid.Must(uuid.NewV7())
		keys[i] = apikeys.KeyRecord{
			ID: id, OrganizationID: theOrganization, Head: "sk", Hint: "sk_Ab3d…x9Qz", Name: "key", Version: 1, CreatedAt: at, UpdatedAt: at,
			Secret: apikeys.SecretRecord{KeyID: id, Number: 1, Hash: sha256.Sum256(id[:]), SigningID: "s", CreatedAt: at},
		}
	}
	for some := range slices.Chunk(keys, 5000) {
		if _, err := s.CreateKeys(t.Context(), mutation(), some); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// theOrganization has all keys.
var theOrganization = uuid.UUID{0xaa}

func page(t *testing.T, s apikeys.Store, before uuid.UUID, size int) func() {
	return func() {
		q := apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: theOrganization}, Before: before, Limit: size}
		if found, err := s.ListKeys(t.Context(), q); err != nil || len(found) != size {
			t.Fatalf("got %d keys, %v, want a page of %d", len(found), err, size)
		}
	}
}

// prime leads all over the keys.
const prime = 7919

// lookUp looks up a key, and the next time another one, so many further on.
func lookUp(t *testing.T, s apikeys.Store, keys []apikeys.KeyRecord, step int) func() {
	next := 0
	return func() {
		next += step
		hash := keys[next%len(keys)].Secret.Hash
		if found, err := s.KeysByHash(t.Context(), []apikeys.Hash{hash}); err != nil || len(found) != 1 {
			t.Fatalf("got %d keys, %v, want 1", len(found), err)
		}
	}
}

// interleaved returns the medians of two calls, made in turns.
func interleaved(a, b func()) (time.Duration, time.Duration) {
	const times = 400
	took := [2][]time.Duration{}
	for range times {
		for i, call := range []func(){a, b} {
			start := time.Now()
			call()
			took[i] = append(took[i], time.Since(start))
		}
	}
	slices.Sort(took[0])
	slices.Sort(took[1])
	return took[0][times/2], took[1][times/2]
}
