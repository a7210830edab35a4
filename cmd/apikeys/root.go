package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// globalFlags are those that every command takes.
type globalFlags struct {
	database, databaseFile string
	secretFile             string
	acceptedFile           string
	prefix, environment    string
	acceptedHeads          []string
	imported               string
	actor                  string
	timeout                time.Duration
	json                   bool
	yes                    bool
}

const rootLong = `Manage the API keys of a service that embeds github.com/apikeys-platform/apikeys.

The database and the signing secret are those of the service:

  APIKEYS_DATABASE_URL      sqlite:///app.db, postgres://…, mysql://… or mariadb://…
  APIKEYS_SECRET            the signing secret; or APIKEYS_SECRET_FILE, the file that holds it
  APIKEYS_ACCEPTED_SECRETS  yesterday's and tomorrow's signing secrets, one a line; or …_FILE
  APIKEYS_PREFIX, APIKEYS_ENVIRONMENT, APIKEYS_ACCEPTED_HEADS, APIKEYS_IMPORTED
                            how keys look, if the service is configured so

Secrets, passwords and keys are never arguments: everybody on the machine can read
those. Where a command takes a KEY, give its id, or - and the text of the key on
standard input. An ORG, PROJECT or PRODUCT is an id or a name.

Exit status: 0 done, 1 failed, 2 the command line or the configuration is wrong and
nothing was done, 3 verify: the key is not good.`

// The groups of the commands in the help.
const (
	groupKeys      = "keys"
	groupTenancy   = "tenancy"
	groupOperation = "operation"
)

func newRoot(a *app) *cobra.Command {
	root := newGroup("apikeys", "Manage API keys", rootLong)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetUsageTemplate(shorter(root.UsageTemplate()))
	root.AddGroup(
		&cobra.Group{ID: groupKeys, Title: "Keys:"},
		&cobra.Group{ID: groupTenancy, Title: "Who they are for:"},
		&cobra.Group{ID: groupOperation, Title: "The installation:"},
	)
	add(root, groupKeys, newCreate(a), newList(a), newInspect(a), newUpdate(a), newRotate(a), newRevoke(a), newRevokeAll(a),
		newDisable(a), newEnable(a), newDelete(a), newVerify(a), newUsage(a), newExpiring(a))
	add(root, groupTenancy, newOrgs(a), newProjects(a), newProducts(a))
	add(root, groupOperation, newMigrate(a), newDoctor(a), newSecrets(a), newEvents(a), newImport(a), newPurge(a), newScanPattern(a))
	a.addGlobalFlags(root)
	return root
}

// shorter leaves the flags that every command has to the help of the root, and does
// not say that a group could run by itself.
func shorter(usage string) string {
	return strings.NewReplacer(
		"{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}",
		"  --json, and those for the database, the secrets and the audit: see {{.Root.Name}} --help",
		"{{if .Runnable}}", "{{if and .Runnable (not .HasAvailableSubCommands)}}",
	).Replace(usage)
}

func add(parent *cobra.Command, group string, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.GroupID = group
		parent.AddCommand(cmd)
	}
}

func (a *app) addGlobalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&a.flags.database, "database", "", "`URL` of the database, without a password (default $APIKEYS_DATABASE_URL)")
	f.StringVar(&a.flags.databaseFile, "database-file", "", "`file` that holds the URL (default $APIKEYS_DATABASE_URL_FILE)")
	f.StringVar(&a.flags.secretFile, "secret-file", "", "`file` that holds the signing secret (default $APIKEYS_SECRET_FILE)")
	f.StringVar(&a.flags.acceptedFile, "accepted-secrets-file", "",
		"`file` with further accepted secrets, one a line (default $APIKEYS_ACCEPTED_SECRETS_FILE)")
	f.StringVar(&a.flags.prefix, "prefix", "", `what keys begin with (default $APIKEYS_PREFIX, else "sk")`)
	f.StringVar(&a.flags.environment, "environment", "", "what follows the prefix: live, test, … (default $APIKEYS_ENVIRONMENT)")
	f.StringSliceVar(&a.flags.acceptedHeads, "accepted-heads", nil, "`heads` of keys from before a rename (default $APIKEYS_ACCEPTED_HEADS)")
	f.StringVar(&a.flags.imported, "imported", "", "`schemes` of imported keys, see import --help (default $APIKEYS_IMPORTED)")
	f.StringVar(&a.flags.actor, "actor", "", "who acts, for the audit events (default $APIKEYS_ACTOR, else the user of the system)")
	f.DurationVar(&a.flags.timeout, "timeout", 30*time.Second, "how long one call of the database may take")
	f.BoolVar(&a.flags.json, "json", false, "write one JSON document to standard output, for programs")
}

// newGroup is a command that only holds others.
func newGroup(use, short, long string) *cobra.Command {
	return &cobra.Command{
		Use:                        use,
		Short:                      short,
		Long:                       long,
		Args:                       cobra.ArbitraryArgs, // RunE says what is wrong with them
		SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			text := fmt.Sprintf("%q is no command of %s", args[0], cmd.CommandPath())
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += "; did you mean " + strings.Join(near, " or ") + "?"
			}
			return usagef("%s; %s --help lists them", text, cmd.CommandPath())
		},
	}
}

// addYes gives a command that cannot be undone the flag that answers for people.
func (a *app) addYes(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVarP(&a.flags.yes, "yes", "y", false, "do not ask")
	return cmd
}

// arguments are those that a command takes, all of them. What is wrong with others is
// not said by repeating them: one may be a key.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef("%s is missing: %s", names[len(args)], cmd.UseLine())
		case len(args) > len(names):
			return usagef("too many arguments (put quotes around a name with spaces): %s", cmd.UseLine())
		}
		return nil
	}
}

// required says which flag a command cannot do without.
func required(cmd *cobra.Command, flag string) *cobra.Command {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed(flag) {
			return usagef("--%s is missing: %s", flag, cmd.UseLine())
		}
		return nil
	}
	return cmd
}
