package storetest

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func pagingTests() []test {
	return []test{
		{"all pages hold all keys once", pagesAreComplete},
		{"the boundary holds on every page", pagesKeepScope},
		{"pages hold while keys come and go", pagesHold},
	}
}

// pages reads a list page by page, and ends the test when it does not end, or when
// a page is too long or not below the one before.
func (f *fixture) pages(limit int, list func(before uuid.UUID, limit int) []uuid.UUID) []uuid.UUID {
	f.Helper()
	var all []uuid.UUID
	before := uuid.Nil
	for range 1000 {
		page := list(before, limit)
		if len(page) > limit {
			f.Fatalf("a page of at most %d: got %d", limit, len(page))
		}
		for _, id := range page {
			if before != uuid.Nil && compareIDs(id, before) >= 0 {
				f.Fatalf("the order of a list: got %s after %s, want descending ids", id, before)
			}
			before = id
		}
		if all = append(all, page...); len(page) < limit {
			return all
		}
	}
	f.Fatal("got a list without an end")
	return nil
}

func (f *fixture) pagesOf(q apikeys.KeyQuery, limit int) []uuid.UUID {
	f.Helper()
	return f.pages(limit, func(before uuid.UUID, limit int) []uuid.UUID {
		q.Before, q.Limit = before, limit
		return idsOf(f.list(q), keyID)
	})
}

// Catches: OFFSET, <= for <, order by time (equal for many keys), ids compared as
// signed numbers.
func pagesAreComplete(f *fixture) {
	o := f.organization()
	keys := f.keys(23, o, func(k *apikeys.KeyRecord) { k.CreatedAt = epoch })
	ids := idsOf(keys, keyID)
	wild := make([]apikeys.KeyRecord, 8)
	for i := range wild { // ids whose first bytes go over the whole range
		wild[i] = f.newKey(o, func(k *apikeys.KeyRecord) { k.ID[0] = byte(i * 36) })
	}
	f.storeAll(wild...)
	ids = append(ids, idsOf(wild, keyID)...)
	for _, limit := range []int{1, 2, 7, len(ids), len(ids) + 1} {
		f.equal("all pages", f.pagesOf(apikeys.KeyQuery{}, limit), newestFirst(ids...))
		q := apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: o.ID}, Status: apikeys.StatusActive, Now: epoch, Search: "KEY"}
		f.equal("all pages of a filtered list", f.pagesOf(q, limit), newestFirst(ids...))
	}
}

// Catches: "organization = a AND id < x OR …": a tenant who sees the others' keys
// from page 2 on.
func pagesKeepScope(f *fixture) {
	a, b := f.organization(), f.organization()
	project := map[uuid.UUID]uuid.UUID{a.ID: f.project(a).ID, b.ID: f.project(b).ID}
	want := map[apikeys.Scope][]uuid.UUID{}
	for i := range 36 { // ids of two organizations and three owners, interleaved
		o, owner := []apikeys.ResourceRecord{a, b}[i%2], []string{"bob", "Bob", "bob "}[i%3]
		k := f.key(o, func(k *apikeys.KeyRecord) { k.OwnerID, k.ProjectID = owner, project[o.ID] })
		for _, scope := range []apikeys.Scope{{}, {OrganizationID: o.ID}, {OrganizationID: o.ID, OwnerID: owner}} {
			want[scope] = append(want[scope], k.ID)
		}
	}
	for scope, ids := range want {
		q := apikeys.KeyQuery{Scope: scope}
		f.equal("all pages of a scope", f.pagesOf(q, 5), newestFirst(ids...))
		q.Status, q.Now, q.Search, q.EndedBefore = apikeys.StatusActive, epoch, "key", epoch
		f.equal("those that ended, of a scope", f.pagesOf(q, 5), []uuid.UUID(nil))
		q.EndedBefore = q.CreatedBefore
		f.equal("all pages of a filtered scope", f.pagesOf(q, 5), newestFirst(ids...))
		q.ProjectID = project[a.ID]
		allOfA := want[apikeys.Scope{OrganizationID: a.ID}]
		inA := slices.DeleteFunc(slices.Clone(ids), func(id uuid.UUID) bool { return !slices.Contains(allOfA, id) })
		f.equal("all pages of a scope and a project", f.pagesOf(q, 5), newestFirst(inA...))
	}
}

// Catches: pages by number: rows that come and go move the others from one page to
// the next.
func pagesHold(f *fixture) {
	o := f.organization()
	kept := f.keys(20, o)
	temporary := f.keys(20, o)
	kept = append(kept, f.keys(20, o)...)
	fresh := make([]apikeys.KeyRecord, 20)
	create, remove := make([]apikeys.Mutation, 20), make([]apikeys.Mutation, 20)
	for i := range fresh {
		fresh[i], create[i], remove[i] = f.newKey(o), f.mutation("key.create"), f.mutation("key.delete")
	}
	var done atomic.Bool
	f.together(2, func(i int) error {
		if i == 0 {
			defer done.Store(true)
			return f.churn(fresh, temporary, create, remove)
		}
		for last := false; !last; {
			last = done.Load() // look once more after the end
			if err := f.onePass(kept); err != nil {
				return err
			}
		}
		return nil
	})
}

// churn creates and deletes keys in turn.
func (f *fixture) churn(fresh, temporary []apikeys.KeyRecord, create, remove []apikeys.Mutation) error {
	for i := range fresh {
		faults, err := f.store.CreateKeys(f.Context(), create[i], fresh[i:i+1])
		if err = errors.Join(append(faults, err)...); err != nil {
			return err
		}
		if _, err := f.store.DeleteKeys(f.Context(), remove[i], apikeys.KeyQuery{ID: temporary[i].ID, Limit: 1}); err != nil {
			return err
		}
	}
	return nil
}

// onePass reads all pages and tells if a key that was there all the time is
// missing, or any key is there twice.
func (f *fixture) onePass(kept []apikeys.KeyRecord) error {
	seen := map[uuid.UUID]int{}
	q := apikeys.KeyQuery{Limit: 7}
	for {
		page, err := f.store.ListKeys(f.Context(), q)
		if err != nil {
			return err
		}
		for _, k := range page {
			q.Before = k.ID
			if seen[k.ID]++; seen[k.ID] > 1 {
				return errors.New("a key is on two pages")
			}
		}
		if len(page) < q.Limit {
			break
		}
	}
	for _, k := range kept {
		if seen[k.ID] != 1 {
			return errors.New("a key that was there all the time is on no page")
		}
	}
	return nil
}
