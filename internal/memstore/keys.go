package memstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// CreateKeys implements [apikeys.Store].
func (s *Store) CreateKeys(ctx context.Context, m apikeys.Mutation, keys []apikeys.KeyRecord) ([]error, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	again := s.applied(m)
	results := make([]error, len(keys))
	var created []apikeys.KeyRecord
	for i, k := range keys {
		if results[i] = s.obstacle(k, again); results[i] == nil && !again {
			s.secrets[k.Secret.Hash] = k.Secret
			s.keys[k.ID] = bare(cloneKey(k))
			created = append(created, k)
		}
	}
	if len(created) > 0 {
		s.record(m, eventOfKeys(m, created))
	}
	return results, nil
}

// obstacle tells why a key cannot be created or, when it should have been
// created before, why it is not there.
func (s *Store) obstacle(k apikeys.KeyRecord, again bool) error {
	_, idTaken := s.keys[k.ID]
	standing, hashTaken := s.secrets[k.Secret.Hash]
	switch {
	case again && idTaken && standing.KeyID == k.ID:
		return nil
	case !again && s.orphan(k):
		return apikeys.ErrNotFound
	case idTaken || hashTaken:
		return apikeys.ErrAlreadyExists
	case again:
		return apikeys.ErrNotFound
	}
	return nil
}

// orphan tells of a key whose organization, project or product is not there.
func (s *Store) orphan(k apikeys.KeyRecord) bool {
	return !s.is(apikeys.KindOrganization, k.OrganizationID, k.OrganizationID) ||
		k.ProjectID != uuid.Nil && !s.is(apikeys.KindProject, k.ProjectID, k.OrganizationID) ||
		k.ProductID != uuid.Nil && !s.is(apikeys.KindProduct, k.ProductID, k.OrganizationID)
}

// bare is k without what lives in other tables.
func bare(k apikeys.KeyRecord) apikeys.KeyRecord {
	k.Secret, k.SuspendedAt, k.Linked = apikeys.SecretRecord{}, time.Time{}, false
	return k
}

func cloneKey(k apikeys.KeyRecord) apikeys.KeyRecord {
	k.Scopes = slices.Clone(k.Scopes)
	k.RateLimits = slices.Clone(k.RateLimits)
	k.Custom = bytes.Clone(k.Custom)
	return k
}

// eventOfKeys names the key when it is one, and the organization when it is one.
func eventOfKeys(m apikeys.Mutation, keys []apikeys.KeyRecord) apikeys.EventRecord {
	e := apikeys.EventRecord{
		Kind:           apikeys.KindKey,
		OrganizationID: oneOrganization(keys),
		Detail:         detail(m, map[string]any{"keys": idsOf(keys)}),
	}
	if len(keys) == 1 {
		e.SubjectID = keys[0].ID
	}
	return e
}

// oneOrganization is the organization of all these keys; uuid.Nil when they are of several.
func oneOrganization(keys []apikeys.KeyRecord) uuid.UUID {
	for _, k := range keys {
		if k.OrganizationID != keys[0].OrganizationID {
			return uuid.Nil
		}
	}
	return keys[0].OrganizationID
}

func idsOf(keys []apikeys.KeyRecord) []uuid.UUID {
	ids := make([]uuid.UUID, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	return ids
}

// KeysByHash implements [apikeys.Store].
func (s *Store) KeysByHash(ctx context.Context, hashes []apikeys.Hash) ([]apikeys.KeyRecord, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var found []apikeys.KeyRecord
	for _, h := range hashes {
		secret, ok := s.secrets[h]
		if !ok {
			continue
		}
		k := cloneKey(s.keys[secret.KeyID])
		k.Secret = secret
		k.SuspendedAt = s.resources[k.OrganizationID].SuspendedAt
		k.Linked = s.links[link{k.ProjectID, k.ProductID}]
		found = append(found, k)
	}
	return found, nil
}

// GetKey implements [apikeys.Store].
func (s *Store) GetKey(ctx context.Context, ref apikeys.KeyRef) (apikeys.KeyRecord, []apikeys.SecretRecord, error) {
	unlock, err := s.lockFolded(ctx)
	if err != nil {
		return apikeys.KeyRecord{}, nil, err
	}
	defer unlock()
	k, err := s.key(ref)
	if err != nil {
		return apikeys.KeyRecord{}, nil, err
	}
	return cloneKey(k), s.secretsOf(ref.ID), nil
}

func (s *Store) key(ref apikeys.KeyRef) (apikeys.KeyRecord, error) {
	k, ok := s.keys[ref.ID]
	if !ok || !within(k, ref.Scope) {
		return apikeys.KeyRecord{}, notFound(apikeys.KindKey, ref.ID)
	}
	return k, nil
}

func within(k apikeys.KeyRecord, scope apikeys.Scope) bool {
	return asked(scope.OrganizationID, k.OrganizationID) && asked(scope.OwnerID, k.OwnerID)
}

// ListKeys implements [apikeys.Store].
func (s *Store) ListKeys(ctx context.Context, q apikeys.KeyQuery) ([]apikeys.KeyRecord, error) {
	unlock, err := s.lockFolded(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if q.Expiring != nil {
		return s.expiring(q), nil
	}
	return s.matching(q, func(apikeys.KeyRecord) bool { return true }), nil
}

// expiring lists keys in the order of their ends.
func (s *Store) expiring(q apikeys.KeyQuery) []apikeys.KeyRecord {
	place := func(k apikeys.KeyRecord) apikeys.ExpiryMark { return apikeys.ExpiryMark{At: k.ExpiresAt, ID: k.ID} }
	all := q
	all.Limit = len(s.keys)
	found := s.matching(all, func(k apikeys.KeyRecord) bool {
		return !k.ExpiresAt.IsZero() && compareEnds(place(k), *q.Expiring) > 0
	})
	slices.SortFunc(found, func(a, b apikeys.KeyRecord) int { return compareEnds(place(a), place(b)) })
	return found[:min(len(found), q.Limit)]
}

func compareEnds(a, b apikeys.ExpiryMark) int {
	return cmp.Or(a.At.Compare(b.At), bytes.Compare(a.ID[:], b.ID[:]))
}

func (s *Store) matching(q apikeys.KeyQuery, also func(apikeys.KeyRecord) bool) []apikeys.KeyRecord {
	return pick(s.keys, q.Limit, func(k apikeys.KeyRecord) bool {
		return within(k, q.Scope) && asked(q.ID, k.ID) && before(k.ID, q.Before) &&
			asked(q.ProjectID, k.ProjectID) && asked(q.ProductID, k.ProductID) &&
			(q.Status == apikeys.StatusAll || asked(q.Status, k.Status(q.Now))) &&
			searched(k, q.Search) && timely(k, q) && also(k)
	}, cloneKey)
}

func searched(k apikeys.KeyRecord, search string) bool {
	search = strings.ToLower(search)
	return strings.Contains(strings.ToLower(k.Name), search) || strings.Contains(strings.ToLower(k.Hint), search)
}

func timely(k apikeys.KeyRecord, q apikeys.KeyQuery) bool {
	revoked := !k.RevokedAt.IsZero() && k.RevokedAt.Before(q.EndedBefore)
	expired := !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(q.EndedBefore)
	return (q.CreatedBefore.IsZero() || k.CreatedAt.Before(q.CreatedBefore)) &&
		(q.ExpiresBefore.IsZero() || !k.ExpiresAt.IsZero() && k.ExpiresAt.Before(q.ExpiresBefore)) &&
		(q.EndedBefore.IsZero() || revoked || expired)
}
