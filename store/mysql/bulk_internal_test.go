package mysql

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

func TestChunks(t *testing.T) {
	t.Parallel()
	for _, f := range []form{{}, {again: true}} {
		sizes := map[int]bool{}
		for _, args := range []int{2, 3, 4, 6, 7, 21} {
			for rows := 1; rows <= 1100; rows++ {
				statements := 0
				for left := rows; left > 0; statements++ {
					n, size := f.next(left, args)
					if n < 1 || n > left || size < n || size > n && !f.again || size*args > maxArgs {
						t.Fatalf("%d rows of %d arguments: got %d rows in a statement of %d", left, args, n, size)
					}
					left -= n
					sizes[size] = true
				}
				most := rows*args*4/maxArgs + 16
				if f.again {
					most = rows*args*2/maxArgs + 1
				}
				if statements > most {
					t.Errorf("%d rows of %d arguments: got %d statements, want at most %d", rows, args, statements, most)
				}
			}
		}
		if len(sizes) > 11 {
			t.Errorf("got statements of %d sizes, want at most 11", len(sizes))
		}
	}
}

// recorder is a Tx that notes what is run, and refuses rows as duplicates.
type recorder struct {
	sqlstore.Tx
	duplicate func(arg any) bool
	rows      []int // of each statement
}

var errDuplicate = &mysql.MySQLError{Number: errDuplicateEntry, Message: "Duplicate entry 'topsecret'"}

func (r *recorder) Exec(_ context.Context, query string, args ...any) (int64, error) {
	if n := strings.Count(query, "?"); n != len(args) {
		return 0, errors.New("another number of arguments than of placeholders")
	}
	r.rows = append(r.rows, len(args)/3)
	for i := 0; i < len(args); i += 3 {
		if r.duplicate(args[i]) {
			return 0, errDuplicate
		}
	}
	return int64(len(args) / 3), nil
}

func (r *recorder) ExecEach(_ context.Context, _ string, rows [][]any) ([]int64, error) {
	affected := make([]int64, len(rows))
	for i, row := range rows {
		r.rows = append(r.rows, 1)
		if !r.duplicate(row[0]) {
			affected[i] = 1
		}
	}
	return affected, nil
}

func TestExecManyTellsWhichRowsAreThere(t *testing.T) {
	t.Parallel()
	r := &recorder{duplicate: func(arg any) bool { return arg == 20 }}
	rows := make([][]any, 22)
	for i := range rows {
		rows[i] = []any{i, 0, nil}
	}
	affected, err := (&transaction{Tx: r}).ExecEach(t.Context(), insertUsage, rows)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]int64, 22)
	for i := range want {
		want[i] = 1
	}
	want[20] = 0
	if diff := cmp.Diff(want, affected); diff != "" {
		t.Errorf("affected (-want +got):\n%s", diff)
	}
	// The chunk with the duplicate is run again row by row, and no other.
	if diff := cmp.Diff([]int{16, 4, 1, 1}, r.rows); diff != "" {
		t.Errorf("rows of the statements (-want +got):\n%s", diff)
	}
}

// TestFormsAreTheStatements: a row that is inserted alone is inserted as the others are.
func TestFormsAreTheStatements(t *testing.T) {
	t.Parallel()
	for _, query := range []string{insertKey, insertSecret, insertUsage, insertWindow, addHour} {
		f, ok := formOf(query)
		if !ok || f.text(1) != query {
			t.Errorf("got %q for one row, want %q", f.text(1), query)
		}
		if got, want := strings.Count(f.text(3), "?"), 3*strings.Count(f.row, "?"); got != want {
			t.Errorf("got %d placeholders for three rows, want %d:\n%s", got, want, f.text(3))
		}
	}
	if err := statements().Check(); err != nil {
		t.Error(err)
	}
}
