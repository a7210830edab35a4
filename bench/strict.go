package main

import (
	"context"

	"github.com/apikeys-platform/apikeys"
)

// callers is how many requests are under way at once in the comparisons.
const callers = 64

// everythingDefault compares a client with all its defaults, keys with one limit each,
// with the reference flow.
func everythingDefault(ctx context.Context, c config, o *opened) error {
	client, err := newClient(ctx, o.store, nil)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }()
	keys, err := issue(ctx, o.store, client, c.keys, apikeys.PerMinute(100_000))
	if err == nil {
		err = fill(ctx, o.reference, keys.texts)
	}
	if err != nil {
		return err
	}
	rates, err := c.rates(ctx, load{workers: callers, things: c.keys, warm: 5}, keys.validate(client), referenceFlow(o.reference, keys.texts))
	if err != nil {
		return err
	}
	c.table.speed("all default, one limit, 10,000 keys, 64 goroutines, "+o.name, "reference flow", rates[0], rates[1], o.accepted)
	return nil
}

// strictReads compares one bare SELECT with clients that ask each time: whether anything
// has changed, or, where nothing is remembered, for the key.
func strictReads(ctx context.Context, c config, o *opened) error {
	asking, err := newClient(ctx, o.store, func(config *apikeys.Config) { config.RevocationDelay = -1 })
	if err != nil {
		return err
	}
	defer func() { _ = asking.Close(ctx) }()
	reading, err := newClient(ctx, o.store, func(config *apikeys.Config) { config.CacheSize = -1 })
	if err != nil {
		return err
	}
	defer func() { _ = reading.Close(ctx) }()
	keys, err := issue(ctx, o.store, asking, c.keys)
	if err == nil {
		err = fill(ctx, o.reference, keys.texts)
	}
	if err != nil {
		return err
	}
	for _, row := range []struct {
		what, bound     string
		workers, things int
	}{
		{"1 goroutine", "≥ 0.80×", 1, c.keys},
		{"64 goroutines", "≥ 1.4×", callers, c.keys},
		{"hot key, 64 goroutines", "≥ 3×", callers, 1},
	} {
		l := load{workers: row.workers, things: row.things, warm: 5}
		rates, err := c.rates(ctx, l, keys.validate(asking), keys.validate(reading), bareSelect(o.reference, keys.texts))
		if err != nil {
			return err
		}
		c.table.speed("strict: asked each time, uses batched, "+row.what+", "+o.name, "one bare SELECT", rates[0], rates[2], row.bound)
		c.table.speed("the same, nothing remembered", "one bare SELECT", rates[1], rates[2], "")
	}
	return nil
}

// strictWrites compares a client that has everything durable in the database before it
// answers with the reference flow.
func strictWrites(ctx context.Context, c config, o *opened) error {
	client, err := newClient(ctx, o.store, func(config *apikeys.Config) {
		config.RevocationDelay, config.UsageFlushInterval = -1, -1
		config.RateLimiter = apikeys.NewExactLimiter(o.store)
	})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }()
	keys, err := issue(ctx, o.store, client, c.keys, apikeys.PerMinute(1e9))
	if err == nil {
		err = fill(ctx, o.reference, keys.texts)
	}
	if err != nil {
		return err
	}
	variants := []operation{keys.validate(client), referenceFlow(o.reference, keys.texts)}
	if bare := bareSelect(o.reference, keys.texts); bare != nil {
		variants = append(variants, bare)
	}
	// The uses that a round of ours has noted are added up in that round.
	settle := func(ctx context.Context, variant int) error {
		if variant > 0 {
			return nil
		}
		return o.store.FoldUsage(ctx)
	}
	rates, err := c.rates(ctx, load{workers: callers, things: c.keys, settle: settle}, variants...)
	if err != nil {
		return err
	}
	what := "strict: asked each time, exact limit and use durable, 64 goroutines, " + o.name
	c.table.speed(what, "reference flow", rates[0], rates[1], o.exact)
	if len(rates) > 2 {
		c.table.speed("the same", "one bare SELECT", rates[0], rates[2], "≥ 0.65×")
	}
	return nil
}
