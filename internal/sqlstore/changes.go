package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// maxChanges is how many changes a look may find; more are everything.
const maxChanges = 1000

// place is one row of the history beside the state, as one statement sees both.
type place struct {
	mark     apikeys.ChangeMark // of the state
	now      time.Time
	found    bool // the mark that was asked about is in the history
	revision int64
	change   apikeys.Change
}

// Changes implements [apikeys.Store].
func (s *Store) Changes(ctx context.Context, since apikeys.ChangeMark) (set apikeys.ChangeSet, err error) {
	looks := s.db.Looks()
	err = s.fault(ctx, s.retry(ctx, func() error {
		if set, err = s.state(ctx, looks); err != nil || set.Mark == since {
			set.Complete = err == nil
			return err
		}
		set, err = s.changesSince(ctx, looks, since)
		return err
	}))
	return set, err
}

// state is the tiny read that most looks are: nothing has changed.
func (s *Store) state(ctx context.Context, c Conn) (apikeys.ChangeSet, error) {
	replica := false
	set, err := one(ctx, c, func(scan row) (set apikeys.ChangeSet, err error) {
		err = scan(&set.Mark.Revision, s.dialect.ScanID(&set.Mark.Stamp), s.dialect.ScanTime(&set.Now), &replica)
		return set, err
	}, s.st.State)
	if errors.Is(err, apikeys.ErrNotFound) {
		return set, errNoState
	}
	if err == nil && replica {
		return set, errReplica
	}
	return set, err
}

// changesSince reads the state and the history in one statement, so that both are
// of one moment.
func (s *Store) changesSince(ctx context.Context, c Conn, since apikeys.ChangeMark) (apikeys.ChangeSet, error) {
	places, err := all(ctx, c, s.scanPlace, s.st.ChangesSince,
		since.Revision, s.dialect.ID(since.Stamp), since.Revision, maxChanges+1)
	if err != nil {
		return apikeys.ChangeSet{}, err
	}
	if len(places) == 0 {
		return apikeys.ChangeSet{}, errNoState
	}
	set := apikeys.ChangeSet{Mark: places[0].mark, Now: places[0].now}
	if !unbroken(places, since) {
		return set, nil
	}
	set.Complete = true
	for _, p := range places {
		if p.revision > 0 {
			set.Changes = append(set.Changes, p.change)
		}
	}
	return set, nil
}

// unbroken tells whether the history leads from a mark to the state: the mark is
// in it, or is the beginning or the state itself, and every revision after it is
// there. A number alone proves nothing: after a restore the same number may be
// another change.
func unbroken(places []place, since apikeys.ChangeMark) bool {
	state := places[0].mark
	if state == since {
		return true
	}
	if (!places[0].found && since != apikeys.ChangeMark{}) || len(places) > maxChanges {
		return false
	}
	last := since.Revision
	for _, p := range places {
		if p.revision != last && p.revision != last+1 {
			return false
		}
		last = p.revision
	}
	return last == state.Revision
}

func (s *Store) scanPlace(scan row) (p place, err error) {
	var kind string
	err = scan(&p.mark.Revision, s.dialect.ScanID(&p.mark.Stamp), s.dialect.ScanTime(&p.now), &p.found,
		&p.revision, &kind, s.dialect.ScanID(&p.change.ID))
	p.change.Kind = apikeys.ChangeKind(kind)
	return p, err
}

// bumpAll raises the revision for a change of everything that is no mutation.
func (s *Store) bumpAll(ctx context.Context, tx Tx) error {
	var now time.Time
	if _, err := one(ctx, tx, func(scan row) (bool, error) { return true, scan(s.dialect.ScanTime(&now)) }, s.st.Now); err != nil {
		return err
	}
	stamp, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	return s.raise(ctx, &work{
		Tx: tx, m: apikeys.Mutation{ID: stamp, At: now}, stale: []apikeys.Change{{Kind: apikeys.ChangeAll}},
	})
}
