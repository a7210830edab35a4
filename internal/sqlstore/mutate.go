package sqlstore

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// work is one mutation while it is applied: the transaction, and what the body
// says of it.
type work struct {
	Tx
	m apikeys.Mutation
	// about is the subject of the event: its OrganizationID, Kind and SubjectID.
	about apikeys.EventRecord
	// detail is added to the mutation's own.
	detail map[string]any
	// stale is what the mutation makes stale; none: the revision is not raised.
	stale []apikeys.Change
}

// mutate applies a mutation once. The body locks rows, changes them and describes
// what it did; it returns errNothing when there is nothing to change. The event
// under which the mutation was applied before is returned, if it was: then nothing
// was done, and the method is to return what stands.
func (s *Store) mutate(ctx context.Context, m apikeys.Mutation, body func(*work) error) (*apikeys.EventRecord, error) {
	var prior *apikeys.EventRecord
	changed := false
	err := s.transact(ctx, TxOptions{}, func(tx Tx) (err error) {
		prior, changed = nil, false
		if prior, err = s.event(ctx, tx, m.ID); err != nil {
			return err
		}
		if prior != nil {
			return errNothing
		}
		err = s.apply(ctx, &work{Tx: tx, m: m}, body)
		changed = err == nil
		return err
	})
	if prior != nil || !isAnswer(err) || changed {
		return prior, err
	}
	return s.repeated(ctx, m, err)
}

// isAnswer tells whether a mutation came to an end, and with one of the answers
// that a repetition of it may get too.
func isAnswer(err error) bool {
	return err == nil || errors.Is(err, apikeys.ErrNotFound) ||
		errors.Is(err, apikeys.ErrAlreadyExists) || errors.Is(err, apikeys.ErrConflict)
}

// repeated looks again for the event of a mutation that changed nothing. The same
// mutation may have been under way on another connection (one that the client
// had given up, for example): its event could not be seen when ours began, and it
// is what stood in our way.
func (s *Store) repeated(ctx context.Context, m apikeys.Mutation, answer error) (*apikeys.EventRecord, error) {
	var prior *apikeys.EventRecord
	err := s.read(ctx, func(c Conn) (err error) {
		prior, err = s.event(ctx, c, m.ID)
		return err
	})
	if err != nil || prior != nil {
		return prior, err
	}
	return nil, answer
}

// apply does the work, and then, last of all its locks, raises the revision.
func (s *Store) apply(ctx context.Context, w *work, body func(*work) error) error {
	if err := body(w); err != nil {
		return err
	}
	e := w.about
	e.ID, e.At, e.Actor, e.Action = w.m.ID, w.m.At, w.m.Actor, w.m.Action
	var err error
	if e.Detail, err = mergeDetail(w.m.Detail, w.detail); err != nil {
		return err
	}
	inserted, err := insert(ctx, w, s.st.InsertEvent, s.eventArgs(e)...)
	if err != nil {
		return err
	}
	if !inserted {
		return errNothing // applied meanwhile: repeated will find it
	}
	return s.raise(ctx, w)
}

// raise makes the next revision, with the mutation's id as its stamp, and records
// what it makes stale. All who change something wait for this row: it is locked
// last, and for as short as can be.
func (s *Store) raise(ctx context.Context, w *work) error {
	if len(w.stale) == 0 {
		return nil
	}
	steps := []func() error{exec(ctx, w, s.st.RaiseRevision, s.dialect.ID(w.m.ID))}
	var keys []uuid.UUID
	for _, c := range w.stale {
		if c.Kind == apikeys.ChangeKey {
			keys = append(keys, c.ID)
			continue
		}
		steps = append(steps, exec(ctx, w, s.st.InsertChange, string(c.Kind), s.dialect.ID(c.ID), s.dialect.Time(w.m.At)))
	}
	if len(keys) > 0 {
		steps = append(steps, exec(ctx, w, s.st.InsertKeyChanges, s.dialect.Time(w.m.At), s.dialect.IDs(keys)))
	}
	return run(steps...)
}

func staleKey(id uuid.UUID) apikeys.Change {
	return apikeys.Change{Kind: apikeys.ChangeKey, ID: id}
}

func staleOrganization(id uuid.UUID) apikeys.Change {
	return apikeys.Change{Kind: apikeys.ChangeOrganization, ID: id}
}

// namedKeys is how many keys one revision names one by one.
const namedKeys = 256

// staleKeys are these keys, or, when they are many, all of the organization; or
// all there are, when they are of several.
func staleKeys(keys []keyOf) []apikeys.Change {
	if len(keys) > namedKeys {
		if id := commonOrganization(keys); id != uuid.Nil {
			return []apikeys.Change{staleOrganization(id)}
		}
		return []apikeys.Change{{Kind: apikeys.ChangeAll}}
	}
	stale := make([]apikeys.Change, len(keys))
	for i, k := range keys {
		stale[i] = staleKey(k.id)
	}
	return stale
}
