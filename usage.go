package apikeys

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/usage"
)

// startUsage begins to count uses: in batches, or one by one when the interval is
// negative.
func (c *core) startUsage(interval time.Duration) {
	if interval == 0 {
		interval = defaultUsageInterval
	}
	c.strictUsage = interval < 0
	c.usage = usage.New(usage.Options{
		Interval: interval,
		Timeout:  c.opTimeout,
		Send:     c.sendUsage,
		Outcomes: refusalCodes[:refusalsOfKeys],
		Unknown:  mayBeDone,
		OnError: func(err error) {
			c.log.Warn("apikeys: uses not written; they are kept and sent again", "error", inert{err})
		},
	})
}

// mayBeDone tells, of a store's error, whether it may have done its work.
func mayBeDone(err error) bool {
	return errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func (c *core) sendUsage(ctx context.Context, b usage.Batch) error {
	batch := UsageBatch{Writer: c.writer, Seq: b.Seq, At: c.now(), Relaxed: b.Relaxed, Deltas: make([]UsageDelta, len(b.Deltas))}
	for i, d := range b.Deltas {
		batch.Deltas[i] = UsageDelta{
			KeyID: d.Key, Secret: d.Secret, Hour: d.Hour, Outcome: d.Outcome, Count: d.Count, LastAt: d.LastAt,
		}
	}
	c.calls.usage.Add(1)
	return c.store.AddUsage(ctx, batch)
}

// countUse counts an accepted validation.
func (c *core) countUse(ctx context.Context, k *known, now time.Time) error {
	if !c.strictUsage {
		k.counter.Accept(now)
		return nil
	}
	return storeError("count use", k.counter.AcceptNow(ctx, now))
}

// refuse counts a refused validation, and returns the error: by its code in Stats, and
// when it says something of a known key, in the key's usage history, though in no use
// count. It never waits for the store, not even in a strict client.
func (c *core) refuse(v *Validation, params *ValidateParams, err error, now time.Time) error {
	i := quotaRefusal
	if !v.limited() { // or else tally counts it
		if i = refusalOf(err); i < 0 {
			return err
		}
		c.refused[i].Add(1)
	}
	if k := v.key; i < refusalsOfKeys && k != nil && !params.SkipUsage {
		k.counter.Refuse(refusalCodes[i], now)
		if i == retiredRefusal {
			c.hook.retiredUse(k.KeyRecord, now)
		}
	}
	return err
}

// refusalOf returns the place of an error in refusalCodes; -1: it has none.
func refusalOf(err error) int {
	ours, ok := err.(Error) //nolint:errorlint // Validate wraps nothing around ours
	if !ok {
		return -1
	}
	return slices.Index(refusalCodes[:], ours.Code())
}

// withPending adds the uses that this process has counted and not sent yet to what
// the store had. It is never too high; while a batch is on its way, its uses are
// missing.
func (c *core) withPending(id uuid.UUID, count int64, last time.Time) (int64, time.Time) {
	pending, at := c.usage.Pending(id)
	return count + pending, latest(last, at)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
