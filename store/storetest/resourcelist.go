package storetest

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func resourceListTests() []test {
	return []test{
		{"are in pages, the greatest id first", pageResources},
		{"keep kinds and organizations apart", listResourcesByKind},
		{"select by every field", listResourcesByField},
		{"of linked products", listLinked},
	}
}

// Catches: the order of insertion, of names or of times; a page that repeats its
// boundary; a scope that is forgotten on page 2.
func pageResources(f *fixture) {
	a, b := f.organization(), f.organization()
	made := map[uuid.UUID][]uuid.UUID{}
	for i := range 14 { // both organizations' ids are interleaved
		o := []apikeys.ResourceRecord{a, b}[i%2]
		p := f.create(apikeys.KindProject, o.ID, fmt.Sprintf("%c", 'z'-i))
		made[o.ID] = append(made[o.ID], p.ID)
	}
	for _, scope := range []uuid.UUID{a.ID, b.ID} {
		f.equal("all pages of one organization", f.pages(3, func(before uuid.UUID, limit int) []uuid.UUID {
			q := apikeys.ResourceQuery{Scope: apikeys.Scope{OrganizationID: scope}, Kind: apikeys.KindProject, Before: before, Limit: limit}
			return idsOf(f.resources(q), resourceID)
		}), newestFirst(made[scope]...))
	}
	f.equal("all pages of all organizations", f.pages(5, func(before uuid.UUID, limit int) []uuid.UUID {
		q := apikeys.ResourceQuery{Kind: apikeys.KindProject, Before: before, Limit: limit}
		return idsOf(f.resources(q), resourceID)
	}), newestFirst(append(made[a.ID], made[b.ID]...)...))
}

// Catches: a list that shows projects as products, or other tenants'.
func listResourcesByKind(f *fixture) {
	a, b := f.organization(), f.organization()
	in := map[apikeys.ResourceKind][2]uuid.UUID{
		apikeys.KindOrganization: {a.ID, b.ID},
		apikeys.KindProject:      {f.project(a).ID, f.project(b).ID},
		apikeys.KindProduct:      {f.product(a).ID, f.product(b).ID},
	}
	for kind, ids := range in {
		for i, o := range []apikeys.ResourceRecord{a, b} {
			got := f.resources(apikeys.ResourceQuery{Scope: apikeys.Scope{OrganizationID: o.ID}, Kind: kind})
			f.equal("one organization's "+string(kind), idsOf(got, resourceID), []uuid.UUID{ids[i]})
		}
		got := f.resources(apikeys.ResourceQuery{Kind: kind})
		f.equal("every "+string(kind), idsOf(got, resourceID), newestFirst(ids[0], ids[1]))
	}
}

// Catches: conditions joined by OR, or not joined at all.
func listResourcesByField(f *fixture) {
	a, b := f.organization(), f.organization()
	p, other := f.create(apikeys.KindProject, a.ID, "x"), f.create(apikeys.KindProject, b.ID, "x")
	y := f.create(apikeys.KindProject, a.ID, "y")
	inA, ownedInA := apikeys.Scope{OrganizationID: a.ID}, apikeys.Scope{OrganizationID: a.ID, OwnerID: "x"}
	for what, tc := range map[string]struct {
		q    apikeys.ResourceQuery
		want []uuid.UUID
	}{
		"by id":                       {apikeys.ResourceQuery{ID: p.ID}, []uuid.UUID{p.ID}},
		"by name":                     {apikeys.ResourceQuery{Name: ptr("x")}, newestFirst(p.ID, other.ID)},
		"by name and scope":           {apikeys.ResourceQuery{Name: ptr("x"), Scope: inA}, []uuid.UUID{p.ID}},
		"by id and another name":      {apikeys.ResourceQuery{ID: p.ID, Name: ptr("y")}, nil},
		"by id, out of scope":         {apikeys.ResourceQuery{ID: other.ID, Scope: inA}, nil},
		"by the empty name":           {apikeys.ResourceQuery{Name: ptr("")}, nil},
		"before itself":               {apikeys.ResourceQuery{Scope: inA, Before: p.ID}, nil},
		"before the next":             {apikeys.ResourceQuery{Scope: inA, Before: y.ID}, []uuid.UUID{p.ID}},
		"the owner plays no part":     {apikeys.ResourceQuery{ID: p.ID, Scope: ownedInA}, []uuid.UUID{p.ID}},
		"by a pattern that is a name": {apikeys.ResourceQuery{Name: ptr("%")}, nil},
	} {
		tc.q.Kind = apikeys.KindProject
		f.equal(what, idsOf(f.resources(tc.q), resourceID), tc.want)
	}
	if got := f.resources(apikeys.ResourceQuery{Kind: apikeys.KindProduct, ID: p.ID}); len(got) != 0 {
		f.Fatalf("a project looked up as a product: got %d, want none", len(got))
	}
}

// Catches: links of another project; a scope that a join goes around.
func listLinked(f *fixture) {
	o, foreign := f.organization(), f.organization()
	project, other := f.project(o), f.project(o)
	var linked []uuid.UUID
	for range 5 {
		product := f.product(o)
		f.link(project, product, true)
		linked = append(linked, product.ID)
		f.link(other, f.product(o), true)
	}
	of := func(id uuid.UUID, scope apikeys.Scope) []uuid.UUID {
		return f.pages(2, func(before uuid.UUID, limit int) []uuid.UUID {
			q := apikeys.ResourceQuery{Kind: apikeys.KindProduct, LinkOf: id, Scope: scope, Before: before, Limit: limit}
			return idsOf(f.resources(q), resourceID)
		})
	}
	f.equal("the project's products", of(project.ID, apikeys.Scope{}), newestFirst(linked...))
	f.equal("within the scope", of(project.ID, apikeys.Scope{OrganizationID: o.ID}), newestFirst(linked...))
	f.equal("out of scope", of(project.ID, apikeys.Scope{OrganizationID: foreign.ID}), []uuid.UUID(nil))
	f.equal("of an unknown project", of(f.id(), apikeys.Scope{}), []uuid.UUID(nil))
}
