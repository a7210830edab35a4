//go:build unix

// Withservers runs a command, usually `go test`, with real database servers for it:
//
//	withservers go test ./...
//
// For Postgres and for MySQL it takes the first of these that works, and says which:
//
//   - the server that the environment names (APIKEYS_TEST_POSTGRES, APIKEYS_TEST_MYSQL);
//   - a throw-away server run by programs installed on this machine;
//   - the same after installing them, as root on Debian and its relatives;
//   - a container, where a Docker engine runs.
//
// The command finds both in these environment variables. Without a server for one of them the command runs without that
// variable, except where the variable CI is set: then it does not run at all. What withservers started it stops when the
// command ends, also when interrupted, and its exit status is the command's.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
)

// Exit statuses of our own, next to the command's.
const (
	statusNoServer = 1
	statusUsage    = 2
)

// database is one that tests want a server of.
type database struct {
	kind     dbserver.Kind
	variable string
	packages []string // of Debian
	image    image
}

func databases() []database {
	return []database{
		{dbserver.Postgres, testdb.PostgresVariable, []string{"postgresql", "pgbouncer"}, postgresImage()},
		{dbserver.MySQL, testdb.MySQLVariable, []string{"mariadb-server"}, mariadbImage()},
	}
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: withservers command [argument ...]")
		os.Exit(statusUsage)
	}
	os.Exit(run(os.Args[1:], allSources()))
}

func run(command []string, sources []source) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)

	servers, interrupted := openAll(sources, signals)
	defer closeAll(servers)
	if interrupted != nil {
		return exitStatus(interrupted)
	}
	leftOut := missing(servers)
	if leftOut != "" && os.Getenv("CI") != "" {
		say("no server for %s, and CI is set, so no suite may be left out: giving up", leftOut)
		return statusNoServer
	}
	status := runCommand(command, environment(servers), signals)
	if leftOut != "" {
		say("LEFT OUT, for want of a server: the suites of %s", leftOut)
	}
	return status
}

// opened is what became of one database.
type opened struct {
	database
	server server // nil: none could be had
}

// openAll opens all databases at the same time. A signal ends it early.
func openAll(sources []source, signals <-chan os.Signal) ([]*opened, os.Signal) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all []*opened
	var group sync.WaitGroup
	for _, db := range databases() {
		one := &opened{database: db}
		all = append(all, one)
		group.Go(func() { one.server = firstOf(ctx, sources, db) })
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		group.Wait()
	}()
	select {
	case <-finished:
		return all, nil
	case received := <-signals:
		cancel()
		<-finished
		return all, received
	}
}

// firstOf goes through the sources until one has a server.
func firstOf(ctx context.Context, sources []source, db database) server {
	for _, source := range sources {
		start := time.Now()
		server, err := source.open(ctx, db)
		if ctx.Err() != nil {
			say("%s: interrupted", db.kind)
			return server
		}
		if err != nil {
			say("%s: %s: %v", db.kind, source.name, err)
			continue
		}
		say("%s: %s: %s (%s)", db.kind, source.name, server, time.Since(start).Round(10*time.Millisecond))
		return server
	}
	say("%s: no server", db.kind)
	return nil
}

// missing names the databases without a server.
func missing(all []*opened) string {
	var names []string
	for _, one := range all {
		if one.server == nil {
			names = append(names, string(one.kind))
		}
	}
	return strings.Join(names, ", ")
}

// environment is ours with the variables of the servers. Of a variable named twice, the last counts.
func environment(all []*opened) []string {
	variables := os.Environ()
	for _, one := range all {
		value := ""
		if one.server != nil {
			value = one.server.DSN()
		}
		variables = append(variables, one.variable+"="+value)
	}
	return variables
}

func closeAll(all []*opened) {
	for _, one := range all {
		if one.server == nil {
			continue
		}
		if err := one.server.Close(); err != nil {
			say("%s: closing: %v", one.kind, err)
		}
	}
}

// say writes a line about what we do, apart from the command's output.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "withservers: "+format+"\n", args...)
}
