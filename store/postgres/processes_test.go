package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store/postgres"
)

// The tasks of processes that tests start. A task reports line by line on stdout.
const (
	taskMigrate = "migrate"
	taskLeases  = "leases" // tries for leases, and reports each grant
)

func runTask(task string) int {
	ctx, dsn := context.Background(), os.Getenv("APIKEYS_TEST_DB")
	var err error
	switch task {
	case taskMigrate:
		err = migrate(ctx, dsn)
	case taskLeases:
		err = takeLeases(ctx, dsn, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// newTask prepares this test program to be run again.
func newTask(task, dsn string) (cmd *exec.Cmd, out *bytes.Buffer) {
	cmd, out = exec.Command(os.Args[0]), &bytes.Buffer{}
	cmd.Env = append(os.Environ(), "APIKEYS_TEST_TASK="+task, "APIKEYS_TEST_DB="+dsn)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return cmd, out
}

const (
	leaseProcesses   = 4
	leaseConnections = 8
	leaseLimit       = 400
)

// takeLeases asks for the process's part of twice the limit.
func takeLeases(ctx context.Context, dsn string, report io.Writer) error {
	s, err := postgres.Open(ctx, dsn)
	if err != nil {
		return err
	}
	defer s.Close()
	request := []apikeys.LeaseRequest{{
		Subject: apikeys.Subject{1}, At: testTime, AllOrNothing: true,
		Parts: []apikeys.LeasePart{{Limit: apikeys.PerHour(leaseLimit), Want: 1}, {Limit: apikeys.PerDay(2 * leaseLimit), Want: 1}},
	}}
	var running sync.WaitGroup
	errs := make(chan error, leaseConnections)
	lines := make(chan string, 2*leaseLimit)
	for range leaseConnections {
		running.Go(func() {
			for range 2 * leaseLimit / leaseProcesses / leaseConnections {
				grants, err := s.TakeLeases(ctx, request)
				if err != nil {
					errs <- err
					return
				}
				if grants[0].Parts[0].Granted == 1 && grants[0].Parts[1].Granted == 1 {
					lines <- "granted"
				}
			}
		})
	}
	running.Wait()
	close(errs)
	close(lines)
	for line := range lines {
		fmt.Fprintln(report, line)
	}
	return <-errs
}

func TestProcessesTogetherNeverExceedALimit(t *testing.T) {
	t.Parallel()
	dsn := with(t, testdb.Postgres(t), fmt.Sprint("pool_max_conns=", leaseConnections))
	s := openMigrated(t, dsn)
	var tasks [leaseProcesses]*exec.Cmd
	var reports [leaseProcesses]*bytes.Buffer
	for i := range tasks {
		tasks[i], reports[i] = newTask(taskLeases, dsn)
		if err := tasks[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	granted := 0
	for i, cmd := range tasks {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("process %d: %v", i, err)
		}
		granted += strings.Count(reports[i].String(), "granted\n")
	}
	if granted != leaseLimit {
		t.Errorf("got %d leases granted to %d processes, want %d", granted, leaseProcesses, leaseLimit)
	}
	look, err := s.TakeLeases(t.Context(), []apikeys.LeaseRequest{{
		Subject: apikeys.Subject{1}, At: testTime, Parts: []apikeys.LeasePart{{Limit: apikeys.PerDay(2 * leaseLimit)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if used := look[0].Parts[0].Used; used != leaseLimit {
		t.Errorf("got %d used of the longer window, want %d: a refused request was charged", used, leaseLimit)
	}
}

// forget drops a connection's prepared statements behind the driver's back.
func forget(conn *pgx.Conn) bool {
	_, err := conn.PgConn().Exec(context.Background(), "DEALLOCATE ALL").ReadAll()
	return err == nil
}
