package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

func newOrgs(a *app) *cobra.Command {
	group := newGroup("orgs", "Organizations: create, list, rename, suspend, resume, delete",
		"Organizations own projects, products and keys.")
	group.AddCommand(newOrgCreate(a), newOrgList(a), newOrgRename(a),
		a.orgChange("suspend ORG", "Stop all keys of an organization, until resume", "suspended", (*apikeys.Client).SuspendOrganization),
		a.orgChange("resume ORG", "Let the keys of a suspended organization work again", "resumed", (*apikeys.Client).ResumeOrganization),
		newOrgDelete(a))
	return group
}

// orgDocument is an organization as programs read it.
type orgDocument struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	SuspendedAt *time.Time `json:"suspended_at"`
}

func orgDocumentOf(o *apikeys.Organization) orgDocument {
	return orgDocument{o.ID.String(), o.Name, o.CreatedAt, o.UpdatedAt, timeOrNull(o.SuspendedAt)}
}

const ifMissingUsage = "do nothing if there is one of this name: for scripts that run again"

func newOrgCreate(a *app) *cobra.Command {
	var ifMissing bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Add an organization; its id goes to standard output",
		Args:  arguments("NAME"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			o, err := createOrFind(ifMissing, func() (*apikeys.Organization, error) { return c.CreateOrganization(ctx, args[0]) },
				func() (*apikeys.Organization, bool, error) { return c.GetOrCreateOrganization(ctx, args[0]) })
			if err != nil {
				return err
			}
			return a.showID(o.ID, orgDocumentOf(o))
		}),
	}
	cmd.Flags().BoolVar(&ifMissing, "if-missing", false, ifMissingUsage)
	return cmd
}

// createOrFind creates, or takes what is there.
func createOrFind[T any](ifMissing bool, create func() (*T, error), ensure func() (*T, bool, error)) (*T, error) {
	if !ifMissing {
		return create()
	}
	v, _, err := ensure()
	return v, err
}

// showID writes the id of what was made, alone, so that a script can keep it.
func (a *app) showID(id uuid.UUID, document any) error {
	if a.flags.json {
		return a.writeJSON(document)
	}
	_, err := fmt.Fprintln(a.stdout, id)
	return err
}

type orgList struct {
	Organizations []orgDocument `json:"organizations"`
	NextCursor    string        `json:"next_cursor"`
}

func newOrgList(a *app) *cobra.Command {
	var p pageFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List organizations, the newest first",
		Args:  arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			page, err := pages(p, func(opts apikeys.ListOptions) (apikeys.Page[apikeys.Organization], error) {
				return c.ListOrganizations(ctx, opts)
			})
			if err != nil {
				return err
			}
			defer a.noteMore(page.NextCursor)
			return a.show(orgList{mapped(page.Items, orgDocumentOf), page.NextCursor}, func(t *table) {
				t.row("ID", "NAME", "CREATED", "SUSPENDED")
				for _, o := range page.Items {
					t.row(o.ID.String(), o.Name, timeText(o.CreatedAt), timeText(o.SuspendedAt))
				}
			})
		}),
	}
	p.flags(cmd)
	return cmd
}

func newOrgRename(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rename ORG NAME",
		Short: "Change an organization's name",
		Args:  arguments("ORG", "NAME"),
		RunE: a.org(func(ctx context.Context, c *apikeys.Client, id uuid.UUID, args []string) error {
			o, err := c.RenameOrganization(ctx, id, args[1])
			return a.showOrg(o, err, "renamed")
		}),
	}
}

// org makes of f what cobra runs: with the id of the organization that the first
// argument names.
func (a *app) org(f func(ctx context.Context, c *apikeys.Client, id uuid.UUID, args []string) error) func(*cobra.Command, []string) error {
	return a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
		id, err := organizationID(ctx, c, args[0])
		if err != nil {
			return err
		}
		return f(ctx, c, id, args)
	})
}

func (a *app) showOrg(o *apikeys.Organization, err error, verb string) error {
	if err != nil {
		return err
	}
	return a.showDone(orgDocumentOf(o), "%s organization %s (%s)", verb, o.ID, o.Name)
}

func (a *app) orgChange(use, short, verb string, change func(*apikeys.Client, context.Context, uuid.UUID) (*apikeys.Organization, error)) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  arguments("ORG"),
		RunE: a.org(func(ctx context.Context, c *apikeys.Client, id uuid.UUID, _ []string) error {
			o, err := change(c, ctx, id)
			return a.showOrg(o, err, verb)
		}),
	}
}

func newOrgDelete(a *app) *cobra.Command {
	return a.addYes(&cobra.Command{
		Use:   "delete ORG",
		Short: "Erase an organization with all it owns",
		Long: `Erase an organization with its keys, projects and products. Its keys stop at once. If
it fails on the way, the organization is left suspended: run it again.`,
		Args: arguments("ORG"),
		RunE: a.org(func(ctx context.Context, c *apikeys.Client, id uuid.UUID, _ []string) error {
			o, err := c.GetOrganization(ctx, id)
			if err != nil {
				return err
			}
			if err := a.confirm("Erase organization %s (%s) with all of its keys, projects and products?", o.ID, o.Name); err != nil {
				return err
			}
			if err := c.DeleteOrganization(ctx, id); err != nil {
				return err
			}
			return a.showDone(map[string]any{"id": id.String()}, "erased organization %s", id)
		}),
	})
}
