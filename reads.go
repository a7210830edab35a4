package apikeys

import (
	"context"
	"errors"
	"runtime"

	"github.com/apikeys-platform/apikeys/internal/coalesce"
)

// lookup is a key that is to be read: its text, and what that hashes to under the
// signing secret.
type lookup struct {
	text   string
	signed Hash
}

// startReads begins to read keys for many requests at once. Requests for the same
// key that wait share its read; a read that was sent already is never joined, so that
// a strict client is told what the store says after the request arrived.
func (c *core) startReads() {
	c.reads = coalesce.New(coalesce.Options[lookup, []KeyRecord]{
		Do:      c.readKeys,
		Max:     callsAtOnce(c.store, 2*runtime.GOMAXPROCS(0)),
		Timeout: c.opTimeout,
		Alone:   spoilt,
	})
}

// callsAtOnce is how many calls of a kind are sent to a store at the same time: no
// more than it has connections.
func callsAtOnce(store Store, most int) int {
	if pooled, ok := store.(PooledStore); ok && pooled.PoolSize() > 0 {
		return min(most, pooled.PoolSize())
	}
	return most
}

// spoilt tells whether a call for many may have failed because of one of them, and did
// nothing: then each may be tried alone.
func spoilt(err error) bool {
	return !unreachable(err) && !mayBeDone(err) && !errors.Is(err, ErrClosed)
}

// keysByHash returns what the store has for a key.
func (c *core) keysByHash(ctx context.Context, l lookup) ([]KeyRecord, error) {
	ctx, cancel := c.call(ctx)
	defer cancel()
	found, err := c.reads.Do(ctx, l)
	return found, storeError("read key", err)
}

// readKeys reads several keys in one call of the store.
func (c *core) readKeys(ctx context.Context, lookups []lookup) ([][]KeyRecord, error) {
	of := make(map[Hash]int, len(lookups)*(1+len(c.accepted)))
	all := make([]Hash, 0, len(lookups)*(1+len(c.accepted)))
	for i, l := range lookups {
		for _, h := range c.hashes(l.text, l.signed) {
			of[h] = i
			all = append(all, h)
		}
	}
	c.calls.keys.Add(1)
	found, err := c.store.KeysByHash(ctx, all)
	if err != nil {
		return nil, err
	}
	answers := make([][]KeyRecord, len(lookups))
	for _, record := range found {
		if i, ok := of[record.Secret.Hash]; ok {
			answers[i] = append(answers[i], record)
		}
	}
	return answers, nil
}
