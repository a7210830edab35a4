package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

func newCreate(a *app) *cobra.Command {
	var at target
	var owner string
	var m metadataFlags
	cmd := &cobra.Command{
		Use:   "create --org ORG [flags]",
		Short: "Issue a key",
		Long: `Issue a key. Its text goes to standard output, this once and alone, so that it can be
sent to a file or a secret manager; everything else goes to standard error.`,
		Example: `  apikeys create --org Acme --owner alice --scope docs:read --rate 100/minute --expires 90d
  apikeys create --org Acme --project v1 --name CI > key.txt`,
		Args: arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			meta, err := a.metadata(m)
			if err != nil {
				return err
			}
			if end := meta.ExpiresAt; !end.IsZero() && !end.After(a.clock()) {
				return usagef("--expires: %s is not in the future", timeText(end))
			}
			if at == (target{}) {
				return usagef("whose key? Add --org")
			}
			ids, err := at.find(ctx, c)
			if err != nil {
				return err
			}
			issued, err := c.CreateKey(ctx, apikeys.CreateKeyParams{
				OrganizationID: ids.org, ProjectID: ids.project, ProductID: ids.product, OwnerID: owner, Metadata: meta,
			})
			if err != nil {
				return err
			}
			return a.showIssued(issued, "issued")
		}),
	}
	at.flags(cmd, "whose key it is", "bind it to this project", "bind it to this product")
	cmd.Flags().StringVar(&owner, "owner", "", "your name for the user or service that it belongs to")
	m.flags(cmd)
	return cmd
}

// showIssued writes the text of a new key, the only time that it is there.
func (a *app) showIssued(issued *apikeys.IssuedKey, verb string) error {
	var err error
	if a.flags.json {
		document := a.keyDocument(&issued.Key)
		document.Key = issued.Plaintext.Reveal()
		err = a.writeJSON(document)
	} else {
		_, err = fmt.Fprintln(a.stdout, issued.Plaintext.Reveal())
	}
	if err != nil {
		return fmt.Errorf("key %s was %s, but its text could not be written and is lost (%w): rotate the key, or revoke it",
			issued.Key.ID, verb, err)
	}
	a.note("%s key %s (%s); its text is not shown again", verb, issued.Key.ID, issued.Key.Hint)
	return nil
}

// metadataFlags are what the owner of a key decides about it.
type metadataFlags struct {
	name, expires, custom string
	scopes, rates         []string
}

func (m *metadataFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.name, "name", "", "a name for people")
	f.StringArrayVar(&m.scopes, "scope", nil, "a `scope` that it grants, such as docs:read or docs:*; repeat for more")
	f.StringArrayVar(&m.rates, "rate", nil, "a rate `limit`, such as 100/minute; repeat for more")
	f.StringVar(&m.expires, "expires", "never", "when it ends: a `time`, a date, how long from now (90d, 36h), or never")
	f.StringVar(&m.custom, "custom", "", "data of your own: a `JSON` object")
}

func (a *app) metadata(m metadataFlags) (apikeys.KeyMetadata, error) {
	expires, err := a.readEnd("--expires", m.expires)
	if err != nil {
		return apikeys.KeyMetadata{}, err
	}
	limits, err := m.limits()
	if err != nil {
		return apikeys.KeyMetadata{}, err
	}
	custom, err := readCustom(m.custom)
	return apikeys.KeyMetadata{
		Name: m.name, Scopes: m.grants(), RateLimits: limits, ExpiresAt: expires, Custom: custom,
	}, err
}

// grants are the scopes; an empty one, which says "none", is left out.
func (m metadataFlags) grants() []string {
	scopes := []string{}
	for _, s := range m.scopes {
		if s != "" {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

func (m metadataFlags) limits() ([]apikeys.RateLimit, error) {
	limits, err := apikeys.ParseRateLimits(strings.Join(m.rates, ";"))
	var invalid *apikeys.InvalidArgumentError
	if errors.As(err, &invalid) {
		return nil, usagef("--rate: %s", invalid.Reason)
	}
	return limits, err
}

func readCustom(text string) (map[string]any, error) {
	if text == "" {
		return nil, nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var custom map[string]any
	if err := d.Decode(&custom); err != nil || custom == nil || d.More() {
		return nil, usagef(`--custom: is not one JSON object, such as {"team": "core"}`)
	}
	return custom, nil
}

func newUpdate(a *app) *cobra.Command {
	var m metadataFlags
	var version int64
	cmd := &cobra.Command{
		Use:   "update KEY [flags]",
		Short: "Change the name, scopes, limits, end or data of a key",
		Long: `Change what the flags name and leave the rest. --scope and --rate replace all that the
key has; an empty one (--scope "") takes all away. The text of the key stays valid.`,
		Example: `  apikeys update 0199d2c4-7b1e-7c3a-9f00-3b1f0e7d5c9a --scope docs:read --expires never`,
		Args:    arguments("KEY"),
	}
	m.flags(cmd)
	cmd.Flags().Int64Var(&version, "if-version", 0, "only if the key's version is still this one")
	cmd.RunE = a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
		patch, err := a.patch(m, cmd.Flags().Changed)
		if err != nil {
			return err
		}
		patch.IfVersion = version
		id, err := a.keyID(ctx, c, args[0])
		if err != nil {
			return err
		}
		key, err := c.PatchKey(ctx, id, patch)
		return a.showChanged(key, err, "updated")
	})
	return cmd
}

// patch changes what the given flags say.
func (a *app) patch(m metadataFlags, given func(string) bool) (p apikeys.KeyPatch, err error) {
	meta, err := a.metadata(m)
	if err != nil {
		return p, err
	}
	some := false
	for _, field := range []struct {
		flag string
		set  func()
	}{
		{"name", func() { p.Name = &meta.Name }},
		{"scope", func() { p.Scopes = &meta.Scopes }},
		{"rate", func() { p.RateLimits = &meta.RateLimits }},
		{"expires", func() { p.ExpiresAt = &meta.ExpiresAt }},
		{"custom", func() { p.Custom = &meta.Custom }},
	} {
		if given(field.flag) {
			field.set()
			some = true
		}
	}
	if !some {
		return p, usagef("nothing to change: give --name, --scope, --rate, --expires or --custom")
	}
	return p, nil
}

// showChanged shows a key after a change.
func (a *app) showChanged(key *apikeys.Key, err error, verb string) error {
	if err != nil {
		return err
	}
	if a.flags.json {
		return a.writeJSON(a.keyDocument(key))
	}
	a.note("%s key %s (%s); it is %s", verb, key.ID, key.Hint, a.statusText(key))
	return nil
}

func newRotate(a *app) *cobra.Command {
	var overlap string
	cmd := &cobra.Command{
		Use:   "rotate KEY --overlap DURATION",
		Short: "Give a key a new text",
		Long: `Give a key a new text under the same id: its scopes, limits, counts and history go on.
The old text works until the overlap ends; 0 ends it at once. The new text goes to
standard output, this once and alone.`,
		Example: `  apikeys rotate 0199d2c4-7b1e-7c3a-9f00-3b1f0e7d5c9a --overlap 7d > key.txt`,
		Args:    arguments("KEY"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			span, err := readSpan("--overlap", overlap)
			if err != nil {
				return err
			}
			id, err := a.keyID(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := a.confirmCut(span); err != nil {
				return err
			}
			issued, err := c.RotateKey(ctx, id, apikeys.RotateParams{Overlap: span})
			if err != nil {
				return err
			}
			return a.showIssued(issued, "rotated")
		}),
	}
	cmd.Flags().StringVar(&overlap, "overlap", "", "how long the old text goes on working: a `duration` such as 7d or 24h, or 0 (required)")
	return a.addYes(required(cmd, "overlap"))
}

func (a *app) confirmCut(overlap time.Duration) error {
	if overlap > 0 {
		return nil
	}
	return a.confirm("End the key's present text at once?")
}
