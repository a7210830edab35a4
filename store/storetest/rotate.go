package storetest

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func rotateTests() []test {
	return []test{
		{"gives the key its next secret", rotateOnce},
		{"ends each secret at the earliest of its ends", rotateEnds},
		{"ends every hash of the newest secret", rotateAllHashes},
		{"is for active keys only", rotateActive},
		{"is for the version that it names only", rotateVersion},
		{"refuses a hash that is taken", rotateTaken},
		{"at once goes one after the other", rotateTogether},
		{"leaves other keys alone", rotateOneKey},
	}
}

// rotation makes one whose secret no other key has.
func (f *fixture) rotation(oldEnds time.Time) apikeys.Rotation {
	h := f.hash()
	return apikeys.Rotation{OldEndsAt: oldEnds, Secret: apikeys.SecretRecord{
		Hash: h, SigningID: "signing-1", Hint: "sk_Rotd…next",
		CreatedAt: epoch.Add(time.Duration(f.n.Load()) * time.Microsecond),
	}}
}

// rotate must succeed.
func (f *fixture) rotate(id uuid.UUID, r apikeys.Rotation) apikeys.KeyRecord {
	f.Helper()
	return f.rotateAt(id, r, f.mutation("key.rotate").At)
}

func (f *fixture) rotateAt(id uuid.UUID, r apikeys.Rotation, at time.Time) apikeys.KeyRecord {
	f.Helper()
	r.Secret.KeyID = id
	k, err := f.store.RotateKey(f.Context(), f.mutationAt("key.rotate", at), keyRef(id), r)
	f.must(err)
	return k
}

// Catches: a new secret for a key that was changed since it was looked at.
func rotateVersion(f *fixture) {
	k := f.key(f.organization())
	f.update(k.ID, apikeys.KeyChange{Name: ptr("changed")})
	for _, version := range []int64{1, 3} {
		r := f.rotation(epoch.Add(time.Hour))
		r.IfVersion = version
		f.unchanged("rotating another version", func() {
			_, err := f.store.RotateKey(f.Context(), f.mutation("key.rotate"), keyRef(k.ID), r)
			f.fails(err, apikeys.ErrConflict)
		})
	}
	r := f.rotation(epoch.Add(time.Hour))
	r.IfVersion = 2
	if got := f.rotate(k.ID, r); got.Version != 3 {
		f.Fatalf("rotating the version that stands: got version %d, want 3", got.Version)
	}
}

// Catches: a hint, a version or an UpdatedAt that stays behind; a number that the
// client chose; the life of the key made longer; the wrong order of secrets.
func rotateOnce(f *fixture) {
	k := f.fullKey()
	k.RevokedAt, k.DisabledAt = time.Time{}, time.Time{}
	k.Secret.EndsAt = time.Time{}
	f.storeAll(k)
	at, overlap := epoch.Add(time.Hour+time.Microsecond), epoch.Add(25*time.Hour+time.Microsecond)
	r := f.rotation(overlap)
	r.Secret.Number, r.Secret.SigningID, r.Secret.EndsAt = 77, "signing-Ü", epoch.Add(100*time.Hour)
	got := f.rotateAt(k.ID, r, at)
	want := stored(k)
	want.Hint, want.Version, want.UpdatedAt = r.Secret.Hint, 2, at
	f.equal("what it returns", stored(got), want)
	f.equal("what is read", f.get(k.ID), want)
	first, second := k.Secret, r.Secret
	first.EndsAt = overlap
	second.KeyID, second.Number = k.ID, 2
	f.equal("the secrets, the newest first", f.secrets(k.ID), []apikeys.SecretRecord{second, first})
	f.equal("by the new hash", stored(f.byHash(second.Hash)[0]), want)
	f.equal("by the old hash", f.byHash(first.Hash)[0].Secret, first)
}

// Catches: an overlap that brings an ended secret back; three secrets that work at
// once; an older one that lives on.
func rotateEnds(f *fixture) {
	o := f.organization()
	at, soon, later := epoch.Add(time.Hour), epoch.Add(2*time.Hour), epoch.Add(3*time.Hour)
	for what, tc := range map[string]struct{ own, overlap, want time.Time }{
		"no end of its own": {time.Time{}, soon, soon},
		"an earlier end":    {soon, later, soon},
		"a later end":       {later, soon, soon},
		"no overlap":        {later, at, at},
		"ended before":      {epoch, later, epoch},
	} {
		k := f.newKey(o)
		k.Secret.EndsAt = tc.own
		f.storeAll(k)
		f.rotateAt(k.ID, f.rotation(tc.overlap), at)
		f.equal("the old secret, with "+what, f.secrets(k.ID)[1].EndsAt, tc.want)
	}

	k := f.key(o)
	f.rotateAt(k.ID, f.rotation(epoch.Add(10*time.Hour)), epoch.Add(time.Hour))   // 1 until 10 h
	f.rotateAt(k.ID, f.rotation(epoch.Add(10*time.Hour)), epoch.Add(4*time.Hour)) // 1 ends, 2 until 10 h
	f.wantEnds(k.ID, time.Time{}, epoch.Add(10*time.Hour), epoch.Add(4*time.Hour))
	f.rotateAt(k.ID, f.rotation(epoch.Add(6*time.Hour)), epoch.Add(5*time.Hour)) // 2 ends, 3 until 6 h
	f.wantEnds(k.ID, time.Time{}, epoch.Add(6*time.Hour), epoch.Add(5*time.Hour), epoch.Add(4*time.Hour))
	f.rotateAt(k.ID, f.rotation(epoch.Add(9*time.Hour)), epoch.Add(3*time.Hour)) // by a clock that is behind
	f.wantEnds(k.ID, time.Time{}, epoch.Add(9*time.Hour), epoch.Add(3*time.Hour), epoch.Add(3*time.Hour), epoch.Add(3*time.Hour))
}

// wantEnds compares the ends of a key's secrets, the newest first.
func (f *fixture) wantEnds(id uuid.UUID, want ...time.Time) {
	f.Helper()
	secrets := f.secrets(id)
	if len(secrets) != len(want) {
		f.Fatalf("got %d secrets, want %d", len(secrets), len(want))
	}
	for i, s := range secrets {
		f.equal("the end of a secret", s.EndsAt, want[i])
		if s.Number != len(want)-i {
			f.Fatalf("the numbers of %d secrets: got %d in place %d, want %d", len(want), s.Number, i, len(want)-i)
		}
	}
}

// Catches: a secret that ends under one signing secret and lives on under another.
func rotateAllHashes(f *fixture) {
	k := f.key(f.organization())
	add := func(number int, signing string) apikeys.Hash {
		h := f.hash()
		f.must(f.store.AddHash(f.Context(), apikeys.SecretRecord{KeyID: k.ID, Number: number, Hash: h, SigningID: signing}))
		return h
	}
	first := []apikeys.Hash{k.Secret.Hash, add(1, "signing-2"), add(1, "signing-0")}
	r := f.rotation(epoch.Add(2 * time.Hour))
	f.rotateAt(k.ID, r, epoch.Add(time.Hour))
	second := []apikeys.Hash{r.Secret.Hash, add(2, "signing-2")}
	ends := func(what string, hashes []apikeys.Hash, number int, want time.Time) {
		f.Helper()
		for _, h := range hashes {
			s := f.byHash(h)[0].Secret
			f.equal("the end of every hash, "+what, s.EndsAt, want)
			if s.Number != number {
				f.Fatalf("the number of every hash, %s: got %d, want %d", what, s.Number, number)
			}
		}
	}
	ends("in the overlap", first, 1, epoch.Add(2*time.Hour))
	ends("newest", second, 2, time.Time{})
	f.rotateAt(k.ID, f.rotation(epoch.Add(5*time.Hour)), epoch.Add(90*time.Minute))
	ends("older", first, 1, epoch.Add(90*time.Minute))
	ends("in the next overlap", second, 2, epoch.Add(5*time.Hour))
	if n := len(f.secrets(k.ID)); n != 6 {
		f.Fatalf("hashes of three secrets: got %d, want 6", n)
	}
}

// Catches: a revoked key that a rotation brings back; a status by the store's
// clock, or wrong by a microsecond.
func rotateActive(f *fixture) {
	o := f.organization()
	at := epoch.Add(time.Hour)
	for what, edit := range map[string]func(*apikeys.KeyRecord){
		"revoked":         func(k *apikeys.KeyRecord) { k.RevokedAt = epoch },
		"revoked later":   func(k *apikeys.KeyRecord) { k.RevokedAt = at.Add(time.Hour) },
		"disabled":        func(k *apikeys.KeyRecord) { k.DisabledAt = epoch },
		"expired just so": func(k *apikeys.KeyRecord) { k.ExpiresAt = at },
		"expired":         func(k *apikeys.KeyRecord) { k.ExpiresAt = epoch },
	} {
		k := f.key(o, edit)
		f.unchanged("a refused rotation", func() {
			_, err := f.store.RotateKey(f.Context(), f.mutationAt("key.rotate", at), keyRef(k.ID), f.rotation(at))
			if !errors.Is(err, apikeys.ErrConflict) {
				f.Fatalf("rotating a key that is %s: got %v, want %v", what, err, apikeys.ErrConflict)
			}
		})
	}
	k := f.key(o, func(k *apikeys.KeyRecord) { k.ExpiresAt = at.Add(time.Microsecond) })
	f.rotateAt(k.ID, f.rotation(at), at)
	f.update(k.ID, apikeys.KeyChange{ExpiresAt: ptr(epoch)})
	f.rotateAt(k.ID, f.rotation(at), epoch.Add(-time.Microsecond))
}

// Catches: the old secret ended before the new one is refused.
func rotateTaken(f *fixture) {
	o := f.organization()
	k, other := f.key(o), f.key(o)
	own := f.rotation(epoch.Add(time.Hour))
	f.rotate(k.ID, own)
	for what, taken := range map[string]apikeys.Hash{
		"another key's": other.Secret.Hash, "its own": own.Secret.Hash, "its own old one": k.Secret.Hash,
	} {
		f.unchanged("a refused rotation", func() {
			r := f.rotation(epoch)
			r.Secret.KeyID, r.Secret.Hash = k.ID, taken
			_, err := f.store.RotateKey(f.Context(), f.mutation("key.rotate"), keyRef(k.ID), r)
			if !errors.Is(err, apikeys.ErrAlreadyExists) {
				f.Fatalf("a hash that is %s: got %v, want %v", what, err, apikeys.ErrAlreadyExists)
			}
		})
	}
}

// Catches: a number read before the lock: two newest secrets, both for ever.
func rotateTogether(f *fixture) {
	const n = 8
	k := f.key(f.organization())
	mutations, rotations := make([]apikeys.Mutation, n), make([]apikeys.Rotation, n)
	end := epoch.Add(time.Hour)
	for i := range n {
		mutations[i], rotations[i] = f.mutationAt("key.rotate", epoch), f.rotation(end)
		rotations[i].Secret.KeyID = k.ID
	}
	f.together(n, func(i int) error {
		_, err := f.store.RotateKey(f.Context(), mutations[i], keyRef(k.ID), rotations[i])
		return err
	})
	ends := []time.Time{{}, end}
	for range n - 1 {
		ends = append(ends, epoch) // all older ones end at the time of the last rotation
	}
	f.wantEnds(k.ID, ends...)
	if v := f.get(k.ID).Version; v != n+1 {
		f.Fatalf("got version %d after %d rotations, want %d", v, n, n+1)
	}
}

// Catches: ends that are written to every key's secret of that number.
func rotateOneKey(f *fixture) {
	o := f.organization()
	k, other := f.key(o), f.key(o)
	f.rotate(k.ID, f.rotation(epoch))
	f.equal("another key", f.get(other.ID), stored(other))
	f.equal("another key's secrets", f.secrets(other.ID), []apikeys.SecretRecord{other.Secret})
}
