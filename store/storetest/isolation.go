package storetest

import (
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func isolationTests() []test {
	return []test{
		{"a key out of scope is not found", isolateKeys},
		{"a resource out of scope is not found", isolateResources},
		{"bulk operations stay within their scope", isolateBulk},
		{"what is out of scope is as what does not exist", isolateSilently},
	}
}

// onKey is every method that names a key within a scope.
func (f *fixture) onKey() map[string]func(ref apikeys.KeyRef) error {
	return map[string]func(ref apikeys.KeyRef) error{
		"GetKey": func(ref apikeys.KeyRef) error {
			k, secrets, err := f.store.GetKey(f.Context(), ref)
			if err != nil && (k.ID != uuid.Nil || len(secrets) > 0) {
				return errors.New("got a record with the error")
			}
			return err
		},
		"UpdateKey": func(ref apikeys.KeyRef) error {
			_, err := f.store.UpdateKey(f.Context(), f.mutation("key.update"), ref, apikeys.KeyChange{Name: ptr(f.name())})
			return err
		},
		"UpdateKey without a change": func(ref apikeys.KeyRef) error {
			_, err := f.store.UpdateKey(f.Context(), f.mutation("key.update"), ref, apikeys.KeyChange{})
			return err
		},
		"UpdateKey of a version": func(ref apikeys.KeyRef) error {
			_, err := f.store.UpdateKey(f.Context(), f.mutation("key.update"), ref, apikeys.KeyChange{IfVersion: 99})
			if errors.Is(err, apikeys.ErrConflict) { // found, and so seen
				return nil
			}
			return err
		},
		"RotateKey": func(ref apikeys.KeyRef) error {
			r := f.rotation(epoch)
			r.Secret.KeyID = ref.ID
			_, err := f.store.RotateKey(f.Context(), f.mutation("key.rotate"), ref, r)
			return err
		},
		"KeyUsage": func(ref apikeys.KeyRef) error {
			_, err := f.store.KeyUsage(f.Context(), apikeys.UsageQuery{Ref: ref, From: epoch, To: epoch.Add(time.Hour)})
			return err
		},
	}
}

// Catches: one method among many whose statement has no tenant in it.
func isolateKeys(f *fixture) {
	a, b := f.organization(), f.organization()
	k := f.key(a, func(k *apikeys.KeyRecord) { k.OwnerID = "bob" })
	f.key(b, func(k *apikeys.KeyRecord) { k.OwnerID = "bob" })
	f.key(a, func(k *apikeys.KeyRecord) { k.OwnerID = "eve" })
	f.addUsage(batch(f.id(), 1, used(k, 5, epoch)))
	for method, do := range f.onKey() {
		before := f.snapshot()
		for what, scope := range map[string]apikeys.Scope{
			"another organization":             {OrganizationID: b.ID},
			"another organization's bob":       {OrganizationID: b.ID, OwnerID: "bob"},
			"an organization that is not":      {OrganizationID: f.id()},
			"another owner":                    {OrganizationID: a.ID, OwnerID: "eve"},
			"an owner in other letters":        {OrganizationID: a.ID, OwnerID: "Bob"},
			"an owner with a space":            {OrganizationID: a.ID, OwnerID: "bob "},
			"an owner that is the first of it": {OrganizationID: a.ID, OwnerID: "bo"},
			"an owner that is a pattern":       {OrganizationID: a.ID, OwnerID: "b%"},
		} {
			if err := do(apikeys.KeyRef{Scope: scope, ID: k.ID}); !errors.Is(err, apikeys.ErrNotFound) {
				f.Fatalf("%s by %s: got %v, want %v", method, what, err, apikeys.ErrNotFound)
			}
		}
		f.equal("after "+method+" out of scope, the store", f.snapshot(), before)
		for _, scope := range []apikeys.Scope{{}, {OrganizationID: a.ID}, {OrganizationID: a.ID, OwnerID: "bob"}} {
			if err := do(apikeys.KeyRef{Scope: scope, ID: k.ID}); err != nil {
				f.Fatalf("%s within the scope: got %v, want no error", method, err)
			}
		}
	}
}

// Catches: as above; and a kind that is not in the statement: a project deleted as
// a product.
func isolateResources(f *fixture) {
	a, b := f.organization(), f.organization()
	project, product := f.project(a), f.product(a)
	f.link(project, product, true)
	changes := map[string]apikeys.ResourceChange{
		"rename": {Name: ptr("taken over")}, "delete": {Delete: true},
		"rename to the own name": {Name: &project.Name},
		"suspend":                {SuspendedAt: ptr(epoch)}, "resume": {SuspendedAt: &time.Time{}},
	}
	inB := apikeys.Scope{OrganizationID: b.ID}
	before := f.snapshot()
	for what, change := range changes {
		for _, ref := range []apikeys.ResourceRef{
			{Scope: inB, Kind: a.Kind, ID: a.ID}, {Scope: inB, Kind: project.Kind, ID: project.ID}, {Scope: inB, Kind: product.Kind, ID: product.ID},
			{Kind: apikeys.KindProduct, ID: project.ID}, {Kind: apikeys.KindProject, ID: product.ID},
			{Kind: apikeys.KindProject, ID: a.ID}, {Kind: apikeys.KindOrganization, ID: project.ID},
			{Kind: apikeys.KindOrganization, ID: f.id()}, {Kind: apikeys.KindProject},
		} {
			_, err := f.store.UpdateResource(f.Context(), f.mutation(what), ref, change)
			if !errors.Is(err, apikeys.ErrNotFound) {
				f.Fatalf("%s of a %s out of scope: got %v, want %v", what, ref.Kind, err, apikeys.ErrNotFound)
			}
		}
		f.equal("after "+what+" out of scope, the store", f.snapshot(), before)
	}
	inA := apikeys.Scope{OrganizationID: a.ID, OwnerID: "plays no part"}
	for _, r := range []apikeys.ResourceRecord{project, product, a} {
		ref := apikeys.ResourceRef{Scope: inA, Kind: r.Kind, ID: r.ID}
		_, err := f.store.UpdateResource(f.Context(), f.mutation("rename"), ref, apikeys.ResourceChange{Name: ptr(f.name())})
		f.must(err)
		_, err = f.store.UpdateResource(f.Context(), f.mutation("delete"), ref, apikeys.ResourceChange{Delete: true})
		f.must(err)
	}
}

// Catches: a bulk statement that selects within the scope and changes without it.
func isolateBulk(f *fixture) {
	a, b := f.organization(), f.organization()
	for _, owner := range []string{"bob", "Bob", "bob ", "eve"} {
		f.keys(3, a, func(k *apikeys.KeyRecord) { k.OwnerID = owner })
		f.keys(3, b, func(k *apikeys.KeyRecord) { k.OwnerID = owner })
	}
	all := f.list(apikeys.KeyQuery{})
	mine := apikeys.Scope{OrganizationID: a.ID, OwnerID: "bob"}
	foreign := f.list(apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: b.ID}})[0]
	for _, do := range []func(apikeys.KeyQuery) []uuid.UUID{
		func(q apikeys.KeyQuery) []uuid.UUID { return f.revokeKeys(q, "over") },
		f.deleteKeys,
	} {
		f.unchanged("a bulk operation on another's key", func() {
			if ids := do(apikeys.KeyQuery{Scope: mine, ID: foreign.ID}); len(ids) != 0 {
				f.Fatalf("another's key: got %d, want none", len(ids))
			}
		})
		if ids := do(apikeys.KeyQuery{Scope: mine}); len(ids) != 3 {
			f.Fatalf("one owner's keys: got %d, want 3", len(ids))
		}
		for _, k := range all {
			if k.OrganizationID == a.ID && k.OwnerID == "bob" {
				continue
			}
			f.equal("a key out of scope", stored(f.get(k.ID)), stored(k))
			if n := len(f.secrets(k.ID)); n != 1 {
				f.Fatalf("secrets of a key out of scope: got %d, want 1", n)
			}
		}
	}
}

// Catches: an error by which somebody learns that a foreign id exists.
func isolateSilently(f *fixture) {
	a, b := f.organization(), f.organization()
	foreign, unknown := f.key(a), f.id()
	scope := apikeys.Scope{OrganizationID: b.ID}
	anonymous := func(err error, id uuid.UUID) string { return strings.ReplaceAll(err.Error(), id.String(), "ID") }
	for method, do := range f.onKey() {
		is, isNot := do(apikeys.KeyRef{Scope: scope, ID: foreign.ID}), do(apikeys.KeyRef{Scope: scope, ID: unknown})
		if is == nil || isNot == nil {
			f.Fatalf("%s out of scope: got no error, want one", method)
		}
		if got, want := anonymous(is, foreign.ID), anonymous(isNot, unknown); got != want {
			f.Fatalf("%s of another's key: got %q, want %q as of one that does not exist", method, got, want)
		}
	}
	project := f.project(a)
	rename := func(id uuid.UUID) error {
		ref := apikeys.ResourceRef{Scope: scope, Kind: apikeys.KindProject, ID: id}
		_, err := f.store.UpdateResource(f.Context(), f.mutation("rename"), ref, apikeys.ResourceChange{Name: ptr("x")})
		return err
	}
	is, isNot := rename(project.ID), rename(unknown)
	f.fails(is, apikeys.ErrNotFound)
	if got, want := anonymous(is, project.ID), anonymous(isNot, unknown); got != want {
		f.Fatalf("another's project: got %q, want %q as of one that does not exist", got, want)
	}
}
