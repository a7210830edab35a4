package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// filled returns a store in a file with n keys.
func filled(b *testing.B, n int) (*sqlite.Store, []apikeys.KeyRecord) {
	b.Helper()
	ctx := context.Background()
	s, err := sqlite.Open(ctx, filepath.Join(b.TempDir(), "app.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(ctx); err != nil {
		b.Fatal(err)
	}
	if _, _, err := s.CreateResource(ctx, mutation(), testOrganization); err != nil {
		b.Fatal(err)
	}
	keys := newKeys(n)
	for rest := keys; len(rest) > 0; rest = rest[min(len(rest), 5000):] {
		if _, err := s.CreateKeys(ctx, mutation(), rest[:min(len(rest), 5000)]); err != nil {
			b.Fatal(err)
		}
	}
	return s, keys
}

func BenchmarkImport1000(b *testing.B) {
	s, _ := filled(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.CreateKeys(b.Context(), mutation(), newKeys(1000)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}

func BenchmarkCreateKey(b *testing.B) {
	s, _ := filled(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.CreateKeys(b.Context(), mutation(), []apikeys.KeyRecord{newKey()}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKeyByHash(b *testing.B) {
	s, keys := filled(b, 10_000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		found, err := s.KeysByHash(b.Context(), []apikeys.Hash{keys[i%len(keys)].Secret.Hash})
		if err != nil || len(found) != 1 {
			b.Fatal(found, err)
		}
		i++
	}
}

func BenchmarkLook(b *testing.B) {
	s, _ := filled(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Changes(b.Context(), apikeys.ChangeMark{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTakeLease(b *testing.B) {
	s, _ := filled(b, 0)
	requests := []apikeys.LeaseRequest{{
		Subject: apikeys.Subject{1}, AllOrNothing: true,
		Parts: []apikeys.LeasePart{{Limit: apikeys.PerMinute(1 << 40), Want: 1}, {Limit: apikeys.PerHour(1 << 40), Want: 1}},
	}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.TakeLeases(b.Context(), requests); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPage(b *testing.B) {
	const n = 100_000
	s, keys := filled(b, n)
	for _, bb := range []struct {
		name   string
		before uuid.UUID
	}{{"first", uuid.Nil}, {"last", keys[100].ID}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			q := apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: testOrganization.ID}, Before: bb.before, Limit: 50}
			for b.Loop() {
				if found, err := s.ListKeys(b.Context(), q); err != nil || len(found) != 50 {
					b.Fatal(len(found), err)
				}
			}
		})
	}
}

func BenchmarkAddUsage1000(b *testing.B) {
	s, keys := filled(b, 1000)
	batch := apikeys.UsageBatch{Writer: uuid.New(), At: leaseAt}
	for _, k := range keys {
		batch.Deltas = append(batch.Deltas, apikeys.UsageDelta{
			KeyID: k.ID, Secret: 1, Hour: leaseAt, Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: leaseAt,
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		batch.Seq++
		if err := s.AddUsage(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}
