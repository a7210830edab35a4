package main

import (
	"context"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

func newProducts(a *app) *cobra.Command {
	group := newGroup("products", "Products: create, list, rename, delete, link to projects, unlink",
		"Products are what keys are used for. A product is linked to the projects\nwhose keys may be used for it.")
	group.AddCommand(products().commands(a)...)
	group.AddCommand(newLinked(a),
		a.linkChange("link", "Let a project's keys be used for a product", "linked", (*apikeys.Client).AddProductToProject),
		a.linkChange("unlink", "Undo link", "unlinked", (*apikeys.Client).RemoveProductFromProject))
	return group
}

func products() owned {
	return owned{
		kind: "product", plural: "products", find: productID,
		create: func(ctx context.Context, c *apikeys.Client, org uuid.UUID, name string) (*apikeys.Project, error) {
			p, err := c.CreateProduct(ctx, org, name)
			return (*apikeys.Project)(p), err
		},
		ensure: func(ctx context.Context, c *apikeys.Client, org uuid.UUID, name string) (*apikeys.Project, bool, error) {
			p, created, err := c.GetOrCreateProduct(ctx, org, name)
			return (*apikeys.Project)(p), created, err
		},
		get: func(ctx context.Context, c *apikeys.Client, id uuid.UUID) (*apikeys.Project, error) {
			p, err := c.GetProduct(ctx, id)
			return (*apikeys.Project)(p), err
		},
		list: func(ctx context.Context, c *apikeys.Client, org uuid.UUID, opts apikeys.ListOptions) (apikeys.Page[apikeys.Project], error) {
			page, err := c.ListProducts(ctx, org, opts)
			return apikeys.Page[apikeys.Project]{Items: asProjects(page.Items), NextCursor: page.NextCursor}, err
		},
		rename: func(ctx context.Context, c *apikeys.Client, id uuid.UUID, name string) (*apikeys.Project, error) {
			p, err := c.RenameProduct(ctx, id, name)
			return (*apikeys.Project)(p), err
		},
		remove: func(ctx context.Context, c *apikeys.Client, id uuid.UUID) error { return c.DeleteProduct(ctx, id) },
	}
}

func asProjects(list []apikeys.Product) []apikeys.Project {
	return mapped(list, func(p *apikeys.Product) apikeys.Project { return apikeys.Project(*p) })
}

func newLinked(a *app) *cobra.Command {
	var org string
	cmd := &cobra.Command{
		Use:   "linked PROJECT",
		Short: "List the products that are linked to a project",
		Args:  arguments("PROJECT"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			id, err := projects().named(ctx, c, org, args[0])
			if err != nil {
				return err
			}
			list, err := c.ListProjectProducts(ctx, id)
			if err != nil {
				return err
			}
			return a.showOwned("products", apikeys.Page[apikeys.Project]{Items: asProjects(list)})
		}),
	}
	cmd.Flags().StringVar(&org, "org", "", projects().orgUsage())
	return cmd
}

func (a *app) linkChange(verb, short, done string, change func(c *apikeys.Client, ctx context.Context, product, project uuid.UUID) error) *cobra.Command {
	var org string
	cmd := &cobra.Command{
		Use:   verb + " PRODUCT PROJECT",
		Short: short,
		Args:  arguments("PRODUCT", "PROJECT"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			ids, err := target{org: org, project: args[1], product: args[0]}.find(ctx, c)
			if err != nil {
				return err
			}
			if err := change(c, ctx, ids.product, ids.project); err != nil {
				return err
			}
			document := map[string]any{"product_id": ids.product.String(), "project_id": ids.project.String(), "linked": verb == "link"}
			return a.showDone(document, "%s product %s and project %s", done, ids.product, ids.project)
		}),
	}
	cmd.Flags().StringVar(&org, "org", "", "whose they are (id or name); needed where one of them is given by name")
	return cmd
}
