package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

// owned is what projects and products have in common: an organization owns them. As
// Go types they differ in nothing but their names; commands work with projects.
type owned struct {
	kind, plural string
	create       func(context.Context, *apikeys.Client, uuid.UUID, string) (*apikeys.Project, error)
	ensure       func(context.Context, *apikeys.Client, uuid.UUID, string) (*apikeys.Project, bool, error)
	get          func(context.Context, *apikeys.Client, uuid.UUID) (*apikeys.Project, error)
	list         func(context.Context, *apikeys.Client, uuid.UUID, apikeys.ListOptions) (apikeys.Page[apikeys.Project], error)
	rename       func(context.Context, *apikeys.Client, uuid.UUID, string) (*apikeys.Project, error)
	remove       func(context.Context, *apikeys.Client, uuid.UUID) error
	find         func(context.Context, *apikeys.Client, uuid.UUID, string) (id, of uuid.UUID, err error)
}

// ownedDocument is a project or a product as programs read it.
type ownedDocument struct {
	ID             string    `json:"id"`
	OrganizationID string    `json:"organization_id"`
	Name           string    `json:"name"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

func ownedDocumentOf(p *apikeys.Project) ownedDocument {
	return ownedDocument{p.ID.String(), p.OrganizationID.String(), p.Name, p.CreatedAt, p.UpdatedAt}
}

func (o owned) commands(a *app) []*cobra.Command {
	return []*cobra.Command{o.newCreate(a), o.newList(a), o.newRename(a), o.newDelete(a)}
}

func (o owned) newCreate(a *app) *cobra.Command {
	var org string
	var ifMissing bool
	cmd := &cobra.Command{
		Use:   "create NAME --org ORG",
		Short: "Add a " + o.kind + "; its id goes to standard output",
		Args:  arguments("NAME"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			id, err := organizationID(ctx, c, org)
			if err != nil {
				return err
			}
			made, err := createOrFind(ifMissing, func() (*apikeys.Project, error) { return o.create(ctx, c, id, args[0]) },
				func() (*apikeys.Project, bool, error) { return o.ensure(ctx, c, id, args[0]) })
			if err != nil {
				return err
			}
			return a.showID(made.ID, ownedDocumentOf(made))
		}),
	}
	cmd.Flags().StringVar(&org, "org", "", "whose it is (id or name; required)")
	cmd.Flags().BoolVar(&ifMissing, "if-missing", false, ifMissingUsage)
	return required(cmd, "org")
}

func (o owned) newList(a *app) *cobra.Command {
	var org string
	var p pageFlags
	cmd := &cobra.Command{
		Use:   "list --org ORG",
		Short: "List an organization's " + o.plural + ", the newest first",
		Args:  arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			id, err := organizationID(ctx, c, org)
			if err != nil {
				return err
			}
			page, err := pages(p, func(opts apikeys.ListOptions) (apikeys.Page[apikeys.Project], error) { return o.list(ctx, c, id, opts) })
			if err != nil {
				return err
			}
			defer a.noteMore(page.NextCursor)
			return a.showOwned(o.plural, page)
		}),
	}
	cmd.Flags().StringVar(&org, "org", "", "whose they are (id or name; required)")
	p.flags(cmd)
	return required(cmd, "org")
}

func (a *app) showOwned(plural string, page apikeys.Page[apikeys.Project]) error {
	document := map[string]any{plural: mapped(page.Items, ownedDocumentOf), "next_cursor": page.NextCursor}
	return a.show(document, func(t *table) {
		t.row("ID", "NAME", "CREATED")
		for _, p := range page.Items {
			t.row(p.ID.String(), p.Name, timeText(p.CreatedAt))
		}
	})
}

func (o owned) newRename(a *app) *cobra.Command {
	var org string
	cmd := &cobra.Command{
		Use:   "rename " + upper(o.kind) + " NAME",
		Short: "Change a " + o.kind + "'s name",
		Args:  arguments(upper(o.kind), "NAME"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			id, err := o.named(ctx, c, org, args[0])
			if err != nil {
				return err
			}
			renamed, err := o.rename(ctx, c, id, args[1])
			if err != nil {
				return err
			}
			return a.showDone(ownedDocumentOf(renamed), "renamed %s %s (%s)", o.kind, renamed.ID, renamed.Name)
		}),
	}
	cmd.Flags().StringVar(&org, "org", "", o.orgUsage())
	return cmd
}

func (o owned) newDelete(a *app) *cobra.Command {
	var org string
	cmd := &cobra.Command{
		Use:   "delete " + upper(o.kind),
		Short: "Erase a " + o.kind + " with the keys that are bound to it",
		Args:  arguments(upper(o.kind)),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			id, err := o.named(ctx, c, org, args[0])
			if err != nil {
				return err
			}
			there, err := o.get(ctx, c, id)
			if err != nil {
				return err
			}
			if err := a.confirm("Erase %s %s (%s) with all keys that are bound to it?", o.kind, there.ID, there.Name); err != nil {
				return err
			}
			if err := o.remove(ctx, c, id); err != nil {
				return err
			}
			return a.showDone(map[string]any{"id": id.String()}, "erased %s %s", o.kind, id)
		}),
	}
	cmd.Flags().StringVar(&org, "org", "", o.orgUsage())
	return a.addYes(cmd)
}

func (o owned) orgUsage() string {
	return "whose it is (id or name); needed where the " + o.kind + " is given by name"
}

// named returns the id of the one that an argument names.
func (o owned) named(ctx context.Context, c *apikeys.Client, org, ref string) (uuid.UUID, error) {
	ids, err := target{org: org}.find(ctx, c)
	if err != nil {
		return uuid.Nil, err
	}
	id, _, err := o.find(ctx, c, ids.org, ref)
	return id, err
}
