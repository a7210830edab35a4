package fleettest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// Twice the limit is demanded: of the exact limiter, which sends what many ask for at once in one statement, and of the
// store by each of them.
func TestExactlyTheLimitIsAdmittedAcrossProcesses(t *testing.T) {
	t.Parallel()
	uses := testdb.Dose(10, 250) // of each goroutine
	limit := int64(processes * goroutines * uses / 2)
	for _, d := range stores.WithPools() {
		t.Run(d.Name, func(t *testing.T) {
			s, dsn := d.Migrated(t)
			for name, limits := range map[string][]apikeys.RateLimit{
				"one limit":                   {apikeys.PerHour(limit)},
				"two, the shorter is binding": {apikeys.PerHour(limit), apikeys.PerDay(3 * limit)},
				"two, the longer is binding":  {apikeys.PerHour(3 * limit), apikeys.PerDay(limit)},
			} {
				for _, oneByOne := range []bool{false, true} {
					if oneByOne != (len(limits) == 1) && !testdb.Full() {
						continue // small dose: half of it
					}
					t.Run(fmt.Sprintf("%s, one by one: %v", name, oneByOne), func(t *testing.T) {
						todo := demanded{place: place{d.Name, dsn}, Uses: uses, Limits: limits, OneByOne: oneByOne}
						counted := inOneHour(t, func() *tally {
							_, _ = rand.Read(todo.Subject[:]) // never fails
							return together(t, nil, fleet(todo)...)
						})
						if accepted, refused := sum(counted.Accepted), sum(counted.Refused); accepted != limit || refused != limit {
							t.Errorf("got %d accepted and %d refused, want %d of each", accepted, refused, limit)
						}
						wantUsed(t, s, todo, limit)
					})
				}
			}
		})
	}
}

// Strict clients charge their limits and note their uses in one call: what they accept together is the limit, and is what
// was counted.
func TestExactlyWhatIsAdmittedIsCountedAcrossProcesses(t *testing.T) {
	t.Parallel()
	uses := testdb.Dose(10, 250) // of each goroutine
	limit := int64(processes * goroutines * uses / 2)
	for _, d := range stores.All() {
		for name, limits := range map[string][]apikeys.RateLimit{
			"one limit": {apikeys.PerHour(limit)}, "two": {apikeys.PerHour(limit), apikeys.PerDay(3 * limit)},
		} {
			t.Run(name+", "+d.Name, func(t *testing.T) {
				t.Parallel()
				client, at := newPlace(t, d)
				var key *apikeys.IssuedKey
				counted := inOneHour(t, func() *tally {
					key = issue(t, client, limits...)
					return together(t, nil, fleet(demanded{place: at, Uses: uses, Key: key.Plaintext.Reveal(), Exact: true, Durable: true})...)
				})
				if accepted, refused := sum(counted.Accepted), sum(counted.Refused); accepted != limit || refused != limit {
					t.Errorf("got %d accepted and %d refused, want %d of each", accepted, refused, limit)
				}
				if got, err := client.GetKey(t.Context(), key.Key.ID); err != nil || got.UseCount != limit {
					t.Errorf("got %+v, %v, want %d uses", got, err, limit)
				}
			})
		}
	}
}

// wantUsed sees that what was accepted was charged to every window, and what was refused to none.
func wantUsed(t *testing.T, s apikeys.Store, todo demanded, want int64) {
	t.Helper()
	look := apikeys.LeaseRequest{Subject: todo.Subject}
	for _, l := range todo.Limits {
		look.Parts = append(look.Parts, apikeys.LeasePart{Limit: l})
	}
	grants, err := s.TakeLeases(t.Context(), []apikeys.LeaseRequest{look})
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range grants[0].Parts {
		if part.Used != want {
			t.Errorf("the window of %v: got %d used, want %d", todo.Limits[i], part.Used, want)
		}
	}
}

// inOneHour does what must not meet the end of an hour, by the database's clock: if it did, once more.
func inOneHour(t *testing.T, do func() *tally) *tally {
	t.Helper()
	for range 2 {
		counted := do()
		hours := maps.Clone(counted.Accepted)
		maps.Copy(hours, counted.Refused)
		if len(hours) == 1 {
			return counted
		}
	}
	t.Fatal("an hour ended, twice")
	return nil
}

// exactUse charges one to all limits.
func exactUse(limiter apikeys.RateLimiter, subject apikeys.Subject, limits []apikeys.RateLimit) use {
	return func(ctx context.Context) (bool, time.Time, error) {
		d, err := limiter.Charge(ctx, apikeys.RateCharge{Subject: subject, Limits: limits, Cost: 1})
		if err != nil {
			return false, time.Time{}, fmt.Errorf("charge: %w", err)
		}
		return d.Allowed, d.States[0].ResetAt, nil
	}
}

// storeUse takes a lease of one of all limits, with a statement of its own.
func storeUse(s apikeys.Store, subject apikeys.Subject, limits []apikeys.RateLimit) use {
	request := []apikeys.LeaseRequest{{Subject: subject, AllOrNothing: true}}
	for _, l := range limits {
		request[0].Parts = append(request[0].Parts, apikeys.LeasePart{Limit: l, Want: 1})
	}
	return func(ctx context.Context) (bool, time.Time, error) {
		grants, err := s.TakeLeases(ctx, request)
		if err != nil {
			return false, time.Time{}, err
		}
		part := grants[0].Parts[0]
		return part.Granted == 1, part.Start.Add(limits[0].Window.Duration()), nil
	}
}
