package main

import (
	"context"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

func newRevokeAll(a *app) *cobra.Command {
	var f filterFlags
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke-all --org ORG [flags]",
		Short: "Revoke all keys that the flags select",
		Long: `Revoke all keys of an organization that the flags select: of an owner who left, of a
project that leaked.`,
		Example: "  apikeys revoke-all --org Acme --owner bob --reason 'left the company'",
		Args:    arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			filter, err := a.filter(ctx, c, f)
			if err != nil {
				return err
			}
			if filter.OrganizationID == uuid.Nil {
				return usagef("keys of which organization? Add --org")
			}
			if err := a.confirmMany(ctx, c, filter); err != nil {
				return err
			}
			n, err := c.RevokeKeys(ctx, filter, apikeys.RevokeParams{Reason: reason})
			if err != nil {
				a.note("revoked %s, then:", count(n, "key"))
				return err
			}
			return a.showDone(map[string]any{"revoked": n}, "revoked %s", count(n, "key"))
		}),
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for their holders and the audit")
	return a.addYes(cmd)
}

// confirmMany asks, and says how many keys are meant.
func (a *app) confirmMany(ctx context.Context, c *apikeys.Client, filter apikeys.KeyFilter) error {
	if a.flags.yes {
		return nil
	}
	n := 0
	for key, err := range c.Keys(ctx, filter) {
		if err != nil {
			return err
		}
		if key.RevokedAt.IsZero() {
			n++
		}
	}
	return a.confirm("Revoke %s of organization %s?", count(n, "key"), filter.OrganizationID)
}

func newPurge(a *app) *cobra.Command {
	var before string
	cmd := &cobra.Command{
		Use:   "purge --ended-before TIME",
		Short: "Erase keys that ended long ago",
		Long: `Erase the keys that were revoked, or had expired, before a time: with their usage and
what the audit events tell of them.`,
		Example: "  apikeys purge --ended-before 365d",
		Args:    arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			t, err := a.readPast("--ended-before", before)
			if err != nil {
				return err
			}
			if err := a.confirm("Erase all keys that ended before %s?", timeText(t)); err != nil {
				return err
			}
			n, err := c.PurgeKeys(ctx, apikeys.PurgeParams{EndedBefore: t})
			if err != nil {
				a.note("erased %s, then:", count(n, "key"))
				return err
			}
			return a.showDone(map[string]any{"erased": n}, "erased %s", count(n, "key"))
		}),
	}
	cmd.Flags().StringVar(&before, "ended-before", "", "a `time`, a date, or how long ago: 365d (required)")
	return a.addYes(required(cmd, "ended-before"))
}

func newScanPattern(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "scan-pattern",
		Short: "Print the regular expression that finds keys in text",
		Long:  "Print the regular expression (RE2) that finds keys in text, for secret scanners and log filters.",
		Args:  arguments(),
		RunE: a.client(func(_ context.Context, c *apikeys.Client, _ []string) error {
			pattern := c.ScanPattern()
			return a.show(map[string]any{"pattern": pattern}, func(t *table) { t.row(pattern) })
		}),
	}
}
