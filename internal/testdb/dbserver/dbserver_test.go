package dbserver_test

import (
	"context"
	"database/sql"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
)

func TestPostgresSurvivesKill(t *testing.T) {
	t.Parallel()
	server := testdb.StartPostgres(t, dbserver.Options{Durable: true, Settings: map[string]string{"timezone": "Asia/Tokyo"}})
	execPostgres(t, server, "CREATE TABLE t AS SELECT current_setting('TimeZone') AS zone")
	outcome := keepBusy(t, server)
	kill(t, server)
	if err := <-outcome; err == nil {
		t.Error("a statement outlived its server")
	}
	restart(t, server)
	var zone string
	if err := connectPostgres(t, server).QueryRow(t.Context(), "SELECT zone FROM t").Scan(&zone); err != nil {
		t.Fatal(err)
	}
	if zone != "Asia/Tokyo" {
		t.Errorf("got time zone %s, want the one asked for", zone)
	}
}

func TestKilledPostgresLeavesNoSharedMemory(t *testing.T) {
	if _, err := exec.LookPath("ipcrm"); err != nil {
		t.Skip(err)
	}
	var id string
	t.Run("user", func(t *testing.T) {
		server := testdb.StartPostgres(t, dbserver.Options{})
		row := connectPostgres(t, server).QueryRow(t.Context(),
			"SELECT split_part(split_part(pg_read_file('postmaster.pid'), E'\\n', 7), ' ', -1)")
		if err := row.Scan(&id); err != nil {
			t.Fatal(err)
		}
		kill(t, server)
	})
	if id == "" {
		t.Skip("no Postgres")
	}
	if out, err := exec.CommandContext(t.Context(), "ipcrm", "-m", id).CombinedOutput(); err == nil {
		t.Errorf("got shared memory %s left behind, want none: %s", id, out)
	}
}

func TestMySQLSurvivesKill(t *testing.T) {
	t.Parallel()
	server := testdb.StartMySQL(t, dbserver.Options{Durable: true, Settings: map[string]string{"max_connections": "77"}})
	db := openMySQL(t, server)
	if _, err := db.Exec("CREATE TABLE t AS SELECT @@max_connections AS most"); err != nil {
		t.Fatal(err)
	}
	kill(t, server)
	restart(t, server)
	var most int
	if err := db.QueryRow("SELECT most FROM t").Scan(&most); err != nil || most != 77 {
		t.Errorf("got %d connections (%v), want the 77 asked for", most, err)
	}
}

func TestPostgresStopsInOrder(t *testing.T) {
	t.Parallel()
	server := testdb.StartPostgres(t, dbserver.Options{})
	execPostgres(t, server, "CREATE TABLE t (id int)")
	connectPostgres(t, server) // an idle client does not hold it up
	stopAndRestart(t, server)
	execPostgres(t, server, "INSERT INTO t VALUES (1)")
}

func TestMySQLStopsInOrder(t *testing.T) {
	t.Parallel()
	server := testdb.StartMySQL(t, dbserver.Options{})
	db := openMySQL(t, server)
	if _, err := db.Exec("CREATE TABLE t (id int)"); err != nil {
		t.Fatal(err)
	}
	stopAndRestart(t, server)
	if _, err := db.Exec("INSERT INTO t VALUES (1)"); err != nil {
		t.Error(err)
	}
}

func TestStartFailureSaysWhyAndLeavesNothing(t *testing.T) {
	for _, kind := range []dbserver.Kind{dbserver.Postgres, dbserver.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			installation := find(t, kind)
			t.Setenv("TMPDIR", openDir(t))
			_, err := installation.Start(t.Context(), dbserver.Options{Settings: map[string]string{"no_such_setting": "1"}})
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "-", "_"), "no_such_setting") {
				t.Errorf("got %v, want the server's own words", err)
			}
			if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
				t.Errorf("got %v left behind, want nothing", left)
			}
		})
	}
}

func TestServerEndsWithItsProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child with its parent")
	}
	for _, kind := range []dbserver.Kind{dbserver.Postgres, dbserver.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			find(t, kind)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProbe$")
			cmd.Env = append(os.Environ(), "APIKEYS_TEST_PROBE="+string(kind), "TMPDIR="+openDir(t))
			out, _ := cmd.Output() // it kills itself
			addr := strings.TrimSpace(string(out))
			if addr == "" {
				t.Fatal("the other process started no server")
			}
			awaitRefused(t, addr)
		})
	}
}

// TestProbe starts a server and dies without closing it.
func TestProbe(t *testing.T) {
	kind := dbserver.Kind(os.Getenv("APIKEYS_TEST_PROBE"))
	if kind == "" {
		t.Skip("run by another test")
	}
	server, err := find(t, kind).Start(t.Context(), dbserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString(server.Addr() + "\n")
	self, _ := os.FindProcess(os.Getpid())
	_ = self.Kill()
}

func TestStartRemovesWhatADeadProcessLeft(t *testing.T) {
	installation := find(t, dbserver.Postgres)
	dir := openDir(t)
	t.Setenv("TMPDIR", dir)
	living, err := installation.Start(t.Context(), dbserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = living.Close() })
	leave(t, dir+"/apikeys-server-dead")
	leave(t, dir+"/apikeys-server-young")
	old := time.Now().Add(-time.Hour)
	claims, _ := filepath.Glob(dir + "/*/claim")
	for _, claim := range claims {
		if !strings.Contains(claim, "young") {
			if err := os.Chtimes(claim, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	next, err := installation.Start(t.Context(), dbserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir + "/apikeys-server-dead"); !os.IsNotExist(err) {
		t.Errorf("got %v for the directory of the dead process, want none", err)
	}
	if _, err := os.Stat(dir + "/apikeys-server-young"); err != nil {
		t.Errorf("the directory of a process that starts is gone: %v", err)
	}
	execPostgres(t, living, "CREATE TABLE t (id int)")
	restart(t, living)
}

// leave makes a directory as a process leaves it behind.
func leave(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/claim", nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func find(t *testing.T, kind dbserver.Kind) dbserver.Installation {
	t.Helper()
	if testing.Short() {
		t.Skip("left out with -short: starts a server")
	}
	installation, err := dbserver.Find(t.Context(), kind)
	if err != nil {
		t.Skip(err)
	}
	return installation
}

// openDir is a directory for servers' directories, which run as other users when the test runs as root.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "apikeys-test-") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Clean(dir)
}

// keepBusy returns when a connection computes, not looking at anything else, for seconds to come. Its outcome follows.
func keepBusy(t *testing.T, server *dbserver.Server) <-chan error {
	t.Helper()
	busy, watch := connectPostgres(t, server), connectPostgres(t, server)
	outcome := make(chan error, 1)
	go func() {
		_, err := busy.Exec(context.WithoutCancel(t.Context()), "SELECT count(*) FROM generate_series(1, 100000000)")
		outcome <- err
	}()
	for active := false; !active; {
		row := watch.QueryRow(t.Context(), "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1", busy.PgConn().PID())
		if err := row.Scan(&active); err != nil {
			t.Fatal(err)
		}
	}
	return outcome
}

// awaitRefused polls, since nobody tells when another process's child has ended.
func awaitRefused(t *testing.T, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("the server outlived the process that started it")
		}
	}
}

func kill(t *testing.T, server *dbserver.Server) {
	t.Helper()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if server.Running() {
		t.Fatal("the server runs after Kill")
	}
	if conn, err := net.Dial("tcp", server.Addr()); err == nil {
		conn.Close()
		t.Fatal("something answers after Kill")
	}
}

func restart(t *testing.T, server *dbserver.Server) {
	t.Helper()
	start := time.Now()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("restarted in %s", time.Since(start).Round(time.Millisecond))
}

func stopAndRestart(t *testing.T, server *dbserver.Server) {
	t.Helper()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if server.Running() {
		t.Fatal("the server runs after Stop")
	}
	restart(t, server)
}

func connectPostgres(t *testing.T, server *dbserver.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func execPostgres(t *testing.T, server *dbserver.Server, statement string) {
	t.Helper()
	if _, err := connectPostgres(t, server).Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func openMySQL(t *testing.T, server *dbserver.Server) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
