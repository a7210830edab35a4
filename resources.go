package apikeys

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// What organizations, projects and products have in common.

// createResource adds one, or says who has the name.
func (c *Client) createResource(ctx context.Context, kind ResourceKind, organizationID uuid.UUID, name string) (ResourceRecord, error) {
	r, created, err := c.ensureResource(ctx, kind, organizationID, name)
	if err == nil && !created {
		return ResourceRecord{}, &AlreadyExistsError{Kind: kind, ExistingID: r.ID}
	}
	return r, err
}

// ensureResource returns the one that has the name, made if there was none.
func (c *Client) ensureResource(ctx context.Context, kind ResourceKind, organizationID uuid.UUID, name string) (r ResourceRecord, created bool, err error) {
	if err := c.managesTenancy(); err != nil {
		return ResourceRecord{}, false, err
	}
	if err := checkName("name", name, true); err != nil {
		return ResourceRecord{}, false, err
	}
	now := c.now()
	r = ResourceRecord{Kind: kind, ID: newID(now), OrganizationID: organizationID, Name: name, CreatedAt: now, UpdatedAt: now}
	if kind == KindOrganization {
		if c.view {
			return ResourceRecord{}, false, invalid("Scope", "a view of one organization cannot create organizations")
		}
		r.OrganizationID = r.ID
	} else if err := c.sees(organizationID); err != nil {
		return ResourceRecord{}, false, err
	}
	op := operation{kind: kind, verb: "create", id: r.ID, detail: map[string]any{"after": map[string]any{"name": name}}}
	var standing ResourceRecord
	err = c.mutate(ctx, op, func(ctx context.Context, m Mutation) (err error) {
		standing, created, err = c.store.CreateResource(ctx, m, r)
		return notFound(err, KindOrganization, organizationID)
	})
	return standing, created, err
}

func (c *Client) getResource(ctx context.Context, kind ResourceKind, id uuid.UUID) (ResourceRecord, error) {
	if err := c.ready(); err != nil {
		return ResourceRecord{}, err
	}
	if id == uuid.Nil {
		return ResourceRecord{}, &NotFoundError{Kind: kind, ID: id}
	}
	return c.findResource(ctx, ResourceQuery{Scope: c.scope, Kind: kind, ID: id})
}

// namedResource returns the one that has the name: an organization, or what one
// organization owns.
func (c *Client) namedResource(ctx context.Context, kind ResourceKind, organizationID uuid.UUID, name string) (ResourceRecord, error) {
	if err := c.ready(); err != nil {
		return ResourceRecord{}, err
	}
	if err := checkName("name", name, true); err != nil {
		return ResourceRecord{}, err
	}
	q := ResourceQuery{Scope: c.scope, Kind: kind, Name: &name}
	if kind != KindOrganization {
		if err := c.sees(organizationID); err != nil {
			return ResourceRecord{}, err
		}
		q.Scope.OrganizationID = organizationID
	}
	return c.findResource(ctx, q)
}

// findResource returns the one that matches, or a NotFoundError.
func (c *Client) findResource(ctx context.Context, q ResourceQuery) (ResourceRecord, error) {
	q.Limit = 1
	ctx, cancel := c.call(ctx)
	defer cancel()
	found, err := c.store.ListResources(ctx, q)
	if err != nil {
		return ResourceRecord{}, storeError("read "+string(q.Kind), err)
	}
	if len(found) == 0 {
		return ResourceRecord{}, &NotFoundError{Kind: q.Kind, ID: q.ID, byName: q.Name != nil}
	}
	return found[0], nil
}

// listOwned lists what one organization owns, if there is such an organization.
func (c *Client) listOwned(ctx context.Context, kind ResourceKind, organizationID uuid.UUID, opts ListOptions) (Page[ResourceRecord], error) {
	if _, err := c.getResource(ctx, KindOrganization, organizationID); err != nil {
		return Page[ResourceRecord]{}, err
	}
	return c.listResources(ctx, ResourceQuery{Kind: kind, Scope: Scope{OrganizationID: organizationID}}, opts)
}

func (c *Client) listResources(ctx context.Context, q ResourceQuery, opts ListOptions) (Page[ResourceRecord], error) {
	if err := c.ready(); err != nil {
		return Page[ResourceRecord]{}, err
	}
	if c.view {
		q.Scope = c.scope
	}
	list := fmt.Sprintf("%s %s %s", q.Kind, q.Scope.OrganizationID, q.LinkOf)
	return paginate(c, list, opts, func(before uuid.UUID, limit int) ([]ResourceRecord, error) {
		q.Before, q.Limit = before, limit
		ctx, cancel := c.call(ctx)
		defer cancel()
		records, err := c.store.ListResources(ctx, q)
		return records, storeError("list "+string(q.Kind)+"s", err)
	}, func(r ResourceRecord) uuid.UUID { return r.ID })
}

func (c *Client) renameResource(ctx context.Context, kind ResourceKind, id uuid.UUID, name string) (ResourceRecord, error) {
	if err := checkName("name", name, true); err != nil {
		return ResourceRecord{}, err
	}
	r, err := c.changeResource(ctx, "rename", kind, id, ResourceChange{Name: &name})
	if !errors.Is(err, ErrAlreadyExists) {
		return r, err
	}
	return ResourceRecord{}, c.nameTaken(ctx, kind, id, name)
}

// nameTaken says who has the name that id was to get.
func (c *Client) nameTaken(ctx context.Context, kind ResourceKind, id uuid.UUID, name string) error {
	r, err := c.getResource(ctx, kind, id)
	if err != nil {
		return err
	}
	q := ResourceQuery{Kind: kind, Name: &name}
	if kind != KindOrganization {
		q.Scope.OrganizationID = r.OrganizationID
	}
	standing, err := c.findResource(ctx, q)
	if errors.Is(err, ErrNotFound) {
		return ErrConflict // it was taken a moment ago, and is free now
	}
	if err != nil {
		return err
	}
	return &AlreadyExistsError{Kind: kind, ExistingID: standing.ID}
}

func (c *Client) changeResource(ctx context.Context, verb string, kind ResourceKind, id uuid.UUID, change ResourceChange) (r ResourceRecord, err error) {
	if err := c.managesTenancy(); err != nil {
		return ResourceRecord{}, err
	}
	if id == uuid.Nil {
		return ResourceRecord{}, &NotFoundError{Kind: kind, ID: id}
	}
	op := operation{kind: kind, verb: verb, id: id}
	if change.Name == nil {
		if op.stale, err = c.staleResource(ctx, kind, id); err != nil {
			return ResourceRecord{}, err
		}
	}
	err = c.mutate(ctx, op, func(ctx context.Context, m Mutation) (err error) {
		r, err = c.store.UpdateResource(ctx, m, ResourceRef{Scope: c.scope, Kind: kind, ID: id}, change)
		return notFound(err, kind, id)
	})
	return r, err
}

// staleResource is what suspending, resuming or deleting makes stale: all that is
// remembered of the organization.
func (c *Client) staleResource(ctx context.Context, kind ResourceKind, id uuid.UUID) ([]Change, error) {
	if kind == KindOrganization {
		return staleOrganization(id), nil
	}
	r, err := c.getResource(ctx, kind, id)
	return staleOrganization(r.OrganizationID), err
}

// deleteResource removes the keys that hold it, chunk by chunk, and then it. Keys
// that are created meanwhile make the store refuse; they are removed too.
func (c *Client) deleteResource(ctx context.Context, kind ResourceKind, id uuid.UUID, keys KeyQuery) error {
	if _, err := c.getResource(ctx, kind, id); err != nil {
		return err
	}
	if c.view {
		keys.Scope = c.scope
	}
	err := ErrConflict
	for range deleteRounds {
		if err := c.managesTenancy(); err != nil {
			return err
		}
		if _, err := c.deleteKeys(ctx, keys); err != nil {
			return err
		}
		_, err = c.changeResource(ctx, "delete", kind, id, ResourceChange{Delete: true})
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return err
}

// deleteRounds bounds how often a deletion starts again because keys were created
// meanwhile.
const deleteRounds = 10

func (c *Client) link(ctx context.Context, verb string, productID, projectID uuid.UUID, linked bool) error {
	if err := c.managesTenancy(); err != nil {
		return err
	}
	project, err := c.getResource(ctx, KindProject, projectID)
	if err != nil {
		return err
	}
	op := operation{
		kind: KindProduct, verb: verb, id: productID, stale: staleOrganization(project.OrganizationID),
		detail: map[string]any{"project": projectID},
	}
	return c.mutate(ctx, op, func(ctx context.Context, m Mutation) error {
		ref := LinkRef{Scope: c.scope, ProjectID: projectID, ProductID: productID}
		return notFound(c.store.SetLink(ctx, m, ref, linked), KindProduct, productID)
	})
}

// managesTenancy refuses the views that may not change organizations, projects
// and products.
func (c *Client) managesTenancy() error {
	if err := c.ready(); err != nil {
		return err
	}
	if c.scope.OwnerID != "" {
		return invalid("Scope", "a view of one owner cannot change organizations, projects and products")
	}
	for i := range c.grants {
		if c.grants[i].boundResource() {
			return beyond("Grant", "a view with a grant for one project or product cannot change organizations, projects and products")
		}
	}
	return nil
}

// sees refuses an organization that lies outside this view, as if it did not exist.
func (c *Client) sees(organizationID uuid.UUID) error {
	if organizationID == uuid.Nil || c.view && organizationID != c.scope.OrganizationID {
		return &NotFoundError{Kind: KindOrganization, ID: organizationID}
	}
	return nil
}
