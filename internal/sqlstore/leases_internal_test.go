package sqlstore

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// windowsScript is a Database with one row of windows, which notes what is run on it.
// Its clock goes on by a minute with each statement: that of the statement that locks
// was read before others were waited for.
type windowsScript struct {
	script
	row window
	at  time.Time
	ran []string
}

func (s *windowsScript) Begin(context.Context, TxOptions) (Tx, error) { return windowsTx{s}, nil }

type windowsTx struct{ *windowsScript }

func (t windowsTx) Commit(context.Context) (bool, error) { return true, nil }
func (t windowsTx) Rollback()                            {}

func (s *windowsScript) Query(_ context.Context, query string, _ ...any) (Rows, error) {
	s.ran = append(s.ran, query)
	values := []any{s.at.UnixMicro()}
	if query == "lock" {
		values = []any{make([]byte, 32), int64(apikeys.WindowMinute), s.row.starts, s.row.used, s.at.UnixMicro()}
	}
	s.at = s.at.Add(time.Minute)
	return &valueRows{scriptRows{left: 1}, values}, nil
}

func (s *windowsScript) ExecEach(_ context.Context, query string, rows [][]any) ([]int64, error) {
	s.ran = append(s.ran, query)
	return slices.Repeat([]int64{1}, len(rows)), nil
}

type valueRows struct {
	scriptRows
	values []any
}

func (r *valueRows) Scan(dest ...any) error {
	for i, d := range dest {
		switch d := d.(type) {
		case *int64:
			*d = r.values[i].(int64)
		case interface{ Scan(any) error }:
			if err := d.Scan(r.values[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestLeasesByTheClock: the clock that a statement began with decides, unless others have
// come further while it waited for them.
func TestLeasesByTheClock(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 1, 2, 3, 4, 59, 0, time.UTC)
	start := apikeys.WindowMinute.Start(begun).Unix()
	for name, tc := range map[string]struct {
		row     window
		at      time.Time
		granted int64
		start   int64
		ran     []string
	}{
		"in the window that is open": {
			row: window{starts: start, used: 3}, granted: 1, start: start, ran: []string{"lock", "used"},
		},
		"the first in a window": {
			row: window{starts: start - 60, used: 10}, granted: 1, start: start, ran: []string{"lock", "update"},
		},
		"when others are in the next": {
			row: window{starts: start + 60, used: 3}, granted: 1, start: start + 60, ran: []string{"lock", "now", "used"},
		},
		"when the next is full": {
			row: window{starts: start + 60, used: 10}, granted: 0, start: start + 60, ran: []string{"lock", "now"},
		},
		"when others had a clock gone wrong": {
			row: window{starts: start + 600, used: 10}, granted: 1, start: start + 60, ran: []string{"lock", "now", "update"},
		},
		"by a clock of one's own": {
			row: window{starts: start + 60, used: 3}, at: begun, granted: 0, start: start, ran: []string{"lock"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := &windowsScript{row: tc.row, at: begun}
			s := New(db, scriptDialect{}, &Statements{LockWindows: "lock", Now: "now", UpdateWindow: "update", UpdateUsed: "used"})
			grants, err := s.TakeLeases(t.Context(), []apikeys.LeaseRequest{{
				At: tc.at, Parts: []apikeys.LeasePart{{Limit: apikeys.PerMinute(10), Want: 1}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			if p := grants[0].Parts[0]; p.Granted != tc.granted || p.Start.Unix() != tc.start {
				t.Errorf("got %d granted of the window of %v, want %d of %v", p.Granted, p.Start, tc.granted, time.Unix(tc.start, 0).UTC())
			}
			if !slices.Equal(db.ran, tc.ran) {
				t.Errorf("got the statements %v, want %v", db.ran, tc.ran)
			}
		})
	}
}
