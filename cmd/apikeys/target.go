package main

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

// target names an organization, a project and a product, each by id or by name.
type target struct{ org, project, product string }

// found is a target by ids; uuid.Nil for what it does not name.
type found struct{ org, project, product uuid.UUID }

func (t *target) flags(cmd *cobra.Command, org, project, product string) {
	f := cmd.Flags()
	f.StringVar(&t.org, "org", "", org+" (id or name)")
	f.StringVar(&t.project, "project", "", project+" (id or name)")
	f.StringVar(&t.product, "product", "", product+" (id or name)")
}

// find looks for what the target names. The organization follows from a project or a
// product that is named by its id.
func (t target) find(ctx context.Context, c *apikeys.Client) (f found, err error) {
	if t.org != "" {
		if f.org, err = organizationID(ctx, c, t.org); err != nil {
			return f, err
		}
	}
	if t.project != "" {
		if f.project, f.org, err = projectID(ctx, c, f.org, t.project); err != nil {
			return f, err
		}
	}
	if t.product != "" {
		f.product, f.org, err = productID(ctx, c, f.org, t.product)
	}
	return f, err
}

func organizationID(ctx context.Context, c *apikeys.Client, ref string) (uuid.UUID, error) {
	if id, ok := asID(ref); ok {
		return id, nil
	}
	o, err := c.FindOrganization(ctx, ref)
	if err != nil {
		return uuid.Nil, unnamed(err, "organization", ref, "apikeys orgs list")
	}
	return o.ID, nil
}

// projectID returns the id of a project and of its organization, which is org if that
// is given.
func projectID(ctx context.Context, c *apikeys.Client, org uuid.UUID, ref string) (id, of uuid.UUID, err error) {
	id, ok := asID(ref)
	if ok && org != uuid.Nil {
		return id, org, nil
	}
	var p *apikeys.Project
	switch {
	case ok:
		p, err = c.GetProject(ctx, id)
	case org == uuid.Nil:
		return uuid.Nil, uuid.Nil, usagef("a project's name needs --org, whose project it is")
	default:
		p, err = c.FindProject(ctx, org, ref)
	}
	if err != nil {
		return uuid.Nil, uuid.Nil, unnamed(err, "project", ref, "apikeys projects list --org ORG")
	}
	return p.ID, p.OrganizationID, nil
}

// productID is projectID for products.
func productID(ctx context.Context, c *apikeys.Client, org uuid.UUID, ref string) (id, of uuid.UUID, err error) {
	id, ok := asID(ref)
	if ok && org != uuid.Nil {
		return id, org, nil
	}
	var p *apikeys.Product
	switch {
	case ok:
		p, err = c.GetProduct(ctx, id)
	case org == uuid.Nil:
		return uuid.Nil, uuid.Nil, usagef("a product's name needs --org, whose product it is")
	default:
		p, err = c.FindProduct(ctx, org, ref)
	}
	if err != nil {
		return uuid.Nil, uuid.Nil, unnamed(err, "product", ref, "apikeys products list --org ORG")
	}
	return p.ID, p.OrganizationID, nil
}

// unnamed says what a name was that nothing has.
func unnamed(err error, kind, ref, list string) error {
	if errors.Is(err, apikeys.ErrNotFound) {
		return &missingError{kind: kind, ref: ref, list: list, err: err}
	}
	return err
}

type missingError struct {
	kind, ref, list string
	err             error
}

func (e *missingError) Error() string {
	return "there is no " + e.kind + " " + quoted(e.ref) + " (" + e.list + " shows them)"
}
func (e *missingError) Unwrap() error { return e.err }
