package main

import (
	"context"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys/migrations"
	"github.com/apikeys-platform/apikeys/store"
)

func newMigrate(a *app) *cobra.Command {
	group := newGroup("migrate", "Make the tables, look at them, remove them: up, status, down",
		"Make the tables, look at them, remove them. They are all named apikeys_…; nothing else in\nthe database is touched. Needs no signing secret.")
	group.AddCommand(newMigrateUp(a), newMigrateStatus(a), newMigrateDown(a))
	return group
}

func newMigrateUp(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Bring the tables to the version that this program needs",
		Long: `Bring the tables to the version that this program needs. It is safe at any time, also
while the service runs and from several machines at once: each migration is applied
once. A database that is newer than the program is left as it is.`,
		Args: arguments(),
		RunE: a.do(func(ctx context.Context, _ []string) error {
			return a.withStore(ctx, true, func(db store.DB) error {
				if err := db.Migrate(ctx); err != nil {
					return err
				}
				report, err := db.Inspect(ctx)
				if err != nil {
					return err
				}
				a.note("the tables are at version %d", schemaOf(report.Migrations).Version)
				return a.showSchemaDocument(report.Migrations)
			})
		}),
	}
}

func newMigrateStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show which migrations were applied",
		Args:  arguments(),
		RunE: a.do(func(ctx context.Context, _ []string) error {
			return a.withStore(ctx, false, func(db store.DB) error {
				report, err := db.Inspect(ctx)
				if err != nil {
					return err
				}
				return a.show(schemaOf(report.Migrations), func(t *table) { migrationRows(t, report.Migrations) })
			})
		}),
	}
}

// schema is the state of the tables as programs read it.
type schema struct {
	Version    int64               `json:"version"` // that the tables are at; 0: there are none
	Latest     int64               `json:"latest"`  // that this program needs
	Migrations []migrationDocument `json:"migrations"`
}

type migrationDocument struct {
	Version int64  `json:"version"`
	Name    string `json:"name"` // "" if a newer program applied it
	Applied bool   `json:"applied"`
}

func schemaOf(list []migrations.Migration) schema {
	s := schema{Migrations: mapped(list, func(m *migrations.Migration) migrationDocument {
		return migrationDocument{m.Version, m.Name, m.Applied}
	})}
	for _, m := range list {
		if m.Applied {
			s.Version = max(s.Version, m.Version)
		}
		if m.Name != "" {
			s.Latest = max(s.Latest, m.Version)
		}
	}
	return s
}

// pending tells whether migrate up would do something.
func pending(list []migrations.Migration) bool {
	return slices.ContainsFunc(list, func(m migrations.Migration) bool { return !m.Applied })
}

func (a *app) showSchemaDocument(list []migrations.Migration) error {
	if !a.flags.json {
		return nil
	}
	return a.writeJSON(schemaOf(list))
}

func migrationRows(t *table, list []migrations.Migration) {
	t.row("VERSION", "MIGRATION", "APPLIED")
	for _, m := range list {
		applied := "no"
		if m.Applied {
			applied = "yes"
		}
		t.row(strconv.FormatInt(m.Version, 10), orText(m.Name, "of a newer program"), applied)
	}
}

func newMigrateDown(a *app) *cobra.Command {
	const confirmation = "delete-every-key"
	var confirmed bool
	cmd := &cobra.Command{
		Use:   "down --" + confirmation,
		Short: "Remove all tables with every key in them",
		Long: `Remove all tables with every organization, key, event and count in them. No key works
after that, and none comes back: there is no undo but a backup.`,
		Args: arguments(),
		RunE: a.do(func(ctx context.Context, _ []string) error {
			return a.withStore(ctx, false, func(db store.DB) error {
				report, err := db.Inspect(ctx)
				if err != nil {
					return err
				}
				if !confirmed {
					return usagef("this would remove all tables%s; nothing was done. If that is what you want, add --%s", lost(report.Tables), confirmation)
				}
				if err := db.MigrateDown(ctx); err != nil {
					return err
				}
				return a.showDone(schema{Latest: schemaOf(report.Migrations).Latest, Migrations: []migrationDocument{}},
					"removed all tables%s", lost(report.Tables))
			})
		}),
	}
	cmd.Flags().BoolVar(&confirmed, confirmation, false, "yes, delete every key")
	return cmd
}

// lost says how many keys are in the tables.
func lost(tables []migrations.TableSize) string {
	i := slices.IndexFunc(tables, func(t migrations.TableSize) bool { return t.Name == "apikeys_keys" })
	if i < 0 {
		return ""
	}
	more := ""
	if tables[i].More {
		more = "more than "
	}
	return " with " + more + count(tables[i].Rows, "key") + " in them"
}
