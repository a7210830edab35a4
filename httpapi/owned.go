package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// What projects and products have in common: a name within an organization.
// Users and keys see them and change none.

// owned is one of the two types, and the client's methods for it.
type owned[T apikeys.Project | apikeys.Product] struct {
	kind   string
	create func(*apikeys.Client, context.Context, uuid.UUID, string) (*T, error)
	list   func(*apikeys.Client, context.Context, uuid.UUID, apikeys.ListOptions) (apikeys.Page[T], error)
	get    func(*apikeys.Client, context.Context, uuid.UUID) (*T, error)
	rename func(*apikeys.Client, context.Context, uuid.UUID, string) (*T, error)
	remove func(*apikeys.Client, context.Context, uuid.UUID) error
}

func projects() owned[apikeys.Project] {
	return owned[apikeys.Project]{
		kind: typeProjects, create: (*apikeys.Client).CreateProject, list: (*apikeys.Client).ListProjects,
		get: (*apikeys.Client).GetProject, rename: (*apikeys.Client).RenameProject, remove: (*apikeys.Client).DeleteProject,
	}
}

func products() owned[apikeys.Product] {
	return owned[apikeys.Product]{
		kind: typeProducts, create: (*apikeys.Client).CreateProduct, list: (*apikeys.Client).ListProducts,
		get: (*apikeys.Client).GetProduct, rename: (*apikeys.Client).RenameProduct, remove: (*apikeys.Client).DeleteProduct,
	}
}

func (o owned[T]) routes() []route {
	all, one := "/"+o.kind, "/"+o.kind+"/{id}"
	return []route{
		{pattern: "POST " + all, do: o.doCreate},
		{pattern: "GET " + all, do: o.doList, params: []string{paramSize, paramCursor, paramOrganization}},
		{pattern: "GET " + one, do: o.doGet},
		{pattern: "PATCH " + one, do: o.doRename},
		{pattern: "DELETE " + one, do: o.doRemove},
	}
}

type ownedAttributes struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func (o owned[T]) resource(a *api) func(*T) *resource {
	return func(item *T) *resource {
		p := apikeys.Project(*item) // the two have the same fields
		id := p.ID.String()
		return &resource{
			identifier:    identifier{o.kind, id},
			Attributes:    ownedAttributes{p.Name, p.CreatedAt.UTC(), p.UpdatedAt.UTC()},
			Relationships: map[string]relationship{"organization": to(typeOrganizations, p.OrganizationID.String())},
			Links:         links{Self: a.self(o.kind, id)},
		}
	}
}

// forManagers refuses users and keys, whatever they ask for.
func (c *call) forManagers() error {
	if c.who.isUser() || c.who.isKey() {
		return errForbidden
	}
	return nil
}

func (o owned[T]) doCreate(c *call) (answer, error) {
	if err := c.forManagers(); err != nil {
		return answer{}, err
	}
	data, err := c.data(o.kind, "")
	if err != nil {
		return answer{}, err
	}
	name, err := data.newName()
	if err != nil {
		return answer{}, err
	}
	organization, err := c.newHome(data)
	if err != nil {
		return answer{}, err
	}
	item, err := o.create(c.client, c.ctx(), organization, name)
	if err != nil {
		return answer{}, err
	}
	return created(o.resource(c.api)(item)), nil
}

// newHome reads the organization that something is created in.
func (c *call) newHome(data object) (uuid.UUID, error) {
	rels, err := data.object("relationships")
	if err != nil {
		return uuid.Nil, err
	}
	if err := rels.only("organization"); err != nil {
		return uuid.Nil, err
	}
	id, err := rels.relationID("organization", typeOrganizations)
	if err != nil {
		return uuid.Nil, err
	}
	if id = c.organization(id); id == uuid.Nil {
		return uuid.Nil, errBadRequest.with("This is missing.").at(relationshipsAt + "/organization")
	}
	return id, nil
}

func (o owned[T]) doList(c *call) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	organization, err := c.query.id(paramOrganization)
	if err != nil {
		return answer{}, err
	}
	if organization = c.organization(organization); organization == uuid.Nil {
		return answer{}, errBadRequest.with("This is missing.").in(paramOrganization)
	}
	opts, err := c.query.page()
	if err != nil {
		return answer{}, err
	}
	page, err := o.list(c.client, c.ctx(), organization, opts)
	if err != nil {
		return answer{}, err
	}
	return c.list(page.NextCursor, resources(page.Items, o.resource(c.api))), nil
}

func (o owned[T]) doGet(c *call) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	_, item, err := o.inPath(c)
	return o.answer(c, item, err)
}

// inPath returns the one that the path names.
func (o owned[T]) inPath(c *call) (uuid.UUID, *T, error) {
	id, err := c.id()
	if err != nil {
		return uuid.Nil, nil, err
	}
	item, err := o.get(c.client, c.ctx(), id)
	return id, item, err
}

func (o owned[T]) answer(c *call, item *T, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return answer{doc: &document{Data: o.resource(c.api)(item)}}, nil
}

func (o owned[T]) doRename(c *call) (answer, error) {
	if err := c.forManagers(); err != nil {
		return answer{}, err
	}
	id, item, err := o.inPath(c)
	if err != nil {
		return answer{}, err
	}
	name, err := c.rename(o.kind, id)
	if name != nil && err == nil {
		item, err = o.rename(c.client, c.ctx(), id, *name)
	}
	return o.answer(c, item, err)
}

func (o owned[T]) doRemove(c *call) (answer, error) {
	if err := c.forManagers(); err != nil {
		return answer{}, err
	}
	return c.remove(func(ctx context.Context, id uuid.UUID) error { return o.remove(c.client, ctx, id) })
}

// newName reads the one attribute of what is created.
func (o object) newName() (string, error) {
	attributes, err := o.object("attributes")
	if err != nil {
		return "", err
	}
	if err := attributes.only("name"); err != nil {
		return "", err
	}
	name, err := attributes.text("name")
	if err != nil {
		return "", err
	}
	if name == nil {
		return "", attributes.wrong("name", "This is missing.")
	}
	return *name, nil
}

// rename reads a change of the name; nil when the document changes nothing.
func (c *call) rename(kind string, id uuid.UUID) (*string, error) {
	data, err := c.data(kind, id.String())
	if err != nil {
		return nil, err
	}
	if data.has("relationships") {
		return nil, errImmutable.at(relationshipsAt)
	}
	attributes, err := data.object("attributes")
	if err != nil {
		return nil, err
	}
	if err := attributes.fixed("created_at", "updated_at", "suspended_at"); err != nil {
		return nil, err
	}
	if err := attributes.only("name"); err != nil {
		return nil, err
	}
	return attributes.text("name")
}
