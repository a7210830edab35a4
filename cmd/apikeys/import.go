package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/importer/pythonsdk"
)

func newImport(a *app) *cobra.Command {
	group := newGroup("import", "Take over keys of other systems: python-sdk, digests",
		`Take over keys that another system issued. Their texts go on working, here and in a
service that names their scheme in Config.Imported; here --imported or `+envImported+`
does:

  python-sdk=sk_,app_live_   the Python SDK 0.2; its signing secret in `+envImportSecret+`
  python-sdk-0.1=sk_         the Python SDK 0.1
  better-auth                better-auth's API keys
  sanctum                    Laravel Sanctum
  sha256=tok_/40             others: the prefixes, and how many characters follow

Several are separated by spaces. Importing again changes nothing that is here.`)
	group.AddCommand(newImportPythonSDK(a), newImportDigests(a))
	return group
}

func newImportPythonSDK(a *app) *cobra.Command {
	var opts pythonsdk.Options
	var plainBefore, file string
	cmd := &cobra.Command{
		Use:   "python-sdk",
		Short: "Move a database of the Python SDK apikeys-platform over",
		Long: `Move organizations, projects, products, links and keys of the Python SDK's database over.
It is read only. Its URL comes from ` + envImportDatabase + `, or from the file
that …_FILE or --from-file names. The exit status is 1 if something was refused.`,
		Example: "  apikeys import python-sdk --imported python-sdk=sk_ --dry-run",
		Args:    arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			if plainBefore != "" {
				t, err := a.readPast("--plain-before", plainBefore)
				if err != nil {
					return err
				}
				opts.PlainBefore = t
			}
			url, err := a.hidden(envImportDatabase, file)
			if err != nil {
				return err
			}
			if url == "" {
				return usagef("which database? Set %s to the URL that the Python SDK has for it", envImportDatabase)
			}
			return a.importPythonSDK(ctx, c, url, opts)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&file, "from-file", "", "`file` that holds the URL (default $"+envImportDatabase+"_FILE)")
	f.StringVar(&plainBefore, "plain-before", "", "the `time` of the SDK's upgrade from 0.1: older keys were hashed without a secret")
	f.BoolVar(&opts.LinkBound, "link-bound", false, "link products to projects where a key is bound to both")
	f.StringVar(&opts.IDField, "id-field", "", "`field` of the custom data to keep the old ids of keys in")
	f.BoolVar(&opts.DryRun, "dry-run", false, "only tell what would happen")
	return cmd
}

// moved is what became of the rows of a database, as programs read it.
type moved struct {
	DryRun  bool         `json:"dry_run"`
	Tables  []movedTable `json:"tables"`
	Refused []refusal    `json:"refused"`
}

type movedTable struct {
	Name    string `json:"name"`
	Created int    `json:"created"` // a dry run: that would be
	Exists  int    `json:"exists"`  // were here before
	Refused int    `json:"refused"`
}

type refusal struct {
	Table   string `json:"table"`
	ID      string `json:"id"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (a *app) importPythonSDK(ctx context.Context, c *apikeys.Client, url string, opts pythonsdk.Options) error {
	from, err := pythonsdk.Open(url)
	if err != nil {
		return err
	}
	m := moved{DryRun: opts.DryRun, Refused: []refusal{}}
	opts.Refused = func(r pythonsdk.Refusal) { m.refuse(r.Table, r.ID, r.Err) }
	report, err := pythonsdk.Import(ctx, c, from, opts)
	for _, t := range []struct {
		name string
		pythonsdk.Count
	}{
		{"organizations", report.Organizations}, {"projects", report.Projects}, {"products", report.Products},
		{"links", report.Links}, {"keys", report.Keys},
	} {
		m.Tables = append(m.Tables, movedTable{t.name, t.Created, t.Exists, t.Refused})
	}
	return errors.Join(a.showMoved(m, err), from.Close())
}

func (m *moved) refuse(table, id string, err error) {
	m.Refused = append(m.Refused, refusal{table, id, code(err), withoutKeys(message(err))})
}

// showMoved shows what became of the rows, also of those before an error.
func (a *app) showMoved(m moved, failed error) error {
	if failed != nil && a.flags.json {
		return failed
	}
	if err := a.show(m, m.rows); err != nil || failed != nil {
		return errors.Join(failed, err)
	}
	if len(m.Refused) > 0 {
		a.note("%s refused: mend them and run this again", plural(len(m.Refused), "row was", "rows were"))
		return errIncomplete
	}
	return nil
}

func (m moved) rows(t *table) {
	created := "CREATED"
	if m.DryRun {
		created = "WOULD BE CREATED"
	}
	t.row("TABLE", created, "THERE BEFORE", "REFUSED")
	for _, table := range m.Tables {
		t.row(table.Name, strconv.Itoa(table.Created), strconv.Itoa(table.Exists), strconv.Itoa(table.Refused))
	}
	if len(m.Refused) == 0 {
		return
	}
	t.gap()
	t.row("REFUSED", "ID", "WHY")
	for _, r := range m.Refused {
		t.row(r.Table, r.ID, r.Message)
	}
}

func newImportDigests(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "digests < FILE",
		Short: "Take over keys by their SHA-256 digests, one JSON object a line",
		Long: `Take over keys of which another system kept a digest: one JSON object a line on standard
input. Fields: scheme, digest (hexadecimal or base64) and organization (id or name) are
needed; id (what the other system calls it; for sanctum the row's), project, product,
owner_id, name, hint, scopes, rate_limits ("100/minute"), expires_at, created_at,
last_used_at, revoked_at, revoked_reason, disabled_at, use_count and custom as list
--json has them. The exit status is 1 if a key was refused.`,
		Example: `  echo '{"scheme":"better-auth","digest":"9f86d081…","organization":"Acme"}' |
    apikeys import digests --imported better-auth`,
		Args: arguments(),
		RunE: a.client(func(ctx context.Context, c *apikeys.Client, _ []string) error {
			keys, err := a.readDigests(ctx, c)
			if err != nil {
				return err
			}
			results, err := c.ImportKeys(ctx, keys, apikeys.ImportParams{DryRun: dryRun})
			m := moved{DryRun: dryRun, Refused: []refusal{}}
			t := movedTable{Name: "keys"}
			for _, r := range results {
				switch r.Outcome {
				case apikeys.ImportCreated:
					t.Created++
				case apikeys.ImportExists:
					t.Exists++
				default:
					t.Refused++
					m.refuse("keys", r.ForeignID, r.Err)
				}
			}
			m.Tables = []movedTable{t}
			return a.showMoved(m, err)
		}),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only tell what would happen")
	return cmd
}

// digestLine is a key of another system, as a line tells it.
type digestLine struct {
	Scheme        apikeys.ImportScheme `json:"scheme"`
	Digest        string               `json:"digest"`
	ID            string               `json:"id"`
	Organization  string               `json:"organization"`
	Project       string               `json:"project"`
	Product       string               `json:"product"`
	OwnerID       string               `json:"owner_id"`
	Name          string               `json:"name"`
	Hint          string               `json:"hint"`
	Scopes        []string             `json:"scopes"`
	RateLimits    []string             `json:"rate_limits"`
	Custom        map[string]any       `json:"custom"`
	ExpiresAt     time.Time            `json:"expires_at"`
	CreatedAt     time.Time            `json:"created_at"`
	LastUsedAt    time.Time            `json:"last_used_at"`
	RevokedAt     time.Time            `json:"revoked_at"`
	RevokedReason string               `json:"revoked_reason"`
	DisabledAt    time.Time            `json:"disabled_at"`
	UseCount      int64                `json:"use_count"`
}
