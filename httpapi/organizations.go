package httpapi

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// Everybody sees the organization they act in; administrators see all and alone
// change them: a name that is taken would tell of other organizations, and nobody
// lifts a suspension of their own.
func organizationRoutes() []route {
	return []route{
		{pattern: "POST /organizations", do: (*call).createOrganization},
		{pattern: "GET /organizations", do: (*call).listOrganizations, params: []string{paramSize, paramCursor}},
		{pattern: "GET /organizations/{id}", do: (*call).getOrganization},
		{pattern: "PATCH /organizations/{id}", do: (*call).renameOrganization},
		{pattern: "DELETE /organizations/{id}", do: (*call).deleteOrganization},
		{pattern: "POST /organizations/{id}/suspend", do: (*call).suspendOrganization},
		{pattern: "POST /organizations/{id}/resume", do: (*call).resumeOrganization},
	}
}

type organizationAttributes struct {
	Name        string     `json:"name"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	SuspendedAt *time.Time `json:"suspended_at"`
}

func (a *api) organizationResource(o *apikeys.Organization) *resource {
	id := o.ID.String()
	return &resource{
		identifier: identifier{typeOrganizations, id},
		Attributes: organizationAttributes{o.Name, o.CreatedAt.UTC(), o.UpdatedAt.UTC(), timeOrNull(o.SuspendedAt)},
		Links:      links{Self: a.self(typeOrganizations, id)},
	}
}

// forAdmins refuses all others, whatever they ask for.
func (c *call) forAdmins() error {
	if !c.who.Admin || c.who.isKey() {
		return errForbidden
	}
	return nil
}

func (c *call) createOrganization() (answer, error) {
	if err := c.forAdmins(); err != nil {
		return answer{}, err
	}
	data, err := c.data(typeOrganizations, "")
	if err != nil {
		return answer{}, err
	}
	if data.has("relationships") {
		return answer{}, data.wrong("relationships", "An organization is created without relationships.")
	}
	name, err := data.newName()
	if err != nil {
		return answer{}, err
	}
	o, err := c.client.CreateOrganization(c.ctx(), name)
	if err != nil {
		return answer{}, err
	}
	return created(c.api.organizationResource(o)), nil
}

func created(r *resource) answer {
	return answer{status: 201, location: r.Links.Self, doc: &document{Data: r}}
}

func (c *call) listOrganizations() (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	opts, err := c.query.page()
	if err != nil {
		return answer{}, err
	}
	page, err := c.client.ListOrganizations(c.ctx(), opts)
	if err != nil {
		return answer{}, err
	}
	return c.list(page.NextCursor, resources(page.Items, c.api.organizationResource)), nil
}

// list answers with a page.
func (c *call) list(next string, items []*resource) answer {
	return answer{doc: &document{Data: items, Links: c.pageLinks(next)}}
}

// resources gives each item its document form; never nil, so that none is [].
func resources[T any](items []T, as func(*T) *resource) []*resource {
	list := make([]*resource, len(items))
	for i := range items {
		list[i] = as(&items[i])
	}
	return list
}

func (c *call) getOrganization() (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	return c.onOrganization(c.client.GetOrganization)
}

func (c *call) onOrganization(do func(context.Context, uuid.UUID) (*apikeys.Organization, error)) (answer, error) {
	return after(c, do, c.api.organizationResource)
}

func (c *call) renameOrganization() (answer, error) {
	if err := c.forAdmins(); err != nil {
		return answer{}, err
	}
	return c.onOrganization(func(ctx context.Context, id uuid.UUID) (*apikeys.Organization, error) {
		o, err := c.client.GetOrganization(ctx, id)
		if err != nil {
			return nil, err
		}
		name, err := c.rename(typeOrganizations, id)
		if name == nil || err != nil {
			return o, err
		}
		return c.client.RenameOrganization(ctx, id, *name)
	})
}

func (c *call) deleteOrganization() (answer, error) {
	if err := c.forAdmins(); err != nil {
		return answer{}, err
	}
	return c.remove(c.client.DeleteOrganization)
}

// remove answers a DELETE.
func (c *call) remove(do func(context.Context, uuid.UUID) error) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	return answer{}, do(c.ctx(), id)
}

func (c *call) suspendOrganization() (answer, error) {
	return c.adminAction(c.client.SuspendOrganization)
}

func (c *call) resumeOrganization() (answer, error) {
	// Whatever the grant: an administrator may stop and restart what others handed out.
	return c.adminAction(c.who.view(c.api.client).ResumeOrganization)
}

func (c *call) adminAction(do func(context.Context, uuid.UUID) (*apikeys.Organization, error)) (answer, error) {
	if err := c.forAdmins(); err != nil {
		return answer{}, err
	}
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	return c.onOrganization(do)
}
