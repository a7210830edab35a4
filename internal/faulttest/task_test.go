package faulttest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// taskVariable tells this program that it is a process which a test started, and
// reads its task from stdin.
const taskVariable = "APIKEYS_FAULTTEST_TASK"

// task is what such a process does until it is killed: each of its workers issues
// keys, rotates and revokes them, and says so before and after.
type task struct {
	Database, DSN string
	Organization  uuid.UUID
	Workers       int
}

// note is a line of a process or a worker about one operation.
type note struct {
	Worker int
	Op     string // "issue", "rotate", "revoke"
	State  string // "begun", "done", "unknown", "failed"
	ID     uuid.UUID
	Text   string // of the key, when issued or rotated
}

func runTask(in io.Reader, out io.Writer) error {
	var todo task
	if err := json.NewDecoder(in).Decode(&todo); err != nil {
		return err
	}
	d, ok := stores.Named(todo.Database)
	if !ok {
		return errors.New("no such database: " + todo.Database)
	}
	s, err := d.Open(context.Background(), todo.DSN)
	if err != nil {
		return err
	}
	client, err := apikeys.New(context.Background(), s, apikeys.Config{SigningSecret: apikeys.NewSecret(signingSecret), CacheSize: 1000})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	lines := json.NewEncoder(out)
	tell := func(n note) {
		mu.Lock()
		defer mu.Unlock()
		_ = lines.Encode(n) // whoever reads has killed us
	}
	tell(note{State: "ready"})
	var working sync.WaitGroup
	for i := range todo.Workers {
		w := worker{number: i, rounds: i, client: client, organization: todo.Organization, tell: tell}
		working.Go(func() {
			for {
				w.round(context.Background())
			}
		})
	}
	working.Wait() // until it is killed
	return nil
}

// worker issues one key after the other, and rotates and revokes some.
type worker struct {
	number       int
	client       *apikeys.Client
	organization uuid.UUID
	tell         func(note)
	rounds       int
}

// round is the life of one key. Every third is left as it is, every third rotated, every
// third revoked. It tells whether there is a key.
func (w *worker) round(ctx context.Context) bool {
	w.rounds++
	id, ok := w.do("issue", uuid.Nil, func() (*apikeys.IssuedKey, error) {
		return w.client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: w.organization})
	})
	switch {
	case !ok:
	case w.rounds%3 == 1:
		w.do("rotate", id, func() (*apikeys.IssuedKey, error) { return w.client.RotateKey(ctx, id, apikeys.RotateParams{}) })
	case w.rounds%3 == 2:
		w.do("revoke", id, func() (*apikeys.IssuedKey, error) {
			k, err := w.client.RevokeKey(ctx, id, apikeys.RevokeParams{Reason: "test"})
			if err != nil {
				return nil, err
			}
			return &apikeys.IssuedKey{Key: *k}, nil
		})
	}
	return ok
}

// do tells of an operation before and after.
func (w *worker) do(op string, id uuid.UUID, call func() (*apikeys.IssuedKey, error)) (uuid.UUID, bool) {
	n := note{Worker: w.number, Op: op, State: "begun", ID: id}
	w.tell(n)
	k, err := call()
	var unknown *apikeys.OutcomeUnknownError
	switch {
	case err == nil:
		n.State, n.ID = "done", k.Key.ID
		if op != "revoke" {
			n.Text = k.Plaintext.Reveal()
		}
	case errors.As(err, &unknown):
		n.State, n.ID = "unknown", unknown.ID
	default:
		n.State, n.Text = "failed", err.Error()
	}
	w.tell(n)
	return n.ID, err == nil
}

// process is one that runs a task.
type process struct {
	cmd  *exec.Cmd
	read *json.Decoder
}

// start runs this program again, until it is ready. It ends with the test at the latest.
func start(t *testing.T, todo task) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), taskVariable+"=1")
	cmd.Stderr = os.Stderr
	in := must(cmd.StdinPipe())(t)
	out := must(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, json.NewDecoder(bufio.NewReader(out))}
	if err := json.NewEncoder(in).Encode(todo); err != nil {
		t.Fatal(err)
	}
	var ready note
	if err := p.read.Decode(&ready); err != nil || ready.State != "ready" {
		t.Fatalf("the process did not become ready: %v", err)
	}
	return p
}

// notes returns all that the process says until it ends. The last line may be cut.
func (p *process) notes(each func(note)) {
	for {
		var n note
		if err := p.read.Decode(&n); err != nil {
			_ = p.cmd.Wait()
			return
		}
		each(n)
	}
}

// kill ends the process at once, as `kill -9` does.
func (p *process) kill() error { return p.cmd.Process.Kill() }
