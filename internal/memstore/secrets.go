package memstore

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// secretsOf returns a key's secrets, the newest first.
func (s *Store) secretsOf(id uuid.UUID) []apikeys.SecretRecord {
	var found []apikeys.SecretRecord
	for _, secret := range s.secrets {
		if secret.KeyID == id {
			found = append(found, secret)
		}
	}
	slices.SortFunc(found, func(a, b apikeys.SecretRecord) int {
		return cmp.Or(-cmp.Compare(a.Number, b.Number), cmp.Compare(a.SigningID, b.SigningID))
	})
	return found
}

// RotateKey implements [apikeys.Store].
func (s *Store) RotateKey(ctx context.Context, m apikeys.Mutation, ref apikeys.KeyRef, rotation apikeys.Rotation) (apikeys.KeyRecord, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return apikeys.KeyRecord{}, err
	}
	defer unlock()
	k, err := s.key(ref)
	if err != nil || s.applied(m) {
		return cloneKey(k), err
	}
	if k.Status(m.At) != apikeys.StatusActive || rotation.IfVersion != 0 && rotation.IfVersion != k.Version {
		return apikeys.KeyRecord{}, apikeys.ErrConflict
	}
	if _, taken := s.secrets[rotation.Secret.Hash]; taken {
		return apikeys.KeyRecord{}, apikeys.ErrAlreadyExists
	}
	rotation.Secret.KeyID = k.ID
	rotation.Secret.Number = s.endSecrets(k.ID, rotation.OldEndsAt, m.At) + 1
	s.secrets[rotation.Secret.Hash] = rotation.Secret
	hints := map[string]any{"before": map[string]any{"hint": k.Hint}, "after": map[string]any{"hint": rotation.Secret.Hint}}
	k.Hint, k.UpdatedAt = rotation.Secret.Hint, m.At
	k.Version++
	s.keys[k.ID] = k
	s.record(m, apikeys.EventRecord{
		OrganizationID: k.OrganizationID, Kind: apikeys.KindKey, SubjectID: k.ID, Detail: detail(m, hints),
	}, staleKey(k.ID))
	return cloneKey(k), nil
}

// endSecrets ends the newest secret and all older ones, none later than it
// would have ended anyway, and returns the newest one's number. The zero time is never.
func (s *Store) endSecrets(id uuid.UUID, newest, older time.Time) int {
	secrets := s.secretsOf(id)
	if len(secrets) == 0 {
		return 0
	}
	for _, secret := range secrets {
		end := older
		if secret.Number == secrets[0].Number {
			end = newest
		}
		if !end.IsZero() && (secret.EndsAt.IsZero() || end.Before(secret.EndsAt)) {
			secret.EndsAt = end
			s.secrets[secret.Hash] = secret
		}
	}
	return secrets[0].Number
}

// AddHash implements [apikeys.Store].
func (s *Store) AddHash(ctx context.Context, added apikeys.SecretRecord) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	secrets := s.secretsOf(added.KeyID)
	i := slices.IndexFunc(secrets, func(r apikeys.SecretRecord) bool { return r.Number == added.Number })
	if i < 0 {
		return notFound(apikeys.KindKey, added.KeyID)
	}
	if standing, taken := s.secrets[added.Hash]; taken {
		if standing.KeyID == added.KeyID && standing.Number == added.Number {
			return nil
		}
		return apikeys.ErrAlreadyExists
	}
	like := secrets[i]
	like.Hash, like.SigningID = added.Hash, added.SigningID
	s.secrets[like.Hash] = like
	return nil
}

// CountHashes implements [apikeys.Store].
func (s *Store) CountHashes(ctx context.Context, at time.Time) (map[string]apikeys.HashCount, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	all, lost := map[string]map[uuid.UUID]bool{}, map[string]map[uuid.UUID]bool{}
	for _, secret := range s.secrets {
		enter(all, secret)
		if s.isLive(secret, at) && !s.hasOtherHash(secret) {
			enter(lost, secret)
		}
	}
	counts := map[string]apikeys.HashCount{}
	for id, keys := range all {
		counts[id] = apikeys.HashCount{Keys: int64(len(keys)), Only: int64(len(lost[id]))}
	}
	return counts, nil
}

func enter(keys map[string]map[uuid.UUID]bool, secret apikeys.SecretRecord) {
	if keys[secret.SigningID] == nil {
		keys[secret.SigningID] = map[uuid.UUID]bool{}
	}
	keys[secret.SigningID][secret.KeyID] = true
}

// isLive tells whether a secret, and its key, have not ended.
func (s *Store) isLive(secret apikeys.SecretRecord, at time.Time) bool {
	k := s.keys[secret.KeyID]
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(at)) &&
		(secret.EndsAt.IsZero() || secret.EndsAt.After(at))
}

// hasOtherHash tells whether a secret is known under another signing secret too.
func (s *Store) hasOtherHash(secret apikeys.SecretRecord) bool {
	for _, other := range s.secrets {
		if other.KeyID == secret.KeyID && other.Number == secret.Number && other.SigningID != secret.SigningID {
			return true
		}
	}
	return false
}

// DeleteHashes implements [apikeys.Store].
func (s *Store) DeleteHashes(ctx context.Context, m apikeys.Mutation, signingID string, limit int) (int, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if s.applied(m) {
		return s.hashesOf(m), nil
	}
	deleted := 0
	for hash, secret := range s.secrets {
		if secret.SigningID == signingID && deleted < limit {
			delete(s.secrets, hash)
			deleted++
		}
	}
	e := apikeys.EventRecord{Kind: apikeys.KindSecret, Detail: detail(m, map[string]any{"hashes": deleted})}
	switch {
	case deleted > 0:
		s.record(m, e, apikeys.Change{Kind: apikeys.ChangeAll})
	case limit == 0:
		s.record(m, e)
	}
	return deleted, nil
}

// hashesOf returns how many hashes an operation deleted.
func (s *Store) hashesOf(m apikeys.Mutation) int {
	var d struct{ Hashes int }
	_ = json.Unmarshal(s.events[m.ID].Detail, &d) // as DeleteHashes wrote it
	return d.Hashes
}
