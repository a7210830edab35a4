package apikeys

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// How long rows are kept that Config does not speak of.
const (
	// windowRetention is after the window's end. It is as long as a clock of the
	// database may be set back without opening a window a second time.
	windowRetention = 24 * time.Hour
	// changeRetention is many times the time between two looks. A client that has not
	// looked for longer finds a gap, and drops all that it remembers.
	changeRetention = 24 * time.Hour
	// writerRetention is longer than any client sends a batch again: one that could not
	// reach the database for that long counts its last batch a second time.
	writerRetention = 30 * 24 * time.Hour

	defaultEventRetention = 400 * 24 * time.Hour
	defaultUsageRetention = 90 * 24 * time.Hour
	// minRetention is longer than any change is sent again: its event is what makes
	// repeating it harmless.
	minRetention = 24 * time.Hour

	defaultSweepInterval = time.Hour
	// sweepChunk is how many rows go at a time, and sweepPause is left to others
	// in between.
	sweepChunk = 1000
	sweepPause = 50 * time.Millisecond
)

// retention is how long rows are kept; a negative time is for ever.
type retention struct{ events, usage time.Duration }

func (config Config) retention() (retention, error) {
	r := retention{events: config.EventRetention, usage: config.UsageRetention}
	for _, kept := range []struct {
		field  string
		d      *time.Duration
		normal time.Duration
	}{{"EventRetention", &r.events, defaultEventRetention}, {"UsageRetention", &r.usage, defaultUsageRetention}} {
		switch {
		case *kept.d == 0:
			*kept.d = kept.normal
		case *kept.d > 0 && *kept.d < minRetention:
			return r, invalid(kept.field, "is less than %s; negative keeps all for ever", minRetention)
		}
	}
	return r, nil
}

// Sweep removes what is too old to be kept, and returns how many rows: audit events
// and usage by Config's retention, and what the library needs for itself (rate limit
// windows, changes, writers of usage) after days. It goes in chunks of a thousand
// rows, with pauses. Any number of processes may sweep at once.
//
// Clients do this in the background, see Config.SweepInterval; call it where they
// are told not to. A view is refused.
func (c *Client) Sweep(ctx context.Context) (int, error) {
	if err := c.ready(); err != nil {
		return 0, err
	}
	if c.view || len(c.grants) > 0 {
		return 0, invalid("Scope", "a view sweeps nothing; use the client that it was made from")
	}
	return c.sweep(ctx)
}

func (c *core) sweep(ctx context.Context) (total int, err error) {
	now, err := c.sweepTime(ctx)
	if err != nil {
		return 0, err
	}
	folded := c.fold(ctx) // what a client left that was killed; what is too old is removed all the same
	if errors.Is(folded, errUnimplemented) {
		folded = nil // a store that notes no uses has none
	}
	for _, kind := range c.kept.params(now) {
		n, err := c.sweepKind(ctx, kind)
		total += n
		if err != nil {
			return total, errors.Join(folded, err)
		}
	}
	return total, folded
}

// params are one kind of rows each, so that no transaction touches more than one
// table.
func (r retention) params(now time.Time) []SweepParams {
	all := []SweepParams{
		{WindowsBefore: now.Add(-windowRetention)},
		{ChangesBefore: now.Add(-changeRetention)},
		{WritersBefore: now.Add(-writerRetention)},
	}
	if r.events > 0 {
		all = append(all, SweepParams{EventsBefore: now.Add(-r.events)})
	}
	if r.usage > 0 {
		all = append(all, SweepParams{UsageBefore: now.Add(-r.usage)})
	}
	return all
}

// sweepTime is what age is counted from: of the clocks of this process and of the
// database, the one that is behind. A clock that is ahead must not remove what others
// still need. An injected clock is the only one.
func (c *core) sweepTime(ctx context.Context) (time.Time, error) {
	now := c.now()
	if c.ownClock {
		return now, nil
	}
	ctx, cancel := c.call(ctx)
	defer cancel()
	set, err := c.store.Changes(ctx, ChangeMark{})
	if err != nil {
		return time.Time{}, storeError("read the time", err)
	}
	if set.Now.Before(now) {
		now = set.Now.UTC().Truncate(time.Microsecond)
	}
	return now, nil
}

// sweepKind goes on until there is nothing left.
func (c *core) sweepKind(ctx context.Context, p SweepParams) (total int, err error) {
	p.Limit = sweepChunk
	for {
		n, err := c.sweepSome(ctx, p)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
		select {
		case <-time.After(sweepPause):
		case <-ctx.Done():
			return total, storeError("sweep", ctx.Err())
		}
	}
}

func (c *core) sweepSome(ctx context.Context, p SweepParams) (int, error) {
	ctx, cancel := c.call(ctx)
	defer cancel()
	n, err := c.store.Sweep(ctx, p)
	return n, storeError("sweep", err)
}

// sweeper sweeps in the background.
type sweeper struct {
	end   context.CancelFunc
	ended chan struct{}
}

func (c *core) startSweeping(interval time.Duration) {
	if interval < 0 {
		return
	}
	if interval == 0 {
		interval = defaultSweepInterval
	}
	ctx, end := context.WithCancel(context.Background())
	c.sweeper = &sweeper{end: end, ended: make(chan struct{})}
	go func() {
		defer close(c.sweeper.ended)
		for wait(ctx, jitter(interval)) {
			c.sweepOnce(ctx)
		}
	}()
}

// jitter is between half of d and one and a half: processes that were started
// together do not sweep together.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d)
}

// sweepOnce survives a panic of the store. What could not be removed now is removed
// another time.
func (c *core) sweepOnce(ctx context.Context) {
	defer func() {
		if v := recover(); v != nil {
			c.log.ErrorContext(ctx, "apikeys: sweeping panicked", "type", fmt.Sprintf("%T", v))
		}
	}()
	n, err := c.sweep(ctx)
	c.swept.Add(int64(n))
	if err != nil && !errors.Is(err, context.Canceled) {
		c.log.WarnContext(ctx, "apikeys: old rows not removed; the next sweep tries again", "error", inert{err})
	}
}

// close ends the sweeping, in the middle of a chunk if need be, until ctx ends.
func (s *sweeper) close(ctx context.Context) {
	if s == nil {
		return
	}
	s.end()
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
}
