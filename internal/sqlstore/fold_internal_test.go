package sqlstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// What is logged is what is added up, and another row is an error that tells nothing of it.
func TestLoggedUsesAreAddedUp(t *testing.T) {
	t.Parallel()
	a, b := uuid.UUID{1}, uuid.UUID{2}
	at := time.Date(2026, time.March, 5, 12, 30, 0, 1000, time.UTC)
	sums := map[use]sum{}
	for _, row := range []struct {
		at   time.Time
		uses []loggedUses
	}{
		{at, []loggedUses{{b, 1, 3}, {a, 2, 0}, {a, 1, 1}}},
		{at.Add(-time.Minute), []loggedUses{{a, 1, 1 << 31}}},
		{at.Add(time.Hour), []loggedUses{{a, 1, 5}}},
		{at, nil},
	} {
		if err := addUp(sums, row.at, logged(row.uses)); err != nil {
			t.Fatal(err)
		}
	}
	hour := at.Truncate(time.Hour)
	delta := func(id uuid.UUID, hour time.Time, count int64, last time.Time) apikeys.UsageDelta {
		return apikeys.UsageDelta{KeyID: id, Secret: 1, Hour: hour, Outcome: apikeys.OutcomeAccepted, Count: count, LastAt: last}
	}
	want := []apikeys.UsageDelta{
		delta(a, hour, 1<<31+1, at), delta(a, hour.Add(time.Hour), 5, at.Add(time.Hour)), delta(b, hour, 3, at),
	}
	if diff := cmp.Diff(want, deltas(sums)); diff != "" {
		t.Error(diff)
	}
	if err := addUp(sums, at, logged([]loggedUses{{a, 1, 1}})[1:]); err == nil {
		t.Error("a row that lacks a byte: got no error, want one")
	}
}

// unremovable is a log whose rows cannot be removed in time.
type unremovable struct {
	*script
	pages []int
}

func (l *unremovable) Begin(context.Context, TxOptions) (Tx, error) { return l, nil }
func (l *unremovable) Commit(context.Context) (bool, error)         { return true, nil }
func (l *unremovable) Rollback()                                    {}

func (l *unremovable) Query(_ context.Context, query string, args ...any) (Rows, error) {
	if query == "logged" {
		l.pages = append(l.pages, args[1].(int))
		return &scriptRows{}, nil
	}
	return &scriptRows{left: 1}, nil
}

func (l *unremovable) Exec(context.Context, string, ...any) (int64, error) {
	return 0, errors.New("too slow")
}

// Adding up that takes too long is tried again with less, down to a row at a time: it must
// not fail for ever.
func TestAddingUpThatIsTooSlowTakesLess(t *testing.T) {
	t.Parallel()
	l := &unremovable{script: &script{}}
	s := New(l, scriptDialect{}, &Statements{LockFirstLogged: "first", Logged: "logged", DeleteLogged: "delete"})
	for range 11 {
		if err := s.FoldUsage(t.Context()); err == nil {
			t.Fatal("got no error: this test would prove nothing")
		}
	}
	if want := []int{400, 200, 100, 50, 25, 12, 6, 3, 1, 1, 1}; !slices.Equal(l.pages, want) {
		t.Errorf("got pages of %v, want %v", l.pages, want)
	}
}

// notes is a log of one use a row. Somebody else has added up the first ones when they
// are to be removed.
type notes struct {
	*script
	rows, elsewhere       int
	added, adding, taking int64
}

func (n *notes) Begin(context.Context, TxOptions) (Tx, error) {
	n.adding, n.taking = 0, 0
	return n, nil
}

func (n *notes) Commit(context.Context) (bool, error) {
	n.added, n.rows = n.added+n.adding, n.rows-int(n.taking)
	return true, nil
}

func (n *notes) Rollback() {}

func (n *notes) Query(_ context.Context, query string, args ...any) (Rows, error) {
	if query != "logged" {
		return &scriptRows{left: min(1, n.rows)}, nil
	}
	after, most := args[0].(int64), args[1].(int)
	return &noteRows{scriptRows{left: min(most, n.rows-int(after))}, after}, nil
}

func (n *notes) Exec(_ context.Context, _ string, args ...any) (int64, error) {
	n.taking = int64(strings.Count(args[0].(string), ",") + 1)
	gone := n.elsewhere
	n.rows, n.elsewhere = n.rows-gone, 0
	return n.taking - int64(gone), nil
}

func (n *notes) ExecEach(_ context.Context, query string, rows [][]any) ([]int64, error) {
	if query == "add" {
		n.adding += rows[0][0].(int64)
	}
	return []int64{1}, nil
}

// noteRows are numbered from 1.
type noteRows struct {
	scriptRows
	last int64
}

func (r *noteRows) Scan(dest ...any) error {
	if len(dest) == 3 {
		r.last++
		*dest[0].(*int64), *dest[2].(*[]byte) = r.last, logged([]loggedUses{{uuid.UUID{1}, 1, 1}})
	}
	return nil
}

// However long the log is, and whoever else adds it up, each row is added once.
func TestEachRowOfTheLogIsAddedOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ rows, elsewhere int }{
		"more than one transaction takes": {1000, 0}, "some of it by somebody else": {50, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := &notes{script: &script{}, rows: tc.rows, elsewhere: tc.elsewhere}
			s := New(n, scriptDialect{}, &Statements{LockFirstLogged: "first", Logged: "logged", DeleteLogged: "delete", AddUsage: "add"})
			s.foldUses = leastUses
			if err := s.FoldUsage(t.Context()); err != nil {
				t.Fatal(err)
			}
			if want := int64(tc.rows - tc.elsewhere); n.added != want || n.rows != 0 {
				t.Errorf("got %d uses added and %d rows left, want %d and none", n.added, n.rows, want)
			}
		})
	}
}
