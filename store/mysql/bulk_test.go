package mysql_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// TestImport: the keys that are refused are those that are there, wherever they stand
// among those that are not.
func TestImport(t *testing.T) {
	t.Parallel()
	s, _ := openNew(t)
	createOrganization(t, s)
	keys := newKeys(t, 777)
	there := map[int]bool{0: true, 63: true, 64: true, 500: true, 776: true}
	for i := range there {
		standing := keys[i]
		if i%2 == 0 {
			standing.ID = uuid.New() // it is the hash that is taken
			standing.Secret.KeyID = standing.ID
		}
		if _, err := s.CreateKeys(t.Context(), newMutation(), []apikeys.KeyRecord{standing}); err != nil {
			t.Fatal(err)
		}
	}
	keys = append(keys, keys[300]) // twice in one import
	there[777] = true
	faults, err := s.CreateKeys(t.Context(), newMutation(), keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, fault := range faults {
		if errors.Is(fault, apikeys.ErrAlreadyExists) != there[i] {
			t.Errorf("key %d: got %v, want it to be there: %t", i, fault, there[i])
		}
	}
	all, err := s.ListKeys(t.Context(), apikeys.KeyQuery{})
	if err != nil || len(all) != 777 {
		t.Errorf("got %d keys, %v, want 777", len(all), err)
	}
}

// TestUsageOfMany: keys that are not there, and keys of which all uses were refused,
// stand among the others.
func TestUsageOfMany(t *testing.T) {
	t.Parallel()
	for _, option := range []string{"clientFoundRows=false", "clientFoundRows=true"} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			_, dsn := openNew(t)
			s := withPool(t, openPool(t, with(dsn, option)))
			createOrganization(t, s)
			keys := createKeys(t, s, 600)
			var deltas []apikeys.UsageDelta
			for i, k := range append(keys, newKeys(t, 50)...) {
				d := apikeys.UsageDelta{
					KeyID: k.ID, Secret: 1, Hour: testTime.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: int64(i + 1), LastAt: testTime,
				}
				if i%10 == 9 {
					d.Outcome = "expired_key"
				}
				deltas = append(deltas, d)
			}
			for seq := range int64(2) {
				if err := s.AddUsage(t.Context(), apikeys.UsageBatch{Writer: testOrganization.ID, Seq: seq + 1, At: testTime, Deltas: deltas}); err != nil {
					t.Fatal(err)
				}
			}
			for i, k := range keys {
				got, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: k.ID})
				hours, errHours := s.KeyUsage(t.Context(), apikeys.UsageQuery{Ref: apikeys.KeyRef{ID: k.ID}, From: deltas[0].Hour, To: testTime})
				if err != nil || errHours != nil || len(hours) != 1 {
					t.Fatal(err, errHours, len(hours))
				}
				want := 2 * int64(i+1)
				if hours[0].Count != want || hours[0].Outcome != deltas[i].Outcome {
					t.Errorf("key %d: got %d uses in the hour, want %d", i, hours[0].Count, want)
				}
				if deltas[i].Outcome != apikeys.OutcomeAccepted {
					want = 0
				}
				if got.UseCount != want || got.LastUsedAt.IsZero() != (want == 0) {
					t.Errorf("key %d: got %d uses, the last at %v, want %d", i, got.UseCount, got.LastUsedAt, want)
				}
			}
		})
	}
}

func TestLeasesOfMany(t *testing.T) {
	t.Parallel()
	s, _ := openNew(t)
	requests := make([]apikeys.LeaseRequest, 300)
	for i := range requests {
		requests[i] = apikeys.LeaseRequest{Subject: apikeys.Subject{byte(i), byte(i >> 8)}, At: testTime, Parts: []apikeys.LeasePart{
			{Limit: apikeys.PerMinute(10), Want: 6}, {Limit: apikeys.PerDay(100), Want: 6},
		}}
	}
	for _, want := range []int64{6, 4, 0} {
		grants, err := s.TakeLeases(t.Context(), requests)
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range grants {
			if g.Parts[0].Granted != want || g.Parts[1].Granted != 6 {
				t.Fatalf("subject %d: got %d and %d granted, want %d and 6", i, g.Parts[0].Granted, g.Parts[1].Granted, want)
			}
		}
	}
	returns := make([]apikeys.LeaseReturn, len(requests))
	for i, r := range requests {
		returns[i] = apikeys.LeaseReturn{Subject: r.Subject, Window: apikeys.WindowDay, Start: apikeys.WindowDay.Start(testTime), Unused: 5}
	}
	if err := s.ReturnLeases(t.Context(), returns); err != nil {
		t.Fatal(err)
	}
	looks, err := s.TakeLeases(t.Context(), []apikeys.LeaseRequest{{Subject: requests[7].Subject, At: testTime, Parts: []apikeys.LeasePart{{Limit: apikeys.PerDay(100)}}}})
	if err != nil || looks[0].Parts[0].Used != 13 {
		t.Errorf("got %d used, %v, want 13", looks[0].Parts[0].Used, err)
	}
}
