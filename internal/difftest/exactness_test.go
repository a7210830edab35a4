package difftest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// limit is what is demanded twice of.
const limit = processes * goroutines * usesOfLimit / 2

// usesOfLimit is how often each goroutine asks.
const usesOfLimit = 10

// shared are the databases whose limits several processes use up. To MySQL, the number of
// rows that a statement affected means one thing or another by an option that a pool of
// the caller's may have.
func shared() []database {
	return append(databases(),
		database{"mysql, a pool with clientFoundRows", withFoundRows(true), openMySQLPool},
		database{"mysql, a pool without clientFoundRows", withFoundRows(false), openMySQLPool},
	)
}

func TestExactLimiterAdmitsExactlyTheLimitAcrossProcesses(t *testing.T) {
	t.Parallel()
	for _, d := range shared() {
		t.Run(d.name, func(t *testing.T) {
			s, dsn := openMigrated(t, d)
			for name, limits := range map[string][]apikeys.RateLimit{
				"one limit":                   {apikeys.PerHour(limit)},
				"two, the shorter is binding": {apikeys.PerHour(limit), apikeys.PerDay(3 * limit)},
				"two, the longer is binding":  {apikeys.PerHour(3 * limit), apikeys.PerDay(limit)},
			} {
				t.Run(name, func(t *testing.T) {
					todo := task{Database: d.name, DSN: dsn, Uses: usesOfLimit, Limits: limits}
					counted := inOneHour(t, func() *tally {
						_, _ = rand.Read(todo.Subject[:]) // never fails
						return together(t, todo)
					})
					if sum(counted.Accepted) != limit || sum(counted.Refused) != limit {
						t.Errorf("got %d accepted and %d refused, want %d and %d", sum(counted.Accepted), sum(counted.Refused), limit, limit)
					}
					checkUsed(t, s, todo)
				})
			}
		})
	}
}

// checkUsed sees that what was accepted was charged to every window, and what was
// refused to none.
func checkUsed(t *testing.T, s apikeys.Store, todo task) {
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
		if part.Used != limit {
			t.Errorf("the window of %v: got %d used, want %d", todo.Limits[i], part.Used, limit)
		}
	}
}

// inOneHour does what must not meet the end of an hour, by the database's clock: if it
// did, once more.
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

// exactUse charges one to all limits, of which the first is of an hour, by the
// database's clock.
func exactUse(limiter apikeys.RateLimiter, subject apikeys.Subject, limits []apikeys.RateLimit) use {
	return func(ctx context.Context) (bool, time.Time, error) {
		d, err := limiter.Charge(ctx, apikeys.RateCharge{Subject: subject, Limits: limits, Cost: 1})
		if err != nil {
			return false, time.Time{}, fmt.Errorf("charge: %w", err)
		}
		return d.Allowed, d.States[0].ResetAt, nil
	}
}
