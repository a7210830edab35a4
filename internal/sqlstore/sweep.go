package sqlstore

import (
	"context"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// Sweep implements [apikeys.Store].
func (s *Store) Sweep(ctx context.Context, p apikeys.SweepParams) (removed int, err error) {
	err = s.transact(ctx, TxOptions{}, func(tx Tx) error {
		removed = 0
		steps := []func() error{
			s.sweep(ctx, tx, &removed, s.st.SweepWindows, p.WindowsBefore, seconds(p.WindowsBefore), seconds(p.WindowsBefore), p.Limit),
			s.sweep(ctx, tx, &removed, s.st.SweepHours, p.UsageBefore, s.dialect.Time(p.UsageBefore), p.Limit),
			s.sweep(ctx, tx, &removed, s.st.SweepWriters, p.WritersBefore, s.dialect.Time(p.WritersBefore), p.Limit),
			s.sweep(ctx, tx, &removed, s.st.SweepEvents, p.EventsBefore, s.dialect.Time(p.EventsBefore), p.Limit),
			func() error { return s.sweepChanges(ctx, tx, &removed, p) },
		}
		return run(steps...)
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// sweep is a step that removes rows of one kind; a zero time keeps all.
func (s *Store) sweep(ctx context.Context, tx Tx, removed *int, query string, before time.Time, args ...any) func() error {
	return func() error {
		if before.IsZero() {
			return nil
		}
		n, err := tx.Exec(ctx, query, args...)
		*removed += int(n)
		return err
	}
}

// sweepChanges removes whole revisions only: half of one would look complete to
// those who have seen the one before it. A revision that is gone is a gap, and
// a gap is seen.
func (s *Store) sweepChanges(ctx context.Context, tx Tx, removed *int, p apikeys.SweepParams) error {
	if p.ChangesBefore.IsZero() || p.Limit <= 0 {
		return nil
	}
	before := s.dialect.Time(p.ChangesBefore)
	old, err := all(ctx, tx, scanValue[int64], s.st.OldChanges, before, p.Limit+1)
	if err != nil || len(old) == 0 {
		return err
	}
	upTo := old[len(old)-1]
	if len(old) > p.Limit && upTo > old[0] {
		upTo-- // the last one may go on beyond the limit
	}
	n, err := tx.Exec(ctx, s.st.DeleteChanges, upTo, before)
	*removed += int(n)
	return err
}

// seconds rounds up: what ends in whole seconds ends before t if it ends before
// the second that t is in, or at which t is not yet.
func seconds(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}
