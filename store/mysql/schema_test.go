package mysql_test

import (
	"database/sql"
	"testing"

	"github.com/apikeys-platform/apikeys/migrations"
)

func column(t *testing.T, db *sql.DB, query string) (values []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// TestSchemaSpellsOutItsTexts: no column depends on a default of the server's.
func TestSchemaSpellsOutItsTexts(t *testing.T) {
	t.Parallel()
	_, dsn := openNew(t)
	bad := column(t, openPool(t, dsn), `SELECT CONCAT_WS(' ', table_name, column_name, data_type) FROM information_schema.columns
 WHERE table_schema = DATABASE() AND (character_set_name IS NOT NULL OR data_type LIKE '%time%' AND table_name <> '`+migrations.Table+`')`)
	if len(bad) > 0 {
		t.Errorf("got columns with a character set or a time zone: %q", bad)
	}
}
