package child_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys/internal/testdb/child"
)

func TestMain(m *testing.M) {
	child.Main(map[string]child.Task{"echo": echo, "fail": fail, "linger": linger})
	goleak.VerifyTestMain(m)
}

func echo(_ context.Context, test *child.Pipe) error {
	for {
		var word string
		if err := test.Receive(&word); err != nil || word == "end" {
			return err
		}
		if err := test.Send(word + "!"); err != nil {
			return err
		}
	}
}

func fail(context.Context, *child.Pipe) error { return errors.New("because") }

// linger does not read, and ends with the test only.
func linger(ctx context.Context, _ *child.Pipe) error {
	<-ctx.Done()
	return nil
}

func TestTalk(t *testing.T) {
	t.Parallel()
	children := []*child.Process{child.Start(t, "echo", "a"), child.Start(t, "echo", "b")}
	if got := strings.Join(child.All[string](children), " "); got != "a! b!" {
		t.Errorf("got %s, want a! b!", got)
	}
	for _, p := range children {
		p.Tell("end")
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestFailureSaysWhy(t *testing.T) {
	t.Parallel()
	for task, want := range map[string]string{"fail": "because", "other": "no such task"} {
		if err := child.Start(t, task, nil).Wait(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", task, err, want)
		}
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	p := child.Start(t, "echo", "a")
	var word string
	p.Hear(&word)
	p.Kill()
	if err := p.Receive(&word); err == nil {
		t.Error("got an answer of a child that was killed")
	}
	if p.Wait() == nil {
		t.Error("got no error of a child that was killed")
	}
}

// What a child said before its end is not lost, however late it is received.
func TestLastWords(t *testing.T) {
	t.Parallel()
	p := child.Start(t, "echo", "a")
	p.Tell("b")
	p.Tell("end")
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	p.Kill()
	if got := strings.Join(child.All[string]([]*child.Process{p, p}), " "); got != "a! b!" {
		t.Errorf("got %s, want a! b!", got)
	}
}

func TestFreeze(t *testing.T) {
	t.Parallel()
	p := child.Start(t, "echo", "a")
	var word string
	p.Hear(&word)
	p.Freeze()
	p.Tell("b")
	answered := make(chan error, 1)
	go func() { answered <- p.Receive(&word) }()
	select {
	case <-answered:
		t.Error("got an answer of a frozen child")
	case <-time.After(100 * time.Millisecond): // long enough for one that is not
	}
	p.Thaw()
	if err := <-answered; err != nil || word != "b!" {
		t.Errorf("got %q, %v after it was thawed, want b!", word, err)
	}
}

func TestChildEndsWithItsParent(t *testing.T) {
	t.Parallel()
	p := child.Start(t, "linger", nil)
	p.HangUp()
	if err := p.Wait(); err != nil {
		t.Errorf("got error %v, want none", err)
	}
	if err := p.Send("a"); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("got error %v of a closed pipe", err)
	}
}
