package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func updateTests() []test {
	return []test{
		{"changes every field that is set", updateEveryField},
		{"clears what is set to nothing", updateClears},
		{"leaves other keys alone", updateOneKey},
		{"holds to IfVersion", updateIfVersion},
		{"without a change changes nothing", updateNothing},
		{"the first revocation stands", revokeOnce},
		{"a disabled key keeps its time", disableOnce},
		{"at once loses nothing", updatesAtOnce},
		{"revocations at once: one stands", revocationsAtOnce},
		{"and usage at once do not meet", updateWhileUsed},
	}
}

// changeCase is a change to a key and what it should do.
type changeCase struct {
	change apikeys.KeyChange
	apply  func(*apikeys.KeyRecord)
}

func everyChange() map[string]changeCase {
	at := epoch.Add(77*time.Hour + time.Microsecond)
	name, scopes := "'); DROP TABLE x; -- 🙂 ", []string{"z", "a:*", "z:1"}
	limits := []apikeys.RateLimit{apikeys.PerSecond(1), apikeys.PerDay(9007199254740993)}
	custom := json.RawMessage(`{ "n": 9007199254740993.0, "a": [] }`)
	return map[string]changeCase{
		"name":        {apikeys.KeyChange{Name: &name}, func(k *apikeys.KeyRecord) { k.Name = name }},
		"scopes":      {apikeys.KeyChange{Scopes: &scopes}, func(k *apikeys.KeyRecord) { k.Scopes = scopes }},
		"rate limits": {apikeys.KeyChange{RateLimits: &limits}, func(k *apikeys.KeyRecord) { k.RateLimits = limits }},
		"expiry":      {apikeys.KeyChange{ExpiresAt: &at}, func(k *apikeys.KeyRecord) { k.ExpiresAt = at }},
		"custom":      {apikeys.KeyChange{Custom: &custom}, func(k *apikeys.KeyRecord) { k.Custom = custom }},
		"disabling":   {apikeys.KeyChange{DisabledAt: &at}, func(k *apikeys.KeyRecord) { k.DisabledAt = at }},
		"revoking": {
			apikeys.KeyChange{Revoke: &apikeys.Revocation{At: at, Reason: "it's \"over\""}},
			func(k *apikeys.KeyRecord) { k.RevokedAt, k.RevokedReason = at, "it's \"over\"" },
		},
		"several": {
			apikeys.KeyChange{Name: ptr("n"), Scopes: &scopes, DisabledAt: &at, IfVersion: 1},
			func(k *apikeys.KeyRecord) { k.Name, k.Scopes, k.DisabledAt = "n", scopes, at },
		},
	}
}

// Catches: a field that one statement forgets, or writes although it is not set; a
// version or an UpdatedAt that stays behind; secrets that a change touches.
func updateEveryField(f *fixture) {
	for what, tc := range everyChange() {
		f.each(what, func(f *fixture) {
			k := f.fullKey()
			k.RevokedAt, k.RevokedReason, k.DisabledAt = time.Time{}, "", time.Time{}
			f.storeAll(k)
			m := f.mutation("key.update")
			got, err := f.store.UpdateKey(f.Context(), m, keyRef(k.ID), tc.change)
			f.must(err)
			want := stored(k)
			tc.apply(&want)
			want.Version, want.UpdatedAt = 2, m.At
			f.equal("what it returns", stored(got), want)
			f.equal("what is read", f.get(k.ID), want)
			f.equal("its secrets", f.secrets(k.ID), []apikeys.SecretRecord{k.Secret})
			f.equal("by its hash", stored(f.byHash(k.Secret.Hash)[0]), want)
		})
	}
}

// Catches: nothing taken for "leave it alone".
func updateClears(f *fixture) {
	k := f.fullKey()
	k.RevokedAt, k.RevokedReason = time.Time{}, ""
	f.storeAll(k)
	m := f.mutation("key.update")
	got, err := f.store.UpdateKey(f.Context(), m, keyRef(k.ID), apikeys.KeyChange{
		Name: ptr(""), Scopes: &[]string{}, RateLimits: &[]apikeys.RateLimit{}, ExpiresAt: &time.Time{},
		Custom: ptr(json.RawMessage("{}")), DisabledAt: &time.Time{},
	})
	f.must(err)
	want := stored(k)
	want.Name, want.Scopes, want.RateLimits, want.Custom = "", nil, nil, nil
	want.ExpiresAt, want.DisabledAt, want.Version, want.UpdatedAt = time.Time{}, time.Time{}, 2, m.At
	f.equal("what it returns", stored(got), want)
	f.equal("what is read", f.get(k.ID), want)
	got = f.update(k.ID, apikeys.KeyChange{Scopes: ptr([]string(nil)), Name: ptr("x")})
	if got.Version != 3 || len(got.Scopes) != 0 {
		f.Fatalf("a change after clearing: got version %d and %d scopes, want 3 and none", got.Version, len(got.Scopes))
	}
}

// Catches: a WHERE that is missing.
func updateOneKey(f *fixture) {
	o := f.organization()
	k, other := f.key(o), f.key(o)
	f.update(k.ID, apikeys.KeyChange{Name: ptr("changed"), Revoke: &apikeys.Revocation{At: epoch}})
	f.equal("another key", f.get(other.ID), stored(other))
}

// Catches: a version that is compared in one statement and written in another, or
// not compared; a conflict that leaves an event.
func updateIfVersion(f *fixture) {
	k := f.key(f.organization())
	f.update(k.ID, apikeys.KeyChange{IfVersion: 1, Name: ptr("two")})
	for _, version := range []int64{1, 3, -1, 1 << 60} {
		f.unchanged("a conflict", func() {
			change := apikeys.KeyChange{IfVersion: version, Name: ptr("conflict"), Revoke: &apikeys.Revocation{At: epoch}}
			_, err := f.store.UpdateKey(f.Context(), f.mutation("key.update"), keyRef(k.ID), change)
			f.fails(err, apikeys.ErrConflict)
		})
	}
	f.unchanged("a conflict without a change", func() {
		change := apikeys.KeyChange{IfVersion: 1, Name: ptr("two")}
		_, err := f.store.UpdateKey(f.Context(), f.mutation("key.update"), keyRef(k.ID), change)
		f.fails(err, apikeys.ErrConflict)
	})
	if got := f.update(k.ID, apikeys.KeyChange{IfVersion: 2, Name: ptr("three")}); got.Version != 3 {
		f.Fatalf("got version %d, want 3", got.Version)
	}
}

// Catches: versions, events and revisions for nothing, which empty every cache.
func updateNothing(f *fixture) {
	k := f.fullKey()
	f.storeAll(k)
	for what, change := range map[string]apikeys.KeyChange{
		"nothing": {},
		"the same": {
			Name: &k.Name, Scopes: &k.Scopes, RateLimits: &k.RateLimits, ExpiresAt: &k.ExpiresAt, Custom: &k.Custom, DisabledAt: &k.DisabledAt,
		},
		"revoked again": {Revoke: &apikeys.Revocation{At: epoch.Add(time.Hour), Reason: "again"}},
		"this version":  {IfVersion: 1},
	} {
		f.unchanged("a change to "+what, func() {
			f.equal("what it returns", f.update(k.ID, change), stored(k))
		})
	}
}

// Catches: a second revocation that moves the time or the reason; a change that
// brings a revoked key back.
func revokeOnce(f *fixture) {
	k := f.key(f.organization())
	f.update(k.ID, apikeys.KeyChange{Revoke: &apikeys.Revocation{At: epoch, Reason: "first"}})
	f.update(k.ID, apikeys.KeyChange{Name: ptr("renamed"), Revoke: &apikeys.Revocation{At: epoch.Add(time.Hour), Reason: "second"}})
	f.update(k.ID, apikeys.KeyChange{ExpiresAt: ptr(epoch.Add(time.Hour)), DisabledAt: &time.Time{}})
	got := f.get(k.ID)
	if !got.RevokedAt.Equal(epoch) || got.RevokedReason != "first" || got.Name != "renamed" || got.Version != 4 {
		f.Fatalf("got revoked at %v for %q, named %q, version %d; want the first time and reason, the new name, 4",
			got.RevokedAt, got.RevokedReason, got.Name, got.Version)
	}
}

// Catches: a second disabling that moves the time; one that does not come off.
func disableOnce(f *fixture) {
	k := f.key(f.organization())
	at := epoch.Add(time.Microsecond)
	f.update(k.ID, apikeys.KeyChange{DisabledAt: &at})
	f.unchanged("disabling again", func() {
		f.update(k.ID, apikeys.KeyChange{DisabledAt: ptr(at.Add(time.Hour))})
	})
	f.equal("disabled", f.get(k.ID).DisabledAt, at)
	f.equal("enabled", f.update(k.ID, apikeys.KeyChange{DisabledAt: &time.Time{}}).DisabledAt, time.Time{})
	f.equal("disabled anew", f.update(k.ID, apikeys.KeyChange{DisabledAt: ptr(at.Add(time.Hour))}).DisabledAt, at.Add(time.Hour))
}

// Catches: read, change, write without a lock: of two changes one is lost.
func updatesAtOnce(f *fixture) {
	const n, tries = 8, 1000
	k := f.key(f.organization())
	mutations := make([][]apikeys.Mutation, n)
	for i := range mutations {
		for range tries {
			mutations[i] = append(mutations[i], f.mutation("key.update"))
		}
	}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint("scope:", i))
	}
	f.together(n, func(i int) error {
		for _, m := range mutations[i] {
			now, _, err := f.store.GetKey(f.Context(), keyRef(k.ID))
			if err != nil {
				return err
			}
			scopes := append(now.Scopes, want[i])
			_, err = f.store.UpdateKey(f.Context(), m, keyRef(k.ID), apikeys.KeyChange{IfVersion: now.Version, Scopes: &scopes})
			if !errors.Is(err, apikeys.ErrConflict) {
				return err
			}
		}
		return errors.New("every try met a conflict: somebody must win each round")
	})
	got := f.get(k.ID)
	slices.Sort(got.Scopes)
	f.equal("the scopes that were added", got.Scopes, want)
	if got.Version != n+1 {
		f.Fatalf("got version %d after %d changes, want %d", got.Version, n, n+1)
	}
}

// Catches: "revoked already?" asked before the lock: the last one stands.
func revocationsAtOnce(f *fixture) {
	const n = 8
	k := f.key(f.organization())
	before := f.mark()
	mutations, got := make([]apikeys.Mutation, n), make([]apikeys.KeyRecord, n)
	for i := range n {
		mutations[i] = f.mutation("key.revoke")
	}
	f.together(n, func(i int) (err error) {
		change := apikeys.KeyChange{Revoke: &apikeys.Revocation{At: mutations[i].At, Reason: fmt.Sprint("reason ", i)}}
		got[i], err = f.store.UpdateKey(f.Context(), mutations[i], keyRef(k.ID), change)
		return err
	})
	stands := f.get(k.ID)
	for i := range got {
		f.equal("what everybody was told", stored(got[i]), stands)
	}
	if stands.Version != 2 || f.mark().Revision != before.Revision+1 {
		f.Fatalf("got version %d and %d revisions, want 2 and 1", stands.Version, f.mark().Revision-before.Revision)
	}
	if events := f.events(apikeys.EventQuery{SubjectID: k.ID}); len(events) != 2 {
		f.Fatalf("events: got %d, want 2 (one that creates, one that revokes)", len(events))
	}
}

// Catches: usage that writes the whole key back, as it was read before it was
// disabled; a change that sets the count back.
func updateWhileUsed(f *fixture) {
	const n = 30
	k := f.key(f.organization())
	writer := uuid.UUID{15: 1}
	mutations := make([]apikeys.Mutation, n)
	for i := range n {
		mutations[i] = f.mutation("key.update")
	}
	f.together(2, func(side int) error {
		for i := range n {
			var err error
			if side == 0 {
				err = f.store.AddUsage(f.Context(), batch(writer, int64(i+1), used(k, 1, epoch)))
			} else {
				_, err = f.store.UpdateKey(f.Context(), mutations[i], keyRef(k.ID), apikeys.KeyChange{Name: ptr(fmt.Sprint("name ", i))})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	disabled := f.update(k.ID, apikeys.KeyChange{DisabledAt: ptr(epoch)})
	f.must(f.store.AddUsage(f.Context(), batch(writer, n+1, used(k, 1, epoch.Add(time.Hour)))))
	disabled.UseCount, disabled.LastUsedAt = n+1, epoch.Add(time.Hour)
	f.equal("used and changed", f.get(k.ID), disabled)
	if disabled.Version != n+2 || disabled.Name != fmt.Sprint("name ", n-1) {
		f.Fatalf("got version %d and name %q, want %d and the last name", disabled.Version, disabled.Name, n+2)
	}
}
