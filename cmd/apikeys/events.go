package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

// eventDocument is an audit event as programs read it.
type eventDocument struct {
	ID             string               `json:"id"`
	At             time.Time            `json:"at"`
	Actor          string               `json:"actor"`
	Action         string               `json:"action"`
	OrganizationID *string              `json:"organization_id"`
	Kind           apikeys.ResourceKind `json:"kind"`
	SubjectID      *string              `json:"subject_id"`
	Before         map[string]any       `json:"before"`
	After          map[string]any       `json:"after"`
	Detail         map[string]any       `json:"detail"`
}

type eventList struct {
	Events     []eventDocument `json:"events"`
	NextCursor string          `json:"next_cursor"`
}

func eventDocumentOf(e *apikeys.Event) eventDocument {
	return eventDocument{
		e.ID.String(), e.At, e.Actor, e.Action, idOrNull(e.OrganizationID), e.Kind, idOrNull(e.SubjectID), e.Before, e.After, e.Detail,
	}
}

func newEvents(a *app) *cobra.Command {
	var org, subject string
	var p pageFlags
	cmd := &cobra.Command{
		Use:   "events [flags]",
		Short: "List what was changed, by whom, the newest first",
		Long: `List what was changed, by whom, the newest first: of the whole installation, of one
organization, or of one key, project or product. The table shows what is different now, --json
also what was there before. Uses and refusals of keys are no events: see usage --help.`,
		Example: `  apikeys events --org Acme --limit 20
  apikeys events --subject 0199d2c4-7b1e-7c3a-9f00-3b1f0e7d5c9a --all --json`,
		Args: arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			var filter apikeys.EventFilter
			var err error
			if org != "" {
				filter.OrganizationID, err = organizationID(ctx, c, org)
			}
			if err == nil && subject != "" {
				filter.SubjectID, err = readID("--subject", subject)
			}
			if err != nil {
				return err
			}
			page, err := pages(p, func(opts apikeys.ListOptions) (apikeys.Page[apikeys.Event], error) {
				return c.ListEvents(ctx, filter, opts)
			})
			if err != nil {
				return err
			}
			defer a.noteMore(page.NextCursor)
			return a.show(eventList{mapped(page.Items, eventDocumentOf), page.NextCursor}, func(t *table) { eventRows(t, page.Items) })
		}),
	}
	cmd.Flags().StringVar(&org, "org", "", "events of this organization (id or name)")
	cmd.Flags().StringVar(&subject, "subject", "", "events of this key, project, product or organization: its `id`")
	p.flags(cmd)
	return cmd
}

func eventRows(t *table, events []apikeys.Event) {
	t.row("AT", "ACTOR", "ACTION", "SUBJECT", "AFTER")
	for _, e := range events {
		subject := e.SubjectID
		if subject == uuid.Nil {
			subject = e.OrganizationID
		}
		after := ""
		if len(e.After) > 0 {
			text, _ := json.Marshal(e.After) // came from JSON
			after = string(text)
		}
		t.row(timeText(e.At), e.Actor, e.Action, idText(subject), after)
	}
}

func newExpiring(a *app) *cobra.Command {
	var within string
	cmd := &cobra.Command{
		Use:   "expiring [flags]",
		Short: "List the active keys that will expire soon",
		Long: `List the active keys of all organizations that will expire soon, the earliest first: their
holders should be told, and rotate or replace them. Keys that have expired, were revoked or are
disabled are not listed.`,
		Example: `  apikeys expiring --within 7d
  apikeys expiring --within 24h --json`,
		Args: arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			span, err := readSpan("--within", within)
			if err != nil {
				return err
			}
			var page apikeys.Page[apikeys.Key]
			for key, err := range c.ExpiringKeys(ctx, span) {
				if err != nil {
					return err
				}
				page.Items = append(page.Items, *key)
			}
			return a.showKeys(page)
		}),
	}
	cmd.Flags().StringVar(&within, "within", "30d", "how soon: a `duration` such as 30d")
	return cmd
}
