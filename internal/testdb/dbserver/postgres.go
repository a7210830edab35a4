package dbserver

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// postgresPlaces are where Debian, Red Hat, Homebrew and Alpine put the programs, a directory for each version.
var postgresPlaces = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/usr/libexec/postgresql*",
}

// scramIterationsSince is the first version that can make its password check cheap.
const scramIterationsSince = 16

func findPostgres(ctx context.Context) (Installation, error) {
	for _, server := range candidates("postgres", postgresPlaces...) {
		dir := filepath.Dir(server)
		initdb := filepath.Join(dir, "initdb")
		if _, err := os.Stat(initdb); err != nil {
			continue
		}
		_, version, err := programVersion(ctx, server)
		if err != nil {
			continue
		}
		return Installation{
			Kind: Postgres, Product: "PostgreSQL", Version: version, Dir: dir, server: server, initialize: initdb,
		}, nil
	}
	return Installation{}, fmt.Errorf("dbserver: Postgres: %w: no postgres and initdb in %v nor in PATH",
		ErrNotInstalled, postgresPlaces)
}

type postgresEngine struct{ Installation }

// fastPostgres keeps nothing safe from a crash.
func fastPostgres() map[string]string {
	return map[string]string{
		"fsync":              "off",
		"full_page_writes":   "off",
		"synchronous_commit": "off",
		"max_wal_size":       "256MB", // it may lie in memory
	}
}

func (e postgresEngine) prepare(ctx context.Context, s *Server) error {
	if err := s.writeFile("password", s.password); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + s.path("data"), "--username=apikeys", "--pwfile=" + s.path("password"),
		"--encoding=UTF8", "--locale=C", "--no-sync",
	}
	return s.prepareWith(ctx, e.initialize, append(args, e.passwordCheck()...)...)
}

// passwordCheck picks a check that costs little: tests open thousands of connections, and 4,096 rounds of SCRAM for each of
// them are noticed. The password is random and the server listens on loopback.
func (e postgresEngine) passwordCheck() []string {
	if leadingNumber(e.Version) < scramIterationsSince {
		return []string{"--auth=md5"}
	}
	return []string{"--auth=scram-sha-256", "--set=scram_iterations=1"}
}

func (e postgresEngine) arguments(s *Server) []string {
	settings := map[string]string{
		"listen_addresses":           "127.0.0.1",
		"port":                       strconv.Itoa(s.port),
		"unix_socket_directories":    "",
		"max_connections":            "300",
		"shared_buffers":             "64MB",
		"dynamic_shared_memory_type": "mmap", // in the data directory: a killed server leaves it behind
		"timezone":                   "UTC",
		"jit":                        "off",
	}
	if !s.options.Durable {
		maps.Copy(settings, fastPostgres())
	}
	maps.Copy(settings, s.options.Settings)
	args := []string{"-D", s.path("data")}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

func (postgresEngine) dsn(s *Server) string {
	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword("apikeys", s.password), Host: s.Addr(),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}
	return dsn.String()
}

func pingPostgres(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx)
}

// stopSignal asks for Postgres's "fast" shutdown, which does not wait for clients.
func (postgresEngine) stopSignal() os.Signal { return syscall.SIGINT }

// abortSignal asks for Postgres's "immediate" shutdown, which frees its shared memory; SIGKILL would not.
func (postgresEngine) abortSignal() syscall.Signal { return syscall.SIGQUIT }

// tidy frees the killed server's System V shared memory, of which a machine has room for 4,096 pieces. Its id is the last
// word of the seventh line of a file that servers remove when they end in order.
func (postgresEngine) tidy(s *Server) {
	const line = 6
	text, err := os.ReadFile(s.path("data/postmaster.pid"))
	if err != nil {
		return
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) <= line {
		return
	}
	if words := strings.Fields(lines[line]); len(words) == 2 {
		_ = exec.Command("ipcrm", "-m", words[1]).Run() //nolint:noctx // a number; where there is no ipcrm, it stays
	}
}
