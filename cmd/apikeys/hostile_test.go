package main

import (
	"database/sql"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commands returns every command of the program, groups too.
func commands() []*cobra.Command {
	var list []*cobra.Command
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		list = append(list, cmd)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(&app{program: program{stdout: io.Discard, stderr: io.Discard}}))
	return list
}

// words are what a command line calls a command.
func words(cmd *cobra.Command) []string { return strings.Fields(cmd.CommandPath())[1:] }

// A key that is pasted where it does not belong, into every argument and every flag of
// every command, is not repeated.
func TestAKeyInTheWrongPlaceIsNotRepeated(t *testing.T) {
	t.Parallel()
	w := newSQLiteWorld(t)
	w.must("orgs", "create", "Acme")
	w.save("key", "create", "--org", "Acme")
	w.saved["foreign"] = "rk_Zm9yZWlnbi1rZXktb2YtYW5vdGhlci1zeXN0ZW0tMTIz" // of the reference SDK's shape
	w.keys = append(w.keys, w.saved["foreign"])
	ran := 0
	for _, cmd := range commands() {
		for _, args := range misplaced(cmd, "{key}") {
			if r := w.run("", args...); r.status != statusUsage {
				t.Errorf("%q: got status %d, want %d", args, r.status, statusUsage)
			}
			ran++
		}
		if cmd.Name() == "create" || cmd.Name() == "update" || cmd.CommandPath() == "apikeys migrate up" {
			continue // it may as well be a name
		}
		for _, args := range misplaced(cmd, "{foreign}") {
			w.run("", args...)
			ran++
		}
	}
	if ran < 500 {
		t.Errorf("got %d command lines: the test has lost its subject", ran)
	}
}

// misplaced are command lines with a key in every place.
func misplaced(cmd *cobra.Command, key string) (lines [][]string) {
	add := func(args ...string) { lines = append(lines, append(words(cmd), args...)) }
	add(key)
	add(key, key)
	add("x", key)
	add(key, "x", "--org", "Acme")
	add("--" + key)
	add("--" + key + "=x")
	add("-" + key)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { add("--" + f.Name + "=" + key) })
	cmd.Flags().VisitAll(func(f *pflag.Flag) { add("x", "--"+f.Name, key) })
	cmd.Root().PersistentFlags().VisitAll(func(f *pflag.Flag) { add("--" + f.Name + "=" + key) })
	return lines
}

// What others wrote into the database does not reach the terminal raw.
func TestControlCharactersAreShownAsEscapes(t *testing.T) {
	t.Parallel()
	w := newSQLiteWorld(t)
	w.must("orgs", "create", "Acme")
	w.must("projects", "create", "v1", "--org", "Acme")
	w.save("key", "create", "--org", "Acme", "--owner", "alice", "--name", "CI")
	w.save("list", "list")
	id := strings.Fields(strings.Split(w.saved["list"], "\n")[1])[0]
	const hostile = "a\x1b[31m\x1b]0;x\x07\u009b2J\u202e\u200b\t\r\nb\u00a0\U000e0041"
	db, err := sql.Open("sqlite", strings.TrimPrefix(w.env[envDatabase], "sqlite:///"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		"UPDATE apikeys_resources SET name = ?", "UPDATE apikeys_keys SET name = ?", "UPDATE apikeys_keys SET owner_id = ?",
		"UPDATE apikeys_keys SET revoked_at = 1, revoked_reason = ?",
	} {
		if _, err := db.ExecContext(t.Context(), statement, hostile); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"orgs", "list"}, {"list"}, {"inspect", id}, {"revoke", id}, {"enable", id}, {"delete", id}, {"verify"}, {"orgs", "suspend", hostile},
	} {
		for _, args := range [][]string{args, append(args, "--json")} {
			r := w.run("{key}", args...)
			if i := strings.IndexFunc(r.stdout+r.stderr, func(r rune) bool { return r != '\n' && r != ' ' && !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("%q: got %q", args, r.stdout+r.stderr)
			}
		}
	}
	// And programs get what is there.
	var list orgList
	if err := json.Unmarshal([]byte(w.must("orgs", "list", "--json")), &list); err != nil || list.Organizations[0].Name != hostile {
		t.Errorf("got %q, %v, want %q", list.Organizations, err, hostile)
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"": "", "Acme Inc": "Acme Inc", "Ünï ✓ 日本": "Ünï ✓ 日本", "a\tb\nc": `a\tb\nc`, "\x1b[2J": `\x1b[2J`, "\u202eabc": `\u202eabc`,
		"\xff": `�`, "\x00": `\x00`, "\u009b": `\u009b`, "\U000e0041": `\U000e0041`,
	} {
		if got := printable(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

func FuzzVisibleJSON(f *testing.F) {
	f.Add("a\x1b\u009b\U000e0041\u202e\"\\")
	f.Fuzz(func(t *testing.T, s string) {
		document, err := json.Marshal(s)
		if err != nil {
			t.Skip()
		}
		var before, after string
		visible := visibleJSON(document)
		if err := json.Unmarshal(document, &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(visible, &after); err != nil || before != after {
			t.Errorf("got %q, %v, want %q", after, err, before)
		}
		if strings.IndexFunc(string(visible), hides) >= 0 {
			t.Errorf("got %q", visible)
		}
	})
}

// doctor finds what is wrong, and says so with its status.
func TestDoctor(t *testing.T) {
	t.Parallel()
	for name, newURL := range map[string]func(*testing.T) string{"SQLite": sqliteURL, "Postgres": postgresURL, "MariaDB": mysqlURL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, newURL(t))
			w.realClock = true
			if name != "SQLite" { // where there is no database yet
				w.wantFinding("schema", failed)
			}
			w.must("migrate", "up")
			w.wantHealthy()
			w.must("orgs", "create", "Acme")
			w.wantHealthy()

			w.env[envSecret] = nextSecret
			w.wantFinding("secret", failed)
			delete(w.env, envSecret)
			w.wantFinding("secret", failed)
			w.env[envSecret], w.env[envAccepted] = nextSecret, signingSecret
			w.wantHealthy()
			w.must("create", "--org", "Acme") // under the next secret, which is left out now
			w.env[envSecret] = signingSecret
			delete(w.env, envAccepted)
			w.wantFinding("keys", failed)
			w.env[envAccepted] = nextSecret
			w.wantHealthy()

			w.realClock = false // months away
			w.wantFinding("clock", failed)
			w.realClock = true
			spoil(t, w.env[envDatabase])
			w.wantFinding("indexes", failed)
		})
	}
}

// spoil removes an index.
func spoil(t *testing.T, databaseURL string) {
	t.Helper()
	drop := "DROP INDEX apikeys_events_at"
	var db *sql.DB
	var err error
	switch scheme, rest, _ := strings.Cut(databaseURL, "://"); scheme {
	case "sqlite":
		db, err = sql.Open("sqlite", strings.TrimPrefix(rest, "/"))
	case "postgres":
		db, err = sql.Open("pgx", databaseURL)
	default:
		drop += " ON apikeys_events"
		db, err = openMySQL(databaseURL)
	}
	if err == nil {
		_, err = db.ExecContext(t.Context(), drop)
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) diagnose(args ...string) (diagnosis, result) {
	w.t.Helper()
	r := w.run("", append([]string{"doctor", "--json"}, args...)...)
	var d diagnosis
	if err := json.Unmarshal([]byte(r.stdout), &d); err != nil {
		w.t.Fatalf("got %v of %q, stderr %q", err, r.stdout, r.stderr)
	}
	return d, r
}

func (w *world) wantHealthy() {
	w.t.Helper()
	d, r := w.diagnose()
	if !d.Healthy || r.status != statusOK || len(d.Tables) < 10 || len(d.Findings) < 6 {
		w.t.Errorf("got status %d, %+v, want a healthy installation", r.status, d)
	}
}

func (w *world) wantFinding(name, status string) {
	w.t.Helper()
	d, r := w.diagnose()
	found := false
	for _, f := range d.Findings {
		found = found || f.Name == name && f.Status == status && f.Detail != ""
	}
	if !found || d.Healthy || r.status != statusFailed {
		w.t.Errorf("got status %d, %+v, want %s %s", r.status, d.Findings, name, status)
	}
	if text := w.run("", "doctor"); !strings.Contains(text.stdout, name) || text.status != statusFailed || text.stderr != "" {
		w.t.Errorf("got status %d, %q, %q", text.status, text.stdout, text.stderr)
	}
}
