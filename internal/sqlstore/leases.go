package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// TakeLeases implements [apikeys.Store].
func (s *Store) TakeLeases(ctx context.Context, requests []apikeys.LeaseRequest) (grants []apikeys.LeaseGrant, err error) {
	if len(requests) == 0 {
		return nil, nil
	}
	wanted := wantedWindows(requests)
	if len(wanted) == 0 {
		return s.lookAtWindows(ctx, requests)
	}
	err = s.transact(ctx, TxOptions{}, func(tx Tx) error {
		grants, err = s.charge(ctx, tx, requests, wanted)
		return err
	})
	if err != nil {
		return nil, err
	}
	return grants, nil
}

// charge decides requests on the locked rows of their windows, and writes what it
// granted.
func (s *Store) charge(ctx context.Context, tx Tx, requests []apikeys.LeaseRequest, wanted []windowID) ([]apikeys.LeaseGrant, error) {
	rows, err := s.lockWindows(ctx, tx, subjectsOf(requests), wanted)
	if err != nil {
		return nil, err
	}
	// The clock is read when the locks are held: whoever waited for them may
	// have come into the next window.
	grants, err := s.decide(ctx, tx, rows, requests)
	if err != nil {
		return nil, err
	}
	return grants, s.writeWindows(ctx, tx, rows)
}

// lookAtWindows answers requests that want nothing. It takes no lock.
func (s *Store) lookAtWindows(ctx context.Context, requests []apikeys.LeaseRequest) (grants []apikeys.LeaseGrant, err error) {
	err = s.read(ctx, func(c Conn) error {
		rows, err := s.windows(ctx, c, s.st.Windows, subjectsOf(requests))
		if err != nil {
			return err
		}
		grants, err = s.decide(ctx, c, rows, requests)
		return err
	})
	return grants, err
}

// decide grants what the rows have, at the time of each request.
func (s *Store) decide(ctx context.Context, c Conn, rows map[windowID]window, requests []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	var now time.Time
	grants := make([]apikeys.LeaseGrant, len(requests))
	for i, r := range requests {
		at := r.At
		if at.IsZero() && now.IsZero() {
			if _, err := one(ctx, c, func(scan row) (bool, error) { return true, scan(s.dialect.ScanTime(&now)) }, s.st.Now); err != nil {
				return nil, err
			}
		}
		if at.IsZero() {
			at = now
		}
		grants[i] = grant(rows, r, at)
	}
	return grants, nil
}

// lockWindows locks the windows of subjects and makes those that are wanted and
// not there: a row that does not exist cannot be locked.
func (s *Store) lockWindows(ctx context.Context, tx Tx, subjects [][32]byte, wanted []windowID) (map[windowID]window, error) {
	rows, err := s.windows(ctx, tx, s.st.LockWindows, subjects)
	if err != nil {
		return nil, err
	}
	missing := missingWindows(rows, wanted)
	if len(missing) == 0 {
		return rows, nil
	}
	args := make([][]any, len(missing))
	for i, id := range missing {
		args[i] = []any{s.dialect.Hash(id.subject), id.span}
	}
	if _, err := tx.ExecEach(ctx, s.st.InsertWindow, args); err != nil {
		return nil, err
	}
	rows, err = s.windows(ctx, tx, s.st.LockWindows, subjects)
	if err == nil && len(missingWindows(rows, wanted)) > 0 {
		err = errAgain // swept between the two
	}
	return rows, err
}

func missingWindows(rows map[windowID]window, wanted []windowID) []windowID {
	return slices.DeleteFunc(slices.Clone(wanted), func(id windowID) bool { _, there := rows[id]; return there })
}

func (s *Store) windows(ctx context.Context, c Conn, query string, subjects [][32]byte) (map[windowID]window, error) {
	type line struct {
		windowID
		window
	}
	lines, err := all(ctx, c, func(scan row) (l line, err error) {
		err = scan(s.dialect.ScanHash((*[32]byte)(&l.subject)), &l.span, &l.starts, &l.used)
		return l, err
	}, query, s.dialect.Hashes(subjects))
	rows := make(map[windowID]window, len(lines))
	for _, l := range lines {
		rows[l.windowID] = l.window
	}
	return rows, err
}

// writeWindows writes the locked rows that changed.
func (s *Store) writeWindows(ctx context.Context, tx Tx, rows map[windowID]window) error {
	var args [][]any
	for id, w := range rows {
		if w.changed {
			args = append(args, []any{w.starts, w.used, s.dialect.Hash(id.subject), id.span})
		}
	}
	if len(args) == 0 {
		return nil
	}
	affected, err := tx.ExecEach(ctx, s.st.UpdateWindow, args)
	if err == nil && slices.Contains(affected, 0) {
		err = errAgain // never: the rows are locked. But what is not charged must not be granted
	}
	return err
}

// ReturnLeases implements [apikeys.Store].
func (s *Store) ReturnLeases(ctx context.Context, unused []apikeys.LeaseReturn) error {
	unused = slices.DeleteFunc(slices.Clone(unused), func(r apikeys.LeaseReturn) bool { return r.Unused <= 0 })
	if len(unused) == 0 {
		return nil
	}
	slices.SortStableFunc(unused, func(a, b apikeys.LeaseReturn) int {
		return cmp.Or(bytes.Compare(a.Subject[:], b.Subject[:]), cmp.Compare(a.Window, b.Window))
	})
	args := make([][]any, len(unused))
	for i, r := range unused {
		args[i] = []any{r.Unused, s.dialect.Hash(r.Subject), int64(r.Window), r.Start.Unix(), r.Unused}
	}
	return s.transact(ctx, TxOptions{}, func(tx Tx) error {
		_, err := tx.ExecEach(ctx, s.st.ReturnWindow, args)
		return err
	})
}

// wantedWindows are the windows that something is wanted of, in the order of locks.
func wantedWindows(requests []apikeys.LeaseRequest) []windowID {
	var ids []windowID
	for _, r := range requests {
		for _, part := range r.Parts {
			if part.Want > 0 {
				ids = append(ids, windowID{r.Subject, int64(part.Limit.Window)})
			}
		}
	}
	slices.SortFunc(ids, func(a, b windowID) int {
		return cmp.Or(bytes.Compare(a.subject[:], b.subject[:]), cmp.Compare(a.span, b.span))
	})
	return slices.Compact(ids)
}

func subjectsOf(requests []apikeys.LeaseRequest) [][32]byte {
	subjects := make([][32]byte, len(requests))
	for i, r := range requests {
		subjects[i] = r.Subject
	}
	slices.SortFunc(subjects, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(subjects)
}
