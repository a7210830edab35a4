package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys"
)

const (
	secret = "5f2c1a9e8b7d6c4f3e2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c"
	theirs = "short"
	text   = "sk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"
)

// old makes a database of the SDK with one good key and one whose scopes are refused.
func old(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", path)
	check(t, err)
	defer db.Close()
	mac := hmac.New(sha256.New, []byte(theirs))
	mac.Write([]byte(text))
	a, b := strings.Repeat("a", 32), strings.Repeat("b", 32)
	for _, statement := range append(tables(),
		fmt.Sprintf(`INSERT INTO organizations VALUES ('%s', 'Acme Inc', '2026-01-01 10:20:30')`, a),
		fmt.Sprintf(`INSERT INTO api_keys VALUES ('%s', '%s', NULL, NULL, 'AbCdEfGh', '%s', '{"scopes": ["read"]}', NULL, NULL, 3, '2026-01-01 10:20:30.5')`,
			a, a, hex.EncodeToString(mac.Sum(nil))),
		fmt.Sprintf(`INSERT INTO api_keys VALUES ('%s', '%s', NULL, NULL, 'AbCdEfGh', '%s', '{"scopes": ["read all"]}', NULL, NULL, 0, '2026-01-01 10:20:30')`,
			b, a, strings.Repeat("c", 64)),
	) {
		_, err := db.ExecContext(t.Context(), statement)
		check(t, err)
	}
	return "sqlite:///" + path
}

// tables are the SDK's own.
func tables() []string {
	return []string{
		`CREATE TABLE organizations (id CHAR(32), name VARCHAR(255), created_at DATETIME)`,
		`CREATE TABLE projects (id CHAR(32), name VARCHAR(255), org_id CHAR(32), created_at DATETIME)`,
		`CREATE TABLE products (id CHAR(32), name VARCHAR(255), org_id CHAR(32), created_at DATETIME)`,
		`CREATE TABLE project_products (project_id CHAR(32), product_id CHAR(32))`,
		`CREATE TABLE api_keys (id CHAR(32), org_id CHAR(32), project_id CHAR(32), product_id CHAR(32), key_prefix VARCHAR(8), key_hash VARCHAR(64),
		   metadata JSON, revoked_at DATETIME, last_used_at DATETIME, use_count INTEGER, created_at DATETIME)`,
	}
}

// The key goes on working, what cannot be moved is named, and a second run finds all
// of it there.
func TestImport(t *testing.T) {
	t.Setenv("APIKEYS_SECRET", secret)
	t.Setenv("SDK_SECRET", theirs)
	from, to := old(t), "sqlite:///"+filepath.Join(t.TempDir(), "new.db")
	for _, want := range []string{"keys                 1 created       0 there before       1 refused", "keys                 0 created       1 there before       1 refused"} {
		var out bytes.Buffer
		err := run(t.Context(), &out, []string{"-from", from, "-to", to, "-plain-before", "2025-01-31"})
		if err == nil || !strings.Contains(err.Error(), "1 rows were not moved") {
			t.Errorf("got %v, want an error that counts the row", err)
		}
		if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "refused: api_keys bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb apikeys: Metadata.Scopes:") {
			t.Errorf("got\n%s", out.String())
		}
	}
	client, done, err := open(t.Context(), settings{to: to, prefixes: "sk_"})
	check(t, err)
	defer func() { check(t, done()) }()
	v, err := client.Validate(t.Context(), text, apikeys.ValidateParams{Scopes: []string{"read"}})
	if err != nil || v.Key().UseCount != 4 {
		t.Errorf("got %d uses, %v, want 4", v.Key().UseCount, err)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"-from", "x"}, {"-from", "x", "-to", "y", "-plain-before", "soon"}, {"-what"}} {
		if err := run(t.Context(), &bytes.Buffer{}, args); err == nil {
			t.Errorf("%v: got no error", args)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
