package sqlstore

import (
	"context"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// CreateKeys implements [apikeys.Store].
func (s *Store) CreateKeys(ctx context.Context, m apikeys.Mutation, keys []apikeys.KeyRecord) (faults []error, err error) {
	prior, err := s.mutate(ctx, m, func(w *work) (err error) {
		faults, err = s.createKeys(ctx, w, keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	if prior != nil {
		return s.standing(ctx, keys)
	}
	return faults, nil
}

// createKeys inserts in bulk: all keys, then the secrets of those that went in,
// then the usage of those whose secret did.
func (s *Store) createKeys(ctx context.Context, w *work, keys []apikeys.KeyRecord) ([]error, error) {
	faults, err := s.orphans(ctx, w, keys)
	if err != nil {
		return nil, err
	}
	steps := []func() error{
		s.insertEach(ctx, w, s.st.InsertKey, keys, faults, s.keyArgs, nil),
		// A hash that is taken takes its key back out.
		s.insertEach(ctx, w, s.st.InsertSecret, keys, faults, func(k apikeys.KeyRecord) []any {
			k.Secret.KeyID = k.ID
			return s.secretArgs(k.Secret)
		}, func(k apikeys.KeyRecord) error {
			return exec(ctx, w, s.st.DeleteKey, s.dialect.ID(k.ID))()
		}),
		s.insertEach(ctx, w, s.st.InsertUsage, keys, faults, func(k apikeys.KeyRecord) []any {
			return []any{s.dialect.ID(k.ID), k.UseCount, s.dialect.NullTime(k.LastUsedAt)}
		}, nil),
	}
	if err := run(steps...); err != nil {
		return nil, err
	}
	created := created(keys, faults)
	if len(created) == 0 {
		return faults, errNothing
	}
	w.about, w.detail = aboutKeys(created), detailOf(created)
	return faults, nil
}

// orphans finds the keys whose organization, project or product is not there. The
// others cannot lose theirs before the transaction ends.
func (s *Store) orphans(ctx context.Context, w *work, keys []apikeys.KeyRecord) ([]error, error) {
	var ids []uuid.UUID
	seen := map[uuid.UUID]bool{uuid.Nil: true}
	for _, k := range keys {
		for _, id := range []uuid.UUID{k.OrganizationID, k.ProjectID, k.ProductID} {
			if !seen[id] {
				ids = append(ids, id)
			}
			seen[id] = true
		}
	}
	there, err := s.share(ctx, w, ids...)
	faults := make([]error, len(keys))
	for i, k := range keys {
		if !there.is(apikeys.KindOrganization, k.OrganizationID, k.OrganizationID) ||
			k.ProjectID != uuid.Nil && !there.is(apikeys.KindProject, k.ProjectID, k.OrganizationID) ||
			k.ProductID != uuid.Nil && !there.is(apikeys.KindProduct, k.ProductID, k.OrganizationID) {
			faults[i] = apikeys.ErrNotFound
		}
	}
	return faults, err
}

// insertEach is a step that inserts one row for each key without a fault. Those
// that are refused get one, and are undone.
func (s *Store) insertEach(ctx context.Context, w *work, query string, keys []apikeys.KeyRecord, faults []error,
	args func(apikeys.KeyRecord) []any, undo func(apikeys.KeyRecord) error) func() error {
	return func() error {
		var rows [][]any
		var of []int // which key each row is of
		for i, k := range keys {
			if faults[i] == nil {
				rows, of = append(rows, args(k)), append(of, i)
			}
		}
		if len(rows) == 0 {
			return nil
		}
		affected, err := w.ExecEach(ctx, query, rows)
		if err != nil {
			return err
		}
		for n, i := range of {
			if affected[n] > 0 {
				continue
			}
			faults[i] = apikeys.ErrAlreadyExists
			if undo == nil {
				continue
			}
			if err := undo(keys[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

// standing tells which of the keys are there that were created before, and why
// the others are not.
func (s *Store) standing(ctx context.Context, keys []apikeys.KeyRecord) ([]error, error) {
	faults := make([]error, len(keys))
	err := s.read(ctx, func(c Conn) error {
		for i, k := range keys {
			var taken bool
			var holder uuid.UUID
			_, err := one(ctx, c, func(scan row) (bool, error) {
				return true, scan(&taken, s.dialect.ScanID(&holder))
			}, s.st.KeyStanding, s.dialect.ID(k.ID), s.dialect.Hash(k.Secret.Hash))
			switch {
			case err != nil:
				return err
			case taken && holder == k.ID:
				faults[i] = nil
			case taken || holder != uuid.Nil:
				faults[i] = apikeys.ErrAlreadyExists
			default:
				faults[i] = apikeys.ErrNotFound
			}
		}
		return nil
	})
	return faults, err
}

// keyOf is a key's id and its organization's.
type keyOf struct{ id, organization uuid.UUID }

func created(keys []apikeys.KeyRecord, faults []error) []keyOf {
	var list []keyOf
	for i, k := range keys {
		if faults[i] == nil {
			list = append(list, keyOf{k.ID, k.OrganizationID})
		}
	}
	return list
}

func idsOf(keys []keyOf) []uuid.UUID {
	ids := make([]uuid.UUID, len(keys))
	for i, k := range keys {
		ids[i] = k.id
	}
	return ids
}

// commonOrganization is the one that all these keys are of; uuid.Nil when they
// are of several.
func commonOrganization(keys []keyOf) uuid.UUID {
	for _, k := range keys {
		if k.organization != keys[0].organization {
			return uuid.Nil
		}
	}
	return keys[0].organization
}

// aboutKeys names the key when it is one.
func aboutKeys(keys []keyOf) apikeys.EventRecord {
	e := apikeys.EventRecord{Kind: apikeys.KindKey, OrganizationID: commonOrganization(keys)}
	if len(keys) == 1 {
		e.SubjectID = keys[0].id
	}
	return e
}

func detailOf(keys []keyOf) map[string]any { return map[string]any{"keys": idsOf(keys)} }

// GetKey implements [apikeys.Store].
func (s *Store) GetKey(ctx context.Context, ref apikeys.KeyRef) (k apikeys.KeyRecord, secrets []apikeys.SecretRecord, err error) {
	if err := s.foldFirst(ctx); err != nil {
		return k, nil, err
	}
	if impossible(ref.Scope) {
		return k, nil, apikeys.ErrNotFound
	}
	var rows []keyRow
	err = s.read(ctx, func(c Conn) (err error) {
		rows, err = all(ctx, c, s.scanKeyAndSecret, s.st.KeyAndSecrets, s.keyRefArgs(ref)...)
		return err
	})
	if err == nil && len(rows) == 0 {
		err = apikeys.ErrNotFound
	}
	if err != nil {
		return k, nil, err
	}
	for _, r := range rows {
		if r.Secret.Number > 0 {
			secrets = append(secrets, r.Secret)
		}
	}
	rows[0].Secret = apikeys.SecretRecord{}
	k, err = rows[0].record()
	return k, secrets, err
}

func (s *Store) scanKeyAndSecret(scan row) (k keyRow, err error) {
	err = scan(append(s.keyTargets(&k), s.secretTargets(&k.Secret)...)...)
	k.Secret.KeyID = k.ID
	return k, err
}

func (s *Store) keyRefArgs(ref apikeys.KeyRef) []any {
	return append([]any{s.dialect.ID(ref.ID)}, s.scopeArgs(ref.Scope)...)
}

// key reads a key without its secrets.
func (s *Store) key(ctx context.Context, ref apikeys.KeyRef) (k apikeys.KeyRecord, err error) {
	err = s.read(ctx, func(c Conn) (err error) {
		k, err = one(ctx, c, s.scanKey, s.st.Key, s.keyRefArgs(ref)...)
		return err
	})
	return k, err
}

// KeysByHash implements [apikeys.Store].
func (s *Store) KeysByHash(ctx context.Context, hashes []apikeys.Hash) (found []apikeys.KeyRecord, err error) {
	if len(hashes) == 0 {
		return nil, nil
	}
	query, arg := s.st.KeyByHash, s.dialect.Hash(hashes[0])
	if len(hashes) > 1 {
		list := make([][32]byte, len(hashes))
		for i, h := range hashes {
			list[i] = h
		}
		query, arg = s.st.KeysByHashes, s.dialect.Hashes(list)
	}
	err = s.read(ctx, func(c Conn) (err error) {
		found, err = all(ctx, c, s.scanFound, query, arg)
		return err
	})
	return found, err
}

// UpdateKey implements [apikeys.Store].
func (s *Store) UpdateKey(ctx context.Context, m apikeys.Mutation, ref apikeys.KeyRef, change apikeys.KeyChange) (k apikeys.KeyRecord, err error) {
	return s.changeKey(ctx, m, ref, func(w *work, k *apikeys.KeyRecord) error {
		old := *k
		changed, err := change.Apply(k, m.At)
		if err != nil {
			return err
		}
		if !changed {
			return errNothing
		}
		w.detail = differences(old, *k)
		return nil
	})
}

// changeKey locks a key, changes it, and writes the whole row.
func (s *Store) changeKey(ctx context.Context, m apikeys.Mutation, ref apikeys.KeyRef,
	change func(*work, *apikeys.KeyRecord) error) (k apikeys.KeyRecord, err error) {
	if impossible(ref.Scope) {
		return k, apikeys.ErrNotFound
	}
	prior, err := s.mutate(ctx, m, func(w *work) (err error) {
		k, err = one(ctx, w, s.scanKey, s.st.LockKey, s.keyRefArgs(ref)...)
		if err != nil {
			return err
		}
		w.about = aboutKeys([]keyOf{{k.ID, k.OrganizationID}})
		w.stale = []apikeys.Change{staleKey(k.ID)}
		if err := change(w, &k); err != nil {
			return err
		}
		_, err = w.Exec(ctx, s.st.UpdateKey, s.changedKeyArgs(k)...)
		return err
	})
	if err != nil {
		return apikeys.KeyRecord{}, err
	}
	if prior != nil {
		return s.key(ctx, ref)
	}
	return k, nil
}
