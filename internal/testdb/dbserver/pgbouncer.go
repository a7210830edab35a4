package dbserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// pgBouncerPlaces are where the program is outside of most users' PATH.
var pgBouncerPlaces = []string{"/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"}

func findPgBouncer(ctx context.Context) (Installation, error) {
	for _, server := range candidates("pgbouncer", pgBouncerPlaces...) {
		_, version, err := programVersion(ctx, server)
		if err != nil {
			continue
		}
		return Installation{Kind: PgBouncer, Product: "PgBouncer", Version: version, Dir: filepath.Dir(server), server: server}, nil
	}
	return Installation{}, fmt.Errorf("dbserver: PgBouncer: %w: no pgbouncer in %v nor in PATH", ErrNotInstalled, pgBouncerPlaces)
}

// pgBouncerEngine hands out connections to a Postgres server, by transaction.
type pgBouncerEngine struct{ Installation }

// pgBouncerSettings has few connections, so that those who share them notice.
const pgBouncerSettings = `[databases]
* = host=%s port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = md5
auth_file = users
pool_mode = transaction
default_pool_size = 4
max_client_conn = 1000
`

// prepare writes down who may connect: whom the server behind it knows, with the same password.
func (pgBouncerEngine) prepare(_ context.Context, s *Server) error {
	config, err := pgx.ParseConfig(s.options.Upstream)
	if err != nil {
		return errors.New("the DSN of the server behind it cannot be read") // the error of pgx may show the password
	}
	quote := func(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }
	s.upstream = config
	return s.writeFile("users", quote(config.User)+" "+quote(config.Password)+"\n")
}

// arguments also writes the settings, since only they name the port. If that fails, the server says that it has none.
func (pgBouncerEngine) arguments(s *Server) []string {
	_ = s.writeFile("settings", fmt.Sprintf(pgBouncerSettings, s.upstream.Host, s.upstream.Port, s.port))
	return []string{s.path("settings")}
}

// dsn leads to the database that Upstream names.
func (pgBouncerEngine) dsn(s *Server) string { return s.Through(s.options.Upstream) }

// Through is the DSN of a database on the server behind a PgBouncer, changed to lead through it. It has to be a URL.
func (s *Server) Through(dsn string) string {
	parsed, err := url.Parse(dsn)
	if err != nil || parsed.Scheme == "" {
		return ""
	}
	parsed.Host = s.Addr()
	return parsed.String()
}

func (pgBouncerEngine) stopSignal() os.Signal { return syscall.SIGTERM }

func (pgBouncerEngine) abortSignal() syscall.Signal { return syscall.SIGTERM }

func (pgBouncerEngine) tidy(*Server) {}
