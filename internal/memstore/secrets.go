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
	k.Hint, k.UpdatedAt = rotation.Secret.Hint, m.At
	k.Version++
	s.keys[k.ID] = k
	s.record(m, apikeys.EventRecord{
		OrganizationID: k.OrganizationID, Kind: apikeys.KindKey, SubjectID: k.ID,
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
func (s *Store) CountHashes(ctx context.Context) (map[string]apikeys.HashCount, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	signings := map[uuid.UUID]map[string]bool{}
	for _, secret := range s.secrets {
		if signings[secret.KeyID] == nil {
			signings[secret.KeyID] = map[string]bool{}
		}
		signings[secret.KeyID][secret.SigningID] = true
	}
	counts := map[string]apikeys.HashCount{}
	for _, ids := range signings {
		for id := range ids {
			c := counts[id]
			c.Keys++
			if len(ids) == 1 {
				c.Only++
			}
			counts[id] = c
		}
	}
	return counts, nil
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
	if deleted > 0 {
		e := apikeys.EventRecord{Kind: apikeys.KindKey, Detail: detail(m, map[string]any{"hashes": deleted})}
		s.record(m, e, apikeys.Change{Kind: apikeys.ChangeAll})
	}
	return deleted, nil
}

// hashesOf returns how many hashes an operation deleted.
func (s *Store) hashesOf(m apikeys.Mutation) int {
	var d struct{ Hashes int }
	_ = json.Unmarshal(s.events[m.ID].Detail, &d) // as DeleteHashes wrote it
	return d.Hashes
}
