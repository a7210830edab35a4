//go:build unix

package dbserver

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A server that does not end when it is told to is killed, and this is said.
func TestServerThatDoesNotEndIsKilledAndTold(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s := &Server{
		Installation: Installation{Product: "Deaf", Version: "1"}, options: Options{Log: &log}, dir: t.TempDir(),
		cmd: exec.CommandContext(t.Context(), "sleep", "600"), exited: make(chan struct{}),
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.exited)
		_ = s.cmd.Wait()
	}()
	if err := s.end(syscall.SIGCONT, time.Millisecond); err != nil { // a signal that it does not heed
		t.Errorf("got error %v, want it killed", err)
	}
	if s.Running() {
		t.Error("it still runs")
	}
	if got, want := log.String(), "Deaf 1"; !strings.Contains(got, want) || !strings.Contains(got, "is killed") {
		t.Errorf("told: got %q, want that %s is killed", got, want)
	}
}
