package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// script is a Database that fails as it is told to. It returns no rows, except for
// the event of a mutation.
type script struct {
	begins, rollbacks int
	begin             func(n int) error // of the nth transaction, from 1
	commit            func(n int) (bool, error)
	event             func() bool // is the event there?
	fail              map[string]error
}

// driverError is an error of a driver: its class, and a text that tells too much.
type driverError Class

func (e driverError) Error() string { return "Duplicate entry 'topsecret'" }

type scriptDialect struct{ Binary }

func (scriptDialect) Classify(err error) Class {
	var e driverError
	if errors.As(err, &e) {
		return Class(e)
	}
	return Lost
}

func (scriptDialect) Fault(err error) error {
	return &Fault{Database: "script", Reason: fmt.Sprintf("%T", err)}
}

func (s *script) Query(ctx context.Context, query string, _ ...any) (Rows, error) {
	if err := errors.Join(s.fail[query], ctx.Err()); err != nil {
		return nil, err
	}
	if query == "event" && s.event != nil && s.event() {
		return &scriptRows{left: 1}, nil
	}
	return &scriptRows{}, nil
}

func (s *script) Exec(_ context.Context, query string, _ ...any) (int64, error) {
	return 1, s.fail[query]
}

func (s *script) ExecEach(_ context.Context, query string, rows [][]any) ([]int64, error) {
	affected := make([]int64, len(rows))
	for i := range affected {
		affected[i] = 1
	}
	return affected, s.fail[query]
}

func (s *script) Looks() Conn { return s }

func (s *script) Begin(context.Context, TxOptions) (Tx, error) {
	s.begins++
	if s.begin != nil {
		if err := s.begin(s.begins); err != nil {
			return nil, err
		}
	}
	return scriptTx{s, new(bool)}, nil
}

type scriptTx struct {
	*script
	done *bool
}

func (t scriptTx) Commit(context.Context) (bool, error) {
	*t.done = true
	if t.commit == nil {
		return true, nil
	}
	return t.commit(t.begins)
}

func (t scriptTx) Rollback() {
	if !*t.done {
		t.rollbacks++
	}
}

type scriptRows struct{ left int }

func (r *scriptRows) Next() bool        { r.left--; return r.left >= 0 }
func (r *scriptRows) Scan(...any) error { return nil }
func (r *scriptRows) Err() error        { return nil }
func (r *scriptRows) Close()            {}

func scripted(s *script) *Store {
	return New(s, scriptDialect{}, &Statements{Migrated: "migrated", Event: "event", InsertEvent: "insert event", Settings: "settings"})
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script   script
		body     error
		deadline time.Duration
		want     error // Is
		begins   int   // 0: more than four
	}{
		"done":                            {begins: 1},
		"nothing to do":                   {body: errNothing, begins: 1},
		"a deadlock's victim tries again": {script: script{commit: failFirst(2, true, driverError(Retryable))}, begins: 3},
		"but not for ever":                {body: driverError(Retryable), want: &Fault{}, begins: 4},
		"what changed meanwhile is tried": {body: errAgain, want: errAgain, begins: 4},
		"busy is tried until it is not":   {script: script{begin: func(n int) error { return onlyIf(n <= 6, driverError(Busy)) }}, begins: 7},
		"busy ends with the context":      {script: script{begin: func(int) error { return driverError(Busy) }}, deadline: 300 * time.Millisecond, want: context.DeadlineExceeded},
		"an answer is not tried again":    {body: apikeys.ErrConflict, want: apikeys.ErrConflict, begins: 1},
		"a fault is not tried again":      {body: driverError(Refused), want: &Fault{}, begins: 1},
		"no answer to a commit":           {script: script{commit: failFirst(9, true, driverError(Lost))}, want: apikeys.ErrOutcomeUnknown, begins: 1},
		"a commit that was refused":       {script: script{commit: failFirst(9, true, driverError(Refused))}, want: &Fault{}, begins: 1},
		"a commit that was not sent":      {script: script{commit: failFirst(9, false, driverError(Lost))}, want: &Fault{}, begins: 1},
		"no answer before the commit":     {body: driverError(Lost), want: &Fault{}, begins: 1},
		"a database without tables":       {body: driverError(NoTable), want: &Fault{}, begins: 1}, // "migrated" returns no row
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if tc.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tc.deadline)
				defer cancel()
			}
			err := scripted(&tc.script).transact(ctx, TxOptions{}, func(Tx) error { return tc.body })
			if !is(err, tc.want) {
				t.Errorf("got error %v, want %v", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "topsecret") {
				t.Error("the error tells what the driver said")
			}
			if tc.begins != 0 && tc.script.begins != tc.begins || tc.begins == 0 && tc.script.begins <= 4 {
				t.Errorf("got %d transactions, want %d", tc.script.begins, tc.begins)
			}
			if want := tc.script.begins; tc.body != nil && tc.script.rollbacks != want {
				t.Errorf("got %d transactions rolled back, want %d", tc.script.rollbacks, want)
			}
		})
	}
}

func failFirst(n int, sent bool, err error) func(int) (bool, error) {
	return func(commit int) (bool, error) {
		if commit <= n {
			return sent, err
		}
		return true, nil
	}
}

func onlyIf(condition bool, err error) error {
	if condition {
		return err
	}
	return nil
}

// is compares with errors.Is, and a Fault by its type.
func is(err, want error) bool {
	if errors.As(want, new(*Fault)) {
		return errors.As(err, new(*Fault)) && !errors.Is(err, apikeys.ErrOutcomeUnknown)
	}
	return errors.Is(err, want)
}

func TestPanicInABodyRollsBack(t *testing.T) {
	t.Parallel()
	s := &script{}
	defer func() {
		if recover() == nil || s.rollbacks != 1 {
			t.Errorf("got %d transactions rolled back after a panic, want 1", s.rollbacks)
		}
	}()
	_ = scripted(s).transact(t.Context(), TxOptions{}, func(Tx) error { panic("a mistake") })
}

// TestMutationFindsItsRepetition: an event that could not be seen when the mutation
// began tells that what stands in the way is the mutation itself.
func TestMutationFindsItsRepetition(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]error{
		"a conflict":         apikeys.ErrConflict,
		"a name that it has": apikeys.ErrAlreadyExists,
		"a row that is gone": apikeys.ErrNotFound,
		"nothing to change":  errNothing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			looks := 0
			s := &script{event: func() bool { looks++; return looks > 1 }}
			prior, err := scripted(s).mutate(t.Context(), apikeys.Mutation{ID: uuid.New()}, func(*work) error { return body })
			if err != nil || prior == nil {
				t.Errorf("got %v, %v, want the event that came meanwhile", prior, err)
			}
		})
	}
}

func TestMutationAppliedBeforeIsNotApplied(t *testing.T) {
	t.Parallel()
	s := &script{event: func() bool { return true }}
	prior, err := scripted(s).mutate(t.Context(), apikeys.Mutation{ID: uuid.New()}, func(*work) error {
		t.Error("a mutation was applied again")
		return nil
	})
	if err != nil || prior == nil {
		t.Errorf("got %v, %v, want the event", prior, err)
	}
}

func TestFaultAnswersWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &script{}
	_, err := scripted(s).EnsureSettings(ctx, apikeys.SettingsRecord{Version: 1})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestStatementsAreChecked(t *testing.T) {
	t.Parallel()
	err := (&Statements{Settings: "SELECT"}).Check()
	if err == nil || !strings.Contains(err.Error(), "InsertSettings") {
		t.Errorf("got error %v, want one that names InsertSettings", err)
	}
}
