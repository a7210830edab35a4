package apikeys

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// CreateOrganization adds an organization. When the name is taken it returns an
// [AlreadyExistsError] with the id of the one that has it. Names are compared
// byte for byte.
func (c *Client) CreateOrganization(ctx context.Context, name string) (*Organization, error) {
	return asOrganization(c.createResource(ctx, KindOrganization, uuid.Nil, name))
}

// GetOrCreateOrganization returns the organization of that name and whether this
// call created it: safe on every deploy, from many machines at once.
func (c *Client) GetOrCreateOrganization(ctx context.Context, name string) (*Organization, bool, error) {
	r, created, err := c.ensureResource(ctx, KindOrganization, uuid.Nil, name)
	o, err := asOrganization(r, err)
	return o, created, err
}

// GetOrganization returns an organization, or a [NotFoundError].
func (c *Client) GetOrganization(ctx context.Context, id uuid.UUID) (*Organization, error) {
	return asOrganization(c.getResource(ctx, KindOrganization, id))
}

// FindOrganization returns the organization of that name, compared byte for byte, or
// a [NotFoundError] without an id.
func (c *Client) FindOrganization(ctx context.Context, name string) (*Organization, error) {
	return asOrganization(c.namedResource(ctx, KindOrganization, uuid.Nil, name))
}

// ListOrganizations returns a page of the organizations, the newest first.
func (c *Client) ListOrganizations(ctx context.Context, opts ListOptions) (Page[Organization], error) {
	return pageOf(asOrganization)(c.listResources(ctx, ResourceQuery{Kind: KindOrganization}, opts))
}

// RenameOrganization changes the name. When it is taken it returns an
// [AlreadyExistsError] with the id of the one that has it.
func (c *Client) RenameOrganization(ctx context.Context, id uuid.UUID, name string) (*Organization, error) {
	return asOrganization(c.renameResource(ctx, KindOrganization, id, name))
}

// DeleteOrganization erases an organization with all it owns: its keys stop at
// once, then they, its projects, its products and at last itself are removed, in
// chunks. If it fails on the way, the organization is left suspended; call it
// again. A [NotFoundError] when there is none.
func (c *Client) DeleteOrganization(ctx context.Context, id uuid.UUID) error {
	if _, err := c.SuspendOrganization(ctx, id); err != nil {
		return err
	}
	return c.deleteResource(ctx, KindOrganization, id, KeyQuery{Scope: Scope{OrganizationID: id}})
}

// SuspendOrganization stops all keys of an organization, until ResumeOrganization:
// they are refused with a [SuspendedError], as soon as revoked ones are. Suspending
// it again keeps the first time.
func (c *Client) SuspendOrganization(ctx context.Context, id uuid.UUID) (*Organization, error) {
	now := c.now()
	return asOrganization(c.changeResource(ctx, "suspend", KindOrganization, id, ResourceChange{SuspendedAt: &now}))
}

// ResumeOrganization lets the keys of a suspended organization work again. Resuming
// one that is not suspended changes nothing.
func (c *Client) ResumeOrganization(ctx context.Context, id uuid.UUID) (*Organization, error) {
	if c.bounded() {
		return nil, beyond("Grant", "a view with a grant cannot resume an organization, which would bring back keys beyond it")
	}
	return asOrganization(c.changeResource(ctx, "resume", KindOrganization, id, ResourceChange{SuspendedAt: &time.Time{}}))
}

// CreateProject adds a project to an organization. When the name is taken there
// it returns an [AlreadyExistsError] with the id of the one that has it; a
// [NotFoundError] when there is no such organization.
func (c *Client) CreateProject(ctx context.Context, organizationID uuid.UUID, name string) (*Project, error) {
	return asProject(c.createResource(ctx, KindProject, organizationID, name))
}

// GetOrCreateProject returns the organization's project of that name and whether
// this call created it.
func (c *Client) GetOrCreateProject(ctx context.Context, organizationID uuid.UUID, name string) (*Project, bool, error) {
	r, created, err := c.ensureResource(ctx, KindProject, organizationID, name)
	p, err := asProject(r, err)
	return p, created, err
}

// GetProject returns a project, or a [NotFoundError].
func (c *Client) GetProject(ctx context.Context, id uuid.UUID) (*Project, error) {
	return asProject(c.getResource(ctx, KindProject, id))
}

// FindProject returns the organization's project of that name, compared byte for
// byte, or a [NotFoundError] without an id.
func (c *Client) FindProject(ctx context.Context, organizationID uuid.UUID, name string) (*Project, error) {
	return asProject(c.namedResource(ctx, KindProject, organizationID, name))
}

// ListProjects returns a page of an organization's projects, the newest first.
func (c *Client) ListProjects(ctx context.Context, organizationID uuid.UUID, opts ListOptions) (Page[Project], error) {
	return pageOf(asProject)(c.listOwned(ctx, KindProject, organizationID, opts))
}

// RenameProject changes the name. When it is taken within the organization it
// returns an [AlreadyExistsError] with the id of the one that has it.
func (c *Client) RenameProject(ctx context.Context, id uuid.UUID, name string) (*Project, error) {
	return asProject(c.renameResource(ctx, KindProject, id, name))
}

// DeleteProject erases a project together with the keys that are bound to it. If it
// fails on the way, call it again.
func (c *Client) DeleteProject(ctx context.Context, id uuid.UUID) error {
	return c.deleteResource(ctx, KindProject, id, KeyQuery{ProjectID: id})
}

// CreateProduct adds a product to an organization. When the name is taken there
// it returns an [AlreadyExistsError] with the id of the one that has it; a
// [NotFoundError] when there is no such organization.
func (c *Client) CreateProduct(ctx context.Context, organizationID uuid.UUID, name string) (*Product, error) {
	return asProduct(c.createResource(ctx, KindProduct, organizationID, name))
}

// GetOrCreateProduct returns the organization's product of that name and whether
// this call created it.
func (c *Client) GetOrCreateProduct(ctx context.Context, organizationID uuid.UUID, name string) (*Product, bool, error) {
	r, created, err := c.ensureResource(ctx, KindProduct, organizationID, name)
	p, err := asProduct(r, err)
	return p, created, err
}

// GetProduct returns a product, or a [NotFoundError].
func (c *Client) GetProduct(ctx context.Context, id uuid.UUID) (*Product, error) {
	return asProduct(c.getResource(ctx, KindProduct, id))
}

// FindProduct returns the organization's product of that name, compared byte for
// byte, or a [NotFoundError] without an id.
func (c *Client) FindProduct(ctx context.Context, organizationID uuid.UUID, name string) (*Product, error) {
	return asProduct(c.namedResource(ctx, KindProduct, organizationID, name))
}

// ListProducts returns a page of an organization's products, the newest first.
func (c *Client) ListProducts(ctx context.Context, organizationID uuid.UUID, opts ListOptions) (Page[Product], error) {
	return pageOf(asProduct)(c.listOwned(ctx, KindProduct, organizationID, opts))
}

// RenameProduct changes the name. When it is taken within the organization it
// returns an [AlreadyExistsError] with the id of the one that has it.
func (c *Client) RenameProduct(ctx context.Context, id uuid.UUID, name string) (*Product, error) {
	return asProduct(c.renameResource(ctx, KindProduct, id, name))
}

// DeleteProduct erases a product together with the keys that are bound to it. If it
// fails on the way, call it again.
func (c *Client) DeleteProduct(ctx context.Context, id uuid.UUID) error {
	return c.deleteResource(ctx, KindProduct, id, KeyQuery{ProductID: id})
}

// AddProductToProject lets the project's keys be used for the product. Linking
// again changes nothing. Both must be of one organization, else it is a
// [NotFoundError] for the product.
func (c *Client) AddProductToProject(ctx context.Context, productID, projectID uuid.UUID) error {
	return c.link(ctx, "link", productID, projectID, true)
}

// RemoveProductFromProject undoes AddProductToProject. Keys that are bound to
// both stop working. Unlinking what is not linked changes nothing.
func (c *Client) RemoveProductFromProject(ctx context.Context, productID, projectID uuid.UUID) error {
	return c.link(ctx, "unlink", productID, projectID, false)
}

// ListProjectProducts returns the products that are linked to a project, the
// newest first; a [NotFoundError] when there is no such project.
func (c *Client) ListProjectProducts(ctx context.Context, projectID uuid.UUID) ([]Product, error) {
	if _, err := c.getResource(ctx, KindProject, projectID); err != nil {
		return nil, err
	}
	var products []Product
	opts := ListOptions{Limit: maxPage}
	for {
		page, err := pageOf(asProduct)(c.listResources(ctx, ResourceQuery{Kind: KindProduct, LinkOf: projectID}, opts))
		if err != nil {
			return nil, err
		}
		products = append(products, page.Items...)
		if opts.Cursor = page.NextCursor; opts.Cursor == "" {
			return products, nil
		}
	}
}

func asOrganization(r ResourceRecord, err error) (*Organization, error) {
	if err != nil {
		return nil, err
	}
	return &Organization{r.ID, r.Name, r.CreatedAt, r.UpdatedAt, r.SuspendedAt}, nil
}

func asProject(r ResourceRecord, err error) (*Project, error) {
	if err != nil {
		return nil, err
	}
	return &Project{r.ID, r.OrganizationID, r.Name, r.CreatedAt, r.UpdatedAt}, nil
}

func asProduct(r ResourceRecord, err error) (*Product, error) {
	if err != nil {
		return nil, err
	}
	return &Product{r.ID, r.OrganizationID, r.Name, r.CreatedAt, r.UpdatedAt}, nil
}

// pageOf turns a page of records into one of the kind that as makes.
func pageOf[T any](as func(ResourceRecord, error) (*T, error)) func(Page[ResourceRecord], error) (Page[T], error) {
	return func(records Page[ResourceRecord], err error) (Page[T], error) {
		if err != nil {
			return Page[T]{}, err
		}
		page := Page[T]{Items: make([]T, 0, len(records.Items)), NextCursor: records.NextCursor}
		for _, r := range records.Items {
			item, _ := as(r, nil)
			page.Items = append(page.Items, *item)
		}
		return page, nil
	}
}

// notFound gives ErrNotFound of a store its kind and id.
func notFound(err error, kind ResourceKind, id uuid.UUID) error {
	if errors.Is(err, ErrNotFound) {
		return &NotFoundError{Kind: kind, ID: id}
	}
	return err
}
