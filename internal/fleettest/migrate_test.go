package fleettest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
	"github.com/apikeys-platform/apikeys/migrations"
)

// migrate is a child that starts when it is told to.
func migrate(ctx context.Context, test *child.Pipe) error {
	var at place
	if err := errors.Join(test.Receive(&at), test.Send("ready"), test.Receive(new(string))); err != nil {
		return err
	}
	s, err := at.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(ctx), s.Close())
}

// converge is how long the others may take when one of those who migrate is killed: 10 s where the test has the machine
// for itself.
func converge() time.Duration { return time.Duration(testdb.Dose(60, 10)) * time.Second }

// TestProcessesMigrateAtOnce kills one of them at a random moment in every other round: all others succeed, and there is
// one schema.
func TestProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			_, dsn := d.Migrated(t)
			want := schemaOf(t, d.Name, dsn)
			for _, n := range []int{8, 16} {
				took := []time.Duration{}
				for round := range testdb.Dose(1, 40) {
					kill := (n+8*round)%16 == 0 // of 16 in the first round, so that both happen in the small dose
					took = append(took, migrateAtOnce(t, d, n, kill, want))
					if t.Failed() {
						t.Fatalf("in round %d of %d processes", round, n)
					}
				}
				t.Logf("%d processes, %d times, one of them killed in half of these: %s", n, len(took), spread(took))
			}
		})
	}
}

// migrateAtOnce returns how long n processes took, after one was killed if one is.
func migrateAtOnce(t *testing.T, d stores.Database, n int, kill bool, want string) time.Duration {
	t.Helper()
	at := place{d.Name, d.Empty(t)}
	children := make([]*child.Process, n)
	for i := range children {
		children[i] = child.Start(t, "migrate", at)
	}
	child.All[string](children) // ready
	tellAll(children, "go")
	if kill {
		time.Sleep(rand.N(100 * time.Millisecond)) // about what it takes
		children[0].Kill()
		children = children[1:]
	}
	begun := time.Now()
	for i, p := range children {
		if err := p.Wait(); err != nil {
			t.Errorf("process %d: %v", i, err)
		}
	}
	took := time.Since(begun)
	if took > converge() {
		t.Errorf("took %s, want at most %s", took, converge())
	}
	if diff := cmp.Diff(want, schemaOf(t, at.Database, at.DSN)); diff != "" {
		t.Errorf("another schema (-want +got):\n%s", diff)
	}
	return took
}

// schemas ask for everything that migrations make, a line for each.
var schemas = map[string][]string{
	"sqlite": {"SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY 1"},
	"postgres": {
		`SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default, collation_name) FROM information_schema.columns
  WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position`,
		"SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1",
		"SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = current_schema()::regnamespace ORDER BY 1",
	},
	"mysql": {
		`SELECT CONCAT_WS(' ', table_name, column_name, column_type, is_nullable, IFNULL(character_set_name, '')) FROM information_schema.columns
  WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position`,
		`SELECT CONCAT_WS(' ', table_name, index_name, seq_in_index, column_name, non_unique) FROM information_schema.statistics
  WHERE table_schema = DATABASE() ORDER BY table_name, index_name, seq_in_index`,
		`SELECT CONCAT_WS(' ', table_name, constraint_name, referenced_table_name, delete_rule) FROM information_schema.referential_constraints
  WHERE constraint_schema = DATABASE() ORDER BY table_name, constraint_name`,
		`SELECT CONCAT_WS(' ', table_name, engine, row_format) FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name`,
	},
}

// contents are the rows that migrations make, in all databases.
var contents = []string{
	"SELECT version_id, is_applied FROM " + migrations.Table + " ORDER BY version_id",
	"SELECT id, revision FROM apikeys_state",
}

// schemaOf describes a database.
func schemaOf(t *testing.T, database, dsn string) string {
	t.Helper()
	db := stores.SQL(t, database, dsn)
	defer db.Close()
	var all strings.Builder
	for _, query := range append(schemas[database], contents...) {
		for _, row := range read(t, db, query) {
			fmt.Fprintln(&all, row...)
		}
	}
	return all.String()
}

// read returns the rows of a query.
func read(t *testing.T, db *sql.DB, query string) (all [][]any) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		row := make([]any, len(columns))
		for i, v := range values {
			row[i] = v.String
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
