package clienttest_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// exactly makes a client charge exact limits and note each use in one call of its store.
func exactly(s apikeys.Store) func(*apikeys.Config) {
	return func(c *apikeys.Config) {
		c.RevocationDelay, c.UsageFlushInterval, c.RateLimiter = -1, -1, apikeys.NewExactLimiter(s)
	}
}

// What a strict client notes of each call is added up while it goes on, and is gone soon after the last use, though
// nobody reads a count, sweeps or closes: the log does not grow with use, and nothing else does.
func TestGrowthByStrictUse(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		const keys, workers, limits = 10, 4, 2
		c := client(t, d.store, exactly(d.store))
		var all []*apikeys.IssuedKey
		org := must(c.CreateOrganization(t.Context(), "Acme"))(t).ID
		for range keys {
			all = append(all, must(c.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org,
				Metadata: apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerHour(1 << 40), apikeys.PerDay(1 << 40)}}}))(t))
		}
		before, began := d.rows(t), time.Now()
		stop := useAll(t, c, all, workers)
		most, shrunk := d.watchLog(t, testdb.Dose(1, 20))
		used, took := stop(), time.Since(began)
		await(t, "the log is empty", func() bool { return d.rows(t)["usage_log"] == 0 })
		t.Logf("%d uses in %s: at most %d rows of the log, which became less %d times", used, took.Round(time.Millisecond), most, shrunk)
		wantAtMost(t, d.rows(t), map[string]int64{
			"usage_log": 0, "usage_hours": keys * (int64(time.Since(began)/time.Hour) + 2), "usage": keys, "windows": keys * limits, "writers": 0,
			"events": before["events"], "changes": before["changes"],
		})
		counted := int64(0)
		for _, k := range all {
			counted += must(c.GetKey(t.Context(), k.Key.ID))(t).UseCount
		}
		if counted != used {
			t.Errorf("got %d uses counted, want %d", counted, used)
		}
	})
}

// useAll uses keys with several goroutines until it is stopped, which tells how often.
func useAll(t *testing.T, c *apikeys.Client, keys []*apikeys.IssuedKey, workers int) (stop func() int64) {
	t.Helper()
	var used atomic.Int64
	var stopped atomic.Bool
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			for i := w; !stopped.Load(); i++ {
				if _, err := c.Validate(t.Context(), keys[i%len(keys)].Plaintext.Reveal(), apikeys.ValidateParams{}); err != nil {
					t.Errorf("got error %v", err)
					return
				}
				used.Add(1)
			}
		})
	}
	return func() int64 {
		stopped.Store(true)
		running.Wait()
		return used.Load()
	}
}

// watchLog waits until the log of uses has become less so many times, and tells how many rows it had at most.
func (d database) watchLog(t *testing.T, times int) (most int64, shrunk int) {
	t.Helper()
	last := int64(0)
	for shrunk < times && !t.Failed() {
		await(t, "the log becomes less", func() bool {
			before := last
			last = d.rows(t)["usage_log"]
			most = max(most, last)
			return last < before
		})
		shrunk++
	}
	return most, shrunk
}

// await waits for what a client does in the background, however busy the machine is.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done() && !t.Failed(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Errorf("waited for a minute until %s", what)
		}
	}
}
