package sqlstore

import (
	"context"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// RotateKey implements [apikeys.Store].
func (s *Store) RotateKey(ctx context.Context, m apikeys.Mutation, ref apikeys.KeyRef, rotation apikeys.Rotation) (apikeys.KeyRecord, error) {
	return s.changeKey(ctx, m, ref, func(w *work, k *apikeys.KeyRecord) error {
		if k.Status(m.At) != apikeys.StatusActive || rotation.IfVersion != 0 && rotation.IfVersion != k.Version {
			return apikeys.ErrConflict
		}
		newest, err := s.endSecrets(ctx, w, *k, rotation.OldEndsAt)
		if err != nil {
			return err
		}
		next := rotation.Secret
		next.KeyID, next.Number = k.ID, newest+1
		inserted, err := insert(ctx, w, s.st.InsertSecret, s.secretArgs(next)...)
		if err != nil {
			return err
		}
		if !inserted {
			return apikeys.ErrAlreadyExists
		}
		w.detail = map[string]any{"before": map[string]any{"hint": k.Hint}, "after": map[string]any{"hint": next.Hint}}
		k.Hint, k.UpdatedAt = next.Hint, m.At
		k.Version++
		return nil
	})
}

// endSecrets ends the newest secret of a locked key at a time and all older ones
// now, none later than it would have ended anyway, and returns the number of the
// newest. All hashes of a secret end with it.
func (s *Store) endSecrets(ctx context.Context, w *work, k apikeys.KeyRecord, newestEnds time.Time) (newest int, err error) {
	id := s.dialect.ID(k.ID)
	secrets, err := all(ctx, w, s.scanSecret, s.st.Secrets, id)
	if err != nil || len(secrets) == 0 {
		return 0, err
	}
	newest = secrets[0].Number
	now := s.dialect.Time(w.m.At)
	steps := []func() error{exec(ctx, w, s.st.EndOlder, now, id, newest, now)}
	if !newestEnds.IsZero() { // the zero time is never, as everywhere
		end := s.dialect.Time(newestEnds)
		steps = append(steps, exec(ctx, w, s.st.EndSecret, end, id, newest, end))
	}
	return newest, run(steps...)
}

// AddHash implements [apikeys.Store]. It locks the key: a rotation that runs beside
// it would end the hashes it sees, and this one would go on without an end.
func (s *Store) AddHash(ctx context.Context, added apikeys.SecretRecord) error {
	return s.transact(ctx, TxOptions{}, func(tx Tx) error {
		ref := apikeys.KeyRef{ID: added.KeyID}
		if _, err := one(ctx, tx, s.scanKey, s.st.LockKey, s.keyRefArgs(ref)...); err != nil {
			return err
		}
		secrets, err := all(ctx, tx, s.scanSecret, s.st.Secrets, s.dialect.ID(added.KeyID))
		if err != nil {
			return err
		}
		like, err := likeness(secrets, added)
		if err != nil {
			return err
		}
		inserted, err := insert(ctx, tx, s.st.InsertSecret, s.secretArgs(like)...)
		if err == nil && !inserted {
			return apikeys.ErrAlreadyExists
		}
		return err
	})
}

// likeness is the secret that has the added hash's number, with that hash. When it
// has the hash already, there is nothing to do.
func likeness(secrets []apikeys.SecretRecord, added apikeys.SecretRecord) (apikeys.SecretRecord, error) {
	var like apikeys.SecretRecord
	for _, secret := range secrets {
		if secret.Number != added.Number {
			continue
		}
		if secret.Hash == added.Hash {
			return like, errNothing
		}
		like = secret
	}
	if like.Number == 0 {
		return like, apikeys.ErrNotFound
	}
	like.KeyID, like.Hash, like.SigningID = added.KeyID, added.Hash, added.SigningID
	return like, nil
}

// CountHashes implements [apikeys.Store].
func (s *Store) CountHashes(ctx context.Context, at time.Time) (map[string]apikeys.HashCount, error) {
	type line struct {
		signingID string
		count     apikeys.HashCount
	}
	var lines []line
	err := s.read(ctx, func(c Conn) (err error) {
		lines, err = all(ctx, c, func(scan row) (l line, err error) {
			err = scan(&l.signingID, &l.count.Keys, &l.count.Only)
			return l, err
		}, s.st.CountHashes, s.dialect.Time(at), s.dialect.Time(at))
		return err
	})
	if err != nil {
		return nil, err
	}
	counts := map[string]apikeys.HashCount{}
	for _, l := range lines {
		counts[l.signingID] = l.count
	}
	return counts, nil
}

// DeleteHashes implements [apikeys.Store].
func (s *Store) DeleteHashes(ctx context.Context, m apikeys.Mutation, signingID string, limit int) (int, error) {
	var deleted int64
	prior, err := s.mutate(ctx, m, func(w *work) (err error) {
		w.about.Kind = apikeys.KindSecret
		if limit == 0 {
			w.detail = map[string]any{"hashes": 0}
			return nil
		}
		deleted, err = w.Exec(ctx, s.st.DeleteHashes, signingID, limit)
		if err == nil && deleted == 0 {
			return errNothing
		}
		w.detail = map[string]any{"hashes": deleted}
		w.stale = []apikeys.Change{{Kind: apikeys.ChangeAll}}
		return err
	})
	if err != nil {
		return 0, err
	}
	if prior != nil {
		return readBulk(prior).Hashes, nil
	}
	return int(deleted), nil
}
