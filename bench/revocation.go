package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// revocation measures how long another client, with connections of its own, goes on
// accepting a key after its revocation was acknowledged.
func revocation(ctx context.Context, c config, o *opened) error {
	revocations := min(o.revocations, c.keys/10)
	other, err := o.second(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = other.Close() }()
	here, err := newClient(ctx, o.store, nil)
	if err != nil {
		return err
	}
	defer func() { _ = here.Close(ctx) }()
	there, err := newClient(ctx, other, nil)
	if err != nil {
		return err
	}
	defer func() { _ = there.Close(ctx) }()
	keys, err := issue(ctx, o.store, here, revocations)
	if err != nil {
		return err
	}
	delays := make([]time.Duration, revocations)
	for i := range delays {
		if delays[i], err = seen(ctx, here, there, keys, i); err != nil {
			return err
		}
	}
	c.table.add(fmt.Sprintf("revocation seen by another client, %s: p50 / p99 / longest of %d", o.name, revocations),
		fmt.Sprintf("%s / %s / %s", short(quantile(delays, 0.5)), short(quantile(delays, 0.99)), short(quantile(delays, 1))), o.seen)
	return nil
}

// seen revokes a key here and tells how long it is accepted there.
func seen(ctx context.Context, here, there *apikeys.Client, keys *issued, i int) (time.Duration, error) {
	use := keys.validate(there)
	if err := use(ctx, i); err != nil {
		return 0, err
	}
	if _, err := here.RevokeKey(ctx, keys.ids[i], apikeys.RevokeParams{}); err != nil {
		return 0, err
	}
	acknowledged := time.Now()
	for {
		asked := time.Now()
		switch err := use(ctx, i); {
		case errors.Is(err, apikeys.ErrRevokedKey):
			return asked.Sub(acknowledged), nil
		case err != nil:
			return 0, err
		}
		time.Sleep(50 * time.Microsecond) // a processor is needed for the rest, too
	}
}

func short(d time.Duration) string {
	if d < 0 {
		return "0 ms"
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1e3)
}
