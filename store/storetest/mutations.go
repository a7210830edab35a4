package storetest

import (
	"time"

	"github.com/apikeys-platform/apikeys"
)

func mutationTests() []test {
	return []test{
		{"repeated change nothing and return the same", repeatMutations},
		{"repeated at once are applied once", repeatMutationsAtOnce},
		{"repeated later return what stands then", repeatMutationsLater},
		{"of one id are one, whatever they are about", oneIDOnce},
		{"that had nothing to change may be made later", nothingIsNotApplied},
	}
}

// Catches: the answer to a lost connection, which is to ask again: an operation
// that is applied twice, refuses itself (a version that has moved on, a hash or a
// name that it took itself, a row that it deleted), or says that nothing was done.
func repeatMutations(f *fixture) {
	for _, p := range operations() {
		f.each(p.name, func(f *fixture) {
			f.deleteKeys(apikeys.KeyQuery{}) // of the cases before: a small store is quickly compared
			op, m := p.prepare(f), f.mutation(p.name)
			events := len(f.events(apikeys.EventQuery{}))
			first, err := op.do(f.Context(), m)
			f.must(err)
			if n := len(f.events(apikeys.EventQuery{})); n != events+1 {
				f.Fatalf("got %d new events, want 1", n-events)
			}
			f.unchanged("repeating it", func() {
				for range 2 {
					again, err := op.do(f.Context(), m)
					f.must(err)
					f.equal("what repeating returns", again, first)
				}
			})
		})
	}
}

// Catches: "was it applied?" asked before the lock; a unique violation among
// the events that comes out as an error.
func repeatMutationsAtOnce(f *fixture) {
	const n = 6
	for _, p := range operations() {
		f.each(p.name, func(f *fixture) {
			op, m := p.prepare(f), f.mutation(p.name)
			before, events := f.start(), len(f.events(apikeys.EventQuery{}))
			got := make([]any, n)
			f.together(n, func(i int) (err error) {
				got[i], err = op.do(f.Context(), m)
				return err
			})
			for i := range got {
				f.equal("what everybody was told", got[i], got[0])
			}
			if got := len(f.events(apikeys.EventQuery{})); got != events+1 {
				f.Fatalf("got %d new events, want 1", got-events)
			}
			f.wantChanges(before, op.stale...)
		})
	}
}

// Catches: a record remembered with the event instead of read.
func repeatMutationsLater(f *fixture) {
	o := f.organization()
	k, r := f.key(o), f.rotation(epoch.Add(time.Hour))
	update, rotate, rename := f.mutation("key.update"), f.mutation("key.rotate"), f.mutation("rename")
	first := apikeys.KeyChange{IfVersion: 1, Name: ptr("first")}
	_, err := f.store.UpdateKey(f.Context(), update, keyRef(k.ID), first)
	f.must(err)
	_, err = f.store.RotateKey(f.Context(), rotate, keyRef(k.ID), r)
	f.must(err)
	_, err = f.store.UpdateResource(f.Context(), rename, refOf(o), apikeys.ResourceChange{Name: ptr("first")})
	f.must(err)
	f.update(k.ID, apikeys.KeyChange{Name: ptr("second"), Revoke: &apikeys.Revocation{At: epoch}})
	stands := f.change(o, apikeys.ResourceChange{Name: ptr("second")})
	f.unchanged("repeating what was changed since", func() {
		got, err := f.store.UpdateKey(f.Context(), update, keyRef(k.ID), first)
		f.must(err)
		f.equal("a repeated update", stored(got), f.get(k.ID))
		got, err = f.store.RotateKey(f.Context(), rotate, keyRef(k.ID), r)
		f.must(err)
		f.equal("a repeated rotation", stored(got), f.get(k.ID))
		gotResource, err := f.store.UpdateResource(f.Context(), rename, refOf(o), apikeys.ResourceChange{Name: ptr("first")})
		f.must(err)
		f.equal("a repeated rename", gotResource, stands)
	})
}

// Catches: an id that is looked for among the events of one subject only.
func oneIDOnce(f *fixture) {
	o := f.organization()
	a, b := f.key(o), f.key(o)
	m := f.mutation("key.update")
	change := apikeys.KeyChange{Name: ptr("changed")}
	_, err := f.store.UpdateKey(f.Context(), m, keyRef(a.ID), change)
	f.must(err)
	f.unchanged("another operation under an id that was used", func() {
		got, err := f.store.UpdateKey(f.Context(), m, keyRef(b.ID), change)
		f.must(err)
		f.equal("the other key", stored(got), stored(b))
	})
}

// Catches: an id that is used up by a call that did nothing, or failed.
func nothingIsNotApplied(f *fixture) {
	o := f.organization()
	k := f.key(o)
	m := f.mutation("key.update")
	_, err := f.store.UpdateKey(f.Context(), m, keyRef(k.ID), apikeys.KeyChange{Name: &k.Name})
	f.must(err)
	_, err = f.store.UpdateKey(f.Context(), m, keyRef(k.ID), apikeys.KeyChange{Name: ptr("x"), IfVersion: 9})
	f.fails(err, apikeys.ErrConflict)
	_, err = f.store.UpdateKey(f.Context(), m, keyRef(f.id()), apikeys.KeyChange{Name: ptr("x")})
	f.fails(err, apikeys.ErrNotFound)
	got, err := f.store.UpdateKey(f.Context(), m, keyRef(k.ID), apikeys.KeyChange{Name: ptr("x")})
	f.must(err)
	if got.Name != "x" || got.Version != 2 {
		f.Fatalf("got name %q and version %d, want the change to be made", got.Name, got.Version)
	}
	revoke, q := f.mutation("key.revoke"), apikeys.KeyQuery{ID: f.id(), Limit: 1}
	for _, want := range []int{0, 1} {
		ids, err := f.store.RevokeKeys(f.Context(), revoke, q, "over")
		f.must(err)
		if len(ids) != want {
			f.Fatalf("got %d revoked keys, want %d", len(ids), want)
		}
		q.ID = k.ID
	}
}
