package storetest

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// operation is one mutation, ready to be done.
type operation struct {
	// do returns what the method does, where repeating it returns the same.
	do func(ctx context.Context, m apikeys.Mutation) (any, error)
	// stale is what it makes stale; nothing: it does not bump.
	stale []apikeys.Change
	// event is what its event is about.
	event apikeys.EventRecord
}

// preparation makes what an operation needs.
type preparation struct {
	name    string
	prepare func(f *fixture) operation
}

// operations are all that take a mutation, each in all of its kinds.
func operations() []preparation {
	return []preparation{
		{"create an organization", func(f *fixture) operation {
			return f.creating(f.newResource(apikeys.KindOrganization, uuid.Nil, f.name()))
		}},
		{"create a project", func(f *fixture) operation {
			return f.creating(f.newResource(apikeys.KindProject, f.organization().ID, f.name()))
		}},
		{"rename an organization", func(f *fixture) operation {
			return f.changing(f.organization(), apikeys.ResourceChange{Name: ptr(f.name())}, false)
		}},
		{"rename a product", func(f *fixture) operation {
			return f.changing(f.product(f.organization()), apikeys.ResourceChange{Name: ptr(f.name())}, false)
		}},
		{"suspend", func(f *fixture) operation {
			return f.changing(f.organization(), apikeys.ResourceChange{SuspendedAt: ptr(epoch)}, true)
		}},
		{"resume", func(f *fixture) operation {
			o := f.change(f.organization(), apikeys.ResourceChange{SuspendedAt: ptr(epoch)})
			return f.changing(o, apikeys.ResourceChange{SuspendedAt: &time.Time{}}, true)
		}},
		{"delete an organization", func(f *fixture) operation {
			o := f.organization()
			f.link(f.project(o), f.product(o), true)
			return f.deleting(o)
		}},
		{"delete a project", func(f *fixture) operation { return f.deleting(f.project(f.organization())) }},
		{"delete a product", func(f *fixture) operation { return f.deleting(f.product(f.organization())) }},
		{"link", func(f *fixture) operation { return f.linking(true) }},
		{"unlink", func(f *fixture) operation { return f.linking(false) }},
		{"create a key", func(f *fixture) operation { return f.importing(1) }},
		{"create keys", func(f *fixture) operation { return f.importing(3) }},
		{"update a key", func(f *fixture) operation {
			return f.updating(apikeys.KeyChange{IfVersion: 1, Name: ptr(f.name())})
		}},
		{"disable a key", func(f *fixture) operation { return f.updating(apikeys.KeyChange{DisabledAt: ptr(epoch)}) }},
		{"revoke a key", func(f *fixture) operation {
			return f.updating(apikeys.KeyChange{Revoke: &apikeys.Revocation{At: epoch, Reason: "leaked"}})
		}},
		{"rotate a key", (*fixture).rotating},
		{"revoke one of many keys", func(f *fixture) operation { return f.revoking(1) }},
		{"revoke keys", func(f *fixture) operation { return f.revoking(3) }},
		{"delete one of many keys", func(f *fixture) operation { return f.erasing(1) }},
		{"delete keys", func(f *fixture) operation { return f.erasing(3) }},
		{"delete hashes", (*fixture).retiring},
	}
}

func about(r apikeys.ResourceRecord) apikeys.EventRecord {
	return apikeys.EventRecord{OrganizationID: r.OrganizationID, Kind: r.Kind, SubjectID: r.ID}
}

func aboutKeys(keys ...apikeys.KeyRecord) apikeys.EventRecord {
	e := apikeys.EventRecord{OrganizationID: keys[0].OrganizationID, Kind: apikeys.KindKey}
	if len(keys) == 1 {
		e.SubjectID = keys[0].ID
	}
	return e
}

func staleKeys(keys ...apikeys.KeyRecord) []apikeys.Change {
	var stale []apikeys.Change
	for _, k := range keys {
		stale = append(stale, apikeys.Change{Kind: apikeys.ChangeKey, ID: k.ID})
	}
	return stale
}

func staleOrganization(id uuid.UUID) []apikeys.Change {
	return []apikeys.Change{{Kind: apikeys.ChangeOrganization, ID: id}}
}

func (f *fixture) creating(r apikeys.ResourceRecord) operation {
	type result struct {
		Standing apikeys.ResourceRecord
		Created  bool
	}
	return operation{event: about(r), do: func(ctx context.Context, m apikeys.Mutation) (any, error) {
		standing, created, err := f.store.CreateResource(ctx, m, r)
		return result{standing, created}, err
	}}
}

func (f *fixture) changing(r apikeys.ResourceRecord, change apikeys.ResourceChange, bumps bool) operation {
	op := operation{event: about(r), do: func(ctx context.Context, m apikeys.Mutation) (any, error) {
		return f.store.UpdateResource(ctx, m, refOf(r), change)
	}}
	if bumps {
		op.stale = staleOrganization(r.OrganizationID)
	}
	return op
}

func (f *fixture) deleting(r apikeys.ResourceRecord) operation {
	op := f.changing(r, apikeys.ResourceChange{Delete: true}, true)
	do := op.do
	op.do = func(ctx context.Context, m apikeys.Mutation) (any, error) {
		_, err := do(ctx, m) // what stands afterwards is nothing
		return nil, err
	}
	return op
}

func (f *fixture) linking(linked bool) operation {
	f.Helper()
	o := f.organization()
	project, product := f.project(o), f.product(o)
	if !linked {
		f.link(project, product, true)
	}
	return operation{
		stale: staleOrganization(o.ID),
		event: apikeys.EventRecord{OrganizationID: o.ID},
		do: func(ctx context.Context, m apikeys.Mutation) (any, error) {
			ref := apikeys.LinkRef{ProjectID: project.ID, ProductID: product.ID}
			return nil, f.store.SetLink(ctx, m, ref, linked)
		},
	}
}

func (f *fixture) importing(n int) operation {
	f.Helper()
	o := f.organization()
	var keys []apikeys.KeyRecord
	for range n {
		keys = append(keys, f.newKey(o))
	}
	return operation{event: aboutKeys(keys...), do: func(ctx context.Context, m apikeys.Mutation) (any, error) {
		return f.store.CreateKeys(ctx, m, keys)
	}}
}

func (f *fixture) updating(change apikeys.KeyChange) operation {
	f.Helper()
	k := f.key(f.organization())
	return operation{stale: staleKeys(k), event: aboutKeys(k), do: func(ctx context.Context, m apikeys.Mutation) (any, error) {
		updated, err := f.store.UpdateKey(ctx, m, keyRef(k.ID), change)
		return stored(updated), err
	}}
}

func (f *fixture) rotating() operation {
	f.Helper()
	k, r := f.key(f.organization()), f.rotation(epoch.Add(time.Hour))
	r.Secret.KeyID = k.ID
	return operation{stale: staleKeys(k), event: aboutKeys(k), do: func(ctx context.Context, m apikeys.Mutation) (any, error) {
		rotated, err := f.store.RotateKey(ctx, m, keyRef(k.ID), r)
		return stored(rotated), err
	}}
}

// revoking leaves more keys than it takes, so that repeating it could go on.
func (f *fixture) revoking(n int) operation {
	f.Helper()
	o := f.organization()
	keys := f.keys(n, o)
	q := apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: o.ID}, CreatedBefore: keys[n-1].CreatedAt.Add(time.Microsecond), Limit: n}
	f.keys(2, o)
	return operation{stale: staleKeys(keys...), event: aboutKeys(keys...), do: func(ctx context.Context, m apikeys.Mutation) (any, error) {
		ids, err := f.store.RevokeKeys(ctx, m, q, "over")
		return sorted(ids), err
	}}
}

func (f *fixture) erasing(n int) operation {
	f.Helper()
	o := f.organization()
	keys := f.keys(n, o)
	q := apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: o.ID}, CreatedBefore: keys[n-1].CreatedAt.Add(time.Microsecond), Limit: n}
	f.keys(2, o)
	return operation{stale: staleKeys(keys...), event: aboutKeys(keys...), do: func(ctx context.Context, m apikeys.Mutation) (any, error) {
		ids, err := f.store.DeleteKeys(ctx, m, q)
		return sorted(ids), err
	}}
}

// retiring leaves hashes that repeating it could delete.
func (f *fixture) retiring() operation {
	f.Helper()
	for _, k := range f.keys(5, f.organization()) {
		f.addHash(f.hashFor(k, 1, "retired"))
	}
	return operation{
		stale: []apikeys.Change{{Kind: apikeys.ChangeAll}},
		do: func(ctx context.Context, m apikeys.Mutation) (any, error) {
			return f.store.DeleteHashes(ctx, m, "retired", 2)
		},
	}
}
