package storetest

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func bulkTests() []test {
	return []test{
		{"revoke up to the limit until there are none", revokeInChunks},
		{"revoke what matches and is not revoked", revokeMatching},
		{"delete up to the limit until there are none", deleteInChunks},
		{"delete with secrets and usage", deleteAll},
		{"delete blanks the details of events", deleteBlanks},
		{"a deleted key does not come back", deletedStays},
		{"many keys are one change", manyAreOneChange},
		{"at once revoke each key once", revokeTogether},
	}
}

func (f *fixture) revokeKeys(q apikeys.KeyQuery, reason string) []uuid.UUID {
	f.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	ids, err := f.store.RevokeKeys(f.Context(), f.mutation("key.revoke"), q, reason)
	f.must(err)
	return ids
}

func (f *fixture) deleteKeys(q apikeys.KeyQuery) []uuid.UUID {
	f.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	ids, err := f.store.DeleteKeys(f.Context(), f.mutation("key.delete"), q)
	f.must(err)
	return ids
}

// chunks repeats a bulk operation until there is no more to do, and returns the
// ids of all.
func (f *fixture) chunks(want []int, do func() []uuid.UUID) []uuid.UUID {
	f.Helper()
	var all []uuid.UUID
	for i, n := range want {
		ids := do()
		if len(ids) != n {
			f.Fatalf("chunk %d: got %d keys, want %d", i, len(ids), n)
		}
		all = append(all, ids...)
	}
	f.unchanged("a chunk of none", func() {
		if ids := do(); len(ids) != 0 {
			f.Fatalf("the chunk after the last: got %d keys, want none", len(ids))
		}
	})
	return all
}

// Catches: a limit that is not there; a second chunk that finds the first again, so
// that the caller never ends; a version that stays behind.
func revokeInChunks(f *fixture) {
	o, other := f.organization(), f.organization()
	keys, kept := f.keys(7, o), f.key(other)
	m := f.mutation("key.revoke")
	q := apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: o.ID}, Limit: 3}
	first, err := f.store.RevokeKeys(f.Context(), m, q, "it's over")
	f.must(err)
	if len(first) != 3 {
		f.Fatalf("the first chunk: got %d keys, want 3", len(first))
	}
	got := append(first, f.chunks([]int{3, 1}, func() []uuid.UUID { return f.revokeKeys(q, "later") })...)
	f.equal("the revoked keys", sorted(got), sorted(idsOf(keys, keyID)))
	for _, k := range keys {
		want, now := stored(k), f.get(k.ID)
		want.RevokedReason, want.RevokedAt, want.Version = "later", now.RevokedAt, 2
		if slices.Contains(first, k.ID) {
			want.RevokedReason, want.RevokedAt = "it's over", m.At
		}
		want.UpdatedAt = want.RevokedAt
		f.equal("a revoked key", now, want)
		if now.RevokedAt.IsZero() {
			f.Fatal("a revoked key: got no time, want the mutation's")
		}
	}
	f.equal("another organization's key", f.get(kept.ID), stored(kept))
}

// Catches: filters that a bulk statement does not have; a revocation that is
// overwritten.
func revokeMatching(f *fixture) {
	o := f.organization()
	owned := f.key(o, func(k *apikeys.KeyRecord) { k.OwnerID = "bob" })
	expired := f.key(o, func(k *apikeys.KeyRecord) { k.OwnerID, k.ExpiresAt = "bob", epoch })
	disabled := f.key(o, func(k *apikeys.KeyRecord) { k.OwnerID, k.DisabledAt = "bob", epoch })
	before := f.key(o, func(k *apikeys.KeyRecord) { k.OwnerID, k.RevokedAt, k.RevokedReason = "bob", epoch, "first" })
	other := f.key(o, func(k *apikeys.KeyRecord) { k.OwnerID = "Bob" })
	scope := apikeys.Scope{OrganizationID: o.ID, OwnerID: "bob"}
	got := f.revokeKeys(apikeys.KeyQuery{Scope: scope, Status: apikeys.StatusActive, Now: epoch}, "active only")
	f.equal("active keys", got, []uuid.UUID{owned.ID})
	got = f.revokeKeys(apikeys.KeyQuery{Scope: scope, Status: apikeys.StatusRevoked, Now: epoch}, "again")
	f.equal("revoked keys", got, []uuid.UUID(nil))
	got = f.revokeKeys(apikeys.KeyQuery{Scope: scope}, "all")
	f.equal("all keys of an owner", sorted(got), sorted([]uuid.UUID{expired.ID, disabled.ID}))
	f.equal("a key that was revoked before", f.get(before.ID), stored(before))
	f.equal("another owner's", f.get(other.ID), stored(other))
	f.equal("the disabled one's time", f.get(disabled.ID).DisabledAt, epoch)
}

// Catches: as with revoking; and filters that a DELETE does not have.
func deleteInChunks(f *fixture) {
	o, foreign := f.organization(), f.organization()
	edit := func(k *apikeys.KeyRecord) { k.ExpiresAt = epoch.Add(-time.Hour) }
	keys := f.keys(7, o, edit)
	kept := []apikeys.KeyRecord{f.key(o), f.key(foreign, edit)}
	q := apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: o.ID}, EndedBefore: epoch, Limit: 3}
	got := f.chunks([]int{3, 3, 1}, func() []uuid.UUID { return f.deleteKeys(q) })
	f.equal("the deleted keys", sorted(got), sorted(idsOf(keys, keyID)))
	f.wantKeys("the keys that are left", apikeys.KeyQuery{}, kept...)
	for _, k := range kept {
		f.equal("a key that is left", f.byHash(k.Secret.Hash), []apikeys.KeyRecord{k})
	}
}

// Catches: secrets that outlive their key, a count that the next one inherits.
func deleteAll(f *fixture) {
	o := f.organization()
	k, kept := f.key(o), f.key(o)
	r := f.rotation(epoch.Add(time.Hour))
	f.rotate(k.ID, r)
	added := f.hashFor(k, 2, "signing-2")
	f.addHash(added)
	f.must(f.store.AddUsage(f.Context(), batch(f.id(), 1, used(k, 5, epoch), used(kept, 7, epoch))))
	f.equal("the deleted key", f.deleteKeys(apikeys.KeyQuery{ID: k.ID}), []uuid.UUID{k.ID})
	for _, h := range []apikeys.Hash{k.Secret.Hash, r.Secret.Hash, added.Hash} {
		if n := len(f.byHash(h)); n != 0 {
			f.Fatalf("by the hash of a deleted key: got %d keys, want none", n)
		}
	}
	_, _, err := f.store.GetKey(f.Context(), keyRef(k.ID))
	f.fails(err, apikeys.ErrNotFound)
	_, err = f.store.KeyUsage(f.Context(), apikeys.UsageQuery{Ref: keyRef(k.ID), From: epoch.Add(-time.Hour), To: epoch.Add(time.Hour)})
	f.fails(err, apikeys.ErrNotFound)
	if n := f.get(kept.ID).UseCount; n != 7 {
		f.Fatalf("the use count of another key: got %d, want 7", n)
	}
	// Nothing is left under its id.
	f.must(f.store.AddUsage(f.Context(), batch(f.id(), 1, used(k, 3, epoch))))
	faults, err := f.store.CreateKeys(f.Context(), f.mutation("key.create"), []apikeys.KeyRecord{k})
	f.must(err)
	if faults[0] == nil { // a store may well refuse
		f.equal("a key under the same id", f.get(k.ID), stored(k))
		f.equal("its usage", f.usage(k.ID), []apikeys.UsageDelta(nil))
	}
}

// Catches: names, owners and custom data that live on in the audit; an audit that
// is deleted.
func deleteBlanks(f *fixture) {
	o := f.organization()
	k, kept := f.key(o), f.key(o)
	f.update(k.ID, apikeys.KeyChange{Name: ptr("Jane Doe")})
	f.update(kept.ID, apikeys.KeyChange{Name: ptr("kept")})
	was, others := f.events(apikeys.EventQuery{SubjectID: k.ID}), f.events(apikeys.EventQuery{SubjectID: kept.ID})
	f.deleteKeys(apikeys.KeyQuery{ID: k.ID})
	for i := range was {
		was[i].Detail = json.RawMessage("{}")
	}
	now := f.events(apikeys.EventQuery{SubjectID: k.ID})
	if len(now) != len(was)+1 {
		f.Fatalf("events of a deleted key: got %d, want the %d from before and its deletion", len(now), len(was))
	}
	f.equal("the events from before", now[1:], was)
	f.equal("another key's events", f.events(apikeys.EventQuery{SubjectID: kept.ID}), others)
}

// Catches: an id that is given out a second time by repeating what made it.
func deletedStays(f *fixture) {
	k := f.newKey(f.organization())
	create := f.mutation("key.create")
	_, err := f.store.CreateKeys(f.Context(), create, []apikeys.KeyRecord{k})
	f.must(err)
	f.deleteKeys(apikeys.KeyQuery{ID: k.ID})
	f.unchanged("repeating the creation of a deleted key", func() {
		faults, err := f.store.CreateKeys(f.Context(), create, []apikeys.KeyRecord{k})
		f.must(err)
		if faults[0] == nil {
			f.Fatal("repeating the creation of a deleted key: got no error, want one: it is not there")
		}
	})
}

// Catches: a history that one bulk operation fills, or one that forgets keys; an
// operation that raises the revision once for each key.
func manyAreOneChange(f *fixture) {
	o, other := f.organization(), f.organization()
	const n = 257
	keys, few := f.keys(n, o), f.keys(2, other)
	inO := apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: o.ID}, Limit: n}
	organization := apikeys.Change{Kind: apikeys.ChangeOrganization, ID: o.ID}

	before := f.start()
	if got := f.revokeKeys(inO, "all of them"); len(got) != n {
		f.Fatalf("got %d revoked keys, want %d", len(got), n)
	}
	f.wantChanges(before, organization)

	before = f.start()
	inO.Limit = 3
	deleted := f.deleteKeys(inO)
	var want []apikeys.Change
	for _, id := range deleted {
		want = append(want, apikeys.Change{Kind: apikeys.ChangeKey, ID: id})
	}
	f.wantChanges(before, want...)

	f.storeAll(f.newKey(o), f.newKey(o), f.newKey(o))
	before = f.start()
	f.deleteKeys(apikeys.KeyQuery{Limit: 1000})
	set := f.since(before)
	for _, k := range append(keys, few...) {
		if !covered(set, k) && !slices.Contains(deleted, k.ID) {
			f.Fatal("deleting more than 256 keys of two organizations: got changes that leave one out")
		}
	}
	if len(set.Changes) > 2 || set.Mark.Revision != before.Revision+1 {
		f.Fatalf("deleting more than 256 keys: got %d changes in %d revisions, want at most 2 in 1",
			len(set.Changes), set.Mark.Revision-before.Revision)
	}
}

// Catches: chunks that both take the same keys.
func revokeTogether(f *fixture) {
	const n = 6
	o := f.organization()
	keys := f.keys(30, o)
	mutations, got := make([]apikeys.Mutation, n), make([][]uuid.UUID, n)
	for i := range n {
		mutations[i] = f.mutation("key.revoke")
	}
	f.together(n, func(i int) (err error) {
		got[i], err = f.store.RevokeKeys(f.Context(), mutations[i], apikeys.KeyQuery{Limit: 5}, "together")
		return err
	})
	all := slices.Concat(got...)
	all = append(all, f.revokeKeys(apikeys.KeyQuery{}, "the rest")...)
	f.equal("the keys that somebody revoked", sorted(all), sorted(idsOf(keys, keyID)))
	for _, k := range f.list(apikeys.KeyQuery{}) {
		if k.Version != 2 || k.RevokedAt.IsZero() {
			f.Fatalf("a key that many revoke: got version %d, want 2", k.Version)
		}
	}
}
