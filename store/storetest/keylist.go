package storetest

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func listTests() []test {
	return []test{
		{"by status, to the microsecond", listByStatus},
		{"by times", listByTimes},
		{"by project, product and id", listByBinding},
		{"by owner, byte for byte", listByOwner},
		{"search finds text, not patterns", searchText},
		{"by end", listByEnd},
		{"search follows renames and rotations", searchFollows},
		{"filters join", filtersJoin},
	}
}

// wantKeys ends the test unless the query finds exactly these keys, the greatest
// id first.
func (f *fixture) wantKeys(what string, q apikeys.KeyQuery, want ...apikeys.KeyRecord) {
	f.Helper()
	f.equal(what, idsOf(f.list(q), keyID), newestFirst(idsOf(want, keyID)...))
}

// Catches: < for <= at the end of a key; revoked keys among the expired; disabled
// ones among the active; a clock of the store's own.
func listByStatus(f *fixture) {
	o := f.organization()
	const us = time.Microsecond
	keys := map[apikeys.KeyStatus][]apikeys.KeyRecord{}
	add := func(status apikeys.KeyStatus, revoked, expires, disabled time.Time) {
		k := f.key(o, func(k *apikeys.KeyRecord) { k.RevokedAt, k.ExpiresAt, k.DisabledAt = revoked, expires, disabled })
		keys[status] = append(keys[status], k)
	}
	none, past, now, future := time.Time{}, epoch.Add(-us), epoch, epoch.Add(us)
	add(apikeys.StatusActive, none, none, none)
	add(apikeys.StatusActive, none, future, none)
	add(apikeys.StatusExpired, none, now, none)
	add(apikeys.StatusExpired, none, past, none)
	add(apikeys.StatusExpired, none, now, past)
	add(apikeys.StatusExpired, none, time.Unix(0, 0), none)
	add(apikeys.StatusRevoked, past, none, none)
	add(apikeys.StatusRevoked, now, past, past)
	add(apikeys.StatusRevoked, future, future, none) // revoked means that a time is set
	add(apikeys.StatusDisabled, none, none, past)
	add(apikeys.StatusDisabled, none, none, future)
	add(apikeys.StatusDisabled, none, future, now)
	var all []apikeys.KeyRecord
	for status, want := range keys {
		f.wantKeys(string(status), apikeys.KeyQuery{Status: status, Now: now}, want...)
		all = append(all, want...)
	}
	f.wantKeys("all", apikeys.KeyQuery{Status: apikeys.StatusAll, Now: now}, all...)
	f.wantKeys("no status", apikeys.KeyQuery{Now: now}, all...)
	for _, k := range all { // the filter and the record must never disagree
		for _, at := range []time.Time{past, now, future, epoch.Add(time.Hour)} {
			f.wantKeys("its own status", apikeys.KeyQuery{ID: k.ID, Status: k.Status(at), Now: at}, k)
		}
	}
}

// Catches: boundaries on the wrong side; keys without an end among those that end.
func listByTimes(f *fixture) {
	o := f.organization()
	const us = time.Microsecond
	add := func(created, expires, revoked time.Time) apikeys.KeyRecord {
		return f.key(o, func(k *apikeys.KeyRecord) { k.CreatedAt, k.ExpiresAt, k.RevokedAt = created, expires, revoked })
	}
	none := time.Time{}
	before, at, after := add(epoch.Add(-us), none, none), add(epoch, none, none), add(epoch.Add(us), none, none)
	late := epoch.Add(time.Hour)
	endsBefore, endsAt, endsAfter := add(late, epoch.Add(-us), none), add(late, epoch, none), add(late, epoch.Add(us), none)
	revokedBefore, revokedAt := add(late, none, epoch.Add(-us)), add(late, none, epoch)
	both := add(late, epoch.Add(us), epoch.Add(-us))
	f.wantKeys("created before", apikeys.KeyQuery{CreatedBefore: epoch}, before)
	f.wantKeys("created before a microsecond later", apikeys.KeyQuery{CreatedBefore: epoch.Add(us)}, before, at)
	f.wantKeys("created long before", apikeys.KeyQuery{CreatedBefore: late}, before, at, after)
	f.wantKeys("expires before", apikeys.KeyQuery{ExpiresBefore: epoch}, endsBefore)
	f.wantKeys("expires before a microsecond later", apikeys.KeyQuery{ExpiresBefore: epoch.Add(us)}, endsBefore, endsAt)
	f.wantKeys("expires long before", apikeys.KeyQuery{ExpiresBefore: late}, endsBefore, endsAt, endsAfter, both)
	// Expired at a time means that the end is not after it; revoked before means before.
	f.wantKeys("ended before", apikeys.KeyQuery{EndedBefore: epoch}, endsBefore, endsAt, revokedBefore, both)
	f.wantKeys("ended before a microsecond later", apikeys.KeyQuery{EndedBefore: epoch.Add(us)},
		endsBefore, endsAt, endsAfter, revokedBefore, revokedAt, both)
}

// Catches: an order of ends that pages by something else; keys that end at one time
// and are left out, or come twice, where a page ends between them; filters left out.
func listByEnd(f *fixture) {
	o, foreign := f.organization(), f.organization()
	ends := func(o apikeys.ResourceRecord, at time.Time) apikeys.KeyRecord {
		return f.key(o, func(k *apikeys.KeyRecord) { k.ExpiresAt = at })
	}
	const us = time.Microsecond
	last, other := ends(o, epoch.Add(2*us)), ends(foreign, epoch.Add(us))
	same := []apikeys.KeyRecord{ends(o, epoch.Add(us)), ends(o, epoch.Add(us)), ends(o, epoch.Add(us))}
	first, now := ends(o, epoch.Add(-us)), ends(o, epoch)
	f.key(o)
	revoked := f.key(o, func(k *apikeys.KeyRecord) { k.ExpiresAt, k.RevokedAt = epoch.Add(us), epoch })
	want := func(what string, q apikeys.KeyQuery, keys ...apikeys.KeyRecord) {
		f.Helper()
		f.equal(what, idsOf(f.list(q), keyID), idsOf(keys, keyID))
	}
	scope := apikeys.Scope{OrganizationID: o.ID}
	active := func(after apikeys.ExpiryMark, limit int) apikeys.KeyQuery {
		return apikeys.KeyQuery{Scope: scope, Status: apikeys.StatusActive, Now: epoch, Expiring: &after, Limit: limit}
	}
	want("all ends", apikeys.KeyQuery{Expiring: &apikeys.ExpiryMark{}},
		slices.Concat([]apikeys.KeyRecord{first, now}, byID(append(same, other, revoked)...), []apikeys.KeyRecord{last})...)
	same = byID(same...)
	whole := append(slices.Clone(same), last)
	mark := apikeys.ExpiryMark{At: epoch, ID: uuid.Max}
	want("what ends later", active(mark, 10), whole...)
	for i, k := range whole {
		want("a page of one", active(mark, 1), k)
		mark = apikeys.ExpiryMark{At: k.ExpiresAt, ID: k.ID}
		want("the rest", active(mark, 10), whole[i+1:]...)
	}
	early := active(apikeys.ExpiryMark{At: epoch, ID: uuid.Max}, 10)
	early.ExpiresBefore = epoch.Add(2 * us)
	want("what ends soon", early, same...)
}

// byID sorts keys, the smallest id first.
func byID(keys ...apikeys.KeyRecord) []apikeys.KeyRecord {
	sorted := slices.Clone(keys)
	slices.SortFunc(sorted, func(a, b apikeys.KeyRecord) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return sorted
}

// Catches: a filter that is left out of the statement.
func listByBinding(f *fixture) {
	o := f.organization()
	p1, p2, x1, x2 := f.project(o), f.project(o), f.product(o), f.product(o)
	bound := func(project, product uuid.UUID) apikeys.KeyRecord {
		return f.key(o, func(k *apikeys.KeyRecord) { k.ProjectID, k.ProductID = project, product })
	}
	wide, project, product := bound(uuid.Nil, uuid.Nil), bound(p1.ID, uuid.Nil), bound(uuid.Nil, x1.ID)
	both, other := bound(p1.ID, x1.ID), bound(p2.ID, x2.ID)
	f.wantKeys("all", apikeys.KeyQuery{}, wide, project, product, both, other)
	f.wantKeys("by project", apikeys.KeyQuery{ProjectID: p1.ID}, project, both)
	f.wantKeys("by product", apikeys.KeyQuery{ProductID: x1.ID}, product, both)
	f.wantKeys("by both", apikeys.KeyQuery{ProjectID: p1.ID, ProductID: x1.ID}, both)
	f.wantKeys("by both, of which there is none", apikeys.KeyQuery{ProjectID: p1.ID, ProductID: x2.ID})
	f.wantKeys("by id", apikeys.KeyQuery{ID: wide.ID}, wide)
	f.wantKeys("by id and project", apikeys.KeyQuery{ID: wide.ID, ProjectID: p1.ID})
	f.wantKeys("before", apikeys.KeyQuery{Before: both.ID}, wide, project, product)
	f.wantKeys("a product's id as a project", apikeys.KeyQuery{ProjectID: x1.ID})
}

// Catches: owners compared by a collation: bob sees what is Bob's.
func listByOwner(f *fixture) {
	o, foreign := f.organization(), f.organization()
	owners := append(hardTexts(), "bob", "bob ", " bob", "Bob", "bo", "bobb", "b%", "b_b", "bób", "bo\u0062\u0301")
	keys := map[string]apikeys.KeyRecord{}
	for _, owner := range owners {
		keys[owner] = f.key(o, func(k *apikeys.KeyRecord) { k.OwnerID = owner })
	}
	f.key(o)
	f.key(foreign, func(k *apikeys.KeyRecord) { k.OwnerID = "bob" })
	for owner, k := range keys {
		q := apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: o.ID, OwnerID: owner}}
		f.wantKeys("keys of owner "+owner, q, k)
	}
}

// Catches: LIKE without escapes; a database's own idea of lower case (ASCII only,
// or by locale); a search across the border between name and hint.
func searchText(f *fixture) {
	o := f.organization()
	names := []string{
		"Deploy KEY", "deploy", "100%", "100 percent", "a_b", "axb", `back\slash`, "ÉCOLE", "école", "STRASSE", "straße",
		"İstanbul", "temperature \u212a", "quote's", `double"quote`, "[a-z]", "a*b", "🙂 smile", "ends with ab", "",
	}
	var keys []apikeys.KeyRecord
	for _, name := range names {
		keys = append(keys, f.newKey(o, func(k *apikeys.KeyRecord) { k.Name, k.Hint = name, "cd_Wx1y…z9Qz" }))
	}
	keys = append(keys, f.newKey(o, func(k *apikeys.KeyRecord) { k.Name, k.Hint = "hinted", "live_Ab3d…X9q\\" }))
	f.storeAll(keys...)
	for _, search := range []string{
		"deploy", "DEPLOY", "y k", "key", "%", "_", `\`, "0%", "a_b", "a%b", "a__b", "école", "École", "ÉCOLE", "strasse", "STRASSE",
		"straße", "istanbul", "İSTANBUL", "i\u0307stanbul", "k", "K", "\u212a", "'", `"`, "''", "[a-z]", "*", "🙂", "…",
		"ab3d", "X9Q\\", "x9q", "wx1", "cd_w", "nothing like it", "abcd", "ab cd", "ab\ncd", "ab\tcd", "ab|cd", "ab/cd", "ab,cd", " ",
	} {
		var want []apikeys.KeyRecord
		for _, k := range keys {
			if containsFold(k.Name, search) || containsFold(k.Hint, search) {
				want = append(want, k)
			}
		}
		f.wantKeys("search for "+search, apikeys.KeyQuery{Search: search}, want...)
	}
	f.wantKeys("no search", apikeys.KeyQuery{}, keys...)
}

func containsFold(text, search string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(search))
}

// Catches: a column for searching that is written once and never again.
func searchFollows(f *fixture) {
	k := f.key(f.organization(), func(k *apikeys.KeyRecord) { k.Name, k.Hint = "First", "sk_Old1…abcd" })
	f.update(k.ID, apikeys.KeyChange{Name: ptr("SECOND")})
	f.wantKeys("the new name", apikeys.KeyQuery{Search: "second"}, k)
	f.wantKeys("the old name", apikeys.KeyQuery{Search: "first"})
	f.wantKeys("the hint", apikeys.KeyQuery{Search: "old1"}, k)
	r := f.rotation(epoch)
	r.Secret.Hint = "sk_NEW2…wxyz"
	f.rotate(k.ID, r)
	f.wantKeys("the new hint", apikeys.KeyQuery{Search: "new2"}, k)
	f.wantKeys("the old hint", apikeys.KeyQuery{Search: "old1"})
	f.wantKeys("the name still", apikeys.KeyQuery{Search: "second"}, k)
}

// Catches: an OR without parentheses, by which one filter, or the tenant's
// boundary, lets through what another one holds back.
func filtersJoin(f *fixture) {
	o, foreign := f.organization(), f.organization()
	project := f.project(o)
	edit := func(k *apikeys.KeyRecord) {
		k.Name, k.Hint, k.OwnerID = "needle", "needle", "bob"
		k.RevokedAt, k.ExpiresAt = epoch.Add(-time.Hour), epoch.Add(-time.Hour)
	}
	match := f.key(o, edit, func(k *apikeys.KeyRecord) { k.ProjectID = project.ID })
	f.key(foreign, edit)
	f.key(o, edit) // of no project
	for _, spoil := range []func(*apikeys.KeyRecord){
		func(k *apikeys.KeyRecord) { k.OwnerID = "eve" },
		func(k *apikeys.KeyRecord) { k.Name, k.Hint = "hay", "hay" },
		func(k *apikeys.KeyRecord) { k.RevokedAt, k.ExpiresAt = time.Time{}, time.Time{} },
		func(k *apikeys.KeyRecord) { k.CreatedAt = epoch.Add(time.Hour) },
	} {
		f.key(o, edit, func(k *apikeys.KeyRecord) { k.ProjectID = project.ID }, spoil)
	}
	q := apikeys.KeyQuery{
		Scope: apikeys.Scope{OrganizationID: o.ID, OwnerID: "bob"}, ProjectID: project.ID, Search: "NEEDLE",
		Status: apikeys.StatusRevoked, Now: epoch, CreatedBefore: epoch.Add(time.Minute), ExpiresBefore: epoch, EndedBefore: epoch,
	}
	f.wantKeys("all filters", q, match)
	q.Before = match.ID
	f.wantKeys("all filters, page 2", q)
	q.Before = slices.MaxFunc([]uuid.UUID{match.ID, f.id()}, compareIDs)
	f.wantKeys("all filters, before a later id", q, match)
}
