package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// statements counts what the store is asked while a million validations a second hit
// a thousand keys.
func statements(ctx context.Context, c config) error {
	const rate, things, workers = 1_000_000, 1000, 4
	store, err := newEndless(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	client, err := newClient(ctx, store.Store, nil)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }()
	keys, err := issue(ctx, store.Store, client, things, apikeys.PerMinute(10_000_000))
	if err != nil {
		return err
	}
	op := keys.validate(client)
	if _, err := paced(ctx, c.each, workers, rate, things, op); err != nil { // remember all
		return err
	}
	before, begun := client.Stats().StoreCalls, time.Now()
	done, err := paced(ctx, 10*c.each, workers, rate, things, op)
	if err != nil {
		return err
	}
	after, seconds := client.Stats().StoreCalls, time.Since(begun).Seconds()
	others := after.Keys + after.Bindings + after.Changes + after.Usage - before.Keys - before.Bindings - before.Changes - before.Usage
	c.table.add(fmt.Sprintf("statements while %s validations hit %d keys", perSecond(float64(done)/seconds), things),
		fmt.Sprintf("%.1f/s and %.1f/s for leases", float64(others)/seconds, float64(after.Leases-before.Leases)/seconds), "≤ 5/s and leases")
	return nil
}

// paced runs an operation so often in a second, in small steps.
func paced(ctx context.Context, length time.Duration, workers, rate, things int, op operation) (int, error) {
	const step = time.Millisecond
	var wg sync.WaitGroup
	counts, errs := make([]int, workers), make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			begun := time.Now()
			for elapsed := time.Duration(0); elapsed < length && errs[w] == nil; elapsed = time.Since(begun) {
				due := int(elapsed.Seconds() * float64(rate) / float64(workers))
				for ; counts[w] < due && errs[w] == nil; counts[w]++ {
					errs[w] = op(ctx, (counts[w]*workers+w)%things)
				}
				time.Sleep(step)
			}
		})
	}
	wg.Wait()
	total := 0
	for w := range workers {
		if errs[w] != nil {
			return 0, errs[w]
		}
		total += counts[w]
	}
	return total, nil
}
