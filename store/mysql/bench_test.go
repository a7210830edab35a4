package mysql_test

import (
	"database/sql"
	"flag"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/mysql"
)

var benchKeys = flag.Int("keys", 100_000, "how many keys benchmarks of pages and look-ups have")

// filled returns a store with n keys of one organization.
func filled(b *testing.B, n int) (*mysql.Store, string, []apikeys.KeyRecord) {
	b.Helper()
	s, dsn := openNew(b)
	createOrganization(b, s)
	var keys []apikeys.KeyRecord
	for len(keys) < n {
		keys = append(keys, createKeys(b, s, min(n-len(keys), 5000))...)
	}
	return s, dsn, keys
}

// onBoth runs a benchmark with connections of the store's own, and on a host's pool.
func onBoth(b *testing.B, s *mysql.Store, dsn string, run func(*testing.B, *mysql.Store)) {
	b.Run("own", func(b *testing.B) { run(b, s) })
	b.Run("borrowed", func(b *testing.B) { run(b, withPool(b, openPool(b, dsn))) })
}

func BenchmarkImport1000(b *testing.B) {
	s, _, _ := filled(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		createKeys(b, s, 1000)
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}

func BenchmarkCreateKey(b *testing.B) {
	s, dsn, _ := filled(b, 0)
	onBoth(b, s, dsn, func(b *testing.B, s *mysql.Store) {
		b.ReportAllocs()
		for b.Loop() {
			createKeys(b, s, 1)
		}
	})
}

func BenchmarkKeyByHash(b *testing.B) {
	s, dsn, keys := filled(b, *benchKeys)
	i := 0
	hash := func() apikeys.Hash {
		i += 7919 // a prime: all over the table
		return keys[i%len(keys)].Secret.Hash
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if found, err := s.KeysByHash(b.Context(), []apikeys.Hash{hash()}); err != nil || len(found) != 1 {
				b.Fatal(len(found), err)
			}
		}
	})
	b.Run("64 at once", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			hashes := make([]apikeys.Hash, 64)
			for j := range hashes {
				hashes[j] = hash()
			}
			if found, err := s.KeysByHash(b.Context(), hashes); err != nil || len(found) != 64 {
				b.Fatal(len(found), err)
			}
		}
	})
	b.Run("bare SELECT", func(b *testing.B) {
		db := openPool(b, dsn)
		stmt, err := db.PrepareContext(b.Context(), "SELECT k.* FROM apikeys_secrets s JOIN apikeys_keys k ON k.id = s.key_id WHERE s.hash = ?")
		if err != nil {
			b.Fatal(err)
		}
		defer stmt.Close()
		b.ReportAllocs()
		for b.Loop() {
			h := hash()
			bareSelect(b, stmt, h[:])
		}
	})
}

func bareSelect(b *testing.B, stmt *sql.Stmt, hash []byte) {
	b.Helper()
	var columns [21]sql.RawBytes
	targets := make([]any, len(columns))
	for i := range columns {
		targets[i] = &columns[i]
	}
	rows, err := stmt.QueryContext(b.Context(), hash)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			b.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkLook(b *testing.B) {
	s, _, _ := filled(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Changes(b.Context(), apikeys.ChangeMark{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTakeLease(b *testing.B) {
	s, dsn, _ := filled(b, 0)
	requests := []apikeys.LeaseRequest{{
		Subject: apikeys.Subject{1}, AllOrNothing: true,
		Parts: []apikeys.LeasePart{{Limit: apikeys.PerMinute(1 << 40), Want: 1}, {Limit: apikeys.PerHour(1 << 40), Want: 1}},
	}}
	onBoth(b, s, dsn, func(b *testing.B, s *mysql.Store) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.TakeLeases(b.Context(), requests); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPage(b *testing.B) {
	s, _, keys := filled(b, *benchKeys)
	for _, bb := range []struct {
		name   string
		before uuid.UUID
	}{{"first", uuid.Nil}, {"last", keys[100].ID}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			q := apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: testOrganization.ID}, Before: bb.before, Limit: 50, Now: testTime}
			for b.Loop() {
				if found, err := s.ListKeys(b.Context(), q); err != nil || len(found) != 50 {
					b.Fatal(len(found), err)
				}
			}
		})
	}
}

func BenchmarkAddUsage2000(b *testing.B) {
	s, _, keys := filled(b, 2000)
	batch := apikeys.UsageBatch{Writer: uuid.New(), At: testTime}
	for _, k := range keys {
		batch.Deltas = append(batch.Deltas, apikeys.UsageDelta{
			KeyID: k.ID, Secret: 1, Hour: testTime.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: testTime,
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
