package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys/internal/messages"
)

const without = "-" // the variable is not set

// mistakes are what operators do wrong before anything is done, and all that they are told. The sessions in testdata have
// the others.
var mistakes = []struct {
	env   map[string]string
	stdin string
	args  string
	want  string
}{
	{map[string]string{envDatabase: without}, "", "list",
		"which database? Set APIKEYS_DATABASE_URL to its URL: sqlite:///app.db, postgres://user:password@host/app, mysql://… or mariadb://…"},
	{map[string]string{envSecret: without}, "", "list",
		"the signing secret is missing: set APIKEYS_SECRET to the one that your service has, or name the file that holds it " +
			"(APIKEYS_SECRET_FILE, --secret-file); for a new installation make one with: openssl rand -hex 32"},
	{map[string]string{envSecret + "_FILE": "x"}, "", "list",
		"APIKEYS_SECRET and APIKEYS_SECRET_FILE are both set: unset one of them"},
	{nil, "", "list --database sqlite:///a.db --database-file b",
		"--database and --database-file: give one of them"},
	{nil, "", "list --database postgres://u:" + databasePassword + "@h/d",
		"--database: holds a password, which everybody on this machine can read in the list of processes; " +
			"put the URL into APIKEYS_DATABASE_URL or into a file (--database-file)"},
	{map[string]string{envDatabase: "sqlite:///DIR/none.db"}, "", "list",
		"there is no database DIR/none.db; for a new installation make it with: apikeys migrate up"},
	{nil, "", "list --actor a\x1bb",
		"--actor: must be at most 200 bytes, without control and invisible characters"},
	{nil, "", "inspect soon",
		"KEY: is not an id such as 0199d2c4-7b1e-7c3a-9f00-3b1f0e7d5c9a (apikeys list shows them); " +
			"the text of a key is never an argument: give - and the text on standard input"},
	{nil, "", "list --product api",
		"a product's name needs --org, whose product it is"},
	{nil, "", "rotate - --overlap soon",
		"--overlap: is not a length of time such as 30d, 2w, 36h or 90m (at most 100 years)"},
}

const keyAsArgument = "an argument is the text of a key: everybody on this machine can read arguments, and shells remember them. " +
	"Where a KEY is wanted give its id, or - and the text on standard input. This key should be rotated"

// nobodyMeets are texts that are not printed as they are, or that follow another that says what was wrong.
var nobodyMeets = []string{
	"the key was refused", "something is wrong", "not everything was imported", // the output has said it
	"read standard input: %w", // the operating system's own error follows
	"key %s was %s, but its text could not be written and is lost (%w): rotate the key, or revoke it", // TestATextThatCannotBeWritten
}

func TestMistakesAreExplained(t *testing.T) {
	t.Parallel()
	w := newSQLiteWorld(t)
	w.must("list") // from now on it is this secret's
	dir := t.TempDir()
	for _, m := range mistakes {
		here := newSharedWorld(t, map[string]string{envDatabase: w.env[envDatabase], envSecret: signingSecret})
		for name, value := range m.env {
			here.env[name] = strings.ReplaceAll(value, "DIR", filepath.ToSlash(dir))
			if value == without {
				delete(here.env, name)
			}
		}
		r := here.run(m.stdin, strings.Fields(m.args)...)
		if got := strings.ReplaceAll(strings.TrimSpace(r.stderr), filepath.ToSlash(dir), "DIR"); r.status == statusOK || got != "apikeys: "+m.want {
			t.Errorf("%s: status %d,\ngot  %s\nwant %s", m.args, r.status, got, "apikeys: "+m.want)
		}
	}
}

func TestKeysAreNoArguments(t *testing.T) {
	t.Parallel()
	w := newSQLiteWorld(t)
	w.must("orgs", "create", "Acme")
	w.save("key", "create", "--org", "Acme")
	if r := w.run("", "inspect", "{key}"); r.status != statusUsage || strings.TrimSpace(r.stderr) != "apikeys: "+keyAsArgument {
		t.Errorf("got status %d, %s", r.status, r.stderr)
	}
}

// No text is missing in the table and the sessions.
func TestEveryMessageIsSaid(t *testing.T) {
	t.Parallel()
	said := []string{keyAsArgument}
	for _, m := range mistakes {
		said = append(said, m.want)
	}
	sessions, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range sessions {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(text))
	}
	unsaid, err := messages.Unsaid(".", said, "usagef")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range unsaid {
		if !slices.Contains(nobodyMeets, text) {
			t.Errorf("nothing shows %q", text)
		}
	}
}
