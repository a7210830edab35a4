package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// The statement that takes leases and the flow that all stores share decide alike: the
// same requests, of subjects of their own, get the same grants.
func TestLeasesAreDecidedAlike(t *testing.T) {
	t.Parallel()
	s := openMigrated(t, testdb.Postgres(t))
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for i := range 400 {
		requests := randomLeases(random)
		var grants [2][]apikeys.LeaseGrant
		for n, store := range []apikeys.Store{s, s.Store} {
			for j := range requests {
				requests[j].Subject[0] = byte(n)
			}
			var err error
			if grants[n], err = store.TakeLeases(t.Context(), requests); err != nil {
				t.Fatal(err)
			}
		}
		if d := cmp.Diff(grants[1], grants[0]); d != "" {
			t.Fatalf("request %d, %+v: one statement (+) and the shared flow (-) differ\n%s", i, requests, d)
		}
	}
}

// randomLeases are one request, several of different subjects, or with copies.
func randomLeases(random *rand.Rand) []apikeys.LeaseRequest {
	requests := []apikeys.LeaseRequest{randomLease(random)}
	for n := range random.IntN(4) {
		switch r := randomLease(random); random.IntN(3) {
		case 0: // of any subject
			requests = append(requests, r)
		case 1: // of one that is not among them
			r.Subject[2] = byte(n + 1)
			requests = append(requests, r)
		default:
			requests = append(requests, requests[random.IntN(len(requests))])
		}
	}
	return requests
}

// randomLease asks for windows around a boundary, by clocks that go back and far ahead.
func randomLease(random *rand.Rand) apikeys.LeaseRequest {
	r := apikeys.LeaseRequest{
		Subject:      apikeys.Subject{0, byte(random.IntN(2))},
		At:           time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(random.IntN(240)-120) * time.Second),
		AllOrNothing: random.IntN(2) == 0,
	}
	if random.IntN(20) == 0 {
		r.At = r.At.AddDate(0, 0, random.IntN(5)-2)
	}
	for _, window := range []apikeys.RateLimitWindow{apikeys.WindowSecond, apikeys.WindowMinute, apikeys.WindowHour, apikeys.WindowDay} {
		if random.IntN(2) == 0 {
			limit := apikeys.RateLimit{Requests: int64(random.IntN(30)), Window: window}
			r.Parts = append(r.Parts, apikeys.LeasePart{Limit: limit, Want: int64(random.IntN(8))})
		}
	}
	return r
}

// The same of batches of usage, of two keys each with its twin.
func TestUsageIsAddedAlike(t *testing.T) {
	t.Parallel()
	s := openMigrated(t, testdb.Postgres(t))
	keys := []apikeys.KeyRecord{newKey(), newKey(), newKey(), newKey()}
	createKeys(t, s, keys...)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	writers := []uuid.UUID{uuid.New(), uuid.New()}
	for range 100 {
		batch := randomUsage(random)
		for n, store := range []apikeys.Store{s, s.Store} {
			mine := batch
			mine.Writer, mine.Deltas = writers[n], slices.Clone(batch.Deltas)
			for i := range mine.Deltas {
				if which := int(mine.Deltas[i].KeyID[0]); which < 2 {
					mine.Deltas[i].KeyID = keys[2*n+which].ID
				}
			}
			if err := store.AddUsage(t.Context(), mine); err != nil {
				t.Fatal(err)
			}
		}
	}
	for which := range 2 {
		if d := cmp.Diff(usageOf(t, s, keys[2+which]), usageOf(t, s, keys[which])); d != "" {
			t.Errorf("key %d: one statement (+) and the shared flow (-) differ\n%s", which, d)
		}
	}
}

// randomUsage is a batch, sometimes one that was sent before; the first byte of a
// delta's key says which it is of, and that of 2 is not there.
func randomUsage(random *rand.Rand) apikeys.UsageBatch {
	b := apikeys.UsageBatch{Seq: int64(random.IntN(40)), At: testTime, Relaxed: random.IntN(2) == 0}
	for range random.IntN(6) {
		hour := testTime.Truncate(time.Hour).Add(time.Duration(random.IntN(3)) * time.Hour)
		b.Deltas = append(b.Deltas, apikeys.UsageDelta{
			KeyID: uuid.UUID{byte(random.IntN(3))}, Secret: 1 + random.IntN(2), Hour: hour,
			Outcome: []string{apikeys.OutcomeAccepted, "expired_key"}[random.IntN(2)], Count: int64(1 + random.IntN(5)),
			LastAt: hour.Add(time.Duration(random.IntN(1000)) * time.Second),
		})
	}
	return b
}

// usageOf is what is known of a key's use, without its id.
func usageOf(t *testing.T, s apikeys.Store, k apikeys.KeyRecord) string {
	t.Helper()
	ref := apikeys.KeyRef{ID: k.ID}
	found, _, err := s.GetKey(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	hours, err := s.KeyUsage(t.Context(), apikeys.UsageQuery{Ref: ref, From: testTime.AddDate(0, 0, -1), To: testTime.AddDate(0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintln(found.UseCount, found.LastUsedAt)
	for _, h := range hours {
		text += fmt.Sprintln(h.Secret, h.Hour, h.Outcome, h.Count, h.LastAt)
	}
	return text
}
