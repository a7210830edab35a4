package faulttest_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// One of the tables cannot be written: nothing of an admission is done, and nothing of
// adding up. A store that did them in two transactions would charge a request that it
// does not count, or lose the uses that it has taken out of the log.
func TestAdmissionsAndAddingUpAreWhole(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			s, dsn := d.Migrated(t)
			db := stores.SQL(t, d.Name, dsn)
			k := newWorld(t, s, newClient(t, s, strict())).spare.Key
			admit := func() error { return second(s.Admit(t.Context(), admissionTime, admissionOf(k.ID))) }
			if err := admit(); err != nil {
				t.Fatal(err)
			}
			without(t, db, "apikeys_usage_log", func() {
				if admit() == nil {
					t.Error("admitted, with no log to note it in")
				}
			})
			wantAdmissions(t, s, k.ID, 1)
			for i, table := range []string{"apikeys_usage", "apikeys_usage_hours"} {
				if err := admit(); err != nil {
					t.Fatal(err)
				}
				without(t, db, table, func() {
					if s.FoldUsage(t.Context()) == nil {
						t.Errorf("added up, without the table %s", table)
					}
				})
				wantAdmissions(t, s, k.ID, int64(2+i))
			}
		})
	}
}

// admissionOf asks for one use of a key with two limits.
func admissionOf(key uuid.UUID) []apikeys.Admission {
	return []apikeys.Admission{{KeyID: key, Secret: 1, Lease: apikeys.LeaseRequest{
		Subject: subjectOf(key), At: admissionTime, AllOrNothing: true,
		Parts: []apikeys.LeasePart{{Limit: apikeys.PerHour(100), Want: 1}, {Limit: apikeys.PerDay(100), Want: 1}},
	}}}
}

// without does something while a table is not there.
func without(t *testing.T, db *sql.DB, table string, do func()) {
	t.Helper()
	rename := func(from, to string) {
		if _, err := db.ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	rename(table, table+"_away")
	do()
	rename(table+"_away", table)
}

// wantAdmissions sees that so many are charged, counted, and counted by hour.
func wantAdmissions(t *testing.T, s apikeys.Store, key uuid.UUID, want int64) {
	t.Helper()
	look := admissionOf(key)[0].Lease
	for i := range look.Parts {
		look.Parts[i].Want = 0
	}
	for _, part := range must(s.TakeLeases(t.Context(), []apikeys.LeaseRequest{look}))(t)[0].Parts {
		if part.Used != want {
			t.Errorf("got %d charged, want %d", part.Used, want)
		}
	}
	record, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: key})
	if err != nil || record.UseCount != want {
		t.Errorf("got %d uses, %v, want %d", record.UseCount, err, want)
	}
	hours := must(s.KeyUsage(t.Context(), apikeys.UsageQuery{
		Ref: apikeys.KeyRef{ID: key}, From: admissionTime.Add(-time.Hour), To: admissionTime.Add(time.Hour),
	}))(t)
	if len(hours) != 1 || hours[0].Count != want {
		t.Errorf("got %+v by hour, want %d uses", hours, want)
	}
}
