package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The session in docs/migrating.md moves a database of the SDK, and says what it says there.
func TestSession(t *testing.T) {
	guide, err := os.ReadFile("../../docs/migrating.md")
	check(t, err)
	session := regexp.MustCompile("(?s)```sh\n(\\$ .*?)```").FindStringSubmatch(string(guide))
	if session == nil {
		t.Fatal("the guide has no session")
	}
	t.Setenv("APIKEYS_SECRET", secret)
	t.Setenv("SDK_SECRET", theirs)
	t.Chdir(t.TempDir())
	fill(t, "app.db")
	runs := 0
	for _, exchange := range strings.Split(session[1], "$ ")[1:] {
		command, want, _ := strings.Cut(exchange, "\n")
		args, ok := strings.CutPrefix(command, "go run ./examples/import ")
		if !ok {
			continue // export
		}
		runs++
		var out bytes.Buffer
		check(t, run(t.Context(), &out, strings.Fields(args)))
		if want != "" && out.String() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", command, out.String(), want)
		}
	}
	if runs != 3 {
		t.Errorf("got %d runs, want 3", runs)
	}
}

// fill makes a database of the SDK with an organization of 200 keys.
func fill(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	check(t, err)
	defer db.Close()
	org, project, product := strings.Repeat("a", 32), strings.Repeat("b", 32), strings.Repeat("c", 32)
	statements := append(tables(),
		fmt.Sprintf(`INSERT INTO organizations VALUES ('%s', 'Acme Inc', '2026-01-01 10:20:30')`, org),
		fmt.Sprintf(`INSERT INTO projects VALUES ('%s', 'v1', '%s', '2026-01-01 10:20:30')`, project, org),
		fmt.Sprintf(`INSERT INTO products VALUES ('%s', 'My API', '%s', '2026-01-01 10:20:30')`, product, org),
		fmt.Sprintf(`INSERT INTO project_products VALUES ('%s', '%s')`, project, product))
	for i := range 200 {
		statements = append(statements, fmt.Sprintf(
			`INSERT INTO api_keys VALUES ('%032x', '%s', '%s', NULL, 'AbCdEfGh', '%064x', '{"scopes": ["read"]}', NULL, NULL, 0, '2026-01-01 10:20:30')`,
			i+1, org, project, i+1))
	}
	for _, statement := range statements {
		_, err := db.ExecContext(t.Context(), statement)
		check(t, err)
	}
}
