package memstore

import (
	"context"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// change is one revision.
type change struct {
	mark  apikeys.ChangeMark
	at    time.Time
	stale []apikeys.Change
}

func (s *Store) bump(stamp uuid.UUID, at time.Time, stale ...apikeys.Change) {
	s.mark = apikeys.ChangeMark{Revision: s.mark.Revision + 1, Stamp: stamp}
	s.changes = append(s.changes, change{mark: s.mark, at: at, stale: stale})
}

func staleKey(id uuid.UUID) apikeys.Change {
	return apikeys.Change{Kind: apikeys.ChangeKey, ID: id}
}

func staleOrganization(id uuid.UUID) apikeys.Change {
	return apikeys.Change{Kind: apikeys.ChangeOrganization, ID: id}
}

// maxKeyChanges is how many keys one revision names one by one.
const maxKeyChanges = 256

func staleKeys(keys []apikeys.KeyRecord) []apikeys.Change {
	if len(keys) > maxKeyChanges {
		if id := oneOrganization(keys); id != uuid.Nil {
			return []apikeys.Change{staleOrganization(id)}
		}
		return []apikeys.Change{{Kind: apikeys.ChangeAll}}
	}
	stale := make([]apikeys.Change, len(keys))
	for i, k := range keys {
		stale[i] = staleKey(k.ID)
	}
	return stale
}

// Changes implements [apikeys.Store].
func (s *Store) Changes(ctx context.Context, since apikeys.ChangeMark) (apikeys.ChangeSet, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return apikeys.ChangeSet{}, err
	}
	defer unlock()
	// The beginning is a place in the history too, until the first change is swept.
	beginning := len(s.changes) == 0 || s.changes[0].mark.Revision == 1
	set := apikeys.ChangeSet{Mark: s.mark, Now: now(), Complete: since == apikeys.ChangeMark{} && beginning}
	for _, c := range s.changes {
		if set.Complete {
			set.Changes = append(set.Changes, c.stale...)
		}
		set.Complete = set.Complete || c.mark == since
	}
	return set, nil
}

// Sweep implements [apikeys.Store]. A revision is one row here, whatever it names.
func (s *Store) Sweep(ctx context.Context, p apikeys.SweepParams) (int, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	removed := s.sweepChanges(p) +
		sweep(s.windows, p.WindowsBefore, p.Limit, func(id windowID, w window) time.Time {
			return w.start.Add(id.span.Duration())
		}) +
		sweep(s.events, p.EventsBefore, p.Limit, func(_ uuid.UUID, e apikeys.EventRecord) time.Time { return e.At }) +
		sweep(s.hours, p.UsageBefore, p.Limit, func(_ hourID, d apikeys.UsageDelta) time.Time { return d.Hour }) +
		sweep(s.writers, p.WritersBefore, p.Limit, func(_ uuid.UUID, w writer) time.Time { return w.seen })
	return removed, nil
}

// sweepChanges removes from the beginning only, whatever the times say: a hole
// would hide a change from those who have seen what came before it.
func (s *Store) sweepChanges(p apikeys.SweepParams) int {
	removed := 0
	for len(s.changes) > 1 && removed < p.Limit && s.changes[0].at.Before(p.ChangesBefore) {
		s.changes = s.changes[1:]
		removed++
	}
	return removed
}

func sweep[K comparable, V any](rows map[K]V, before time.Time, limit int, at func(K, V) time.Time) int {
	removed := 0
	maps.DeleteFunc(rows, func(k K, v V) bool {
		old := removed < limit && at(k, v).Before(before)
		if old {
			removed++
		}
		return old
	})
	return removed
}
