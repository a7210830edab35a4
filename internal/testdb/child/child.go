// Package child lets a test run its own program again, as further processes: what a fleet does together, what is left
// when one is killed, what a frozen one does when it goes on.
//
// Test and child talk over the child's stdin and stdout, a value of JSON a line, so that DSNs and keys are in nobody's
// environment. A child ends with its test, and when the test's process dies.
package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// variable tells a test program that it is a child, and what it has to do.
const variable = "APIKEYS_TEST_CHILD"

// Task is what a child does. Its context ends when the test does.
type Task func(ctx context.Context, test *Pipe) error

// Main is for TestMain to call first: in a child it runs the task and ends the process, otherwise it returns.
func Main(tasks map[string]Task) {
	name := os.Getenv(variable)
	if name == "" {
		return
	}
	if err := run(tasks[name]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(task Task) error {
	if task == nil {
		return errors.New("no such task")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lines := make(chan []byte, 1024) // more than a test says ahead: the end is seen behind it
	go func() {
		defer cancel()
		defer close(lines)
		in := bufio.NewReader(os.Stdin)
		for {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	receive := func() ([]byte, error) {
		line, more := <-lines
		if !more {
			return nil, io.EOF
		}
		return line, nil
	}
	return task(ctx, &Pipe{out: os.Stdout, receive: receive})
}

// Pipe is one end of what a test and a child talk over. Several goroutines may send; one may receive.
type Pipe struct {
	mu      sync.Mutex // of sending
	out     io.Writer
	receive func() ([]byte, error)
}

// Send says something to the other side.
func (p *Pipe) Send(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err = p.out.Write(append(line, '\n'))
	return err
}

// Receive waits for what the other side says next; io.EOF when it is gone.
func (p *Pipe) Receive(v any) error {
	line, err := p.receive()
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

// Process is a child, seen by its test.
type Process struct {
	Pipe
	t      testing.TB
	cmd    *exec.Cmd
	stderr strings.Builder // complete after Wait
	waited sync.Once
	err    error
}

// Start starts a child and tells it what to do. It is killed when the test ends, if it has not ended by then.
func Start(t testing.TB, task string, todo any) *Process {
	t.Helper()
	p := &Process{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0])}
	// The race detector would wait for a second before each process ends.
	p.cmd.Env = append(os.Environ(), variable+"="+task, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	p.cmd.Stderr = &p.stderr
	in, errIn := p.cmd.StdinPipe()
	out, theirs, errOut := os.Pipe() // one of StdoutPipe would be closed by Wait, and what was not received yet lost
	if err := errors.Join(errIn, errOut); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	p.cmd.Stdout = theirs
	reader := bufio.NewReader(out)
	p.Pipe.out, p.Pipe.receive = in, func() ([]byte, error) { return reader.ReadBytes('\n') }
	err := p.cmd.Start()
	_ = theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if err := p.Send(todo); err != nil && !errors.Is(err, syscall.EPIPE) { // a child that has ended already says why to who waits
		t.Fatal(err)
	}
	return p
}

// Tell is Send, and ends the test if it fails. Only the test's own goroutine may call it.
func (p *Process) Tell(v any) {
	p.t.Helper()
	if err := p.Send(v); err != nil {
		p.t.Fatalf("a child does not listen: %v: %v", err, p.end())
	}
}

// Hear is Receive, and ends the test if it fails. Only the test's own goroutine may call it.
func (p *Process) Hear(v any) {
	p.t.Helper()
	if err := p.Receive(v); err != nil {
		p.t.Fatalf("a child does not answer: %v: %v", err, p.end())
	}
}

// Wait returns when the child has ended: nil if it did what it had to do, else what it said why not. What it sent
// before can still be received.
func (p *Process) Wait() error {
	p.waited.Do(func() {
		if p.err = p.cmd.Wait(); p.err != nil {
			p.err = fmt.Errorf("%w: %s", p.err, strings.TrimSpace(p.stderr.String()))
		}
	})
	return p.err
}

// Kill ends the child at once, as kill -9 does, and returns when it is gone. What it sent before can still be received.
func (p *Process) Kill() {
	_ = p.end()
}

func (p *Process) end() error {
	_ = p.cmd.Process.Kill() // it may have ended
	return p.Wait()
}

// All returns what several children say next.
func All[T any](children []*Process) []T {
	all := make([]T, len(children))
	for i, p := range children {
		p.t.Helper()
		p.Hear(&all[i])
	}
	return all
}
