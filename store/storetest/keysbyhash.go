package storetest

import (
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func keysByHashTests() []test {
	return []test{
		{"any number of hashes", manyHashes},
		{"hashes are compared byte for byte", hashesByteForByte},
		{"a key is returned whatever became of it", hashOfAnyKey},
		{"the organization's suspension is joined", hashJoinsSuspension},
		{"the link is joined", hashJoinsLink},
		{"each secret of a key finds it", hashOfEachSecret},
	}
}

// Catches: lists of one, a limit on parameters, an empty IN (), an error for what
// is unknown.
func manyHashes(f *fixture) {
	keys := f.keys(200, f.organization())
	for _, n := range []int{0, 1, 2, 64, 200} {
		var hashes []apikeys.Hash
		want := map[uuid.UUID]apikeys.KeyRecord{}
		for _, k := range keys[:n] {
			hashes = append(hashes, k.Secret.Hash, f.hash()) // every other one is unknown
			want[k.ID] = k
		}
		got, err := f.store.KeysByHash(f.Context(), hashes)
		f.must(err)
		if len(got) != n {
			f.Fatalf("%d known hashes: got %d keys", n, len(got))
		}
		for _, k := range got {
			f.equal("one of many, by its hash", k, want[k.ID])
		}
	}
	got, err := f.store.KeysByHash(f.Context(), []apikeys.Hash{f.hash(), {}})
	f.must(err)
	f.equal("unknown hashes", got, []apikeys.KeyRecord(nil))
}

// Catches: a collation on the column of hashes; padding; text with a NUL in it; a
// prefix that is compared.
func hashesByteForByte(f *fixture) {
	o := f.organization()
	var upper, padded apikeys.Hash
	for i := range upper {
		upper[i] = 'A' + byte(i%26)
		padded[i] = ' '
	}
	k, spaces := f.newKey(o), f.newKey(o)
	k.Secret.Hash, spaces.Secret.Hash = upper, padded
	f.storeAll(k, spaces)
	lower, zeros, trailing := upper, apikeys.Hash{}, padded
	for i := range lower {
		lower[i] |= 0x20
	}
	trailing[31] = 0
	others := []apikeys.Hash{lower, zeros, trailing}
	for i := range upper {
		h := upper
		h[i] ^= 0x20 // the other case of that letter
		others = append(others, h)
		h[i] = 0
		others = append(others, h)
	}
	got, err := f.store.KeysByHash(f.Context(), others)
	f.must(err)
	if len(got) != 0 {
		f.Fatalf("hashes that differ by one byte or by letter case: got %d keys, want none", len(got))
	}
	f.equal("the hash itself", f.byHash(upper), []apikeys.KeyRecord{k})
	f.equal("the hash of spaces", f.byHash(padded), []apikeys.KeyRecord{spaces})
}

// Catches: conditions that belong to the client: an expired key must be told apart
// from one that does not exist.
func hashOfAnyKey(f *fixture) {
	o := f.organization()
	long := epoch.Add(-1000 * time.Hour)
	for _, edit := range []func(*apikeys.KeyRecord){
		func(k *apikeys.KeyRecord) { k.RevokedAt, k.RevokedReason = long, "leaked" },
		func(k *apikeys.KeyRecord) { k.DisabledAt = long },
		func(k *apikeys.KeyRecord) { k.ExpiresAt = long },
	} {
		k := f.newKey(o, edit)
		k.Secret.EndsAt = long
		f.storeAll(k)
		f.equal("a key that is no longer active", f.byHash(k.Secret.Hash), []apikeys.KeyRecord{k})
	}
}

// Catches: a suspension that does not reach the keys, or reaches another
// organization's.
func hashJoinsSuspension(f *fixture) {
	o, other := f.organization(), f.organization()
	k, free := f.key(o), f.key(other)
	suspended := epoch.Add(time.Microsecond)
	f.change(o, apikeys.ResourceChange{SuspendedAt: &suspended})
	f.equal("of a suspended organization", f.byHash(k.Secret.Hash)[0].SuspendedAt, suspended)
	f.equal("of another", f.byHash(free.Secret.Hash)[0].SuspendedAt, time.Time{})
	f.change(o, apikeys.ResourceChange{SuspendedAt: &time.Time{}})
	f.equal("of a resumed organization", f.byHash(k.Secret.Hash)[0].SuspendedAt, time.Time{})
}

// Catches: a join on one end only: a link of this product with another project.
func hashJoinsLink(f *fixture) {
	o := f.organization()
	project, product, other := f.project(o), f.product(o), f.project(o)
	both := f.key(o, func(k *apikeys.KeyRecord) { k.ProjectID, k.ProductID = project.ID, product.ID })
	one := f.key(o, func(k *apikeys.KeyRecord) { k.ProjectID = project.ID })
	two := f.key(o, func(k *apikeys.KeyRecord) { k.ProductID = product.ID })
	none := f.key(o)
	linked := func(what string, want bool) {
		f.Helper()
		if got := f.byHash(both.Secret.Hash)[0].Linked; got != want {
			f.Fatalf("Linked, %s: got %t, want %t", what, got, want)
		}
		for _, k := range []apikeys.KeyRecord{one, two, none} {
			if found := f.byHash(k.Secret.Hash); len(found) != 1 || found[0].Linked {
				f.Fatalf("a key that is not bound to both: got %d, want 1 that is not linked", len(found))
			}
		}
	}
	linked("not linked", false)
	f.link(other, product, true)
	f.link(project, f.product(o), true)
	linked("others linked", false)
	f.link(project, product, true)
	linked("linked", true)
	f.link(project, product, false)
	linked("unlinked", false)
}

// Catches: a join that finds the newest secret only, or returns it for another.
func hashOfEachSecret(f *fixture) {
	k := f.key(f.organization())
	first := k.Secret
	ends := epoch.Add(time.Hour)
	r := f.rotation(ends)
	rotated := f.rotate(k.ID, r)
	first.EndsAt = ends
	second := r.Secret
	second.KeyID, second.Number = k.ID, 2
	added := apikeys.SecretRecord{KeyID: k.ID, Number: 2, Hash: f.hash(), SigningID: "signing-2"}
	f.must(f.store.AddHash(f.Context(), added))
	third := second
	third.Hash, third.SigningID = added.Hash, added.SigningID
	for _, want := range []apikeys.SecretRecord{first, second, third} {
		found := f.byHash(want.Hash)
		if len(found) != 1 {
			f.Fatalf("secret %d: got %d keys, want 1", want.Number, len(found))
		}
		f.equal("the secret it was found by", found[0].Secret, want)
		f.equal("the key", stored(found[0]), stored(rotated))
	}
	got, err := f.store.KeysByHash(f.Context(), []apikeys.Hash{first.Hash, second.Hash, third.Hash})
	f.must(err)
	if len(got) != 3 {
		f.Fatalf("three hashes of one key: got %d records, want 3", len(got))
	}
}
