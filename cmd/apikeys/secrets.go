package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

func newSecrets(a *app) *cobra.Command {
	group := newGroup("secrets", "Signing secrets: count the keys that hang on each, retire one",
		`Signing secrets are named by an id, which reveals nothing of them. To change one without
issuing keys again: accept the new one everywhere, sign with it everywhere, wait until
count says that no key hangs on the old one alone, retire it.`)
	group.AddCommand(newSecretsCount(a), newSecretsRetire(a))
	return group
}

// secretUse is a signing secret as programs read it.
type secretUse struct {
	ID       string `json:"id"`
	Signing  bool   `json:"signing"`  // it is APIKEYS_SECRET
	Accepted bool   `json:"accepted"` // it is one of APIKEYS_ACCEPTED_SECRETS
	Retired  bool   `json:"retired"`
	Keys     int64  `json:"keys"` // that can be verified with it
	Only     int64  `json:"only"` // that would be lost with it
}

func secretUseOf(u *apikeys.SecretUse) secretUse {
	return secretUse{u.ID, u.Signing, u.Accepted, u.Retired, u.Keys, u.Only}
}

// role says what a secret is here.
func (u secretUse) role() string {
	var roles []string
	for _, r := range []struct {
		is   bool
		name string
	}{{u.Signing, "signing"}, {u.Accepted, "accepted"}, {u.Retired, "retired"}} {
		if r.is {
			roles = append(roles, r.name)
		}
	}
	return orText(strings.Join(roles, ", "), "not configured here")
}

type secretList struct {
	Secrets []secretUse `json:"secrets"`
}

func newSecretsCount(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "count",
		Short: "Count the keys that hang on each signing secret",
		Long: `Count the keys that can be verified with each signing secret, and those that would be lost
with it: keys in use that have no hash under another one yet. A key gets one when it is
used in a service that signs with the new secret and accepts the old one.`,
		Args: arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			uses, err := c.CountKeysBySecret(ctx)
			if err != nil {
				return err
			}
			list := secretList{mapped(uses, secretUseOf)}
			return a.show(list, func(t *table) {
				t.row("SECRET", "ROLE", "KEYS", "LOST WITH IT")
				for _, u := range list.Secrets {
					t.row(u.ID, u.role(), strconv.FormatInt(u.Keys, 10), strconv.FormatInt(u.Only, 10))
				}
			})
		}),
	}
}

func newSecretsRetire(a *app) *cobra.Command {
	var lose bool
	cmd := &cobra.Command{
		Use:   "retire SECRET-ID",
		Short: "Give up a signing secret for good",
		Long: `Give up a signing secret for good, with all hashes made under it. Do so when no process
signs with it any more. It is refused while keys would be lost, unless --lose-keys.`,
		Args: arguments("SECRET-ID"),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, args []string) error {
			warning := ""
			if lose {
				warning = ", and the keys that hang on it alone"
			}
			if err := a.confirm("Retire signing secret %s for good%s?", withoutKeys(args[0]), warning); err != nil {
				return err
			}
			n, err := c.RetireSecret(ctx, apikeys.RetireSecretParams{ID: args[0], LoseKeys: lose})
			if err != nil {
				return err
			}
			return a.showDone(map[string]any{"id": args[0], "hashes": n}, "retired signing secret %s with %s", args[0], plural(n, "hash", "hashes"))
		}),
	}
	cmd.Flags().BoolVar(&lose, "lose-keys", false, "also if keys are lost with it")
	return a.addYes(cmd)
}
