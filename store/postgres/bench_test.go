package postgres_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store/postgres"
)

// bareSelect reads the row that a look-up reads, with the joins left out.
const bareSelect = `
SELECT k.id, k.organization_id, k.project_id, k.product_id, k.owner_id, k.environment, k.head, k.hint, k.name, k.scopes,
       k.rate_limits, k.expires_at, k.custom, k.created_at, k.updated_at, k.disabled_at, k.revoked_at, k.revoked_reason, k.version
  FROM apikeys_keys k WHERE k.id = $1`

// bare is that row in the types of pgx, its JSON not decoded.
type bare struct {
	id, organization, project, product           pgtype.UUID
	owner, environment, head, hint, name         string
	scopes, limits, custom                       []byte
	expires, created, updated, disabled, revoked pgtype.Timestamptz
	reason                                       string
	version                                      int64
}

func (r *bare) targets() []any {
	return []any{
		&r.id, &r.organization, &r.project, &r.product, &r.owner, &r.environment, &r.head, &r.hint, &r.name, &r.scopes,
		&r.limits, &r.expires, &r.custom, &r.created, &r.updated, &r.disabled, &r.revoked, &r.reason, &r.version,
	}
}

// BenchmarkKeysByHash compares a look-up with a bare SELECT of the same row on the
// same pool.
func BenchmarkKeysByHash(b *testing.B) {
	s, pool := openBench(b)
	k := newKey()
	k.Scopes, k.RateLimits = []string{"docs:read", "docs:write"}, []apikeys.RateLimit{apikeys.PerMinute(100)}
	createKeys(b, s, k)
	b.Run("bare SELECT", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var r bare
			if err := pool.QueryRow(b.Context(), bareSelect, pgtype.UUID{Bytes: k.ID, Valid: true}).Scan(r.targets()...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("KeysByHash", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			found, err := s.KeysByHash(b.Context(), []apikeys.Hash{k.Secret.Hash})
			if err != nil || len(found) != 1 {
				b.Fatalf("got %d keys, %v, want 1", len(found), err)
			}
		}
	})
}

// BenchmarkCreateKeys imports keys in one call.
func BenchmarkCreateKeys(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, _ := openBench(b)
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				b.StopTimer()
				keys := make([]apikeys.KeyRecord, n)
				for i := range keys {
					keys[i] = newKey()
				}
				b.StartTimer()
				createKeys(b, s, keys...)
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}

func openBench(b *testing.B) (*postgres.Store, *pgxpool.Pool) {
	b.Helper()
	pool, err := pgxpool.New(b.Context(), testdb.Postgres(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	s := postgres.New(pool)
	if err := s.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	createOrganization(b, s)
	return s, pool
}

// BenchmarkTakeLeases takes leases of one hot subject by many at once: with one
// statement, and by the flow that the stores share.
func BenchmarkTakeLeases(b *testing.B) {
	s, _ := openBench(b)
	request := []apikeys.LeaseRequest{{
		Subject: apikeys.Subject{1}, AllOrNothing: true, Parts: []apikeys.LeasePart{
			{Limit: apikeys.PerMinute(1 << 50), Want: 1}, {Limit: apikeys.PerDay(1 << 50), Want: 1},
		},
	}}
	take := func(b *testing.B, store apikeys.Store) {
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := store.TakeLeases(b.Context(), request); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	b.Run("one statement", func(b *testing.B) { take(b, s) })
	b.Run("shared flow", func(b *testing.B) { take(b, s.Store) })
}
