package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// floor is the least that recognising a key and counting its use can cost: a pooled
// HMAC whose states are computed once, a look-up in a map that nobody writes to, and
// one compare-and-swap.
type floor struct {
	macs  sync.Pool
	texts []string
	known map[[sha256.Size]byte]*atomic.Int64
}

type floorState struct {
	mac hash.Hash
	buf [128]byte
	sum [sha256.Size]byte
}

func newFloor(texts []string) *floor {
	f := &floor{texts: texts, known: map[[sha256.Size]byte]*atomic.Int64{}}
	f.macs.New = func() any { return &floorState{mac: hmac.New(sha256.New, []byte(secret))} }
	for _, text := range texts {
		f.known[f.sum(text)] = &atomic.Int64{}
	}
	return f
}

func (f *floor) sum(text string) [sha256.Size]byte {
	s := f.macs.Get().(*floorState)
	defer f.macs.Put(s)
	s.mac.Reset()
	s.mac.Write(s.buf[:copy(s.buf[:], text)])
	s.mac.Sum(s.sum[:0])
	return s.sum
}

var errUnknown = errors.New("unknown")

func (f *floor) check(_ context.Context, i int) error {
	n := f.known[f.sum(f.texts[i])]
	if n == nil {
		return errUnknown
	}
	for {
		was := n.Load()
		if n.CompareAndSwap(was, was+1) {
			return nil
		}
	}
}

// cached measures what happens in memory alone.
func cached(ctx context.Context, c config) error {
	db, err := sqlite.Open(ctx, ":memory:")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	client, err := newClient(ctx, db, nil)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }()
	keys, err := issue(ctx, db, client, c.keys, apikeys.PerDay(1e12))
	if err != nil {
		return err
	}
	if err := c.accepted(ctx, client, keys); err != nil {
		return err
	}
	if err := c.allocations(ctx, db, keys); err != nil {
		return err
	}
	return c.refused(ctx, db, client)
}

// accepted compares the acceptance of remembered keys with the floor.
func (c config) accepted(ctx context.Context, client *apikeys.Client, keys *issued) error {
	ours, least := keys.validate(client), newFloor(keys.texts).check
	for i := range keys.texts { // remember all
		if err := errors.Join(ours(ctx, i), ours(ctx, i)); err != nil {
			return err
		}
	}
	for _, row := range []struct {
		what, bound     string
		workers, things int
	}{
		{"cached, hot key, 1 goroutine", "≤ 1.4×", 1, 1},
		{"cached, 10,000 keys, 1 goroutine", "≤ 1.6×", 1, c.keys},
		{"cached, hot key, 64 goroutines", "≤ 1.4×", 64, 1},
		{"cached, 10,000 keys, 64 goroutines", "≤ 1.4×", 64, c.keys},
	} {
		l := load{workers: row.workers, things: row.things, burst: 64}
		rates, err := c.rates(ctx, l, ours, least)
		if err != nil {
			return err
		}
		c.table.cost(row.what, "HMAC + map + CAS", rates[0], rates[1], row.bound)
	}
	return nil
}

// allocations counts those of one validation alone: the program counts what all of its
// goroutines allocate, so that no uses are written meanwhile.
func (c config) allocations(ctx context.Context, db apikeys.Store, keys *issued) error {
	client, err := newClient(ctx, db, func(config *apikeys.Config) { config.UsageFlushInterval = time.Hour })
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }()
	validate := keys.validate(client)
	if err := errors.Join(validate(ctx, 0), validate(ctx, 0)); err != nil { // remember it
		return err
	}
	allocs, err := allocated(ctx, validate)
	c.table.add("cached, allocations", strconv.FormatFloat(allocs, 'f', 2, 64)+" a validation", "0")
	return err
}

// allocated is how many allocations there are in one operation.
func allocated(ctx context.Context, op operation) (float64, error) {
	const times = 100_000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		if err := op(ctx, 0); err != nil {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / times, nil
}

// refused measures keys that are over their limit, and made-up keys.
func (c config) refused(ctx context.Context, db apikeys.Store, client *apikeys.Client) error {
	full, err := issue(ctx, db, client, 1, apikeys.PerDay(1))
	if err != nil {
		return err
	}
	open, err := issue(ctx, db, client, 1, apikeys.PerDay(1e12))
	if err != nil {
		return err
	}
	accept, refuse := open.validate(client), full.refuse(client)
	if err := errors.Join(full.validate(client)(ctx, 0), accept(ctx, 0), refuse(ctx, 0)); err != nil {
		return err
	}
	forged := []byte(full.texts[0])
	forged[len(forged)-1] ^= 1 // another tag
	invent := func(ctx context.Context, _ int) error {
		if _, err := client.Validate(ctx, string(forged), apikeys.ValidateParams{}); err == nil {
			return errAccepted
		}
		return nil
	}
	before := client.Stats()
	rates, err := c.rates(ctx, load{workers: 1, things: 1, burst: 64}, refuse, accept, invent)
	if err != nil {
		return err
	}
	after := client.Stats()
	if err := asMeant(before, after); err != nil {
		return err
	}
	c.table.cost("refusal from memory: the window is full", "cached acceptance", rates[0], rates[1], "≤ 1×")
	c.table.add("forged key of the right shape", perOperation(rates[2].median()), "< 1 µs")
	c.table.add("… keys read from the store meanwhile", strconv.FormatInt(after.StoreCalls.Keys-before.StoreCalls.Keys, 10), "0")
	return nil
}

// asMeant looks whether what was refused were full windows, from memory, and made-up keys.
func asMeant(before, after apikeys.Stats) error {
	full := after.Refused[apikeys.CodeQuotaExceeded] - before.Refused[apikeys.CodeQuotaExceeded]
	if full == 0 || full != after.LimitedInMemory-before.LimitedInMemory || after.Refused[apikeys.CodeInvalidKey] == 0 || len(after.Refused) != 2 {
		return fmt.Errorf("refused were %v, %d of them from memory", after.Refused, after.LimitedInMemory)
	}
	return nil
}
