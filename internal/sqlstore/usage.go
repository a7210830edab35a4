package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// AddUsage implements [apikeys.Store].
func (s *Store) AddUsage(ctx context.Context, batch apikeys.UsageBatch) error {
	return s.transact(ctx, TxOptions{Relaxed: batch.Relaxed}, func(tx Tx) error {
		if err := s.claim(ctx, tx, batch); err != nil {
			return err
		}
		return s.addDeltas(ctx, tx, batch.Deltas)
	})
}

// addDeltas adds uses to those of the keys that there are.
func (s *Store) addDeltas(ctx context.Context, tx Tx, deltas []apikeys.UsageDelta) error {
	there, err := s.addToKeys(ctx, tx, deltas)
	if err != nil {
		return err
	}
	return s.addToHours(ctx, tx, deltas, there)
}

// claim makes the batch the last of its writer; errNothing when it is not later
// than the one that is. The writer's row is locked from here on: the same batch,
// sent twice at once, waits here.
func (s *Store) claim(ctx context.Context, tx Tx, batch apikeys.UsageBatch) error {
	id, at := s.dialect.ID(batch.Writer), s.dialect.Time(batch.At)
	for range 2 {
		updated, err := tx.Exec(ctx, s.st.UpdateWriter, batch.Seq, at, id, batch.Seq)
		if err != nil || updated > 0 {
			return err
		}
		inserted, err := insert(ctx, tx, s.st.InsertWriter, id, batch.Seq, at)
		if err != nil || inserted {
			return err
		}
		// The writer is known: by a later batch, or since just now.
	}
	return errNothing
}

// keyUse is what a batch says of one key.
type keyUse struct {
	key   uuid.UUID
	count int64
	last  time.Time
}

// addToKeys locks the usage of the keys in the order of their ids, adds what was
// accepted, and tells which of the keys there are.
func (s *Store) addToKeys(ctx context.Context, tx Tx, deltas []apikeys.UsageDelta) (map[uuid.UUID]bool, error) {
	uses := usesOf(deltas)
	if len(uses) == 0 {
		return nil, nil
	}
	args := make([][]any, len(uses))
	for i, u := range uses {
		last := s.dialect.NullTime(u.last)
		args[i] = []any{u.count, last, last, s.dialect.ID(u.key)}
	}
	affected, err := tx.ExecEach(ctx, s.st.AddUsage, args)
	if err != nil {
		return nil, err
	}
	there := make(map[uuid.UUID]bool, len(uses))
	for i, u := range uses {
		there[u.key] = affected[i] > 0
	}
	return there, nil
}

// usesOf sums up the deltas of each key, in the order of ids. A key of which all
// were refused has a count of zero and no time.
func usesOf(deltas []apikeys.UsageDelta) []keyUse {
	byKey := map[uuid.UUID]keyUse{}
	for _, d := range deltas {
		u := byKey[d.KeyID]
		u.key = d.KeyID
		if d.Outcome == apikeys.OutcomeAccepted {
			u.count += d.Count
			if d.LastAt.After(u.last) {
				u.last = d.LastAt
			}
		}
		byKey[d.KeyID] = u
	}
	uses := make([]keyUse, 0, len(byKey))
	for _, u := range byKey {
		uses = append(uses, u)
	}
	slices.SortFunc(uses, func(a, b keyUse) int { return compareIDs(a.key, b.key) })
	return uses
}

func (s *Store) addToHours(ctx context.Context, tx Tx, deltas []apikeys.UsageDelta, there map[uuid.UUID]bool) error {
	deltas = slices.DeleteFunc(slices.Clone(deltas), func(d apikeys.UsageDelta) bool { return !there[d.KeyID] })
	if len(deltas) == 0 {
		return nil
	}
	slices.SortStableFunc(deltas, func(a, b apikeys.UsageDelta) int {
		return cmp.Or(bytes.Compare(a.KeyID[:], b.KeyID[:]), a.Hour.Compare(b.Hour), cmp.Compare(a.Secret, b.Secret), cmp.Compare(a.Outcome, b.Outcome))
	})
	args := make([][]any, len(deltas))
	for i, d := range deltas {
		args[i] = []any{s.dialect.ID(d.KeyID), s.dialect.Time(d.Hour), d.Secret, d.Outcome, d.Count, s.dialect.Time(d.LastAt)}
	}
	_, err := tx.ExecEach(ctx, s.st.AddHour, args)
	return err
}

// KeyUsage implements [apikeys.Store].
func (s *Store) KeyUsage(ctx context.Context, q apikeys.UsageQuery) ([]apikeys.UsageDelta, error) {
	if err := s.foldFirst(ctx); err != nil {
		return nil, err
	}
	if impossible(q.Ref.Scope) {
		return nil, apikeys.ErrNotFound
	}
	args := append([]any{s.dialect.Time(q.From), s.dialect.Time(q.To)}, s.keyRefArgs(q.Ref)...)
	var hours []apikeys.UsageDelta
	err := s.read(ctx, func(c Conn) (err error) {
		hours, err = all(ctx, c, func(scan row) (d apikeys.UsageDelta, err error) {
			d.KeyID = q.Ref.ID
			err = scan(s.dialect.ScanTime(&d.Hour), &d.Secret, &d.Outcome, &d.Count, s.dialect.ScanTime(&d.LastAt))
			return d, err
		}, s.st.KeyHours, args...)
		return err
	})
	if err == nil && len(hours) == 0 {
		err = apikeys.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	// A key without usage in these hours is one row without an hour.
	return slices.DeleteFunc(hours, func(d apikeys.UsageDelta) bool { return d.Hour.IsZero() }), nil
}
