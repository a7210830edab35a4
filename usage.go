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
		Outcomes: countedRefusals[:],
		Unknown:  mayBeDone,
		OnError: func(err error) {
			c.log.Warn("apikeys: uses not written; they are kept and sent again", "error", err)
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

// countedRefusals are the codes of refusals that say something of a key. Faults of
// the store or of the call say nothing of it, and whoever made a key up has none.
var countedRefusals = [...]string{
	CodeQuotaExceeded, // the most frequent first
	CodeExpiredKey, CodeRetiredSecret, CodeRevokedKey, CodeDisabledKey, CodeSuspended, CodeInsufficientScope,
}

// countRefusal counts that a known key was refused, in the usage history under the
// error's code and in no use count, and returns the error. It never waits for the
// store, not even in a strict client.
func (c *core) countRefusal(k *known, params *ValidateParams, err error, now time.Time) error {
	ours, ok := err.(Error) //nolint:errorlint // judging and charging wrap nothing around ours
	if k == nil || params.SkipUsage || !ok {
		return err
	}
	code := ours.Code()
	if slices.Contains(countedRefusals[:], code) {
		k.counter.Refuse(code, now)
	}
	if code == CodeRetiredSecret {
		c.hook.retiredUse(&k.KeyRecord, now)
	}
	return err
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
