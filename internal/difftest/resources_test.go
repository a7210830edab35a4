package difftest_test

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func kinds() []apikeys.ResourceKind {
	return []apikeys.ResourceKind{apikeys.KindOrganization, apikeys.KindProject, apikeys.KindProduct}
}

// idsOf are the ids of a kind.
func (w *world) idsOf(kind apikeys.ResourceKind) []uuid.UUID {
	switch kind {
	case apikeys.KindOrganization:
		return w.organizations
	case apikeys.KindProject:
		return w.projects
	default:
		return w.products
	}
}

// organization is usually the first.
func (m *machine) organization(label string) uuid.UUID {
	return mostly(m.t, label, m.w.organizations[:1], m.w.organizations)
}

// standing are the resources of a kind that there are, of one organization or of all.
func (m *machine) standing(kind apikeys.ResourceKind, organization uuid.UUID) []uuid.UUID {
	q := apikeys.ResourceQuery{Kind: kind, Scope: apikeys.Scope{OrganizationID: organization}}
	found, _ := m.all[0].store.ListResources(m.Context(), q) // the model has no failures
	ids := make([]uuid.UUID, len(found))
	for i, r := range found {
		ids[i] = r.ID
	}
	return ids
}

// resource is usually one that there is.
func (m *machine) resource(kind apikeys.ResourceKind, organization uuid.UUID) uuid.UUID {
	return mostly(m.t, string(kind), m.standing(kind, organization), m.w.idsOf(kind))
}

// scope is none, the one that is likely to be right, or a foreign one.
func (m *machine) scope() apikeys.Scope {
	if !oneIn(4, m.t, "scope?") {
		return apikeys.Scope{}
	}
	return apikeys.Scope{OrganizationID: m.organization("scope"), OwnerID: maybe(m.t, "owner of the scope", owners())}
}

func (m *machine) resourceRef() apikeys.ResourceRef {
	kind := one(m.t, "kind", kinds())
	ref := apikeys.ResourceRef{Scope: m.scope(), Kind: kind, ID: m.resource(kind, uuid.Nil)}
	if oneIn(10, m.t, "other kind?") {
		ref.Kind = one(m.t, "other kind", kinds())
	}
	return ref
}

// resourceName draws a name. Those of organizations are everybody's.
func (m *machine) resourceName(kind apikeys.ResourceKind) string {
	name := one(m.t, "name", names())
	if kind == apikeys.KindOrganization {
		runes := []rune(m.w.tag + name)
		return string(runes[:min(len(runes), 200)])
	}
	return name
}

func (m *machine) newResource(kind apikeys.ResourceKind, id, organization uuid.UUID) apikeys.ResourceRecord {
	if kind == apikeys.KindOrganization {
		organization = id
	}
	at := one(m.t, "created", times())
	return apikeys.ResourceRecord{
		Kind: kind, ID: id, OrganizationID: organization, Name: m.resourceName(kind), CreatedAt: at, UpdatedAt: at,
	}
}

func (m *machine) createResource() {
	kind := one(m.t, "kind", kinds())
	ids := m.w.idsOf(kind)
	if oneIn(10, m.t, "id of another kind?") {
		ids = m.w.idsOf(one(m.t, "other kind", kinds()))
	}
	m.create(m.newResource(kind, one(m.t, "id", ids), m.organization("organization")))
}

func (m *machine) create(r apikeys.ResourceRecord) {
	mutation := m.mutation("create")
	m.mutate(mutation, m.creating(r, mutation))
}

func (m *machine) creating(r apikeys.ResourceRecord, mutation apikeys.Mutation) operation {
	return m.call("CreateResource", func(ctx context.Context, p *participant) ([]any, error) {
		standing, created, err := p.store.CreateResource(ctx, mutation, r)
		return []any{standing, created}, err
	}, mutation, r)
}

func (m *machine) updateResource() {
	ref, change := m.resourceRef(), apikeys.ResourceChange{}
	switch what := one(m.t, "change", []string{"name", "suspend", "resume", "delete"}); what {
	case "name":
		name := m.resourceName(ref.Kind)
		change.Name = &name
	case "delete":
		change.Delete = true
	default: // organizations only
		ref.Kind, ref.ID = apikeys.KindOrganization, m.organization("organization")
		change.SuspendedAt = &time.Time{}
		if what == "suspend" {
			at := one(m.t, "suspended", times())
			change.SuspendedAt = &at
		}
	}
	mutation := m.mutation("update")
	op := m.call("UpdateResource", func(ctx context.Context, p *participant) ([]any, error) {
		r, err := p.store.UpdateResource(ctx, mutation, ref, change)
		return []any{r}, err
	}, mutation, ref, change)
	op.gone = change.Delete
	m.mutate(mutation, op)
}

func (m *machine) setLink() {
	link := apikeys.LinkRef{
		Scope:     m.scope(),
		ProjectID: m.resource(apikeys.KindProject, uuid.Nil), ProductID: m.resource(apikeys.KindProduct, uuid.Nil),
	}
	if oneIn(20, m.t, "crossed?") {
		link.ProjectID, link.ProductID = link.ProductID, link.ProjectID
	}
	linked := !oneIn(3, m.t, "unlink?")
	mutation := m.mutation("link")
	m.mutate(mutation, m.call("SetLink", func(ctx context.Context, p *participant) ([]any, error) {
		return nil, p.store.SetLink(ctx, mutation, link, linked)
	}, mutation, link, linked))
}

func (m *machine) binding() {
	project := maybe(m.t, "project", append(m.w.projects[:2:2], m.w.products[0]))
	product := maybe(m.t, "product", append(m.w.products[:2:2], m.w.projects[0]))
	m.run(m.call("Binding", func(ctx context.Context, p *participant) ([]any, error) {
		b, err := p.store.Binding(ctx, project, product)
		return []any{b}, err
	}, project, product))
}

func (m *machine) listResources() {
	kind := one(m.t, "kind", kinds())
	q := apikeys.ResourceQuery{
		Scope: m.scope(), Kind: kind, ID: maybe(m.t, "id", m.w.idsOf(kind)), LinkOf: maybe(m.t, "linked to", m.w.projects),
		Before: maybe(m.t, "before", m.w.idsOf(kind)), Limit: one(m.t, "limit", []int{0, 1, 2, 100}),
	}
	if oneIn(3, m.t, "by name?") {
		name := m.resourceName(kind)
		q.Name = &name
	}
	m.run(m.resourcesLike(q))
}

// resourcesLike lists the resources of this check: they are the greatest, so a limit
// counts them first.
func (m *machine) resourcesLike(q apikeys.ResourceQuery) operation {
	return m.call("ListResources", func(ctx context.Context, p *participant) ([]any, error) {
		found, err := p.store.ListResources(ctx, q)
		return []any{own(m.w, found, resourceID)}, err
	}, q)
}
