package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// wantRun checks the status, and that standard error contains a text.
func wantRun(t *testing.T, r result, status int, stderr string) {
	t.Helper()
	if r.status != status || !strings.Contains(r.stderr, stderr) {
		t.Errorf("got status %d, stdout %q, stderr %q, want status %d, %q", r.status, r.stdout, r.stderr, status, stderr)
	}
}

func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	home := newSQLiteWorld(t)
	databaseURL := home.env[envDatabase]
	home.must("list") // from now on it is this secret's
	for name, test := range map[string]struct {
		env    map[string]string
		args   []string
		status int
		stderr string
	}{
		"nothing":                    {nil, nil, statusUsage, envSecret},
		"no database":                {map[string]string{envSecret: signingSecret}, nil, statusUsage, envDatabase},
		"no secret":                  {map[string]string{envDatabase: databaseURL}, nil, statusUsage, "openssl rand"},
		"of the environment":         {map[string]string{envDatabase: databaseURL, envSecret: signingSecret}, nil, statusOK, ""},
		"of files":                   {map[string]string{envDatabase + "_FILE": write(t, databaseURL+"\n"), envSecret + "_FILE": write(t, signingSecret+"\n")}, nil, statusOK, ""},
		"of files in flags":          {nil, []string{"--database-file", write(t, databaseURL+"\r\n"), "--secret-file", write(t, signingSecret)}, statusOK, ""},
		"a flag beats":               {map[string]string{envDatabase: "nonsense", envSecret: signingSecret}, []string{"--database", databaseURL}, statusOK, ""},
		"both flags":                 {map[string]string{envSecret: signingSecret}, []string{"--database", databaseURL, "--database-file", "x"}, statusUsage, "one of them"},
		"a variable twice":           {map[string]string{envDatabase: databaseURL, envSecret: signingSecret, envSecret + "_FILE": "x"}, nil, statusUsage, "both set"},
		"a file that is not there":   {map[string]string{envDatabase: databaseURL, envSecret + "_FILE": "/nowhere/secret"}, nil, statusUsage, "no such file"},
		"a file that is empty":       {map[string]string{envDatabase: databaseURL, envSecret + "_FILE": write(t, "\n")}, nil, statusUsage, "is empty"},
		"a weak secret":              {map[string]string{envDatabase: databaseURL, envSecret: "changeme"}, nil, statusUsage, envSecret + ": "},
		"another secret":             {map[string]string{envDatabase: databaseURL, envSecret: otherSecret}, nil, statusUsage, "keep the one in use until now in " + envAccepted},
		"the next secret":            {map[string]string{envDatabase: databaseURL, envSecret: nextSecret, envAccepted: signingSecret}, nil, statusOK, ""},
		"the next secret of a file":  {map[string]string{envDatabase: databaseURL, envSecret: nextSecret}, []string{"--accepted-secrets-file", write(t, "\n"+signingSecret+"\r\n")}, statusOK, ""},
		"a bad accepted secret":      {map[string]string{envDatabase: databaseURL, envSecret: signingSecret, envAccepted: "short"}, nil, statusUsage, envAccepted + ": "},
		"a bad prefix":               {map[string]string{envDatabase: databaseURL, envSecret: signingSecret, envPrefix: "My-App"}, nil, statusUsage, "--prefix: "},
		"a bad environment":          {map[string]string{envDatabase: databaseURL, envSecret: signingSecret}, []string{"--environment", "LIVE"}, statusUsage, "--environment: "},
		"a bad accepted head":        {map[string]string{envDatabase: databaseURL, envSecret: signingSecret, envHeads: "a, B"}, nil, statusUsage, "--accepted-heads: "},
		"no such scheme":             {map[string]string{envDatabase: "oracle://x", envSecret: signingSecret}, nil, statusUsage, envDatabase + ": "},
		"no such file":               {map[string]string{envDatabase: "sqlite:///" + t.TempDir() + "/none.db", envSecret: signingSecret}, nil, statusFailed, "none.db; for a new installation make it with"},
		"a password in a flag":       {map[string]string{envSecret: signingSecret}, []string{"--database", "postgres://u:" + databasePassword + "@h/d"}, statusUsage, "holds a password"},
		"a password as an option":    {map[string]string{envSecret: signingSecret}, []string{"--database", "postgres://h/d?password=" + databasePassword}, statusUsage, "holds a password"},
		"a password with everything": {map[string]string{envSecret: signingSecret}, []string{"--database", "mysql://u:a/b@c?d" + databasePassword + "@h/d"}, statusUsage, "holds a password"},
		"an actor that hides":        {map[string]string{envDatabase: databaseURL, envSecret: signingSecret}, []string{"--actor", "a\x1b[2J"}, statusUsage, "--actor: "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSharedWorld(t, test.env)
			wantRun(t, w.run("", append([]string{"list"}, test.args...)...), test.status, test.stderr)
		})
	}
}

// newSharedWorld is a world with an environment of its own.
func newSharedWorld(t *testing.T, env map[string]string) *world {
	w := newWorld(t, "")
	w.env = env
	return w
}

// A mistyped name makes no file.
func TestOnlyMigrateMakesADatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqliteURL(t))
	path := strings.TrimPrefix(w.env[envDatabase], "sqlite:///")
	for _, args := range []string{"list", "doctor", "migrate status", "migrate down --delete-every-key"} {
		if r := w.run("", strings.Fields(args)...); r.status != statusFailed {
			t.Errorf("%s: got status %d: %s", args, r.status, r.stderr)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want no file", err)
	}
	w.must("migrate", "up")
	w.must("list")
}

// Keys of another prefix and environment are created and verified.
func TestHeads(t *testing.T) {
	t.Parallel()
	w := newSQLiteWorld(t)
	w.must("orgs", "create", "Acme")
	w.env[envPrefix], w.env[envEnvironment] = "acme", "live"
	w.save("key", "create", "--org", "Acme")
	if key := w.saved["key"]; !strings.HasPrefix(key, "acme_live_") {
		t.Errorf("got a key that begins with %q", key[:10])
	}
	wantRun(t, w.run("{key}", "verify"), statusOK, "")
	wantRun(t, w.run("{key}", "verify", "--environment", "test"), statusRefused, "")
	wantRun(t, w.run("{key}", "verify", "--environment", "test", "--accepted-heads", "acme_live,old"), statusOK, "")
}

// A key whose text cannot be written is not lost silently.
func TestATextThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := newSQLiteWorld(t)
	w.must("orgs", "create", "Acme")
	var stderr bytes.Buffer
	p := program{
		stdin: strings.NewReader(""), stdout: brokenPipe{}, stderr: &stderr,
		getenv: func(name string) string { return w.env[name] }, now: w.clock.Now,
	}
	for _, args := range [][]string{{"create", "--org", "Acme"}, {"create", "--org", "Acme", "--json"}} {
		stderr.Reset()
		status := p.run(t.Context(), args)
		if status != statusFailed || !strings.Contains(stderr.String(), "its text could not be written and is lost") {
			t.Errorf("%q: got status %d, %q", args, status, stderr.String())
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// What the service counts is shown by list, inspect and usage.
func TestUsageOfTheService(t *testing.T) {
	t.Parallel()
	w := newSQLiteWorld(t)
	w.must("orgs", "create", "Acme")
	w.save("key", "create", "--org", "Acme", "--scope", "read")
	db, err := sqlite.Open(t.Context(), strings.TrimPrefix(w.env[envDatabase], "sqlite:///"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	client, err := apikeys.New(t.Context(), db, apikeys.Config{
		SigningSecret: apikeys.NewSecret(signingSecret), Now: w.clock.Now, UsageFlushInterval: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := client.Validate(t.Context(), w.saved["key"], apikeys.ValidateParams{Scopes: []string{"read"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := w.run("{key}", "usage", "-")
	if r.status != statusOK || !strings.Contains(r.stdout, "2026-01-02T18:00:00Z  1       accepted  3") || !strings.Contains(r.stdout, "Accepted:  3") {
		t.Errorf("got status %d, %s%s", r.status, r.stdout, r.stderr)
	}
	if r := w.run("{key}", "inspect", "-"); !strings.Contains(r.stdout, "Uses:          3") {
		t.Errorf("got %s", r.stdout)
	}
	// Verifying counts nothing.
	w.run("{key}", "verify")
	if r := w.run("{key}", "inspect", "-"); !strings.Contains(r.stdout, "Uses:          3") {
		t.Errorf("after verify: got %s", r.stdout)
	}
}

// A database that does not answer is no verdict about a key.
func TestNoVerdictWithoutADatabase(t *testing.T) {
	t.Parallel()
	w := newSQLiteWorld(t)
	for _, databaseURL := range []string{
		"postgres://u:" + databasePassword + "@127.0.0.1:1/d", "mysql://u:" + databasePassword + "@127.0.0.1:1/d",
		"sqlite:///" + t.TempDir() + "/none.db",
	} {
		w.env[envDatabase] = databaseURL
		r := w.run("sk_0123456789012345678901234567890123456789012345678", "verify")
		if r.status != statusFailed || r.stdout != "" {
			t.Errorf("got status %d, stdout %q, stderr %q, want status %d", r.status, r.stdout, r.stderr, statusFailed)
		}
		if r := w.run("", "doctor"); r.status != statusFailed || !strings.Contains(r.stdout, "failed") {
			t.Errorf("doctor: got status %d, stdout %q, stderr %q, want status %d", r.status, r.stdout, r.stderr, statusFailed)
		}
	}
}

func TestInterruption(t *testing.T) {
	t.Parallel()
	w := newSQLiteWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	p := program{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &stderr, getenv: func(name string) string { return w.env[name] }}
	if status := p.run(ctx, []string{"list"}); status != statusFailed || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("got status %d, %q", status, stderr.String())
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{
		"0": 0, "90d": 90 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute, "36500d": maxSpan,
		"": -1, "d": -1, "-1d": -1, "-1h": -1, "1.5d": -1, "36501d": -1, "99999999999999999999d": -1, "9223372036854775807w": -1, "1y": -1, "x": -1,
	} {
		got, err := readSpan("--x", s)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
}
