// Command import moves the database of the Python SDK apikeys-platform over: all
// organizations, projects, products, links and keys. The keys go on working. It may
// be run any number of times: what is there already stays as it is.
//
//	APIKEYS_SECRET=… SDK_SECRET=… go run ./examples/import -from sqlite:///old.db -to sqlite:///new.db
//
// APIKEYS_SECRET is the new database's signing secret, SDK_SECRET the one that the SDK
// signed with. Rows that could not be moved are named, and make it end with status 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/importer/pythonsdk"
	"github.com/apikeys-platform/apikeys/store"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

// settings are what the command line says.
type settings struct {
	from, to, prefixes, plainBefore string
	options                         pythonsdk.Options
}

func read(args []string) (s settings, err error) {
	flags := flag.NewFlagSet("import", flag.ContinueOnError)
	flags.StringVar(&s.from, "from", "", "URL of the SDK's database")
	flags.StringVar(&s.to, "to", "", "URL of the database to move to")
	flags.StringVar(&s.prefixes, "prefixes", "sk_", "what the keys begin with, separated by commas: sk_,myapp_live_")
	flags.StringVar(&s.plainBefore, "plain-before", "", "when the SDK was upgraded from 0.1 (2026-01-31): keys created before have no secret in their hash")
	flags.StringVar(&s.options.IDField, "id-field", "", "field of the custom data to keep the old ids in")
	flags.BoolVar(&s.options.LinkBound, "link-bound", false, "link products to projects where a key is bound to both")
	flags.BoolVar(&s.options.DryRun, "dry-run", false, "only tell what would happen")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.from == "" || s.to == "" {
		return s, errors.New("say where -from and -to; -help tells all")
	}
	if s.plainBefore != "" {
		s.options.PlainBefore, err = time.Parse(time.DateOnly, s.plainBefore)
	}
	return s, err
}

func run(ctx context.Context, out io.Writer, args []string) (err error) {
	s, err := read(args)
	if err != nil {
		return err
	}
	from, err := pythonsdk.Open(s.from)
	if err != nil {
		return err
	}
	defer from.Close()
	client, done, err := open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()

	refused := 0
	s.options.Refused = func(r pythonsdk.Refusal) {
		refused++
		_, _ = fmt.Fprintln(out, "refused:", r.Table, r.ID, r.Err)
	}
	report, err := pythonsdk.Import(apikeys.ContextWithActor(ctx, "import"), client, from, s.options)
	for _, t := range []struct {
		table string
		pythonsdk.Count
	}{
		{"organizations", report.Organizations}, {"projects", report.Projects}, {"products", report.Products},
		{"links", report.Links}, {"keys", report.Keys},
	} {
		_, _ = fmt.Fprintf(out, "%-14s %7d created %7d there before %7d refused\n", t.table, t.Created, t.Exists, t.Refused)
	}
	if err == nil && refused > 0 {
		err = fmt.Errorf("%d rows were not moved; mend them and run this again", refused)
	}
	return err
}

// open makes a client on the database to move to, which knows the SDK's keys.
func open(ctx context.Context, s settings) (*apikeys.Client, func() error, error) {
	secret, err := apikeys.SecretFromEnv("APIKEYS_SECRET")
	if err != nil {
		return nil, nil, err
	}
	theirs, err := apikeys.SecretFromEnv("SDK_SECRET")
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(ctx, s.to)
	if err != nil {
		return nil, nil, err
	}
	if err := db.Migrate(ctx); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	prefixes := strings.Split(s.prefixes, ",")
	client, err := apikeys.New(ctx, db, apikeys.Config{
		SigningSecret: secret,
		Imported: []apikeys.ImportedKeys{ // as the service that accepts the keys has it
			{Scheme: apikeys.ImportPythonSDK, Secret: theirs, Prefixes: prefixes},
			{Scheme: apikeys.ImportPythonSDK01, Prefixes: prefixes},
		},
	})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return client, func() error { return errors.Join(client.Close(ctx), db.Close()) }, nil
}
