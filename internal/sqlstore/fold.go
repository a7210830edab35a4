package sqlstore

import (
	"context"
	"time"

	"github.com/apikeys-platform/apikeys/internal/coalesce"
)

// The bounds of one transaction that adds up logged uses. What costs are the rows of keys
// that it writes, each of them once: so it goes on reading while the same keys come again,
// and one large transaction costs much less than many small ones. Where that takes too
// long, the next one does half as much.
const (
	mostUses  = 20_000 // different keys, secrets and hours, after which no further page is read
	leastUses = 50
	foldPages = 25
	usesOfRow = 50 // more than one row holds: a page for so many uses is this part of their number
)

// FoldUsage implements [apikeys.Store]. Callers at the same time share a transaction that
// began after all of them had called.
func (s *Store) FoldUsage(ctx context.Context) error {
	_, err := s.folds.Do(ctx, struct{}{})
	return err
}

func newFolds(fold func(context.Context) error) *coalesce.Group[struct{}, struct{}] {
	return coalesce.New(coalesce.Options[struct{}, struct{}]{
		Do: func(ctx context.Context, _ []struct{}) ([]struct{}, error) {
			return []struct{}{{}}, fold(ctx)
		},
		Max: 1,
	})
}

// foldFirst lets what is read next tell every use that was acknowledged before, by
// whichever process: what Admit logged is added up first. It costs a look when nothing
// was logged.
func (s *Store) foldFirst(ctx context.Context) error {
	logged, err := s.anythingLogged(ctx)
	if err != nil || !logged {
		return err
	}
	return s.FoldUsage(ctx)
}

func (s *Store) anythingLogged(ctx context.Context) (logged bool, err error) {
	err = s.read(ctx, func(c Conn) error {
		_, logged, err = first(ctx, c, scanValue[int64], s.st.FirstLogged)
		return err
	})
	return logged, err
}

// fold adds up what is logged, in as many transactions as it takes, each of which takes
// rows out of the log and adds what they hold: so each use is added once, whoever does it
// and whatever happens to them.
func (s *Store) fold(ctx context.Context) error {
	for {
		var more bool
		err := s.transact(ctx, TxOptions{}, func(tx Tx) (err error) {
			more, err = s.foldSome(ctx, tx)
			return err
		})
		if err != nil {
			s.foldUses = max(leastUses, s.foldUses/2)
			return err
		}
		if !more {
			return nil
		}
		s.foldUses = min(mostUses, s.foldUses*2)
	}
}

// foldSome takes rows out of the log and adds what they hold. It tells whether there may
// be more.
func (s *Store) foldSome(ctx context.Context, tx Tx) (more bool, err error) {
	// Whoever comes second waits at the first row for the others' commit, and reads then.
	_, logged, err := first(ctx, tx, scanValue[int64], s.st.LockFirstLogged)
	if err != nil {
		return false, err
	}
	if !logged {
		return false, errNothing
	}
	sums := map[use]sum{}
	ids, more, err := s.readLog(ctx, tx, sums)
	if err != nil {
		return false, err
	}
	// Ids are not committed in their order: no row is removed but those that were read.
	removed, err := tx.Exec(ctx, s.st.DeleteLogged, s.dialect.Numbers(ids))
	switch {
	case err != nil:
		return false, err
	case removed != int64(len(ids)):
		return false, errAgain // somebody else has read some of them
	}
	return more, s.addDeltas(ctx, tx, deltas(sums))
}

// readLog adds up pages of the log, and returns the ids of their rows.
func (s *Store) readLog(ctx context.Context, tx Tx, sums map[use]sum) (ids []int64, more bool, err error) {
	type line struct {
		id   int64
		at   time.Time
		uses []byte
	}
	var last int64 // ids begin with 1
	size := s.foldUses / usesOfRow
	for range foldPages {
		page, err := all(ctx, tx, func(scan row) (l line, err error) {
			err = scan(&l.id, s.dialect.ScanTime(&l.at), &l.uses)
			return l, err
		}, s.st.Logged, last, size)
		if err != nil {
			return nil, false, err
		}
		for _, l := range page {
			if err := addUp(sums, l.at, l.uses); err != nil {
				return nil, false, err
			}
			ids, last = append(ids, l.id), l.id
		}
		if len(page) < size {
			return ids, false, nil
		}
		if len(sums) >= s.foldUses {
			break
		}
	}
	return ids, true, nil
}
