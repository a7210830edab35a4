package difftest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// Tests of limits run this program again, several times at once: with a task on
// stdin, since it names databases and keys. Each process says when it is ready, waits for
// the others, and reports at the end.

const (
	processes  = 4
	goroutines = 8 // of each process

	// taskVariable tells the program that it is one of those.
	taskVariable = "APIKEYS_DIFFTEST_TASK"
	// taskPatience bounds a process, so that none outlives its test for long.
	taskPatience = 2 * time.Minute
)

// task is what a process does: it asks for one use after the other.
type task struct {
	Database string
	DSN      string
	// Uses is how often each goroutine asks, or Lasting for how long.
	Uses    int
	Lasting time.Duration

	// Subject and Limits are for the exact limiter.
	Subject apikeys.Subject
	Limits  []apikeys.RateLimit
	// Key is the text of a key, for a client with its default configuration.
	Key string
}

// tally is what became of the uses, by the end of the window that they fell in, in Unix
// time. A use that falls in several is counted by the one that ends first.
type tally struct {
	mu                sync.Mutex
	Accepted, Refused map[int64]int64
}

func newTally() *tally { return &tally{Accepted: map[int64]int64{}, Refused: map[int64]int64{}} }

func (y *tally) count(accepted bool, windowEnds time.Time) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if accepted {
		y.Accepted[windowEnds.Unix()]++
	} else {
		y.Refused[windowEnds.Unix()]++
	}
}

func (y *tally) add(other *tally) {
	for window, n := range other.Accepted {
		y.Accepted[window] += n
	}
	for window, n := range other.Refused {
		y.Refused[window] += n
	}
}

func sum(counts map[int64]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// use asks once, and tells when the window ends that it fell in.
type use func(ctx context.Context) (accepted bool, windowEnds time.Time, err error)

// runTask is the life of a process.
func runTask(in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), taskPatience)
	defer cancel()
	lines := bufio.NewReader(in)
	var todo task
	line, err := lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &todo)
	}
	if err != nil {
		return err
	}
	s, err := todo.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	once, end, err := todo.prepare(ctx, s)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	if _, err := lines.ReadBytes('\n'); err != nil {
		return err
	}
	counted, err := todo.demand(ctx, once)
	if err := errors.Join(err, end(ctx)); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(counted)
}

// demand asks with all goroutines at once.
func (todo task) demand(ctx context.Context, once use) (*tally, error) {
	counted, errs := newTally(), make([]error, goroutines)
	began := time.Now()
	var running sync.WaitGroup
	for g := range goroutines {
		running.Go(func() {
			for n := 0; n < todo.Uses || time.Since(began) < todo.Lasting; n++ {
				accepted, windowEnds, err := once(ctx)
				if todo.Lasting > 0 && errors.Is(err, apikeys.ErrUnavailable) {
					continue // the machine is slower than windows of a second: each lease came too late
				}
				if err != nil {
					errs[g] = err
					return
				}
				counted.count(accepted, windowEnds)
				if !accepted && todo.Lasting > 0 {
					time.Sleep(time.Millisecond) // leaves the machine to others
				}
			}
		})
	}
	running.Wait()
	return counted, errors.Join(errs...)
}

func (todo task) open(ctx context.Context) (store, error) {
	for _, d := range shared() {
		if d.name == todo.Database {
			return d.open(ctx, todo.DSN)
		}
	}
	return nil, errors.New("no such database: " + todo.Database)
}

func (todo task) prepare(ctx context.Context, s store) (use, func(context.Context) error, error) {
	if todo.Key != "" {
		return leasedUse(ctx, s, todo.Key)
	}
	once := exactUse(apikeys.NewExactLimiter(s), todo.Subject, todo.Limits)
	return once, func(context.Context) error { return nil }, nil
}

// process is one that runs a task.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// together runs a task in all processes at once, and adds up what they report.
func together(t *testing.T, todo task) *tally {
	t.Helper()
	all := make([]*process, processes)
	for i := range all {
		all[i] = start(t, todo)
	}
	for _, p := range all {
		if line, err := p.out.ReadString('\n'); err != nil || line != "ready\n" {
			t.Fatalf("a process did not become ready: %v", err)
		}
	}
	sum := newTally()
	for _, p := range all {
		if _, err := fmt.Fprintln(p.in, "go"); err != nil {
			t.Fatalf("a process is gone: %v", err)
		}
	}
	for _, p := range all {
		counted := newTally()
		if err := json.NewDecoder(p.out).Decode(counted); err != nil {
			t.Fatalf("a process did not report: %v", err)
		}
		sum.add(counted)
		if err := p.cmd.Wait(); err != nil {
			t.Fatalf("a process failed: %v", err)
		}
	}
	return sum
}

// start starts this program with a task. It ends with the test.
func start(t *testing.T, todo task) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), taskVariable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := json.NewEncoder(in).Encode(todo); err != nil {
		t.Fatal(err)
	}
	return &process{cmd, in, bufio.NewReader(out)}
}
