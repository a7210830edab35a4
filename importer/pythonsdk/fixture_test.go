package pythonsdk_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/importer/pythonsdk"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store"
)

const (
	ourSecret   = "3f6d0c1be45a97288dd1f0a2c6b79e5436fa08e1d2c3b4957a6e8f10bc2d4e59"
	theirSecret = "a secret of the SDK"
)

// database is one that the SDK's tables are in, and ours are to be in.
type database struct {
	name string
	url  func(testing.TB) string
	// ids and times are the types of columns, hyphens whether ids are written with them.
	ids, times string
	hyphens    bool
}

var databases = []database{
	{"sqlite", func(t testing.TB) string { return "sqlite:///" + filepath.Join(t.TempDir(), "a b.db") }, "CHAR(32)", "DATETIME", false},
	{"postgres", testdb.Postgres, "UUID", "TIMESTAMP WITH TIME ZONE", true},
	{"mysql", mysqlURL, "CHAR(32)", "DATETIME(6)", false},
}

// mysqlURL writes the DSN of a test database as the SDK has it.
func mysqlURL(t testing.TB) string {
	dsn := testdb.MySQL(t)
	account, rest, _ := strings.Cut(dsn, "@tcp(")
	address, rest, _ := strings.Cut(rest, ")/")
	name, _, _ := strings.Cut(rest, "?")
	return "mysql+aiomysql://" + account + "@" + address + "/" + name
}

// The SDK's tables, as SQLAlchemy makes them.
const tables = `
CREATE TABLE organizations (id ID NOT NULL, name VARCHAR(255) NOT NULL, created_at TIME NOT NULL, PRIMARY KEY (id), UNIQUE (name));
CREATE TABLE projects (id ID NOT NULL, name VARCHAR(255) NOT NULL, org_id ID NOT NULL, created_at TIME NOT NULL,
       PRIMARY KEY (id), UNIQUE (org_id, name), FOREIGN KEY(org_id) REFERENCES organizations (id));
CREATE TABLE products (id ID NOT NULL, name VARCHAR(255) NOT NULL, org_id ID NOT NULL, created_at TIME NOT NULL,
       PRIMARY KEY (id), UNIQUE (org_id, name), FOREIGN KEY(org_id) REFERENCES organizations (id));
CREATE TABLE project_products (project_id ID NOT NULL, product_id ID NOT NULL, PRIMARY KEY (project_id, product_id),
       FOREIGN KEY(project_id) REFERENCES projects (id), FOREIGN KEY(product_id) REFERENCES products (id));
CREATE TABLE api_keys (id ID NOT NULL, org_id ID NOT NULL, project_id ID, product_id ID,
       key_prefix VARCHAR(8) NOT NULL, key_hash VARCHAR(64) NOT NULL, metadata JSON NOT NULL,
       revoked_at TIME, last_used_at TIME, use_count INTEGER DEFAULT '0' NOT NULL, created_at TIME NOT NULL,
       PRIMARY KEY (id), FOREIGN KEY(org_id) REFERENCES organizations (id), FOREIGN KEY(project_id) REFERENCES projects (id),
       FOREIGN KEY(product_id) REFERENCES products (id), UNIQUE (key_hash))`

// fixture is a database as the SDK leaves it behind.
type fixture struct {
	testing.TB
	database
	url     string
	db      *sql.DB // to write; what is tested opens its own
	orgs    []tenant
	created time.Time
}

// tenant is an organization with a project and a product that are linked, and a
// project that is not.
type tenant struct{ org, project, other, product uuid.UUID }

func newFixture(t testing.TB, d database) *fixture {
	t.Helper()
	f := &fixture{TB: t, database: d, url: d.url(t), created: time.Date(2025, 3, 4, 5, 6, 7, 891011000, time.UTC)}
	f.db = f.open()
	types := strings.NewReplacer(" ID", " "+d.ids, " TIME", " "+d.times)
	for _, table := range strings.Split(tables, ";") {
		f.exec(types.Replace(table))
	}
	for i := range 3 {
		tn := tenant{uuid.New(), uuid.New(), uuid.New(), uuid.New()}
		f.exec(fmt.Sprintf("INSERT INTO organizations VALUES (%s, 'org ''%d''', %s)", f.id(tn.org), i, f.at(f.created)))
		f.exec(fmt.Sprintf("INSERT INTO projects VALUES (%s, 'v1', %s, %s), (%s, 'v2', %s, %s)",
			f.id(tn.project), f.id(tn.org), f.at(f.created), f.id(tn.other), f.id(tn.org), f.at(f.created)))
		f.exec(fmt.Sprintf("INSERT INTO products VALUES (%s, 'My API', %s, %s)", f.id(tn.product), f.id(tn.org), f.at(f.created)))
		f.exec(fmt.Sprintf("INSERT INTO project_products VALUES (%s, %s)", f.id(tn.project), f.id(tn.product)))
		f.orgs = append(f.orgs, tn)
	}
	return f
}

// open opens the database to write.
func (f *fixture) open() *sql.DB {
	f.Helper()
	var db *sql.DB
	var err error
	if path, ok := strings.CutPrefix(f.url, "sqlite:///"); ok {
		db, err = sql.Open("sqlite", path)
	} else {
		db, err = pythonsdk.Open(f.url)
	}
	check(f, err)
	f.Cleanup(func() { _ = db.Close() })
	return db
}

func (f *fixture) exec(statement string) {
	f.Helper()
	if _, err := f.db.ExecContext(f.Context(), statement); err != nil {
		f.Fatalf("%v in %.200s", err, statement)
	}
}

func (f *fixture) id(id uuid.UUID) string {
	if id == uuid.Nil {
		return "NULL"
	}
	text := id.String()
	if !f.hyphens {
		text = strings.ReplaceAll(text, "-", "")
	}
	return "'" + text + "'"
}

// at writes a time as SQLAlchemy does: UTC, without a zone where the type has none.
func (f *fixture) at(t time.Time) string {
	if t.IsZero() {
		return "NULL"
	}
	text := t.UTC().Format("2006-01-02 15:04:05.000000")
	if strings.Contains(f.times, "ZONE") {
		text += "+00:00"
	}
	return "'" + text + "'"
}

// key is a key as the SDK made it, and what there is to know of it.
type key struct {
	id, org, project, product uuid.UUID
	text, hash                string
	meta                      apikeys.KeyMetadata
	metadata                  string // as the SDK wrote meta
	revoked, used, created    time.Time
	uses                      int64
}

// newKeyText draws a text as the SDK does.
func newKeyText(prefix string) string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

func signed(text string) string {
	mac := hmac.New(sha256.New, []byte(theirSecret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func unsigned(text string) string {
	d := sha256.Sum256([]byte(text))
	return hex.EncodeToString(d[:])
}

// newKey makes the i-th key: of each kind there are some.
func (f *fixture) newKey(i int) *key {
	tn := f.orgs[i%len(f.orgs)]
	k := &key{id: uuid.New(), org: tn.org, text: newKeyText("sk_"), created: f.created.Add(time.Duration(i) * time.Second)}
	if i%5 == 0 {
		k.text = newKeyText("myapp_live_")
	}
	k.hash = signed(k.text)
	switch i % 4 {
	case 1:
		k.project = tn.project
	case 2:
		k.product = tn.product
	case 3:
		k.project, k.product = tn.project, tn.product
	}
	k.meta = apikeys.KeyMetadata{Name: fmt.Sprintf("key %d of Zoë's \"%%_\\'", i), Scopes: []string{"read", "docs:*"}}
	k.meta.Custom = map[string]any{"user_id": fmt.Sprintf("u_%d", i), "n": json.Number("9007199254740993"), "f": json.Number("0.1"), "nested": map[string]any{"x": []any{nil, true}}}
	if i%3 == 0 {
		k.meta.RateLimits = []apikeys.RateLimit{apikeys.PerHour(int64(i + 1000))}
		k.used, k.uses = k.created.Add(time.Hour), int64(i)
	}
	switch i % 50 {
	case 7:
		k.revoked = k.created.Add(time.Minute)
	case 8:
		k.meta.ExpiresAt = k.created.Add(2 * time.Minute)
	case 9:
		k.meta.ExpiresAt = time.Date(2999, 1, 2, 3, 4, 5, 678901000, time.UTC)
	}
	k.metadata = k.meta2json(i)
	return k
}

// meta2json writes metadata as the SDK does.
func (k *key) meta2json(i int) string {
	m := map[string]any{"name": k.meta.Name, "scopes": k.meta.Scopes, "rate_limit": nil, "expires_at": nil, "custom": k.meta.Custom}
	if len(k.meta.RateLimits) > 0 {
		m["rate_limit"] = map[string]any{"requests": k.meta.RateLimits[0].Requests, "window": k.meta.RateLimits[0].Window.String()}
	}
	if !k.meta.ExpiresAt.IsZero() {
		m["expires_at"] = k.meta.ExpiresAt.Format("2006-01-02T15:04:05.999999Z07:00")
		if i%2 == 0 {
			m["expires_at"] = k.meta.ExpiresAt.Format("2006-01-02T15:04:05.999999") // of a naive datetime
		}
	}
	text, _ := json.Marshal(m)
	return string(text)
}

// insert writes keys as the SDK has them.
func (f *fixture) insert(keys ...*key) {
	f.Helper()
	text := func(s string) string {
		if f.name == "mysql" {
			s = strings.ReplaceAll(s, `\`, `\\`)
		}
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	for len(keys) > 0 {
		n := min(500, len(keys))
		rows := make([]string, n)
		for i, k := range keys[:n] {
			prefix := k.text[len(k.text)-43:][:8]
			rows[i] = "(" + strings.Join([]string{
				f.id(k.id), f.id(k.org), f.id(k.project), f.id(k.product), text(prefix), text(k.hash), text(k.metadata),
				f.at(k.revoked), f.at(k.used), fmt.Sprint(k.uses), f.at(k.created),
			}, ", ") + ")"
		}
		f.exec("INSERT INTO api_keys VALUES " + strings.Join(rows, ", "))
		keys = keys[n:]
	}
}

func (f *fixture) keys(n int) []*key {
	f.Helper()
	keys := make([]*key, n)
	for i := range keys {
		keys[i] = f.newKey(i)
	}
	f.insert(keys...)
	return keys
}

// client returns one on the same database, beside the SDK's tables.
func (f *fixture) client() *apikeys.Client {
	f.Helper()
	db, err := store.Open(f.Context(), f.url)
	check(f, err)
	f.Cleanup(func() { check(f, db.Close()) })
	check(f, db.Migrate(f.Context()))
	prefixes := []string{"sk_", "myapp_live_"}
	client, err := apikeys.New(f.Context(), db, apikeys.Config{
		SigningSecret: apikeys.NewSecret(ourSecret),
		OpTimeout:     20 * time.Second, // the machine may be busy
		Imported: []apikeys.ImportedKeys{
			{Scheme: apikeys.ImportPythonSDK, Secret: apikeys.NewSecret(theirSecret), Prefixes: prefixes},
			{Scheme: apikeys.ImportPythonSDK01, Prefixes: prefixes},
		},
	})
	check(f, err)
	f.Cleanup(func() { check(f, client.Close(f.background())) })
	return client
}

// move imports what is in the database and ends the test at an error.
func (f *fixture) move(client *apikeys.Client, opts pythonsdk.Options) pythonsdk.Report {
	f.Helper()
	from, err := pythonsdk.Open(f.url)
	check(f, err)
	defer from.Close()
	report, err := pythonsdk.Import(f.Context(), client, from, opts)
	check(f, err)
	return report
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
