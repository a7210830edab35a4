// Package dbserver finds the programs of real database servers on this machine and runs servers that are thrown away
// afterwards: in a directory of their own, on a free loopback port, with a random password, and never as root.
//
// It touches only what it started. A server ends with [Server.Close], and on Linux also with the process that started it.
package dbserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
)

// Kind is the protocol a server speaks.
type Kind string

// The kinds of servers. MariaDB counts as MySQL.
const (
	Postgres Kind = "Postgres"
	MySQL    Kind = "MySQL"
	// PgBouncer speaks Postgres, for a server that it stands before.
	PgBouncer Kind = "PgBouncer"
)

// ErrNotInstalled says that no server program of the kind was found on this machine.
var ErrNotInstalled = errors.New("not installed")

// Installation is a set of server programs on this machine.
type Installation struct {
	Kind    Kind
	Product string // "PostgreSQL", "MariaDB" or "MySQL"
	Version string // "15.14"
	Dir     string // where the server program was found

	server     string // path of the server program
	initialize string // path of the program that fills a data directory; for MySQL the server itself
}

// Options are what a test may want of a server of its own. The zero value is the fastest server: it may lose its last
// second of commits when it is killed, and lies in memory where there is room.
type Options struct {
	// Durable keeps the server's safe defaults, and its data on the disk: every commit is there before it is answered.
	Durable bool
	// Settings are further settings of the server by their name in its manual, such as "max_connections".
	Settings map[string]string
	// Upstream is the DSN of the Postgres server that a PgBouncer stands before.
	Upstream string
	// Log is told of a server that did not end and was killed. nil: os.Stderr.
	Log io.Writer
}

// Find returns the newest installation of a kind: in the places where Debian puts them, then in PATH.
// It returns [ErrNotInstalled] when there is none.
func Find(ctx context.Context, kind Kind) (Installation, error) {
	switch kind {
	case Postgres:
		return findPostgres(ctx)
	case MySQL:
		return findMySQL(ctx)
	case PgBouncer:
		return findPgBouncer(ctx)
	default:
		return Installation{}, fmt.Errorf("dbserver: unknown kind %q", kind)
	}
}

// Ping connects once to a server, ours or another.
func Ping(ctx context.Context, kind Kind, dsn string) error {
	if kind == MySQL {
		return pingMySQL(ctx, dsn)
	}
	return pingPostgres(ctx, dsn)
}

// String names the installation for people.
func (in Installation) String() string {
	return fmt.Sprintf("%s %s in %s", in.Product, in.Version, in.Dir)
}

func (in Installation) engine() engine {
	switch in.Kind {
	case Postgres:
		return postgresEngine{in}
	case PgBouncer:
		return pgBouncerEngine{in}
	default:
		return mysqlEngine{in}
	}
}

// engine is what differs between the databases.
type engine interface {
	// prepare fills the data directory; it runs once.
	prepare(ctx context.Context, s *Server) error
	// arguments of the server program for one start.
	arguments(s *Server) []string
	// dsn of a database on the server that always exists.
	dsn(s *Server) string
	// stopSignal asks for a quick and orderly end.
	stopSignal() os.Signal
	// abortSignal ends the server at once, without saving anything, and leaves nothing outside its directory.
	abortSignal() syscall.Signal
	// tidy removes what a killed server left outside its directory.
	tidy(s *Server)
}

var versionPattern = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

// programVersion runs the program with --version.
func programVersion(ctx context.Context, program string) (text, version string, err error) {
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("dbserver: %s --version: %w", program, err)
	}
	version = versionPattern.FindString(string(out))
	if version == "" {
		return "", "", fmt.Errorf("dbserver: %s --version: no version in its answer", program)
	}
	return string(out), version, nil
}

// candidates are the existing files of that name: matches of the patterns, highest version first, then PATH.
func candidates(name string, patterns ...string) []string {
	var found []string
	for _, pattern := range patterns {
		matches, _ := filepath.Glob(filepath.Join(pattern, name)) // the patterns are constants, and well formed
		slices.SortStableFunc(matches, func(a, b string) int { return leadingNumber(b) - leadingNumber(a) })
		found = append(found, matches...)
	}
	if path, err := exec.LookPath(name); err == nil && !slices.Contains(found, path) {
		found = append(found, path)
	}
	return found
}

var numberPattern = regexp.MustCompile(`\d+`)

// leadingNumber is the first number in a path: the major version in /usr/lib/postgresql/15/bin.
func leadingNumber(path string) int {
	n, _ := strconv.Atoi(numberPattern.FindString(path)) // no number sorts as 0
	return n
}
