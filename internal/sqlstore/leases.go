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
	seen, err := s.lockWindows(ctx, tx, subjectsOf(requests), wanted)
	if err != nil {
		return nil, err
	}
	grants, err := s.decide(ctx, tx, seen, requests)
	if err != nil {
		return nil, err
	}
	return grants, s.writeWindows(ctx, tx, seen.rows, wanted)
}

// lookAtWindows answers requests that want nothing. It takes no lock.
func (s *Store) lookAtWindows(ctx context.Context, requests []apikeys.LeaseRequest) (grants []apikeys.LeaseGrant, err error) {
	err = s.read(ctx, func(c Conn) error {
		seen, err := s.windows(ctx, c, s.st.Windows, subjectsOf(requests))
		if err != nil {
			return err
		}
		grants, err = s.decide(ctx, c, seen, requests)
		return err
	})
	return grants, err
}

// seenWindows are rows of windows, and the clock of the statement that read them, which
// may have been read before its locks were held; zero if there is no row.
type seenWindows struct {
	rows map[windowID]window
	at   time.Time
}

// behind tells whether somebody has charged a later window than the one that is current
// by the statement's clock. Such a row must not be judged by that clock: it would look
// like one of a clock gone wrong.
func (w seenWindows) behind() bool {
	for _, row := range w.rows {
		if row.starts > w.at.Unix() {
			return true
		}
	}
	return w.at.IsZero()
}

// decide grants what the rows have, at the time of each request.
func (s *Store) decide(ctx context.Context, c Conn, seen seenWindows, requests []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	now := seen.at
	if slices.ContainsFunc(requests, func(r apikeys.LeaseRequest) bool { return r.At.IsZero() }) && seen.behind() {
		// The clock is read when the locks are held: whoever waited for them may
		// have come into the next window, in which others have been already. Where
		// nobody has been, the window that the statement began in still decides.
		if _, err := one(ctx, c, func(scan row) (bool, error) { return true, scan(s.dialect.ScanTime(&now)) }, s.st.Now); err != nil {
			return nil, err
		}
	}
	grants := make([]apikeys.LeaseGrant, len(requests))
	for i, r := range requests {
		at := r.At
		if at.IsZero() {
			at = now
		}
		grants[i] = grant(seen.rows, r, at)
	}
	return grants, nil
}

// lockWindows locks the windows of subjects and makes those that are wanted and
// not there: a row that does not exist cannot be locked.
func (s *Store) lockWindows(ctx context.Context, tx Tx, subjects [][32]byte, wanted []windowID) (seenWindows, error) {
	seen, err := s.windows(ctx, tx, s.st.LockWindows, subjects)
	if err != nil {
		return seen, err
	}
	missing := missingWindows(seen.rows, wanted)
	if len(missing) == 0 {
		return seen, nil
	}
	args := make([][]any, len(missing))
	for i, id := range missing {
		args[i] = []any{s.dialect.Hash(id.subject), id.span}
	}
	if _, err := tx.ExecEach(ctx, s.st.InsertWindow, args); err != nil {
		return seen, err
	}
	seen, err = s.windows(ctx, tx, s.st.LockWindows, subjects)
	if err == nil && len(missingWindows(seen.rows, wanted)) > 0 {
		err = errAgain // swept between the two
	}
	return seen, err
}

func missingWindows(rows map[windowID]window, wanted []windowID) (missing []windowID) {
	for _, id := range wanted {
		if _, there := rows[id]; !there {
			missing = append(missing, id)
		}
	}
	return missing
}

func (s *Store) windows(ctx context.Context, c Conn, query string, subjects [][32]byte) (seenWindows, error) {
	seen := seenWindows{rows: make(map[windowID]window, len(subjects))}
	var id windowID
	var w window
	columns := []any{s.dialect.ScanHash((*[32]byte)(&id.subject)), &id.span, &w.starts, &w.used, s.dialect.ScanTime(&seen.at)}
	_, err := all(ctx, c, func(scan row) (_ struct{}, err error) {
		if err = scan(columns...); err == nil {
			seen.rows[id] = w
		}
		return struct{}{}, err
	}, query, s.dialect.Hashes(subjects))
	return seen, err
}

// writeWindows writes the locked rows that changed, which are some of those that were
// wanted. The start of a window has an index, which one that goes on leaves alone.
func (s *Store) writeWindows(ctx context.Context, tx Tx, rows map[windowID]window, wanted []windowID) error {
	var on, moved [][]any
	for _, id := range wanted {
		switch w := rows[id]; {
		case w.changed && (w.moved || s.st.UpdateUsed == ""):
			moved = append(moved, []any{w.starts, w.used, s.dialect.Hash(id.subject), id.span})
		case w.changed:
			on = append(on, []any{w.used, s.dialect.Hash(id.subject), id.span})
		}
	}
	if err := updateEach(ctx, tx, s.st.UpdateUsed, on); err != nil {
		return err
	}
	return updateEach(ctx, tx, s.st.UpdateWindow, moved)
}

func updateEach(ctx context.Context, tx Tx, query string, args [][]any) error {
	if len(args) == 0 {
		return nil
	}
	affected, err := tx.ExecEach(ctx, query, args)
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
