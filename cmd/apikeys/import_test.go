package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"
)

// sdkDatabase makes a database as the Python SDK leaves it behind.
func sdkDatabase(t *testing.T) (url string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(sdkSecret))
	mac.Write([]byte(sdkKey))
	const org, project, at = "0102030405060708090a0b0c0d0e0f10", "1102030405060708090a0b0c0d0e0f10", "2025-03-04 05:06:07.000000"
	for _, statement := range []string{
		"CREATE TABLE organizations (id CHAR(32) PRIMARY KEY, name VARCHAR(255) NOT NULL, created_at DATETIME NOT NULL)",
		"CREATE TABLE projects (id CHAR(32) PRIMARY KEY, name VARCHAR(255) NOT NULL, org_id CHAR(32) NOT NULL, created_at DATETIME NOT NULL)",
		"CREATE TABLE products (id CHAR(32) PRIMARY KEY, name VARCHAR(255) NOT NULL, org_id CHAR(32) NOT NULL, created_at DATETIME NOT NULL)",
		"CREATE TABLE project_products (project_id CHAR(32) NOT NULL, product_id CHAR(32) NOT NULL, PRIMARY KEY (project_id, product_id))",
		`CREATE TABLE api_keys (id CHAR(32) PRIMARY KEY, org_id CHAR(32) NOT NULL, project_id CHAR(32), product_id CHAR(32), key_prefix VARCHAR(8) NOT NULL,
		 key_hash VARCHAR(64) NOT NULL, metadata JSON NOT NULL, revoked_at DATETIME, last_used_at DATETIME, use_count INTEGER NOT NULL, created_at DATETIME NOT NULL)`,
		"INSERT INTO organizations VALUES ('" + org + "', 'Old Acme', '" + at + "')",
		"INSERT INTO projects VALUES ('" + project + "', 'v1', '" + org + "', '" + at + "')",
		"INSERT INTO api_keys VALUES ('2102030405060708090a0b0c0d0e0f10', '" + org + "', '" + project + "', NULL, '" + sdkKey[3:11] + "', '" +
			hex.EncodeToString(mac.Sum(nil)) + `', '{"name":"old key","scopes":["read"],"rate_limit":null,"expires_at":null,"custom":{}}', NULL, NULL, 3, '` + at + "')",
		"INSERT INTO api_keys VALUES ('3102030405060708090a0b0c0d0e0f10', '" + org + "', NULL, NULL, 'spoiled1', 'no digest', '{}', NULL, NULL, 0, '" + at + "')",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%v in %s", err, statement)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return "sqlite:///" + path
}

// A database of the Python SDK is moved over: its keys are verified, what could not be
// moved is named.
func TestImportOfThePythonSDK(t *testing.T) {
	t.Parallel()
	for name, newURL := range map[string]func(*testing.T) string{"SQLite": sqliteURL, "Postgres": postgresURL, "MariaDB": mysqlURL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, newURL(t))
			w.must("migrate", "up")
			w.env[envImportDatabase] = sdkDatabase(t)
			w.env[envImported] = "python-sdk=sk_"
			wantRun(t, w.run("", "import", "python-sdk"), statusUsage, envImportSecret)
			w.env[envImportSecret] = sdkSecret

			dry := w.run("", "import", "python-sdk", "--dry-run")
			if dry.status != statusFailed || !strings.Contains(dry.stdout, "WOULD BE CREATED") || w.must("orgs", "list", "--json") != "{\n  \"organizations\": [],\n  \"next_cursor\": \"\"\n}" {
				t.Errorf("a dry run: got status %d, %s%s", dry.status, dry.stdout, dry.stderr)
			}
			for _, want := range []string{"keys           1        0             1", "keys           0        1             1"} {
				r := w.run("", "import", "python-sdk")
				if r.status != statusFailed || !strings.Contains(r.stdout, want) || !strings.Contains(r.stderr, "1 row was refused") {
					t.Errorf("got status %d, %s%s, want %q", r.status, r.stdout, r.stderr, want)
				}
			}
			r := w.run(sdkKey, "verify", "--scope", "read", "--org", "Old Acme", "--project", "v1")
			wantRun(t, r, statusOK, "")
			wantRun(t, w.run(sdkKey, "verify", "--imported", "better-auth"), statusRefused, "")
			if r := w.run("", "import", "python-sdk", "--json"); r.status != statusFailed || !strings.Contains(r.stdout, `"exists": 1`) || r.stderr != "" {
				t.Errorf("got status %d, %s%s", r.status, r.stdout, r.stderr)
			}
		})
	}
}
