package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// The tasks of processes that tests start. A task reports line by line on stdout.
const (
	taskLeases = "leases" // tries for a lease, and reports each grant
	taskCreate = "create" // creates keys until it is killed, and reports each that was acknowledged
)

func runTask(task string) int {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, os.Getenv("APIKEYS_TEST_DB"))
	if err == nil {
		switch task {
		case taskLeases:
			err = takeLeases(ctx, s, os.Stdout)
		case taskCreate:
			err = createForEver(ctx, s, os.Stdout)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// startTask runs this test program again.
func startTask(t *testing.T, task, db string) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "APIKEYS_TEST_TASK="+task, "APIKEYS_TEST_DB="+db)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

const (
	leaseLimit = 50
	leaseTries = 200 // of each of two processes
)

// leaseAt is in a window that does not end while the test runs.
var leaseAt = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

func takeLeases(ctx context.Context, s *sqlite.Store, report io.Writer) error {
	var running sync.WaitGroup
	errs := make(chan error, leaseTries)
	for range leaseTries {
		running.Go(func() {
			grants, err := s.TakeLeases(ctx, []apikeys.LeaseRequest{{
				Subject: apikeys.Subject{1}, At: leaseAt, AllOrNothing: true,
				Parts: []apikeys.LeasePart{
					{Limit: apikeys.PerHour(leaseLimit), Want: 1},
					{Limit: apikeys.PerDay(2 * leaseLimit), Want: 1},
				},
			}})
			if err != nil {
				errs <- err
				return
			}
			if grants[0].Parts[0].Granted == 1 && grants[0].Parts[1].Granted == 1 {
				fmt.Fprintln(report, "granted")
			}
		})
	}
	running.Wait()
	close(errs)
	return <-errs
}

func TestProcessesTogetherNeverExceedALimit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	s := open(t, path)
	var reports [2]bytes.Buffer
	var tasks [2]*exec.Cmd
	var reading sync.WaitGroup
	for i := range tasks {
		cmd, out := startTask(t, taskLeases, path)
		tasks[i] = cmd
		reading.Go(func() { _, _ = io.Copy(&reports[i], out) })
	}
	reading.Wait()
	granted := 0
	for i, cmd := range tasks {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("process %d: %v", i, err)
		}
		granted += strings.Count(reports[i].String(), "granted\n")
	}
	if granted != leaseLimit {
		t.Errorf("got %d leases granted to two processes, want %d", granted, leaseLimit)
	}
	looks, err := s.TakeLeases(t.Context(), []apikeys.LeaseRequest{{
		Subject: apikeys.Subject{1}, At: leaseAt, Parts: []apikeys.LeasePart{{Limit: apikeys.PerDay(2 * leaseLimit)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if used := looks[0].Parts[0].Used; used != leaseLimit {
		t.Errorf("got %d used of the longer window, want %d: a refused request was charged", used, leaseLimit)
	}
}

// testOrganization is in every database of these tests.
var testOrganization = apikeys.ResourceRecord{
	Kind: apikeys.KindOrganization, ID: uuid.UUID{0xaa}, OrganizationID: uuid.UUID{0xaa}, Name: "organization", CreatedAt: leaseAt, UpdatedAt: leaseAt,
}

func createOrganization(t *testing.T, s apikeys.Store) {
	t.Helper()
	if _, _, err := s.CreateResource(t.Context(), mutation(), testOrganization); err != nil {
		t.Fatal(err)
	}
}

func mutation() apikeys.Mutation {
	return apikeys.Mutation{ID: uuid.New(), At: leaseAt, Action: "test"}
}

func newKey() apikeys.KeyRecord {
	id, err := uuid.NewV7()
	if err != nil {
		panic(err)
	}
	return apikeys.KeyRecord{
		ID: id, OrganizationID: testOrganization.ID, Head: "sk", Hint: "sk_Ab3d…x9Qz", Name: "key", Version: 1,
		CreatedAt: leaseAt, UpdatedAt: leaseAt,
		Secret: apikeys.SecretRecord{KeyID: id, Number: 1, Hash: sha256.Sum256(id[:]), SigningID: "s", CreatedAt: leaseAt},
	}
}

func newKeys(n int) []apikeys.KeyRecord {
	keys := make([]apikeys.KeyRecord, n)
	for i := range keys {
		keys[i] = newKey()
	}
	return keys
}

func createForEver(ctx context.Context, s *sqlite.Store, report io.Writer) error {
	for {
		k := newKey()
		faults, err := s.CreateKeys(ctx, mutation(), []apikeys.KeyRecord{k})
		if err != nil {
			return err
		}
		if faults[0] != nil {
			return faults[0]
		}
		fmt.Fprintln(report, k.ID)
	}
}

func TestAcknowledgedKeysSurviveAKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	createOrganization(t, open(t, path))
	var acknowledged []uuid.UUID
	for range 3 {
		cmd, out := startTask(t, taskCreate, path)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			id, err := uuid.Parse(lines.Text())
			if err != nil {
				break // cut by the kill
			}
			acknowledged = append(acknowledged, id)
			if n == 50 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // killed
	}
	s := open(t, path)
	for _, id := range acknowledged {
		if _, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: id}); err != nil {
			t.Errorf("an acknowledged key: got error %v", err)
		}
	}
	if len(acknowledged) < 150 {
		t.Errorf("got %d acknowledged keys, want at least 150", len(acknowledged))
	}
	checkIntegrity(t, path)
}

// checkIntegrity asks SQLite whether the file is whole.
func checkIntegrity(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, check := range []string{"PRAGMA integrity_check", "SELECT count(*) FROM pragma_foreign_key_check"} {
		var got string
		if err := db.QueryRowContext(t.Context(), check).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != "ok" && got != "0" {
			t.Errorf("%s: got %s", check, got)
		}
	}
}
