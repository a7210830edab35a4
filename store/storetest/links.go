package storetest

import (
	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func linkTests() []test {
	return []test{
		{"linking and unlinking", linkAndUnlink},
		{"linking again changes nothing", linkAgain},
		{"stay within one organization", linkAcross},
		{"need a project and a product", linkKinds},
		{"binding answers for what is asked", bindingAnswers},
		{"at once is one link", linkTogether},
	}
}

func (f *fixture) wantBinding(project, product apikeys.ResourceRecord, want apikeys.Binding) {
	f.Helper()
	got, err := f.store.Binding(f.Context(), project.ID, product.ID)
	f.must(err)
	f.equal("binding", got, want)
}

// Catches: an unlink that takes other links along.
func linkAndUnlink(f *fixture) {
	o := f.organization()
	project, product, second := f.project(o), f.product(o), f.product(o)
	want := apikeys.Binding{ProjectOrganizationID: o.ID, ProductOrganizationID: o.ID}
	f.wantBinding(project, product, want)
	f.link(project, product, true)
	f.link(project, second, true)
	want.Linked = true
	f.wantBinding(project, product, want)
	f.link(project, product, false)
	f.wantBinding(project, second, want)
	want.Linked = false
	f.wantBinding(project, product, want)
}

// Catches: a duplicate key that comes out as an error; events and revisions for
// what was so already.
func linkAgain(f *fixture) {
	o := f.organization()
	project, product := f.project(o), f.product(o)
	f.unchanged("unlinking what is not linked", func() { f.link(project, product, false) })
	f.link(project, product, true)
	f.unchanged("linking again", func() { f.link(project, product, true) })
	f.link(project, product, false)
	f.unchanged("unlinking again", func() { f.link(project, product, false) })
}

func (f *fixture) refusesLink(what string, ref apikeys.LinkRef) {
	f.Helper()
	f.unchanged("a refused link: "+what, func() {
		for _, linked := range []bool{true, false} {
			f.fails(f.store.SetLink(f.Context(), f.mutation("product.link"), ref, linked), apikeys.ErrNotFound)
		}
	})
}

// Catches: a product that one tenant opens to another.
func linkAcross(f *fixture) {
	a, b := f.organization(), f.organization()
	project, product := f.project(a), f.product(a)
	f.refusesLink("across organizations", apikeys.LinkRef{ProjectID: project.ID, ProductID: f.product(b).ID})
	f.refusesLink("across organizations", apikeys.LinkRef{ProjectID: f.project(b).ID, ProductID: product.ID})
	inB := apikeys.Scope{OrganizationID: b.ID}
	f.refusesLink("out of scope", apikeys.LinkRef{Scope: inB, ProjectID: project.ID, ProductID: product.ID})
	inA := apikeys.Scope{OrganizationID: a.ID}
	f.must(f.store.SetLink(f.Context(), f.mutation("product.link"),
		apikeys.LinkRef{Scope: inA, ProjectID: project.ID, ProductID: product.ID}, true))
}

// Catches: foreign keys that take any resource for a project or a product.
func linkKinds(f *fixture) {
	o := f.organization()
	project, product := f.project(o), f.product(o)
	for what, ref := range map[string]apikeys.LinkRef{
		"the wrong way round":     {ProjectID: product.ID, ProductID: project.ID},
		"two projects":            {ProjectID: project.ID, ProductID: f.project(o).ID},
		"two products":            {ProjectID: f.product(o).ID, ProductID: product.ID},
		"an organization":         {ProjectID: o.ID, ProductID: product.ID},
		"an unknown project":      {ProjectID: f.id(), ProductID: product.ID},
		"an unknown product":      {ProjectID: project.ID, ProductID: f.id()},
		"no project":              {ProductID: product.ID},
		"no product":              {ProjectID: project.ID},
		"neither one nor another": {},
	} {
		f.refusesLink(what, ref)
	}
}

// Catches: an answer for uuid.Nil; a project that answers as a product; both or
// nothing.
func bindingAnswers(f *fixture) {
	a, b := f.organization(), f.organization()
	project, product, foreign := f.project(a), f.product(a), f.product(b)
	f.link(project, product, true)
	none := apikeys.ResourceRecord{}
	unknown := apikeys.ResourceRecord{ID: f.id()}
	for _, tc := range []struct {
		project, product apikeys.ResourceRecord
		want             apikeys.Binding
	}{
		{none, none, apikeys.Binding{}},
		{unknown, unknown, apikeys.Binding{}},
		{project, none, apikeys.Binding{ProjectOrganizationID: a.ID}},
		{none, product, apikeys.Binding{ProductOrganizationID: a.ID}},
		{project, unknown, apikeys.Binding{ProjectOrganizationID: a.ID}},
		{unknown, product, apikeys.Binding{ProductOrganizationID: a.ID}},
		{project, product, apikeys.Binding{ProjectOrganizationID: a.ID, ProductOrganizationID: a.ID, Linked: true}},
		{project, foreign, apikeys.Binding{ProjectOrganizationID: a.ID, ProductOrganizationID: b.ID}},
		{product, project, apikeys.Binding{}},
		{a, a, apikeys.Binding{}},
	} {
		f.wantBinding(tc.project, tc.product, tc.want)
	}
}

// Catches: look first, insert then.
func linkTogether(f *fixture) {
	o := f.organization()
	project, product := f.project(o), f.product(o)
	before := f.start()
	mutations := make([]apikeys.Mutation, 8)
	for i := range mutations {
		mutations[i] = f.mutation("product.link")
	}
	f.together(len(mutations), func(i int) error {
		ref := apikeys.LinkRef{ProjectID: project.ID, ProductID: product.ID}
		return f.store.SetLink(f.Context(), mutations[i], ref, true)
	})
	f.wantBinding(project, product,
		apikeys.Binding{ProjectOrganizationID: o.ID, ProductOrganizationID: o.ID, Linked: true})
	f.wantChanges(before, apikeys.Change{Kind: apikeys.ChangeOrganization, ID: o.ID})
	var ids []uuid.UUID
	for _, m := range mutations {
		ids = append(ids, idsOf(f.events(apikeys.EventQuery{ID: m.ID}), eventID)...)
	}
	if len(ids) != 1 {
		f.Fatalf("events of one link: got %d, want 1", len(ids))
	}
}
