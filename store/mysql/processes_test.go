package mysql_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/migrations"
	"github.com/apikeys-platform/apikeys/store/mysql"
)

var rounds = flag.Int("rounds", 2, "how many rounds of processes migrate at once")

// The tasks of processes that tests start.
const (
	taskMigrate = "migrate"
	taskLeases  = "leases" // takes leases on a pool of its own, and prints how many were granted
)

func runTask(ctx context.Context, task string) error {
	dsn := os.Getenv("APIKEYS_TEST_DB")
	switch task {
	case taskMigrate:
		return migrate(ctx, dsn)
	case taskLeases:
		granted, err := takeLeases(ctx, dsn)
		fmt.Println(granted)
		return err
	}
	return fmt.Errorf("there is no task %q", task)
}

// newTask is this test program again, with a task.
func newTask(t *testing.T, task, dsn string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "APIKEYS_TEST_TASK="+task, "APIKEYS_TEST_DB="+dsn)
	cmd.Stdout, cmd.Stderr = &output, &output
	return cmd, &output
}

// TestProcessesMigrateAtOnce kills one of them at a random moment in each round; the
// others are done soon.
func TestProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	const processes = 16
	template := newTemplate(t)
	want := schemaOf(t, template.Copy(t))
	for round := range *rounds {
		dsn := testdb.MySQL(t)
		begun := time.Now()
		var running sync.WaitGroup
		for i := range processes {
			cmd, output := newTask(t, taskMigrate, dsn)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				time.AfterFunc(rand.N(250*time.Millisecond), func() { _ = cmd.Process.Kill() })
			}
			running.Go(func() {
				if err := cmd.Wait(); err != nil && i > 0 {
					t.Errorf("round %d, process %d: %v: %s", round, i, err, output)
				}
			})
		}
		running.Wait()
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("round %d took %v, want at most 10s", round, took)
		}
		if got := schemaOf(t, dsn); got != want {
			t.Errorf("round %d: got another schema:\n%s\nwant\n%s", round, got, want)
		}
	}
}

// schemaOf tells of all columns, indexes and versions.
func schemaOf(t *testing.T, dsn string) string {
	t.Helper()
	db := openPool(t, dsn)
	var all strings.Builder
	for _, query := range []string{
		`SELECT CONCAT_WS(' ', table_name, column_name, column_type, is_nullable, IFNULL(character_set_name, '')) FROM information_schema.columns
 WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position`,
		`SELECT CONCAT_WS(' ', table_name, index_name, seq_in_index, column_name, non_unique) FROM information_schema.statistics
 WHERE table_schema = DATABASE() ORDER BY table_name, index_name, seq_in_index`,
		`SELECT CONCAT_WS(' ', table_name, constraint_name, referenced_table_name, delete_rule) FROM information_schema.referential_constraints
 WHERE constraint_schema = DATABASE() ORDER BY table_name, constraint_name`,
		`SELECT CONCAT_WS(' ', table_name, engine, row_format) FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name`,
		`SELECT CONCAT_WS(' ', 'version', version_id, is_applied) FROM ` + migrations.Table + ` ORDER BY version_id`,
		`SELECT CONCAT_WS(' ', 'state', id, revision) FROM apikeys_state`,
	} {
		for _, line := range column(t, db, query) {
			all.WriteString(line + "\n")
		}
	}
	return all.String()
}

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

const (
	leaseProcesses   = 4
	leaseConnections = 8
	leaseLimit       = 400
)

// takeLeases demands half of the limit, a lease at a time: four processes, twice the limit. The longer window has room
// for all, so that a request that is refused shows if it was charged there.
func takeLeases(ctx context.Context, dsn string) (granted int64, err error) {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.SetMaxOpenConns(leaseConnections)
	s, err := mysql.New(db)
	if err != nil {
		return 0, err
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	for range leaseConnections {
		running.Go(func() {
			for range leaseLimit / 2 / leaseConnections {
				grants, errLease := s.TakeLeases(ctx, []apikeys.LeaseRequest{{
					Subject: apikeys.Subject{1}, At: testTime, AllOrNothing: true,
					Parts: []apikeys.LeasePart{
						{Limit: apikeys.PerHour(leaseLimit), Want: 1},
						{Limit: apikeys.PerDay(2 * leaseLimit), Want: 1},
					},
				}})
				mu.Lock()
				if errLease == nil {
					granted += grants[0].Parts[0].Granted
				}
				err = errors.Join(err, errLease)
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return granted, err
}

func TestProcessesTogetherNeverExceedALimit(t *testing.T) {
	t.Parallel()
	for _, option := range []string{"clientFoundRows=false", "clientFoundRows=true"} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			s, dsn := openNew(t)
			var running sync.WaitGroup
			var outputs [leaseProcesses]*bytes.Buffer
			for i := range outputs {
				cmd, output := newTask(t, taskLeases, with(dsn, option))
				outputs[i] = output
				running.Go(func() {
					if err := cmd.Run(); err != nil {
						t.Errorf("process %d: %v: %s", i, err, output)
					}
				})
			}
			running.Wait()
			granted := 0
			for _, output := range outputs {
				n, err := strconv.Atoi(strings.TrimSpace(output.String()))
				if err != nil {
					t.Fatal(err)
				}
				granted += n
			}
			looks, err := s.TakeLeases(t.Context(), []apikeys.LeaseRequest{{
				Subject: apikeys.Subject{1}, At: testTime, Parts: []apikeys.LeasePart{{Limit: apikeys.PerDay(2 * leaseLimit)}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			if used := looks[0].Parts[0].Used; granted != leaseLimit || used != leaseLimit {
				t.Errorf("got %d leases granted and %d charged, want %d", granted, used, leaseLimit)
			}
		})
	}
}
