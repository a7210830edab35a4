package clienttest_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/migrations"
)

var validations = flag.Int("validations", 100_000, "how many validations TestGrowthByUse makes on each database")

// rows tells how many rows each table has.
func (d database) rows(t testing.TB) map[string]int64 {
	t.Helper()
	inspected, ok := d.store.(interface {
		Inspect(context.Context) (*migrations.Report, error)
	})
	if !ok {
		t.Fatal("the store does not tell what is in its tables")
	}
	counts := map[string]int64{}
	for _, table := range must(inspected.Inspect(t.Context()))(t).Tables {
		counts[strings.TrimPrefix(table.Name, "apikeys_")] = table.Rows
	}
	return counts
}

// wantAtMost sees that no table has more rows than it may.
func wantAtMost(t testing.TB, rows, bounds map[string]int64) {
	t.Helper()
	for table, bound := range bounds {
		if got, ok := rows[table]; !ok || got > bound {
			t.Errorf("table %s: got %d rows (counted: %t), want at most %d", table, got, ok, bound)
		}
	}
}

// Use makes no table grow but the history by hour, and that by keys and hours.
func TestGrowthByUse(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		const keys, workers, outcomes, limits = 50, 4, 2, 2
		c := client(t, d.store)
		org := must(c.CreateOrganization(t.Context(), "Acme"))(t).ID
		var texts []string
		for range keys {
			texts = append(texts, must(c.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org,
				Metadata: apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerMinute(1 << 40), apikeys.PerDay(1 << 40)}}}))(t).Plaintext.Reveal())
		}
		before, begin := d.rows(t), time.Now()
		var running sync.WaitGroup
		for w := range workers {
			running.Go(func() { useMany(t, c, texts, *validations/workers, w) })
		}
		running.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		hours := int64(time.Since(begin)/time.Hour) + 2
		after := d.rows(t)
		t.Logf("%d validations in %s: rows %v", *validations, time.Since(begin).Round(time.Millisecond), after)
		wantAtMost(t, after, map[string]int64{
			"usage_hours": keys * hours * outcomes, "usage": keys, "windows": keys * limits, "writers": 1,
			"events": before["events"], "changes": before["changes"], "keys": keys, "secrets": keys,
		})
		counted := int64(0)
		for _, k := range must(client(t, d.store).ListKeys(t.Context(), apikeys.KeyFilter{}, apikeys.ListOptions{Limit: 200}))(t).Items {
			counted += k.UseCount
		}
		if want := int64(*validations) * 9 / 10; counted != want {
			t.Errorf("got %d uses counted, want %d", counted, want)
		}
	})
}

// useMany validates; every tenth time asks for a scope that the key lacks.
func useMany(t testing.TB, c *apikeys.Client, texts []string, n, worker int) {
	t.Helper()
	admin := apikeys.ValidateParams{Scopes: []string{"admin"}}
	for i := range n {
		params := apikeys.ValidateParams{}
		if i%10 == 9 {
			params = admin
		}
		_, err := c.Validate(context.Background(), texts[(i+worker)%len(texts)], params)
		if (err != nil) != (i%10 == 9) {
			t.Errorf("got error %v", err)
			return
		}
	}
}

// A service that runs for years, restarted every day, with a change, an accepted and a
// refused use a day: every table that grows by itself stays within its bound.
func TestSweepBoundsEveryTable(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		const lived = 70 // days
		clock := apikeystest.NewClock(epoch)
		days := func(n int) { clock.Advance(time.Duration(n) * 24 * time.Hour) }
		configure := func(c *apikeys.Config) {
			c.Now, c.EventRetention, c.UsageRetention = clock.Now, 50*24*time.Hour, 40*24*time.Hour
		}
		first := client(t, d.store, configure)
		org := must(first.CreateOrganization(t.Context(), "Acme"))(t).ID
		key := must(first.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org,
			Metadata: apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerMinute(9), apikeys.PerDay(9)}}}))(t)
		for day := range lived {
			c := client(t, d.store, configure)
			must(c.PatchKey(t.Context(), key.Key.ID, apikeys.KeyPatch{Name: ptr(fmt.Sprint(day))}))(t)
			must(c.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{}))(t)
			_, _ = c.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{Scopes: []string{"admin"}})
			shut(t, c)
			must(first.Allow(t.Context(), uuid.NewString(), []apikeys.RateLimit{apikeys.PerHour(1)}, 1))(t)
			days(1)
			if day%10 == 9 {
				must(first.Sweep(t.Context()))(t)
			}
		}
		rows := d.rows(t)
		wantAtMost(t, rows, map[string]int64{
			"events": 51, "usage_hours": 2 * 41, "writers": 31, "changes": 2, "windows": 2*2 + 2, "usage": 1,
		})
		if rows["usage_hours"] < 2*39 || rows["events"] < 49 || rows["writers"] < 29 {
			t.Errorf("got rows %v: too much was removed", rows)
		}
		if got := must(first.GetKey(t.Context(), key.Key.ID))(t); got.UseCount != lived {
			t.Errorf("got %d uses, want all %d, whatever was swept", got.UseCount, lived)
		}
	})
}

// A client that has not looked for longer than changes are kept drops what it
// remembers: it misses nothing.
func TestSweepHidesNoChange(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		clock := apikeystest.NewClock(epoch)
		configure := func(c *apikeys.Config) { c.Now, c.RevocationDelay = clock.Now, 20*time.Millisecond }
		idle, busy := client(t, d.store, configure), client(t, d.store, configure)
		org := must(busy.CreateOrganization(t.Context(), "Acme"))(t).ID
		revoked, other := must(busy.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org}))(t),
			must(busy.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org}))(t)
		must(idle.Verify(t.Context(), revoked.Plaintext.Reveal()))(t)
		must(busy.RevokeKey(t.Context(), revoked.Key.ID, apikeys.RevokeParams{}))(t)
		clock.Advance(48 * time.Hour)
		must(busy.PatchKey(t.Context(), other.Key.ID, apikeys.KeyPatch{Name: ptr("later")}))(t)
		must(busy.Sweep(t.Context()))(t)
		time.Sleep(40 * time.Millisecond) // longer than what idle remembers is good for
		wantIs(t, "a key whose revocation was swept", second(idle.Verify(t.Context(), revoked.Plaintext.Reveal())), apikeys.ErrRevokedKey)
	})
}

// Many processes that sweep at once, while others work, are in nobody's way.
func TestManySweepAtOnce(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		clock := apikeystest.NewClock(epoch)
		worker := client(t, d.store, fakeClock(clock))
		org := must(worker.CreateOrganization(t.Context(), "Acme"))(t).ID
		key := must(worker.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org}))(t)
		const uses = 60
		var running sync.WaitGroup
		done := make(chan struct{})
		for range 3 {
			sweeper := client(t, d.store, fakeClock(clock))
			running.Go(func() {
				for {
					if _, err := sweeper.Sweep(context.Background()); err != nil {
						t.Errorf("sweep: %v", err)
					}
					select {
					case <-done:
						return
					default:
					}
				}
			})
		}
		for i := range uses {
			must(worker.Verify(t.Context(), key.Plaintext.Reveal()))(t)
			must(worker.PatchKey(t.Context(), key.Key.ID, apikeys.KeyPatch{Name: ptr(fmt.Sprint(i))}))(t)
			clock.Advance(20 * 24 * time.Hour)
		}
		close(done)
		running.Wait()
		must(worker.Sweep(t.Context()))(t)
		if got := must(worker.GetKey(t.Context(), key.Key.ID))(t); got.UseCount != uses {
			t.Errorf("got %d uses, want %d", got.UseCount, uses)
		}
		wantAtMost(t, d.rows(t), map[string]int64{"events": 21, "usage_hours": 5, "changes": 2})
	})
}
