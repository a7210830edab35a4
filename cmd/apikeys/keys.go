package main

import (
	"context"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

// filterFlags select keys.
type filterFlags struct {
	target
	owner, status, search, createdBefore string
}

func (f *filterFlags) flags(cmd *cobra.Command) {
	f.target.flags(cmd, "keys of this organization", "keys bound to this project", "keys bound to this product")
	cmd.Flags().StringVar(&f.owner, "owner", "", "keys of this owner; needs --org")
	cmd.Flags().StringVar(&f.status, "status", "all", "active, expired, revoked, disabled or all")
	cmd.Flags().StringVar(&f.search, "search", "", "keys whose name or hint contains this `text`, in any case")
	cmd.Flags().StringVar(&f.createdBefore, "created-before", "", "keys made before a `time`, a date, or longer ago than 90d")
}

func (a *app) filter(ctx context.Context, c *apikeys.Client, f filterFlags) (apikeys.KeyFilter, error) {
	filter := apikeys.KeyFilter{OwnerID: f.owner, Status: apikeys.KeyStatus(f.status), Query: f.search}
	if f.createdBefore != "" {
		before, err := a.readPast("--created-before", f.createdBefore)
		if err != nil {
			return filter, err
		}
		filter.CreatedBefore = before
	}
	ids, err := f.find(ctx, c)
	filter.OrganizationID, filter.ProjectID, filter.ProductID = ids.org, ids.project, ids.product
	return filter, err
}

// pageFlags say how much of a list is shown.
type pageFlags struct {
	limit  int
	cursor string
	all    bool
}

func (p *pageFlags) flags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&p.limit, "limit", 0, "how many, at most 200 (default 50)")
	cmd.Flags().StringVar(&p.cursor, "cursor", "", "where the page before ended")
	cmd.Flags().BoolVar(&p.all, "all", false, "all of them")
}

// maxPage is how many the library gives at a time.
const maxPage = 200

// pages returns the page that the flags ask for, or all pages as one.
func pages[T any](p pageFlags, list func(apikeys.ListOptions) (apikeys.Page[T], error)) (apikeys.Page[T], error) {
	if !p.all {
		return list(apikeys.ListOptions{Limit: p.limit, Cursor: p.cursor})
	}
	if p.limit != 0 || p.cursor != "" {
		return apikeys.Page[T]{}, usagef("--all gives everything: leave out --limit and --cursor")
	}
	var whole apikeys.Page[T]
	opts := apikeys.ListOptions{Limit: maxPage}
	for {
		page, err := list(opts)
		if err != nil {
			return whole, err
		}
		whole.Items = append(whole.Items, page.Items...)
		if opts.Cursor = page.NextCursor; opts.Cursor == "" {
			return whole, nil
		}
	}
}

// noteMore tells people how to go on.
func (a *app) noteMore(cursor string) {
	if cursor != "" {
		a.note("there are more: add --cursor %s, or --all", cursor)
	}
}

func newList(a *app) *cobra.Command {
	var f filterFlags
	var p pageFlags
	cmd := &cobra.Command{
		Use:     "list [flags]",
		Short:   "List keys, the newest first",
		Example: "  apikeys list --org Acme --owner alice --status active\n  apikeys list --search x9Qz",
		Args:    arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			filter, err := a.filter(ctx, c, f)
			if err != nil {
				return err
			}
			page, err := pages(p, func(opts apikeys.ListOptions) (apikeys.Page[apikeys.Key], error) {
				return c.ListKeys(ctx, filter, opts)
			})
			if err != nil {
				return err
			}
			return a.showKeys(page)
		}),
	}
	f.flags(cmd)
	p.flags(cmd)
	return cmd
}

// keyList is a page of keys as programs read it.
type keyList struct {
	Keys       []keyDocument `json:"keys"`
	NextCursor string        `json:"next_cursor"` // "" at the end
}

func (a *app) showKeys(page apikeys.Page[apikeys.Key]) error {
	err := a.show(keyList{mapped(page.Items, a.keyDocument), page.NextCursor}, func(t *table) { a.keyRows(t, page.Items) })
	if err == nil {
		a.noteMore(page.NextCursor)
	}
	return err
}

func newInspect(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect KEY",
		Short: "Show everything about a key",
		Long: `Show everything about a key but its text, which nobody has: also the secrets that
rotations gave it, and when each was last used.`,
		Example: "  apikeys inspect 0199d2c4-7b1e-7c3a-9f00-3b1f0e7d5c9a\n  apikeys inspect - < key.txt",
		Args:    arguments("KEY"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			id, err := a.keyID(ctx, c, args[0])
			if err != nil {
				return err
			}
			key, err := c.GetKey(ctx, id)
			if err != nil {
				return err
			}
			secrets, err := c.KeySecrets(ctx, id)
			if err != nil {
				return err
			}
			return a.showKey(key, secrets)
		}),
	}
}

func newRevoke(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke KEY",
		Short: "End a key for good, and keep its record",
		Long: `End a key for good, and keep its record. This process refuses it when the command
returns; those of the service within their RevocationDelay (1 second by default).
disable can be undone.`,
		Example: "  apikeys revoke 0199d2c4-7b1e-7c3a-9f00-3b1f0e7d5c9a --reason 'found in a repository'\n  apikeys revoke - --yes < leaked.txt",
		Args:    arguments("KEY"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			key, err := a.dangerous(ctx, c, args[0], "Revoke")
			if err != nil {
				return err
			}
			key, err = c.RevokeKey(ctx, key.ID, apikeys.RevokeParams{Reason: reason})
			return a.showChanged(key, err, "revoked")
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for its holder and the audit")
	return a.addYes(cmd)
}

// dangerous finds the key that an argument names, and asks before what cannot be
// undone.
func (a *app) dangerous(ctx context.Context, c *apikeys.Client, arg, verb string) (*apikeys.Key, error) {
	id, err := a.keyID(ctx, c, arg)
	if err != nil {
		return nil, err
	}
	key, err := c.GetKey(ctx, id)
	if err != nil {
		return nil, err
	}
	return key, a.confirm("%s key %s (%s, name %s, owner %s)?", verb, key.ID, key.Hint, quoted(key.Metadata.Name), quoted(key.OwnerID))
}

func newDisable(a *app) *cobra.Command {
	return a.keyChange("disable KEY", "Switch a key off, until enable", "disabled", (*apikeys.Client).DisableKey)
}

func newEnable(a *app) *cobra.Command {
	return a.keyChange("enable KEY", "Switch a disabled key on again", "enabled", (*apikeys.Client).EnableKey)
}

func (a *app) keyChange(use, short, verb string, change func(*apikeys.Client, context.Context, uuid.UUID) (*apikeys.Key, error)) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  arguments("KEY"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			id, err := a.keyID(ctx, c, args[0])
			if err != nil {
				return err
			}
			key, err := change(c, ctx, id)
			return a.showChanged(key, err, verb)
		}),
	}
}

func newDelete(a *app) *cobra.Command {
	return a.addYes(&cobra.Command{
		Use:   "delete KEY",
		Short: "Erase a key, its usage and what the events tell of it",
		Long: `Erase a key with its secrets, its usage and what the audit events tell of it, as the
law on personal data may ask. To end a key and keep its record, revoke it.`,
		Args: arguments("KEY"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			key, err := a.dangerous(ctx, c, args[0], "Erase")
			if err != nil {
				return err
			}
			if err := c.DeleteKey(ctx, key.ID); err != nil {
				return err
			}
			return a.showDone(map[string]any{"id": key.ID.String()}, "erased key %s", key.ID)
		}),
	})
}

// showDone tells that something was done that leaves nothing to show.
func (a *app) showDone(document any, format string, args ...any) error {
	if a.flags.json {
		return a.writeJSON(document)
	}
	a.note(format, args...)
	return nil
}
