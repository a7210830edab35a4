//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
)

// roleVariable lets this binary play another program, for the tests that run it.
const roleVariable = "WITHSERVERS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "withservers":
		os.Exit(run(os.Args[1:], []source{{"environment", openNamed}, {"test", openFake}}))
	case "docker":
		os.Exit(playDocker(os.Args[1:]))
	case "child":
		fmt.Println("ready")
		time.Sleep(time.Minute)
	default:
		goleak.VerifyTestMain(m)
	}
}

// fake says when it is closed, and exists for the databases in WITHSERVERS_TEST_FAKES.
type fake struct{ kind dbserver.Kind }

func openFake(_ context.Context, db database) (server, error) {
	if !strings.Contains(os.Getenv("WITHSERVERS_TEST_FAKES"), string(db.kind)) {
		return nil, errors.New("not asked for")
	}
	return fake{db.kind}, nil
}

func (f fake) String() string { return "a fake" }
func (f fake) DSN() string    { return "fake " + string(f.kind) }

func (f fake) Close() error {
	_, err := fmt.Println("closed", f.kind)
	return err
}

func withservers(ctx context.Context, script string, variables ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "sh", "-c", script)
	cmd.Env = append(os.Environ(), roleVariable+"=withservers", "CI=", testdb.PostgresVariable+"=", testdb.MySQLVariable+"=")
	cmd.Env = append(cmd.Env, variables...)
	return cmd
}

func TestRun(t *testing.T) {
	t.Parallel()
	const show = `echo "[$APIKEYS_TEST_POSTGRES] [$APIKEYS_TEST_MYSQL]"; exit 7`
	tests := map[string]struct {
		script    string
		variables []string
		status    int
		says      []string
		not       string
	}{
		"started servers are given and closed": {
			show, []string{"WITHSERVERS_TEST_FAKES=Postgres MySQL"},
			7, []string{"[fake Postgres] [fake MySQL]", "closed Postgres", "closed MySQL"}, "LEFT OUT",
		},
		"named servers come first": {
			show, []string{"WITHSERVERS_TEST_FAKES=Postgres MySQL", testdb.MySQLVariable + "=mine"},
			7, []string{"[fake Postgres] [mine]", "closed Postgres"}, "closed MySQL",
		},
		"a missing one is left out": {
			show, []string{"WITHSERVERS_TEST_FAKES=MySQL"},
			7, []string{"[] [fake MySQL]", "LEFT OUT, for want of a server: the suites of Postgres", "closed MySQL"}, "closed P",
		},
		"but not in CI": {
			show, []string{"WITHSERVERS_TEST_FAKES=MySQL", "CI=true"},
			statusNoServer, []string{"no server for Postgres, and CI is set", "closed MySQL"}, "[]",
		},
		"a command that a signal ends": {
			"kill -KILL $$", []string{"WITHSERVERS_TEST_FAKES=Postgres MySQL"},
			128 + 9, []string{"closed Postgres", "closed MySQL"}, "LEFT OUT",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := withservers(t.Context(), test.script, test.variables...)
			out, _ := cmd.CombinedOutput() // its status counts
			if got := cmd.ProcessState.ExitCode(); got != test.status {
				t.Errorf("got status %d, want %d", got, test.status)
			}
			for _, want := range test.says {
				if !strings.Contains(string(out), want) {
					t.Errorf("got %s\nwant it to contain %q", out, want)
				}
			}
			if strings.Contains(string(out), test.not) {
				t.Errorf("got %s\nwant it without %q", out, test.not)
			}
		})
	}
}

func TestSignalEndsTheCommandAndItsChildren(t *testing.T) {
	t.Parallel()
	for _, received := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(received.String(), func(t *testing.T) {
			t.Parallel()
			// The child says that it is ready, not its shell: to dash a signal is lost that comes while it starts a program.
			script := roleVariable + "=child " + os.Args[0] + "; true"
			cmd := withservers(t.Context(), script, "WITHSERVERS_TEST_FAKES=Postgres MySQL")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			lines.Scan() // ready
			start := time.Now()
			if err := cmd.Process.Signal(received); err != nil {
				t.Fatal(err)
			}
			var rest []string
			for lines.Scan() { // to the end of what all processes write: the sleeping child holds it open
				rest = append(rest, lines.Text())
			}
			_ = cmd.Wait() // its status counts
			if got, want := cmd.ProcessState.ExitCode(), 128+int(received); got != want {
				t.Errorf("got status %d, want %d", got, want)
			}
			if got := strings.Join(rest, ", "); got != "closed Postgres, closed MySQL" {
				t.Errorf("got %q at the end, want both servers closed", got)
			}
			if took := time.Since(start); took > grace {
				t.Errorf("took %s, want the command to end at once", took)
			}
		})
	}
}

func TestOpenContainer(t *testing.T) {
	engine := testdb.StartPostgres(t, dbserver.Options{})
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n%s=docker exec %s \"$@\"\n", roleVariable, os.Args[0])
	if err := os.WriteFile(dir+"/docker", []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("WITHSERVERS_TEST_ENGINE", engine.DSN())
	t.Setenv("WITHSERVERS_TEST_LOG", dir+"/log")

	opened, err := openContainer(t.Context(), databases()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := dbserver.Ping(t.Context(), dbserver.Postgres, opened.DSN()); err != nil {
		t.Error(err)
	}
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
	log, err := os.ReadFile(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	name := opened.(*container).name
	for _, want := range []string{"version ", "run --detach --rm --name " + name, "port " + name, "rm --force --volumes " + name} {
		if !strings.Contains(string(log), want) {
			t.Errorf("got the calls\n%s\nwant one to contain %q", log, want)
		}
	}
	if strings.Contains(string(log), opened.(*container).password) {
		t.Error("the password is among the arguments")
	}
}

// playDocker answers as the engine's client, whose containers are the server in WITHSERVERS_TEST_ENGINE.
func playDocker(args []string) int {
	log, err := os.OpenFile(os.Getenv("WITHSERVERS_TEST_LOG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 1
	}
	defer log.Close()
	fmt.Fprintln(log, strings.Join(args, " "))
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, os.Getenv("WITHSERVERS_TEST_ENGINE"))
	if err != nil {
		return 1
	}
	defer conn.Close(ctx)
	switch args[0] {
	case "run":
		_, err = conn.Exec(ctx, "CREATE ROLE postgres LOGIN PASSWORD '"+os.Getenv("POSTGRES_PASSWORD")+"'")
		fmt.Println("0123456789abcdef")
	case "port":
		fmt.Printf("%s:%d\n[::1]:1\n", conn.Config().Host, conn.Config().Port)
	}
	if err != nil {
		return 1
	}
	return 0
}
