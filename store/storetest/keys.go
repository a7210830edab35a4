package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func keyTests() []test {
	return []test{
		{"come back as they were created", keysRoundTrip},
		{"keep their JSON byte for byte", keysKeepJSON},
		{"keep their texts byte for byte", keysKeepTexts},
		{"keep times that are easily taken for none", keysKeepTimes},
		{"are copies", keysAreCopies},
		{"fail one by one", keysFailOneByOne},
		{"that all fail leave nothing", keysAllFail},
		{"are bound within their organization", keysBoundWithin},
		{"of one hash at once are one", keysOfOneHash},
		{"come in hundreds", hundredsOfKeys},
		{"that do not exist are not found", unknownKeys},
	}
}

// fullKey sets every field that a new key can have.
func (f *fixture) fullKey() apikeys.KeyRecord {
	f.Helper()
	o := f.organization()
	project, product := f.project(o), f.product(o)
	k := f.newKey(o, func(k *apikeys.KeyRecord) {
		k.ProjectID, k.ProductID = project.ID, product.ID
		k.OwnerID, k.Environment, k.Head, k.Hint = "user-7 ", "live", "myapp_live", "myapp_live_Ab3d…x9Qz"
		k.Name = "Deploy key 🙂"
		k.Scopes = []string{"docs:*", "a", "Z", "docs:read", "a:b:c"}
		k.RateLimits = []apikeys.RateLimit{
			apikeys.PerSecond(0), apikeys.PerMinute(1), apikeys.PerHour(9007199254740993), apikeys.PerDay(1000000000000000),
		}
		k.Custom = json.RawMessage(`{"team":"blue"}`)
		k.ExpiresAt = epoch.Add(240*time.Hour + time.Microsecond)
		k.CreatedAt = epoch.Add(1 * time.Microsecond)
		k.UpdatedAt = epoch.Add(2 * time.Microsecond)
		k.DisabledAt = epoch.Add(3 * time.Microsecond)
		k.RevokedAt = epoch.Add(4 * time.Microsecond)
		k.RevokedReason = "leaked, 'said' \"bob\""
	})
	k.Secret.SigningID, k.Secret.Hint = "signing-Ü", "another hint…"
	k.Secret.CreatedAt, k.Secret.EndsAt = epoch.Add(5*time.Microsecond), epoch.Add(6*time.Microsecond)
	return k
}

// Catches: a column forgotten in one statement, two columns swapped, times cut to
// less than microseconds, int64 through float64, scopes sorted.
func keysRoundTrip(f *fixture) {
	want := f.fullKey()
	f.storeAll(want)
	f.equal("GetKey", f.get(want.ID), stored(want))
	f.equal("its secrets", f.secrets(want.ID), []apikeys.SecretRecord{want.Secret})
	list := f.list(apikeys.KeyQuery{})
	f.equal("ListKeys", stored(list[0]), stored(want))
	found := f.byHash(want.Secret.Hash)
	if len(found) != 1 {
		f.Fatalf("KeysByHash: got %d keys, want 1", len(found))
	}
	f.equal("KeysByHash", found[0], want)

	plain := f.newKey(f.organization(), func(k *apikeys.KeyRecord) { k.Name, k.Hint = "", "" })
	f.storeAll(plain)
	f.equal("a key with nothing set", f.get(plain.ID), stored(plain))
	f.equal("a key with nothing set, by its hash", f.byHash(plain.Secret.Hash), []apikeys.KeyRecord{plain})
}

// Catches: JSON that goes through float64 or a database's own JSON type: numbers
// rounded or rewritten, members sorted, space and escapes lost.
func keysKeepJSON(f *fixture) {
	o := f.organization()
	long := `{"long":"` + strings.Repeat("é", (16<<10-len(`{"long":""}`))/2) + `"}`
	for _, text := range []string{
		`{"n":9007199254740993,"f":1.0,"e":1e2,"E":1E+2,"z":-0.0,"d":0.1000,"long":123456789012345678901234567890.5}`,
		`{"z":1,"a":2,"m":{"y":1,"b":2},"":0}`,
		`{ "a" : [ 1 , 2 ] , "b":{ } }`,
		`{"emoji":"🙂","escaped":"\ud83d\ude42\u00e9\u0022\/","html":"<b>&'\u003c","slash":"\\","line":"\n\t","sep":"` + "\u2028" + `"}`,
		`{"k":null,"t":true,"s":"'); DROP TABLE apikeys_keys; --","$1":"%s ? :a @p1"}`,
		`{"Key":1,"key":2,"KEY ":3}`,
		`{}`,
		long,
	} {
		k := f.key(o, func(k *apikeys.KeyRecord) { k.Custom = json.RawMessage(text) })
		f.equal("GetKey, custom", f.get(k.ID), stored(k))
		f.equal("KeysByHash, custom", stored(f.byHash(k.Secret.Hash)[0]), stored(k))
		f.equal("ListKeys, custom", stored(f.list(apikeys.KeyQuery{ID: k.ID})[0]), stored(k))
	}
	k := f.key(o, func(k *apikeys.KeyRecord) { k.Custom = json.RawMessage(`{"a":1}`) })
	other := json.RawMessage(`{ "a": 1.0 }`)
	f.update(k.ID, apikeys.KeyChange{Custom: &other})
	f.equal("custom after an update", f.get(k.ID).Custom, other)
}

// Catches: collations, columns that trim or cut, quoting by hand.
func keysKeepTexts(f *fixture) {
	o := f.organization()
	var keys []apikeys.KeyRecord
	for _, text := range append(hardTexts(), "") {
		keys = append(keys, f.newKey(o, func(k *apikeys.KeyRecord) {
			k.Name, k.OwnerID, k.RevokedReason = text, text, text
			k.Hint = "sk_" + text[:min(len(text), 1)] + "…"
			k.Hint = strings.ToValidUTF8(k.Hint, "?")
			k.Scopes = []string{text, text + text}
		}))
	}
	f.storeAll(keys...)
	for _, k := range keys {
		f.equal(fmt.Sprintf("texts of %.20q", k.Name), f.get(k.ID), stored(k))
	}
}

// Catches: the Unix epoch stored as "no time", and years that overflow.
func keysKeepTimes(f *fixture) {
	o := f.organization()
	for _, at := range []time.Time{
		time.Unix(0, 0).UTC(), time.Unix(0, 1000).UTC(), time.Unix(1, 0).UTC(),
		time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
	} {
		k := f.newKey(o, func(k *apikeys.KeyRecord) { k.ExpiresAt, k.DisabledAt, k.RevokedAt = at, at, at })
		k.Secret.EndsAt = at
		f.storeAll(k)
		f.equal("a key of "+at.String(), f.get(k.ID), stored(k))
		f.equal("a secret of "+at.String(), f.secrets(k.ID), []apikeys.SecretRecord{k.Secret})
	}
}

// Catches: a store in memory, or a cache, that hands out its own slices or keeps
// the caller's.
func keysAreCopies(f *fixture) {
	k := f.fullKey()
	want := k
	want.Scopes, want.RateLimits, want.Custom = slices.Clone(k.Scopes), slices.Clone(k.RateLimits), slices.Clone(k.Custom)
	spoil := func(k apikeys.KeyRecord) {
		k.Scopes[0], k.RateLimits[0].Requests, k.Custom[2] = "*", 99, 'X'
	}
	f.storeAll(k)
	spoil(k)
	f.equal("after the caller changed what it gave", f.get(k.ID), stored(want))
	spoil(f.get(k.ID))
	spoil(f.list(apikeys.KeyQuery{})[0])
	spoil(f.byHash(k.Secret.Hash)[0])
	f.equal("after the caller changed what it was given", f.get(k.ID), stored(want))

	scopes, custom := []string{"new"}, json.RawMessage(`{"new":1}`)
	updated := f.update(k.ID, apikeys.KeyChange{Scopes: &scopes, Custom: &custom})
	want.Scopes, want.Custom = slices.Clone(scopes), slices.Clone(custom)
	want.UpdatedAt, want.Version = updated.UpdatedAt, updated.Version
	scopes[0], custom[2] = "*", 'X'
	spoil(updated)
	f.equal("after the caller changed what it updated with", f.get(k.ID), stored(want))
}

// mixedBatch makes keys of which some cannot be created, and tells the error of each.
func (f *fixture) mixedBatch(o apikeys.ResourceRecord, standing apikeys.KeyRecord) (keys []apikeys.KeyRecord, want []error) {
	f.Helper()
	foreign, gone := f.organization(), f.organization()
	f.remove(gone)
	project, product := f.project(o), f.product(o)
	add := func(err error, k apikeys.KeyRecord) apikeys.KeyRecord {
		keys, want = append(keys, k), append(want, err)
		return k
	}
	sameID := func(id uuid.UUID) apikeys.KeyRecord {
		return f.newKey(o, func(k *apikeys.KeyRecord) { k.ID = id })
	}
	sameHash := func(h apikeys.Hash) apikeys.KeyRecord {
		k := f.newKey(o)
		k.Secret.Hash = h
		return k
	}
	bound := func(project, product uuid.UUID) apikeys.KeyRecord {
		return f.newKey(o, func(k *apikeys.KeyRecord) { k.ProjectID, k.ProductID = project, product })
	}
	good := add(nil, f.newKey(o))
	add(apikeys.ErrAlreadyExists, sameID(standing.ID))
	add(apikeys.ErrAlreadyExists, sameHash(standing.Secret.Hash))
	add(apikeys.ErrNotFound, f.newKey(gone))
	add(apikeys.ErrNotFound, f.newKey(apikeys.ResourceRecord{ID: f.id()}))
	add(apikeys.ErrNotFound, bound(f.project(foreign).ID, uuid.Nil))
	add(apikeys.ErrNotFound, bound(project.ID, f.product(foreign).ID))
	add(apikeys.ErrNotFound, bound(f.id(), uuid.Nil))
	add(nil, f.newKey(o))
	add(apikeys.ErrAlreadyExists, sameID(good.ID))
	add(apikeys.ErrAlreadyExists, sameHash(good.Secret.Hash))
	add(nil, bound(project.ID, product.ID))
	return keys, want
}

// Catches: one bad row that takes the others with it, or is taken for good; rows
// of one batch that do not see each other; results out of order.
func keysFailOneByOne(f *fixture) {
	o := f.organization()
	standing, m := f.key(o), f.mutation("key.import")
	keys, want := f.mixedBatch(o, standing)
	got, err := f.store.CreateKeys(f.Context(), m, keys)
	f.must(err)
	f.wantFaults(got, want)
	there := []uuid.UUID{standing.ID}
	for i := range keys {
		if want[i] == nil {
			there = append(there, keys[i].ID)
			f.equal("a key among others that failed", f.get(keys[i].ID), stored(keys[i]))
			f.equal("its hash", f.byHash(keys[i].Secret.Hash)[0].ID, keys[i].ID)
		}
	}
	f.equal("all keys", idsOf(f.list(apikeys.KeyQuery{}), keyID), newestFirst(there...))
	f.equal("the standing key", f.get(standing.ID), stored(standing))
	f.equal("the standing key's secrets", f.secrets(standing.ID), []apikeys.SecretRecord{standing.Secret})
	if n := len(f.events(apikeys.EventQuery{ID: m.ID})); n != 1 {
		f.Fatalf("events of one batch: got %d, want 1", n)
	}
	f.repeatedImport(m, keys, want)
}

// repeatedImport checks that repeating a batch says of each key whether it is there.
func (f *fixture) repeatedImport(m apikeys.Mutation, keys []apikeys.KeyRecord, want []error) {
	f.Helper()
	f.unchanged("repeating the batch", func() {
		got, err := f.store.CreateKeys(f.Context(), m, keys)
		f.must(err)
		for i := range keys {
			if (got[i] == nil) != (want[i] == nil) {
				f.Fatalf("key %d of a repeated batch: got %v, want %v again (any error if one)", i, got[i], want[i])
			}
		}
	})
}

func (f *fixture) wantFaults(got, want []error) {
	f.Helper()
	if len(got) != len(want) {
		f.Fatalf("got %d results for %d keys", len(got), len(want))
	}
	for i := range want {
		if !errors.Is(got[i], want[i]) {
			f.Fatalf("key %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

// Catches: an event that tells of keys nobody made.
func keysAllFail(f *fixture) {
	standing := f.key(f.organization())
	f.unchanged("a batch that failed", func() {
		again := f.newKey(apikeys.ResourceRecord{ID: standing.OrganizationID})
		again.Secret.Hash = standing.Secret.Hash
		keys := []apikeys.KeyRecord{again, f.newKey(apikeys.ResourceRecord{ID: f.id()})}
		got, err := f.store.CreateKeys(f.Context(), f.mutation("key.create"), keys)
		f.must(err)
		f.wantFaults(got, []error{apikeys.ErrAlreadyExists, apikeys.ErrNotFound})
	})
}

// Catches: foreign keys that take any resource of the organization, itself
// included, for a project or a product, or a project for an organization.
func keysBoundWithin(f *fixture) {
	o := f.organization()
	project, product := f.project(o), f.product(o)
	for what, edit := range map[string]func(*apikeys.KeyRecord){
		"a product for a project":       func(k *apikeys.KeyRecord) { k.ProjectID = product.ID },
		"a project for a product":       func(k *apikeys.KeyRecord) { k.ProductID = project.ID },
		"the organization as a project": func(k *apikeys.KeyRecord) { k.ProjectID = o.ID },
		"a project as an organization":  func(k *apikeys.KeyRecord) { k.OrganizationID = project.ID },
		"no organization":               func(k *apikeys.KeyRecord) { k.OrganizationID = uuid.Nil },
	} {
		got, err := f.store.CreateKeys(f.Context(), f.mutation("key.create"), []apikeys.KeyRecord{f.newKey(o, edit)})
		f.must(err)
		if !errors.Is(got[0], apikeys.ErrNotFound) {
			f.Fatalf("%s: got %v, want %v", what, got[0], apikeys.ErrNotFound)
		}
	}
	if n := len(f.list(apikeys.KeyQuery{})); n != 0 {
		f.Fatalf("keys that were refused: got %d, want none", n)
	}
}

// Catches: look first, insert then: one text that is two keys.
func keysOfOneHash(f *fixture) {
	const n = 8
	o := f.organization()
	keys, mutations, faults := make([]apikeys.KeyRecord, n), make([]apikeys.Mutation, n), make([]error, n)
	for i := range n {
		keys[i], mutations[i] = f.newKey(o), f.mutation("key.create")
		keys[i].Secret.Hash = keys[0].Secret.Hash
	}
	f.together(n, func(i int) error {
		got, err := f.store.CreateKeys(f.Context(), mutations[i], keys[i:i+1])
		if err == nil {
			faults[i] = got[0]
		}
		return err
	})
	winner := slices.Index(faults, nil)
	if winner < 0 {
		f.Fatalf("got no key from %d of one hash, want 1", n)
	}
	for i, fault := range faults {
		if i != winner && !errors.Is(fault, apikeys.ErrAlreadyExists) {
			f.Fatalf("a hash that is taken: got %v, want %v", fault, apikeys.ErrAlreadyExists)
		}
	}
	f.equal("the only key", idsOf(f.list(apikeys.KeyQuery{}), keyID), []uuid.UUID{keys[winner].ID})
	f.equal("its hash", f.byHash(keys[0].Secret.Hash)[0].ID, keys[winner].ID)
}

// Catches: statements with more parameters than a database takes.
func hundredsOfKeys(f *fixture) {
	keys := f.keys(300, f.organization())
	got := f.list(apikeys.KeyQuery{})
	slices.Reverse(got)
	for i := range keys {
		f.equal("one of many", stored(got[i]), stored(keys[i]))
	}
	f.equal("the last one's hash", f.byHash(keys[299].Secret.Hash), keys[299:])
}

// Catches: sql.ErrNoRows and its like on the outside.
func unknownKeys(f *fixture) {
	f.key(f.organization())
	for _, id := range []uuid.UUID{f.id(), uuid.Nil} {
		_, _, err := f.store.GetKey(f.Context(), keyRef(id))
		f.fails(err, apikeys.ErrNotFound)
		_, err = f.store.UpdateKey(f.Context(), f.mutation("key.update"), keyRef(id), apikeys.KeyChange{Name: ptr("x")})
		f.fails(err, apikeys.ErrNotFound)
		_, err = f.store.RotateKey(f.Context(), f.mutation("key.rotate"), keyRef(id), f.rotation(epoch))
		f.fails(err, apikeys.ErrNotFound)
		_, err = f.store.KeyUsage(f.Context(), apikeys.UsageQuery{Ref: keyRef(id), From: epoch, To: epoch.Add(time.Hour)})
		f.fails(err, apikeys.ErrNotFound)
	}
}
