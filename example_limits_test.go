package apikeys_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/apikeys-platform/apikeys"
)

// Ten at once, a thousand an hour: all limits must have room.
func ExamplePerSecond() {
	limits := []apikeys.RateLimit{apikeys.PerSecond(10), apikeys.PerHour(1000)}
	fmt.Println(limits)
	// Output: [10/second 1000/hour]
}

func ExamplePerMinute() {
	fmt.Println(apikeys.PerMinute(100).Window.Duration())
	// Output: 1m0s
}

func ExamplePerHour() {
	limits, err := apikeys.ParseRateLimits("1000 per hour")
	fmt.Println(limits[0] == apikeys.PerHour(1000), err)
	// Output: true <nil>
}

// A limit of zero denies everything.
func ExamplePerDay() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID,
		Metadata: apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerDay(0)}}})
	check(err)
	_, err = client.Validate(ctx, issued.Plaintext.Reveal(), apikeys.ValidateParams{})
	fmt.Println(errors.Is(err, apikeys.ErrQuotaExceeded))
	// Output: true
}

// Exact for any number of processes, for one write to the database a request.
func ExampleNewExactLimiter() {
	ctx := context.Background()
	db := exampleStore()
	client, err := apikeys.New(ctx, db, apikeys.Config{
		SigningSecret: apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35"),
		RateLimiter:   apikeys.NewExactLimiter(db),
	})
	check(err)
	defer client.Close(ctx)
	states, err := client.Allow(ctx, "user:alice", []apikeys.RateLimit{apikeys.PerDay(5)}, 2)
	check(err)
	fmt.Println(states[0].Limit, states[0].Remaining)
	// Output: 5/day 3
}

// For one process, or where about is good enough: the database is never asked.
func ExampleNewMemoryLimiter() {
	ctx := context.Background()
	client, err := apikeys.New(ctx, exampleStore(), apikeys.Config{
		SigningSecret: apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35"),
		RateLimiter:   apikeys.NewMemoryLimiter(),
	})
	check(err)
	defer client.Close(ctx)
	_, err = client.Allow(ctx, "user:alice", []apikeys.RateLimit{apikeys.PerDay(5)}, 1)
	check(err)
	fmt.Println(client.Stats().StoreCalls.Leases)
	// Output: 0
}

// Give Stats to expvar, Prometheus or OpenTelemetry.
func ExampleClient_Stats() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued := exampleKey(client, acme.ID)
	for range 3 {
		_, err := client.Verify(ctx, issued.Plaintext.Reveal())
		check(err)
	}
	_, _ = client.Verify(ctx, "sk_madeup")
	stats := client.Stats()
	fmt.Println(stats.Hits, stats.Misses, stats.Refused)
	// Output: 2 1 map[invalid_key:1]
}

func ExampleMemoryLimiter_Allow() {
	limiter := apikeys.NewMemoryLimiter() // counts in this process, and asks no database
	limits := []apikeys.RateLimit{apikeys.PerDay(2)}
	for range 3 {
		states, err := limiter.Allow(context.Background(), "address:192.0.2.7", limits, 1)
		if errors.Is(err, apikeys.ErrQuotaExceeded) {
			fmt.Println("refused")
			continue
		}
		fmt.Println(states[0].Remaining, "left")
	}
	// Output:
	// 1 left
	// 0 left
	// refused
}
