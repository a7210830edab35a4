package difftest_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func (m *machine) newKey(id uuid.UUID) apikeys.KeyRecord {
	created, organization := one(m.t, "created", times()), m.organization("organization")
	k := apikeys.KeyRecord{
		ID: id, OrganizationID: organization,
		ProjectID: m.bound(apikeys.KindProject, organization), ProductID: m.bound(apikeys.KindProduct, organization),
		OwnerID: maybe(m.t, "owner", owners()), Environment: one(m.t, "environment", []string{"", "live"}), Head: "sk",
		Hint: m.hint(), Name: one(m.t, "name", texts()), Scopes: one(m.t, "scopes", scopeLists()),
		RateLimits: one(m.t, "limits", limitLists()), ExpiresAt: maybe(m.t, "expires", times()),
		Custom: one(m.t, "custom", documents()), CreatedAt: created, UpdatedAt: created,
		DisabledAt: maybe(m.t, "disabled", times()), Version: 1,
	}
	if oneIn(4, m.t, "imported?") {
		k.UseCount, k.LastUsedAt = m.count(), maybe(m.t, "last used", times())
		k.RevokedAt, k.Version = maybe(m.t, "revoked", times()), m.count()
		if !k.RevokedAt.IsZero() {
			k.RevokedReason = one(m.t, "reason", texts())
		}
	}
	k.Secret = m.newSecret(k.ID, 1)
	k.Secret.Hint = k.Hint
	return k
}

// plainKey is one that can be created, if it is the first.
func (m *machine) plainKey(id uuid.UUID) apikeys.KeyRecord {
	k := m.newKey(id)
	k.OrganizationID, k.ProjectID, k.ProductID = m.w.organizations[0], uuid.Nil, uuid.Nil
	return k
}

// bound is what a key is bound to of a kind: usually nothing, else usually one that its
// organization has.
func (m *machine) bound(kind apikeys.ResourceKind, organization uuid.UUID) uuid.UUID {
	if !oneIn(3, m.t, "bound to a "+string(kind)) {
		return uuid.Nil
	}
	return m.resource(kind, organization)
}

// count is positive.
func (m *machine) count() int64 { return one(m.t, "count", []int64{1, 2, 3, 1 << 40}) }

// hint is like no other check's, so that a search can be for the keys of this one.
func (m *machine) hint() string {
	return fmt.Sprintf("sk_%s%s…x9Qz", m.w.tag, one(m.t, "hint", []string{"Ab3d", "aB3D", "%___"}))
}

func (m *machine) newSecret(id uuid.UUID, number int) apikeys.SecretRecord {
	return apikeys.SecretRecord{
		KeyID: id, Number: number, Hash: mostly(m.t, "hash", m.freeHashes(), m.w.hashes), SigningID: one(m.t, "signing", m.w.signings),
		Hint: m.hint(), CreatedAt: one(m.t, "created", times()), EndsAt: maybe(m.t, "ends", times()),
	}
}

// freeHashes are those that no key has.
func (m *machine) freeHashes() []apikeys.Hash {
	found, _ := m.all[0].store.KeysByHash(m.Context(), m.w.hashes) // the model has no failures
	return slices.DeleteFunc(slices.Clone(m.w.hashes), func(h apikeys.Hash) bool {
		return slices.ContainsFunc(found, func(k apikeys.KeyRecord) bool { return k.Secret.Hash == h })
	})
}

// standingKeys are those that there are.
func (m *machine) standingKeys() []apikeys.KeyRecord {
	for _, p := range m.all[1:] {
		if err := p.store.FoldUsage(m.Context()); err != nil { // as the model does below
			m.Fatalf("%s: FoldUsage: %v", p.name, err)
		}
	}
	found, _ := m.all[0].store.ListKeys(m.Context(), apikeys.KeyQuery{}) // the model has no failures
	return found
}

func (m *machine) standingKeyIDs() []uuid.UUID {
	var ids []uuid.UUID
	for _, k := range m.standingKeys() {
		ids = append(ids, k.ID)
	}
	return ids
}

// key is usually one that there is.
func (m *machine) key() uuid.UUID { return mostly(m.t, "key", m.standingKeyIDs(), m.w.keys) }

// createKeys creates one key, usually a new one, or imports a few.
func (m *machine) createKeys() {
	standing := m.standingKeyIDs()
	free := slices.DeleteFunc(slices.Clone(m.w.keys), func(id uuid.UUID) bool { return slices.Contains(standing, id) })
	ids := []uuid.UUID{mostly(m.t, "key", free, m.w.keys)}
	if oneIn(4, m.t, "import?") {
		ids = some(m.t, "key", m.w.keys)
	}
	keys := make([]apikeys.KeyRecord, len(ids))
	for i, id := range ids {
		keys[i] = m.newKey(id)
	}
	m.storeKeys(keys)
}

func (m *machine) storeKeys(keys []apikeys.KeyRecord) {
	mutation := m.mutation("key.create")
	m.mutate(mutation, m.storing(keys, mutation))
}

func (m *machine) storing(keys []apikeys.KeyRecord, mutation apikeys.Mutation) operation {
	return m.call("CreateKeys", func(ctx context.Context, p *participant) ([]any, error) {
		faults, err := p.store.CreateKeys(ctx, mutation, keys)
		return []any{classes(faults)}, err
	}, mutation, keys)
}

func classes(errs []error) []string {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = class(err)
	}
	return texts
}

func (m *machine) keysByHash() { m.run(m.lookUp(some(m.t, "hash", m.w.hashes))) }

func (m *machine) lookUp(hashes []apikeys.Hash) operation {
	return m.call("KeysByHash", func(ctx context.Context, p *participant) ([]any, error) {
		found, err := p.store.KeysByHash(ctx, hashes)
		slices.SortFunc(found, func(a, b apikeys.KeyRecord) int { // in any order
			return bytes.Compare(a.Secret.Hash[:], b.Secret.Hash[:])
		})
		return []any{found}, err
	}, hashes)
}

func (m *machine) keyRef() apikeys.KeyRef {
	return apikeys.KeyRef{Scope: m.scope(), ID: m.key()}
}

func (m *machine) getKey() { m.run(m.get(m.keyRef())) }

func (m *machine) get(ref apikeys.KeyRef) operation {
	return m.call("GetKey", func(ctx context.Context, p *participant) ([]any, error) {
		k, secrets, err := p.store.GetKey(ctx, ref)
		if !slices.IsSortedFunc(secrets, func(a, b apikeys.SecretRecord) int { return b.Number - a.Number }) {
			return []any{"the secrets are not the newest first"}, err
		}
		slices.SortFunc(secrets, func(a, b apikeys.SecretRecord) int { // those of one number are in any order
			return cmp.Or(b.Number-a.Number, bytes.Compare(a.Hash[:], b.Hash[:]))
		})
		return []any{k, secrets}, err
	}, ref)
}

// keyQuery draws a query, usually of few conditions.
func (m *machine) keyQuery() apikeys.KeyQuery {
	return apikeys.KeyQuery{
		Scope: m.scope(), ID: maybe(m.t, "id", m.w.keys), ProjectID: maybe(m.t, "project", m.w.projects), ProductID: maybe(m.t, "product", m.w.products),
		Status: maybe(m.t, "status", statuses()), Now: one(m.t, "now", times()), Search: maybe(m.t, "search", append(m.searches(), texts()...)),
		CreatedBefore: maybe(m.t, "created before", times()), ExpiresBefore: maybe(m.t, "expires before", times()),
		EndedBefore: maybe(m.t, "ended before", times()), Before: maybe(m.t, "before", m.w.keys),
		Limit: one(m.t, "limit", []int{0, 1, 2, 100}),
	}
}

// searches are for what has a meaning in a pattern, and for the names of keys in the
// other case.
func (m *machine) searches() []string {
	list := []string{m.w.tag, m.w.tag + "aB3", "%", "_", "\\", "i\u0307"}
	for _, k := range m.standingKeys() {
		list = append(list, strings.ToUpper(k.Name))
	}
	return list
}

func (m *machine) listKeys() { m.run(m.keysLike(m.keyQuery())) }

// keysLike lists the keys of this check: they are the greatest, so a limit counts
// them first.
func (m *machine) keysLike(q apikeys.KeyQuery) operation {
	return m.call("ListKeys", func(ctx context.Context, p *participant) ([]any, error) {
		found, err := p.store.ListKeys(ctx, q)
		return []any{own(m.w, found, keyID)}, err
	}, q)
}

func (m *machine) updateKey() {
	t, ref := m.t, m.keyRef()
	change := apikeys.KeyChange{
		IfVersion: maybe(t, "if version", []int64{1, 2, 3}), Name: optional(t, "name", texts()), Scopes: optional(t, "scopes", scopeLists()),
		RateLimits: optional(t, "limits", limitLists()), ExpiresAt: optional(t, "expires", timesOrNever()),
		Custom: optional(t, "custom", filled()), DisabledAt: optional(t, "disabled", timesOrNever()),
	}
	if oneIn(6, t, "revoke?") {
		change.Revoke = &apikeys.Revocation{At: one(t, "revoked", times()), Reason: one(t, "reason", texts())}
	}
	mutation := m.mutation("key.update")
	m.mutate(mutation, m.call("UpdateKey", func(ctx context.Context, p *participant) ([]any, error) {
		k, err := p.store.UpdateKey(ctx, mutation, ref, change)
		return []any{k}, err
	}, mutation, ref, change))
}

func (m *machine) rotateKey() {
	ref := m.keyRef()
	rotation := apikeys.Rotation{Secret: m.newSecret(ref.ID, 0), OldEndsAt: one(m.t, "old ends", timesOrNever())}
	mutation := m.mutation("key.rotate")
	m.mutate(mutation, m.call("RotateKey", func(ctx context.Context, p *participant) ([]any, error) {
		k, err := p.store.RotateKey(ctx, mutation, ref, rotation)
		return []any{k}, err
	}, mutation, ref, rotation))
}

// bulkQuery selects keys of this check only. The contract does not say which of the keys
// that match are taken first: all stores take the greatest ids, except of those that
// ended.
func (m *machine) bulkQuery() apikeys.KeyQuery {
	q := m.keyQuery()
	if q.Scope.OrganizationID == uuid.Nil && q.ID == uuid.Nil && q.ProjectID == uuid.Nil && q.ProductID == uuid.Nil {
		q.Search = m.w.tag
	}
	if !q.EndedBefore.IsZero() {
		q.Limit = 100
	}
	return q
}

func (m *machine) revokeKeys() {
	mutation := m.mutation("key.revoke")
	m.mutate(mutation, m.revoking(m.bulkQuery(), mutation))
}

func (m *machine) revoking(q apikeys.KeyQuery, mutation apikeys.Mutation) operation {
	return m.call("RevokeKeys", func(ctx context.Context, p *participant) ([]any, error) {
		ids, err := p.store.RevokeKeys(ctx, mutation, q, "it's over ")
		return []any{sorted(ids)}, err // in any order
	}, mutation, q)
}

func (m *machine) deleteKeys() {
	mutation := m.mutation("key.delete")
	m.mutate(mutation, m.deleting(m.bulkQuery(), mutation))
}

func (m *machine) deleting(q apikeys.KeyQuery, mutation apikeys.Mutation) operation {
	return m.call("DeleteKeys", func(ctx context.Context, p *participant) ([]any, error) {
		ids, err := p.store.DeleteKeys(ctx, mutation, q)
		return []any{sorted(ids)}, err
	}, mutation, q)
}
