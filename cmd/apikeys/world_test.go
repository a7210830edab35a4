package main

import (
	"bytes"
	"database/sql"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// signingSecret is what the tests sign with.
const signingSecret = "5f2c1a9e8b7d6c4f3e2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c"

// world is a machine on which the program is run, with a clock that the tests move.
type world struct {
	t         *testing.T
	env       map[string]string
	clock     *apikeystest.Clock
	saved     map[string]string // {name} stands for it in arguments and standard input
	keys      []string          // texts that were issued
	realClock bool              // the machine's instead
	log       bytes.Buffer      // what was done and what came of it, made stable
	names     map[string]string // of ids and hints, in the log
}

// newWorld returns a world with an empty database.
func newWorld(t *testing.T, databaseURL string) *world {
	return &world{
		t:     t,
		keys:  []string{betterAuthKey, sdkKey, sdkSecret},
		env:   map[string]string{envDatabase: databaseURL, envSecret: signingSecret},
		clock: apikeystest.NewClock(time.Date(2026, time.January, 2, 18, 0, 0, 0, time.UTC)),
		saved: map[string]string{},
		names: map[string]string{},
	}
}

// newSQLiteWorld returns a world with tables on SQLite.
func newSQLiteWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, sqliteURL(t))
	w.must("migrate", "up")
	return w
}

func sqliteURL(t *testing.T) string {
	t.Helper()
	return "sqlite:///" + filepath.Join(t.TempDir(), "app.db")
}

func postgresURL(t *testing.T) string {
	t.Helper()
	config, err := pgx.ParseConfig(testdb.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Path: config.Database}
	if strings.HasPrefix(config.Host, "/") {
		u.RawQuery = url.Values{"host": {config.Host}, "port": {fmt.Sprint(config.Port)}}.Encode()
	} else {
		u.Host = fmt.Sprintf("%s:%d", config.Host, config.Port)
	}
	return u.String()
}

func mysqlURL(t *testing.T) string {
	t.Helper()
	config, err := mysql.ParseDSN(testdb.MySQL(t))
	if err != nil {
		t.Fatal(err)
	}
	u := url.URL{Scheme: "mariadb", User: url.UserPassword(config.User, config.Passwd), Path: config.DBName, Host: config.Addr}
	if config.Net == "unix" {
		u.Host, u.RawQuery = "localhost", url.Values{"unix_socket": {config.Addr}}.Encode()
	}
	return u.String()
}

// openMySQL opens what mysqlURL names.
func openMySQL(databaseURL string) (*sql.DB, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return nil, err
	}
	config := mysql.NewConfig()
	config.User, config.DBName, config.Net, config.Addr = u.User.Username(), strings.TrimPrefix(u.Path, "/"), "tcp", u.Host
	config.Passwd, _ = u.User.Password()
	if socket := u.Query().Get("unix_socket"); socket != "" {
		config.Net, config.Addr = "unix", socket
	}
	c, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// result is what came of one run.
type result struct {
	status         int
	stdout, stderr string
}

// run runs the program once, and sees that it shows neither secrets nor keys where
// they do not belong.
func (w *world) run(stdin string, args ...string) result {
	w.t.Helper()
	w.clock.Advance(time.Second)
	args, stdin = w.fill(args), w.fill([]string{stdin})[0]
	var stdout, stderr bytes.Buffer
	p := program{
		stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr,
		getenv: func(name string) string { return w.env[name] },
		user:   "olga", now: w.clock.Now,
	}
	if w.realClock {
		p.now = nil
	}
	r := result{p.run(w.t.Context(), args), stdout.String(), stderr.String()}
	w.checkLeaks(args, r)
	return r
}

var keyText = regexp.MustCompile(`[a-z][a-z0-9_]*_[0-9A-Za-z]{49}`)

func (w *world) checkLeaks(args []string, r result) {
	w.t.Helper()
	outputs := r.stdout + r.stderr
	for _, secret := range []string{signingSecret, nextSecret, otherSecret, databasePassword} {
		if strings.Contains(outputs, secret) {
			w.t.Errorf("apikeys %q shows a secret:\n%s", args, outputs)
		}
	}
	if len(args) > 0 && (args[0] == "create" || args[0] == "rotate") {
		w.keys = append(w.keys, keyText.FindAllString(r.stdout, -1)...)
		outputs = r.stderr
	}
	for _, key := range w.keys {
		if strings.Contains(outputs, key) {
			w.t.Errorf("apikeys %q shows a key:\n%s", args, outputs)
		}
	}
}

// fill puts what was saved in the place of its names.
func (w *world) fill(texts []string) []string {
	filled := make([]string, len(texts))
	for i, text := range texts {
		for name, value := range w.saved {
			text = strings.ReplaceAll(text, "{"+name+"}", value)
		}
		filled[i] = text
	}
	return filled
}

// must runs the program, which has to succeed, and returns its standard output.
func (w *world) must(args ...string) string {
	w.t.Helper()
	r := w.run("", args...)
	if r.status != statusOK {
		w.t.Fatalf("apikeys %q: got status %d: %s", args, r.status, r.stderr)
	}
	return strings.TrimSuffix(r.stdout, "\n")
}

// save is must, and remembers the standard output.
func (w *world) save(name string, args ...string) {
	w.t.Helper()
	w.saved[name] = w.must(args...)
}

// step is a line of a session.
type step struct {
	args  string // separated by spaces; in '…' there may be some
	stdin string
	save  string // the standard output, under this name
	wait  time.Duration
	env   map[string]string // from now on
}

// session runs steps and compares all that is seen with a golden file.
func (w *world) session(golden string, steps []step) {
	w.t.Helper()
	for _, s := range steps {
		w.clock.Advance(s.wait)
		maps.Copy(w.env, s.env)
		args := fields(s.args)
		r := w.run(s.stdin, args...)
		if s.save != "" {
			w.saved[s.save] = strings.TrimSuffix(r.stdout, "\n")
		}
		w.record(s, r)
	}
	path := filepath.Join("testdata", golden+".txt")
	if *update {
		if err := os.WriteFile(path, w.log.Bytes(), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), w.log.String()); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// fields splits a command line as a shell does, as far as the tests need it.
func fields(line string) []string {
	var args []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	return args
}

func (w *world) record(s step, r result) {
	line := "$ apikeys " + s.args
	if s.stdin != "" {
		line += " <<< " + fmt.Sprintf("%q", s.stdin)
	}
	text := line + "\n" + r.stdout
	for l := range strings.Lines(r.stderr) {
		text += "! " + strings.TrimSuffix(l, "\n") + "\n"
	}
	if r.status != statusOK {
		text += fmt.Sprintf("=> %d\n", r.status)
	}
	w.log.WriteString(w.stable(text) + "\n")
}

var unstable = regexp.MustCompile(keyText.String() + `|` + // a key
	`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|` + // an id
	`_[0-9A-Za-z]{4}…[0-9A-Za-z]{4}|` + // a hint
	`[0-9A-Za-z_-]{43}|` + // a cursor
	`(SQLite|PostgreSQL|MariaDB|MySQL) [0-9.]+`)

// stable is text with ids, hints, keys and cursors replaced by numbers that are as
// long, in the order in which they are first seen.
func (w *world) stable(text string) string {
	return unstable.ReplaceAllStringFunc(text, func(found string) string {
		if strings.Contains(found, " ") {
			return "DATABASE 1.0"
		}
		if w.names[found] == "" {
			n := fmt.Sprintf("%04d", len(w.names)+1)
			switch {
			case keyText.MatchString(found):
				head := found[:strings.LastIndexByte(found, '_')]
				w.names[found] = head + "_KEY" + n
			case strings.Contains(found, "…"):
				w.names[found] = "_" + n + "…" + n
			case strings.Count(found, "-") == 4 && len(found) == 36:
				w.names[found] = "00000000-0000-0000-0000-00000000" + n
			default:
				w.names[found] = "CURSOR" + n
			}
		}
		return w.names[found]
	})
}
