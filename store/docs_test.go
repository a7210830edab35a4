package store_test

import (
	"database/sql"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys"
)

// What docs/consistency.md tells those who change keys by hand makes everybody forget
// what they remember.
func TestDocumentedStatementsBumpTheRevision(t *testing.T) {
	t.Parallel()
	for name, open := range inspectedDatabases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			if err := d.store.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			before, err := d.store.Changes(t.Context(), apikeys.ChangeMark{})
			if err != nil {
				t.Fatal(err)
			}
			execute(t, d.raw, documented(t, name))
			after, err := d.store.Changes(t.Context(), before.Mark)
			if err != nil {
				t.Fatal(err)
			}
			if after.Mark.Revision != before.Mark.Revision+1 || after.Mark.Stamp == before.Mark.Stamp || !after.Complete ||
				len(after.Changes) != 1 || after.Changes[0].Kind != apikeys.ChangeAll {
				t.Errorf("got %+v after %+v, want one change of everything", after, before)
			}
		})
	}
}

// documented returns the statements for a database.
func documented(t *testing.T, database string) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/consistency.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sql\n-- " + database + "\n(.*?);\n```").FindSubmatch(text)
	if block == nil {
		t.Fatalf("the document has no statements for %s", database)
	}
	return strings.Split(string(block[1]), ";\n")
}

// execute runs statements on one connection, as a person at a prompt does.
func execute(t *testing.T, db *sql.DB, statements []string) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, statement := range statements {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
