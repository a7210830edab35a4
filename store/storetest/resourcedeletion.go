package storetest

import (
	"errors"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func resourceDeletionTests() []test {
	return []test{
		{"a project goes with its links", deleteProject},
		{"an organization goes with all it owns", deleteOrganization},
		{"is refused while keys are bound", deleteBound},
		{"and a new key at once leave no key without its organization", deleteWhileCreatingKeys},
		{"frees the name", deleteFreesName},
	}
}

func (f *fixture) remove(r apikeys.ResourceRecord) apikeys.ResourceRecord {
	f.Helper()
	return f.change(r, apikeys.ResourceChange{Delete: true})
}

// absent ends the test if a resource is still there.
func (f *fixture) absent(r apikeys.ResourceRecord) {
	f.Helper()
	if n := len(f.resources(apikeys.ResourceQuery{Kind: r.Kind, ID: r.ID})); n != 0 {
		f.Fatalf("a deleted %s: got %d, want none", r.Kind, n)
	}
	_, err := f.store.UpdateResource(f.Context(), f.mutation("rename"), refOf(r), apikeys.ResourceChange{Name: ptr("x")})
	f.fails(err, apikeys.ErrNotFound)
}

// Catches: links that outlive one of their ends; other resources taken along.
func deleteProject(f *fixture) {
	o := f.organization()
	project, product, otherProject, otherProduct := f.project(o), f.product(o), f.project(o), f.product(o)
	for _, p := range []apikeys.ResourceRecord{project, otherProject} {
		f.link(p, product, true)
		f.link(p, otherProduct, true)
	}
	f.equal("the deleted project, as it was", f.remove(project), project)
	f.absent(project)
	f.wantBinding(project, product, apikeys.Binding{ProductOrganizationID: o.ID})
	orphans := f.resources(apikeys.ResourceQuery{Kind: apikeys.KindProduct, LinkOf: project.ID})
	f.equal("the products of a deleted project", orphans, []apikeys.ResourceRecord(nil))
	f.equal("the deleted product, as it was", f.remove(product), product)
	f.absent(product)
	f.wantBinding(project, product, apikeys.Binding{})
	f.wantBinding(otherProject, product, apikeys.Binding{ProjectOrganizationID: o.ID})
	f.wantBinding(otherProject, otherProduct,
		apikeys.Binding{ProjectOrganizationID: o.ID, ProductOrganizationID: o.ID, Linked: true})
	linked := f.resources(apikeys.ResourceQuery{Kind: apikeys.KindProduct, LinkOf: otherProject.ID})
	f.equal("the products that are still linked", linked, []apikeys.ResourceRecord{otherProduct})
}

// Catches: orphans of a deleted organization; a foreign key that refuses; another
// tenant's things taken along.
func deleteOrganization(f *fixture) {
	o, other := f.organization(), f.organization()
	project, product := f.project(o), f.product(o)
	f.link(project, product, true)
	kept := []apikeys.ResourceRecord{f.project(other), f.product(other), other}
	f.link(kept[0], kept[1], true)
	f.equal("the deleted organization, as it was", f.remove(o), o)
	for _, r := range []apikeys.ResourceRecord{o, project, product} {
		f.absent(r)
	}
	f.wantBinding(project, product, apikeys.Binding{})
	for _, r := range kept {
		f.equal("another organization's", f.resource(r), r)
	}
	f.wantBinding(kept[0], kept[1],
		apikeys.Binding{ProjectOrganizationID: other.ID, ProductOrganizationID: other.ID, Linked: true})
}

// Catches: a cascade that deletes keys without a trace, or leaves them without an
// organization; a refusal that comes out as a fault of the store.
func deleteBound(f *fixture) {
	o := f.organization()
	project, product := f.project(o), f.product(o)
	f.link(project, product, true)
	for _, bound := range []struct {
		to   apikeys.ResourceRecord
		edit func(*apikeys.KeyRecord)
	}{
		{o, func(*apikeys.KeyRecord) {}},
		{o, func(k *apikeys.KeyRecord) { k.RevokedAt = epoch }},
		{project, func(k *apikeys.KeyRecord) { k.ProjectID = project.ID }},
		{o, func(k *apikeys.KeyRecord) { k.ProjectID = project.ID }},
		{product, func(k *apikeys.KeyRecord) { k.ProductID = product.ID }},
	} {
		k := f.key(o, bound.edit)
		f.unchanged("a refused deletion", func() {
			_, err := f.store.UpdateResource(f.Context(), f.mutation("delete"), refOf(bound.to), apikeys.ResourceChange{Delete: true})
			if !errors.Is(err, apikeys.ErrConflict) {
				f.Fatalf("deleting the %s of a key: got %v, want %v", bound.to.Kind, err, apikeys.ErrConflict)
			}
		})
		f.deleteKeys(apikeys.KeyQuery{ID: k.ID})
	}
	f.remove(project)
	f.remove(product)
	f.remove(o)
}

// Catches: a look for keys and a delete that are not one: a key that is created in
// between belongs to nobody.
func deleteWhileCreatingKeys(f *fixture) {
	for range 8 {
		o := f.organization()
		project := f.project(o)
		target := []apikeys.ResourceRecord{o, project}[f.n.Load()%2]
		k := f.newKey(o, func(k *apikeys.KeyRecord) { k.ProjectID = project.ID })
		create, remove := f.mutation("key.create"), f.mutation("delete")
		var faults []error
		var deleted error
		f.together(2, func(i int) (err error) {
			if i == 0 {
				faults, err = f.store.CreateKeys(f.Context(), create, []apikeys.KeyRecord{k})
				return err
			}
			_, deleted = f.store.UpdateResource(f.Context(), remove, refOf(target), apikeys.ResourceChange{Delete: true})
			return nil
		})
		there := len(f.list(apikeys.KeyQuery{ID: k.ID}))
		switch {
		case deleted == nil && errors.Is(faults[0], apikeys.ErrNotFound) && there == 0:
		case errors.Is(deleted, apikeys.ErrConflict) && faults[0] == nil && there == 1:
		default:
			f.Fatalf("got %v for the deletion, %v for the key and %d keys; want one of them to win", deleted, faults[0], there)
		}
	}
}

// Catches: a name that stays taken; a new project that inherits the old one's links.
func deleteFreesName(f *fixture) {
	o := f.organization()
	project, product := f.project(o), f.product(o)
	f.link(project, product, true)
	f.remove(project)
	again := f.create(apikeys.KindProject, o.ID, project.Name)
	f.wantBinding(again, product, apikeys.Binding{ProjectOrganizationID: o.ID, ProductOrganizationID: o.ID})
	f.remove(o)
	f.create(apikeys.KindOrganization, uuid.Nil, o.Name)
}
