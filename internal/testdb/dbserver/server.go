package dbserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	startTimeout = 90 * time.Second // a cold machine with a slow disk
	stopTimeout  = 20 * time.Second // then it is killed
	pingInterval = 20 * time.Millisecond
	portAttempts = 5

	dirPattern = "apikeys-server-*"
	claimName  = "claim" // a file in the directory
)

var errExited = errors.New("the server ended while it was starting")

// Server is a running, or stopped, server of our own. Its methods may not be called at the same time.
type Server struct {
	Installation

	options  Options
	dir      string // everything the server writes
	port     int
	password string
	account  *account        // nil: ours
	claim    *os.File        // of dir; nil: none
	upstream *pgx.ConnConfig // what a PgBouncer stands before

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
}

// Start prepares a fresh data directory and starts a server on it; it returns when the server answers.
func (in Installation) Start(ctx context.Context, options Options) (*Server, error) {
	s := &Server{Installation: in, options: options, password: rand.Text()}
	if err := s.create(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("dbserver: start %s: %w", in, err), s.Close())
	}
	return s, nil
}

func (s *Server) create(ctx context.Context) (err error) {
	if s.account, err = unprivileged(s.Kind); err != nil {
		return err
	}
	parent := os.TempDir()
	if dir := memoryDir(); dir != "" && !s.options.Durable {
		parent = dir
	}
	if err := s.makeDir(parent); err != nil {
		return err
	}
	if err := s.engine().prepare(ctx, s); err != nil {
		return err
	}
	return s.startOnFreePort(ctx)
}

func (s *Server) makeDir(parent string) (err error) {
	sweep(parent)
	if s.dir, err = os.MkdirTemp(parent, dirPattern); err != nil {
		return err
	}
	if s.claim, err = claim(s.dir); err != nil {
		return err
	}
	return s.account.own(s.dir)
}

// startOnFreePort tries further ports, since another process may take one between the choice and the start.
func (s *Server) startOnFreePort(ctx context.Context) (err error) {
	for range portAttempts {
		if s.port, err = freePort(ctx); err != nil {
			return err
		}
		if err = s.run(ctx); !errors.Is(err, errExited) {
			return err
		}
	}
	return err
}

// freePort chooses below the range from which systems take the ports of outgoing connections (32768 and up), so that
// nobody takes the port while a killed server is being restarted on it.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	for range 100 {
		port := 15000 + mathrand.IntN(17000)
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, listener.Close()
	}
	return 0, errors.New("no free port between 15000 and 32000")
}

// DSN is how to reach a database of the server that always exists, as a user who may do everything: a URL for Postgres,
// the form of go-sql-driver for MySQL. It stays the same over restarts, and holds the password: do not print it.
func (s *Server) DSN() string { return s.engine().dsn(s) }

// Addr is the server's host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Restart starts the server again, on the same data and port, stopping it first if it runs.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return err
	}
	deadline := time.Now().Add(stopTimeout)
	err := s.run(ctx)
	// What a killed server leaves behind (a socket, shared memory) may hold the next one up for a moment.
	for errors.Is(err, errExited) && time.Now().Before(deadline) && ctx.Err() == nil {
		err = s.run(ctx)
	}
	if err != nil {
		return fmt.Errorf("dbserver: restart %s: %w", s.Installation, err)
	}
	return nil
}

// Kill ends all processes of the server at once, as `kill -9` does, and returns when they are gone. The data stay.
func (s *Server) Kill() error {
	if !s.Running() {
		return nil
	}
	if err := killAll(s.cmd.Process.Pid); err != nil {
		return fmt.Errorf("dbserver: kill %s: %w", s.Installation, err)
	}
	<-s.exited
	return nil
}

// Freeze stops all processes of the server where they are, as SIGSTOP does: connections stay open, and nothing answers.
func (s *Server) Freeze() error {
	if err := freezeAll(s.cmd.Process.Pid); err != nil {
		return fmt.Errorf("dbserver: freeze %s: %w", s.Installation, err)
	}
	return nil
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw() error {
	if err := thawAll(s.cmd.Process.Pid); err != nil {
		return fmt.Errorf("dbserver: thaw %s: %w", s.Installation, err)
	}
	return nil
}

// Stop ends the server in order. The data stay. One that has not ended after 20 seconds is killed, which Options.Log is told.
func (s *Server) Stop() error { return s.end(s.engine().stopSignal(), stopTimeout) }

// Close ends the server at once and removes its data.
func (s *Server) Close() error {
	if s.dir == "" {
		return nil
	}
	err := s.end(s.engine().abortSignal(), stopTimeout)
	s.engine().tidy(s)
	err = errors.Join(err, os.RemoveAll(s.dir))
	if s.claim != nil {
		err = errors.Join(err, s.claim.Close())
	}
	s.dir, s.claim = "", nil
	return err
}

func (s *Server) end(signal os.Signal, patience time.Duration) error {
	if !s.Running() {
		return nil
	}
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("dbserver: end %s: %w", s.Installation, err)
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(patience):
		s.say("did not end within %s after %q and is killed; the end of its log: %s", patience, signal, s.logTail())
		return s.Kill()
	}
}

// say tells of what is no error and should be known.
func (s *Server) say(format string, args ...any) {
	log := s.options.Log
	if log == nil {
		log = os.Stderr
	}
	_, _ = fmt.Fprintf(log, "dbserver: %s "+format+"\n", append([]any{s.Installation}, args...)...)
}

// Running says whether the server's process lives.
func (s *Server) Running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// run starts the process and waits until it answers. On failure no process is left.
func (s *Server) run(ctx context.Context) error {
	logFile, err := os.OpenFile(s.path("server.log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()

	cmd := s.command(context.WithoutCancel(ctx), s.server, s.engine().arguments(s)...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	detach(cmd, s.engine().abortSignal())
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // how it ended does not matter: Running and the log tell
	}()
	s.cmd, s.exited = cmd, exited
	if err := s.awaitReady(ctx); err != nil {
		return errors.Join(err, s.Kill())
	}
	return nil
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	dsn := s.DSN()
	for {
		err := Ping(ctx, s.Kind, dsn)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-s.exited:
			return fmt.Errorf("%w: %s", errExited, s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w; its log: %s", err, s.logTail())
		}
	}
}

// command runs a program of the installation in the server's directory, as the account the server runs as.
func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LC_ALL=C", "TZ=UTC"}
	s.account.become(cmd)
	return cmd
}

// prepareWith runs a program that fills the data directory and waits for its end.
func (s *Server) prepareWith(ctx context.Context, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cmd := s.command(ctx, program, args...)
	detach(cmd, syscall.SIGKILL)
	cmd.Cancel = func() error { return killGroup(cmd) } // some are scripts, which start the server
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, tail(out))
	}
	return nil
}

// path of a file in the server's directory.
func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// writeFile makes a file that only the server's account may read.
func (s *Server) writeFile(name, text string) error {
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		return err
	}
	return s.account.own(s.path(name))
}

func (s *Server) logTail() string {
	text, err := os.ReadFile(s.path("server.log"))
	if err != nil {
		return err.Error()
	}
	return tail(text)
}

// tail is the end of a program's output, where it says why it failed.
func tail(out []byte) string {
	const most = 2000
	return string(out[max(0, len(out)-most):])
}
