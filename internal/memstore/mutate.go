package memstore

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// UpdateKey implements [apikeys.Store].
func (s *Store) UpdateKey(ctx context.Context, m apikeys.Mutation, ref apikeys.KeyRef, change apikeys.KeyChange) (apikeys.KeyRecord, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return apikeys.KeyRecord{}, err
	}
	defer unlock()
	k, err := s.key(ref)
	if err != nil || s.applied(m) {
		return cloneKey(k), err
	}
	old := k
	changed, err := change.Apply(&k, m.At)
	if err != nil {
		return apikeys.KeyRecord{}, err
	}
	if changed {
		s.keys[k.ID] = cloneKey(k)
		s.record(m, apikeys.EventRecord{
			OrganizationID: k.OrganizationID, Kind: apikeys.KindKey, SubjectID: k.ID,
			Detail: detail(m, differences(old, k)),
		}, staleKey(k.ID))
	}
	return cloneKey(k), nil
}

// differences are the fields that differ, as they were before and are after.
func differences(old, k apikeys.KeyRecord) map[string]any {
	before, after := changeable(old), changeable(k)
	for name := range before {
		if string(before[name]) == string(after[name]) {
			delete(before, name)
			delete(after, name)
		}
	}
	return map[string]any{"before": before, "after": after}
}

func changeable(k apikeys.KeyRecord) map[string]json.RawMessage {
	fields := map[string]json.RawMessage{}
	for name, value := range map[string]any{
		"name": k.Name, "scopes": k.Scopes, "rate_limits": k.RateLimits, "custom": k.Custom,
		"expires_at": k.ExpiresAt, "disabled_at": k.DisabledAt,
		"revoked_at": k.RevokedAt, "revoked_reason": k.RevokedReason,
	} {
		fields[name], _ = json.Marshal(value)
	}
	return fields
}

// RevokeKeys implements [apikeys.Store].
func (s *Store) RevokeKeys(ctx context.Context, m apikeys.Mutation, q apikeys.KeyQuery, reason string) ([]uuid.UUID, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if s.applied(m) {
		return s.keysOf(m), nil
	}
	found := s.matching(q, func(k apikeys.KeyRecord) bool { return k.RevokedAt.IsZero() })
	for _, k := range found {
		k.RevokedAt, k.RevokedReason, k.UpdatedAt = m.At, reason, m.At
		k.Version++
		s.keys[k.ID] = k
	}
	return s.recordKeys(m, found), nil
}

// DeleteKeys implements [apikeys.Store].
func (s *Store) DeleteKeys(ctx context.Context, m apikeys.Mutation, q apikeys.KeyQuery) ([]uuid.UUID, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if s.applied(m) {
		return s.keysOf(m), nil
	}
	found := s.matching(q, func(apikeys.KeyRecord) bool { return true })
	for _, k := range found {
		s.deleteKey(k.ID)
	}
	return s.recordKeys(m, found), nil
}

func (s *Store) deleteKey(id uuid.UUID) {
	delete(s.keys, id)
	maps.DeleteFunc(s.secrets, func(_ apikeys.Hash, r apikeys.SecretRecord) bool { return r.KeyID == id })
	maps.DeleteFunc(s.hours, func(h hourID, _ apikeys.UsageDelta) bool { return h.key == id })
	for eventID, e := range s.events {
		if e.SubjectID == id {
			e.Detail = json.RawMessage("{}")
			s.events[eventID] = e
		}
	}
}

// recordKeys ends a bulk operation, if it found anything, and returns the ids.
func (s *Store) recordKeys(m apikeys.Mutation, keys []apikeys.KeyRecord) []uuid.UUID {
	if len(keys) == 0 {
		return nil
	}
	s.record(m, eventOfKeys(m, keys), staleKeys(keys)...)
	return idsOf(keys)
}

// keysOf returns the keys that a bulk operation was applied to.
func (s *Store) keysOf(m apikeys.Mutation) []uuid.UUID {
	var d struct{ Keys []uuid.UUID }
	_ = json.Unmarshal(s.events[m.ID].Detail, &d) // as eventOfKeys wrote it
	return d.Keys
}
