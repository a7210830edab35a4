package sqlstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// ListKeys implements [apikeys.Store].
func (s *Store) ListKeys(ctx context.Context, q apikeys.KeyQuery) (found []apikeys.KeyRecord, err error) {
	if err := s.foldFirst(ctx); err != nil {
		return nil, err
	}
	if impossible(q.Scope) {
		return nil, nil
	}
	query, args := s.keysBy(q)
	args = append(append(args, s.keyFilter(q, false)...), limitOf(q.Limit))
	err = s.read(ctx, func(c Conn) (err error) {
		found, err = all(ctx, c, s.scanKey, query, args...)
		return err
	})
	return found, err
}

// keysBy is the statement whose index selects most and is in the order of ids, or in
// that of ends if it is asked for.
func (s *Store) keysBy(q apikeys.KeyQuery) (query string, args []any) {
	id := s.dialect.ID
	switch {
	case q.Expiring != nil:
		at := s.dialect.Time(q.Expiring.At)
		args = []any{at, at, id(q.Expiring.ID), s.dialect.Time(endOf(q.ExpiresBefore))}
		if q.Scope.OrganizationID != uuid.Nil {
			return s.st.KeysExpiringOf, append([]any{id(q.Scope.OrganizationID)}, args...)
		}
		return s.st.KeysExpiring, args
	case q.ID != uuid.Nil:
		return s.st.KeysByID, []any{id(q.ID)}
	case q.Scope.OwnerID != "":
		return s.st.KeysByOwner, []any{id(q.Scope.OrganizationID), q.Scope.OwnerID}
	case q.ProjectID != uuid.Nil:
		return s.st.KeysByProject, []any{id(q.ProjectID), id(q.ProjectID)}
	case q.ProductID != uuid.Nil:
		return s.st.KeysByProduct, []any{id(q.ProductID), id(q.ProductID)}
	case q.Scope.OrganizationID != uuid.Nil:
		return s.st.KeysByOrganization, []any{id(q.Scope.OrganizationID)}
	default:
		return s.st.KeysAll, nil
	}
}

// endOf is a time that bounds ends, later than any if it is zero.
func endOf(before time.Time) time.Time {
	if before.IsZero() {
		return time.Date(9999, time.December, 31, 23, 59, 59, 999_999_000, time.UTC)
	}
	return before
}

// keyFilter is all that a query asks but its limit: what the statement is driven
// by is asked again, so that no combination can be forgotten.
func (s *Store) keyFilter(q apikeys.KeyQuery, unrevoked bool) []any {
	d := s.dialect
	status := string(q.Status)
	if q.Status == apikeys.StatusAll {
		status = ""
	}
	search := strings.ToLower(q.Search)
	only := 0
	if unrevoked {
		only = 1
	}
	return []any{
		asked(q.Scope.OrganizationID), d.ID(q.Scope.OrganizationID), q.Scope.OwnerID, q.Scope.OwnerID,
		asked(q.ProjectID), d.ID(q.ProjectID), asked(q.ProductID), d.ID(q.ProductID),
		status, status, d.Time(q.Now), search, search, search,
		d.NullTime(q.CreatedBefore), d.NullTime(q.CreatedBefore), d.NullTime(q.ExpiresBefore), d.NullTime(q.ExpiresBefore),
		d.NullTime(q.EndedBefore), d.NullTime(q.EndedBefore), d.NullTime(q.EndedBefore),
		only, s.before(q.Before),
	}
}

// RevokeKeys implements [apikeys.Store].
func (s *Store) RevokeKeys(ctx context.Context, m apikeys.Mutation, q apikeys.KeyQuery, reason string) ([]uuid.UUID, error) {
	return s.bulk(ctx, m, q, true, func(w *work, ids []uuid.UUID) error {
		at := s.dialect.Time(m.At)
		_, err := w.Exec(ctx, s.st.RevokeKeys, at, reason, at, s.dialect.IDs(ids))
		return err
	})
}

// DeleteKeys implements [apikeys.Store].
func (s *Store) DeleteKeys(ctx context.Context, m apikeys.Mutation, q apikeys.KeyQuery) ([]uuid.UUID, error) {
	return s.bulk(ctx, m, q, false, func(w *work, ids []uuid.UUID) error {
		list := s.dialect.IDs(ids)
		return run(
			exec(ctx, w, s.st.DeleteKeySecrets, list),
			exec(ctx, w, s.st.DeleteKeys, list),
			exec(ctx, w, s.st.DeleteKeyUsage, list),
			exec(ctx, w, s.st.DeleteKeyHours, list),
			exec(ctx, w, s.st.BlankEvents, list),
		)
	})
}

// bulk locks the keys that a query selects, in the order of their ids, and acts on
// all of them at once.
func (s *Store) bulk(ctx context.Context, m apikeys.Mutation, q apikeys.KeyQuery, unrevoked bool,
	act func(*work, []uuid.UUID) error) ([]uuid.UUID, error) {
	if impossible(q.Scope) {
		return nil, nil
	}
	var keys []keyOf
	prior, err := s.mutate(ctx, m, func(w *work) error {
		candidates, err := s.candidates(ctx, w, q, unrevoked)
		if err != nil {
			return err
		}
		keys, err = s.lockKeys(ctx, w, candidates, q, unrevoked)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return errNothing
		}
		w.about, w.detail, w.stale = aboutKeys(keys), detailOf(keys), staleKeys(keys)
		return act(w, idsOf(keys))
	})
	if err != nil {
		return nil, err
	}
	if prior != nil {
		return readBulk(prior).Keys, nil
	}
	return idsOf(keys), nil
}

// candidates are the ids that match before they are locked, at most the limit.
func (s *Store) candidates(ctx context.Context, w *work, q apikeys.KeyQuery, unrevoked bool) ([]uuid.UUID, error) {
	limit, filter := limitOf(q.Limit), s.keyFilter(q, unrevoked)
	switch {
	case q.ID != uuid.Nil:
		return []uuid.UUID{q.ID}, nil
	case !q.EndedBefore.IsZero():
		return s.ended(ctx, w, s.dialect.Time(q.EndedBefore), filter, limit)
	}
	query, args := s.keysBy(q)
	return s.keyIDs(ctx, w, query, append(append(args, filter...), limit))
}

// ended selects old keys by when they ended: they are few, and the ids of those
// that live on are greater, so that a list by id would read all of these first.
func (s *Store) ended(ctx context.Context, w *work, before any, filter []any, limit int) ([]uuid.UUID, error) {
	args := append([]any{before}, filter...)
	revoked, err := s.keyIDs(ctx, w, s.st.KeysRevoked, append(slices.Clone(args), limit))
	if err != nil || len(revoked) == limit {
		return revoked, err
	}
	// Some may be both: with as many more, the limit is reached if it can be.
	expired, err := s.keyIDs(ctx, w, s.st.KeysExpired, append(args, min(limit+len(revoked), noLimit)))
	both := append(revoked, expired...)
	slices.SortFunc(both, compareIDs)
	both = slices.Compact(both)
	return both[:min(len(both), limit)], err
}

func (s *Store) keyIDs(ctx context.Context, w *work, query string, args []any) ([]uuid.UUID, error) {
	keys, err := all(ctx, w, s.scanKey, query, args...)
	ids := make([]uuid.UUID, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	return ids, err
}

// lockKeys locks those candidates that still match.
func (s *Store) lockKeys(ctx context.Context, w *work, ids []uuid.UUID, q apikeys.KeyQuery, unrevoked bool) ([]keyOf, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	args := append([]any{s.dialect.IDs(ids)}, s.keyFilter(q, unrevoked)...)
	return all(ctx, w, func(scan row) (k keyOf, err error) {
		err = scan(s.dialect.ScanID(&k.id), s.dialect.ScanID(&k.organization))
		return k, err
	}, s.st.LockKeys, append(args, limitOf(q.Limit))...)
}
