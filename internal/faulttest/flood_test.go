package faulttest_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// A flood of 20,000 forged keys a second, of the right shape: whoever has a good key is
// served within five times what it takes without.
func TestFlood(t *testing.T) { //nolint:paralleltest // it measures
	if !testdb.Full() {
		t.Skip("left out without APIKEYS_TEST_FULL=1: a measurement, for a machine that does nothing else")
	}
	const rate = 20_000
	c := apikeystest.New(t, func(config *apikeys.Config) { config.UsageFlushInterval, config.Now = 0, nil })
	good := c.Issue().Plaintext.Reveal()
	other := apikeystest.New(t) // the same head, another database
	forged := make([]string, 1000)
	for i := range forged {
		forged[i] = other.Issue().Plaintext.Reveal()
	}
	idle := latency(t, c.Client, good)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sent atomic.Int64
	var flooding sync.WaitGroup
	began := time.Now()
	flooding.Go(func() {
		for ctx.Err() == nil {
			for due := int64(time.Since(began).Seconds() * rate); sent.Load() < due; sent.Add(1) {
				_, _ = c.Validate(ctx, forged[rand.IntN(len(forged))], apikeys.ValidateParams{})
			}
			time.Sleep(200 * time.Microsecond) // until more are due
		}
	})
	flooded := latency(t, c.Client, good)
	cancel()
	flooding.Wait()
	perSecond := float64(sent.Load()) / time.Since(began).Seconds()
	t.Logf("p99 of a good key: %v idle, %v under %.0f forged keys a second (%.1f times)", idle, flooded, perSecond, float64(flooded)/float64(idle))
	if flooded > 5*idle || perSecond < 0.9*rate {
		t.Errorf("got p99 %v at %.0f forged keys a second, want at most 5 times %v at %d", flooded, perSecond, idle, rate)
	}
}

// latency is the 99th percentile of validations, one each millisecond.
func latency(t *testing.T, c *apikeys.Client, text string) time.Duration {
	t.Helper()
	took := make([]time.Duration, 5000)
	for i := range took {
		began := time.Now()
		if _, err := c.Validate(t.Context(), text, apikeys.ValidateParams{}); err != nil {
			t.Fatal(err)
		}
		took[i] = time.Since(began)
		time.Sleep(time.Millisecond) // the rate of good requests
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}
