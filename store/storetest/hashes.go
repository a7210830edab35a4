package storetest

import (
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func hashTests() []test {
	return []test{
		{"an added hash takes over its secret's record", addHash},
		{"adding again changes nothing", addHashAgain},
		{"adding at once adds one", addHashTogether},
		{"adding to what is gone is not found", addHashGone},
		{"a hash is never taken from another key", addHashTaken},
		{"are counted by keys", countHashes},
		{"are lost only if nothing lives without them", countLosses},
		{"are deleted in chunks", deleteHashes},
	}
}

// hashFor makes a hash of a secret under another signing secret.
func (f *fixture) hashFor(k apikeys.KeyRecord, number int, signing string) apikeys.SecretRecord {
	return apikeys.SecretRecord{KeyID: k.ID, Number: number, Hash: f.hash(), SigningID: signing}
}

func (f *fixture) addHash(s apikeys.SecretRecord) {
	f.Helper()
	f.must(f.store.AddHash(f.Context(), s))
}

func (f *fixture) counts() map[string]apikeys.HashCount {
	f.Helper()
	counts, err := f.store.CountHashes(f.Context(), epoch)
	f.must(err)
	return counts
}

// Catches: a second hash that outlives its secret, by hint, times and end of its
// own; a version, an event or a revision for it.
func addHash(f *fixture) {
	k := f.key(f.organization())
	r := f.rotation(epoch.Add(time.Hour))
	r.Secret.EndsAt = epoch.Add(99 * time.Hour)
	rotated := f.rotate(k.ID, r)
	before := f.start()
	events := f.events(apikeys.EventQuery{})
	for number := 1; number <= 2; number++ {
		added := f.hashFor(k, number, "signing-2")
		added.Hint, added.CreatedAt, added.EndsAt = "not this hint", epoch.Add(-time.Hour), epoch.Add(1000*time.Hour)
		f.addHash(added)
		want := f.secrets(k.ID)[len(f.secrets(k.ID))-1] // the secret number 1
		if number == 2 {
			want = r.Secret
			want.KeyID, want.Number = k.ID, 2
		}
		want.Hash, want.SigningID = added.Hash, added.SigningID
		found := f.byHash(added.Hash)
		if len(found) != 1 {
			f.Fatalf("the added hash of secret %d: got %d keys, want 1", number, len(found))
		}
		f.equal("the added record", found[0].Secret, want)
	}
	f.equal("the key", f.get(k.ID), stored(rotated))
	f.equal("events", f.events(apikeys.EventQuery{}), events)
	if f.mark() != before {
		f.Fatal("adding a hash: got a new revision, want none")
	}
	f.equal("the hash from before", stored(f.byHash(k.Secret.Hash)[0]), stored(rotated))
}

// Catches: a duplicate that comes out as an error: two processes see the same key
// at once.
func addHashAgain(f *fixture) {
	k := f.key(f.organization())
	added := f.hashFor(k, 1, "signing-2")
	f.addHash(added)
	f.unchanged("adding it again", func() { f.addHash(added) })
	f.unchanged("adding the first one", func() { f.addHash(k.Secret) })
}

// Catches: look first, insert then.
func addHashTogether(f *fixture) {
	k := f.key(f.organization())
	added := f.hashFor(k, 1, "signing-2")
	f.together(8, func(int) error { return f.store.AddHash(f.Context(), added) })
	if n := len(f.secrets(k.ID)); n != 2 {
		f.Fatalf("one hash added 8 times at once: got %d hashes in all, want 2", n)
	}
}

// Catches: a hash without a secret: it would work for ever.
func addHashGone(f *fixture) {
	o := f.organization()
	k, gone := f.key(o), f.key(o)
	f.deleteKeys(apikeys.KeyQuery{ID: gone.ID})
	for _, s := range []apikeys.SecretRecord{
		f.hashFor(gone, 1, "signing-2"), f.hashFor(k, 2, "signing-2"), f.hashFor(k, 0, "signing-2"),
		f.hashFor(apikeys.KeyRecord{ID: f.id()}, 1, "signing-2"), f.hashFor(apikeys.KeyRecord{}, 1, "signing-2"),
	} {
		f.unchanged("a refused hash", func() {
			f.fails(f.store.AddHash(f.Context(), s), apikeys.ErrNotFound)
			if n := len(f.byHash(s.Hash)); n != 0 {
				f.Fatalf("by a refused hash: got %d keys, want none", n)
			}
		})
	}
}

// Catches: an upsert that moves a hash to whoever names it last.
func addHashTaken(f *fixture) {
	o := f.organization()
	k, other := f.key(o), f.key(o)
	f.rotate(other.ID, f.rotation(epoch))
	f.unchanged("adding another key's hash", func() {
		s := f.hashFor(k, 1, "signing-2")
		s.Hash = other.Secret.Hash
		// Two texts with one hash do not happen: whether this is an error is not said.
		_ = f.store.AddHash(f.Context(), s)
		if got := f.byHash(s.Hash); len(got) != 1 || got[0].ID != other.ID {
			f.Fatalf("a hash that was added to another key: got %d keys, want its own", len(got))
		}
	})
}

// Catches: hashes counted for keys; a key with two secrets counted twice; Only
// that looks at the key, so that a secret in its overlap is lost beside a newer one.
func countHashes(f *fixture) {
	o := f.organization()
	f.equal("no keys", f.counts(), map[string]apikeys.HashCount{})
	signed := func(id string) apikeys.KeyRecord {
		k := f.newKey(o)
		k.Secret.SigningID = id
		f.storeAll(k)
		return k
	}
	signed("a")
	both := signed("a")
	f.addHash(f.hashFor(both, 1, "b"))
	rotated := signed("a")
	r := f.rotation(epoch.Add(1000 * time.Hour))
	r.Secret.SigningID = "b"
	f.rotate(rotated.ID, r)
	twice := signed("a")
	r = f.rotation(epoch.Add(1000 * time.Hour))
	r.Secret.SigningID = "a"
	f.rotate(twice.ID, r)
	signed("A")
	f.equal("the counts", f.counts(), map[string]apikeys.HashCount{
		"a": {Keys: 4, Only: 3}, "b": {Keys: 2, Only: 1}, "A": {Keys: 1, Only: 1},
	})
	f.deleteKeys(apikeys.KeyQuery{ID: both.ID})
	f.equal("the counts after a deletion", f.counts(), map[string]apikeys.HashCount{
		"a": {Keys: 3, Only: 3}, "b": {Keys: 1, Only: 1}, "A": {Keys: 1, Only: 1},
	})
}

// Catches: keys that nobody can use any more, which hold up the retirement of a
// secret for ever; ends of keys or secrets by <= for <.
func countLosses(f *fixture) {
	o := f.organization()
	one := func(change func(*apikeys.KeyRecord)) apikeys.KeyRecord {
		k := f.newKey(o)
		change(&k)
		f.storeAll(k)
		return k
	}
	one(func(k *apikeys.KeyRecord) { k.Secret.SigningID = "revoked"; k.RevokedAt = epoch.Add(time.Hour) })
	one(func(k *apikeys.KeyRecord) { k.Secret.SigningID = "expired"; k.ExpiresAt = epoch })
	one(func(k *apikeys.KeyRecord) { k.Secret.SigningID = "expiring"; k.ExpiresAt = epoch.Add(time.Microsecond) })
	one(func(k *apikeys.KeyRecord) { k.Secret.SigningID = "disabled"; k.DisabledAt = epoch })
	for id, ends := range map[string]time.Time{"ended": epoch, "ending": epoch.Add(time.Microsecond)} {
		k := one(func(k *apikeys.KeyRecord) { k.Secret.SigningID = id })
		r := f.rotation(ends)
		r.Secret.SigningID = "newer"
		f.rotate(k.ID, r)
	}
	f.equal("the counts", f.counts(), map[string]apikeys.HashCount{
		"revoked": {Keys: 1}, "expired": {Keys: 1}, "expiring": {Keys: 1, Only: 1}, "disabled": {Keys: 1, Only: 1},
		"ended": {Keys: 1}, "ending": {Keys: 1, Only: 1}, "newer": {Keys: 2, Only: 2},
	})
}

// Catches: all at once, however many; other signing secrets taken along; keys taken
// along; caches that go on with what is retired.
func deleteHashes(f *fixture) {
	o := f.organization()
	keys := f.keys(5, o)
	for _, k := range keys {
		f.addHash(f.hashFor(k, 1, "signing-2"))
		f.addHash(f.hashFor(k, 1, "SIGNING-1"))
	}
	for i, want := range []int{2, 2, 1} {
		before := f.start()
		got, err := f.store.DeleteHashes(f.Context(), f.mutation("secret.retire"), "signing-1", 2)
		f.must(err)
		if left := f.counts()["signing-1"].Keys; got != want || int(left) != max(0, 3-2*i) {
			f.Fatalf("chunk %d of 5 hashes: got %d and %d left, want %d and %d", i, got, left, want, max(0, 3-2*i))
		}
		f.wantChanges(before, apikeys.Change{Kind: apikeys.ChangeAll})
	}
	f.unchanged("deleting none", func() {
		for _, id := range []string{"signing-1", "signing-%", ""} {
			got, err := f.store.DeleteHashes(f.Context(), f.mutation("secret.retire"), id, 2)
			f.must(err)
			if got != 0 {
				f.Fatalf("deleting hashes that are not there: got %d, want 0", got)
			}
		}
	})
	before, m := f.start(), f.mutation("secret.retire")
	for range 2 {
		got, err := f.store.DeleteHashes(f.Context(), m, "signing-2", 0)
		f.must(err)
		if got != 0 {
			f.Fatalf("with a limit of 0: got %d, want 0", got)
		}
	}
	f.wantChanges(before)
	if events := f.events(apikeys.EventQuery{ID: m.ID}); len(events) != 1 || events[0].Kind != apikeys.KindSecret {
		f.Fatalf("with a limit of 0: got events %+v, want one about a secret", events)
	}
	f.equal("the counts that are left", f.counts(), map[string]apikeys.HashCount{"signing-2": {Keys: 5}, "SIGNING-1": {Keys: 5}})
	var want []uuid.UUID
	for _, k := range keys {
		want = append(want, k.ID)
		if n := len(f.byHash(k.Secret.Hash)); n != 0 {
			f.Fatalf("by a deleted hash: got %d keys, want none", n)
		}
	}
	f.equal("the keys", idsOf(f.list(apikeys.KeyQuery{}), keyID), newestFirst(want...))
}
