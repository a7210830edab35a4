package sqlstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/apikeys-platform/apikeys"
)

const (
	// retries is how often a transaction is tried again that was a deadlock's
	// victim or could not be serialized.
	retries = 3
	// busyPatience bounds the wait for a database that another process has, for
	// contexts that have no deadline.
	busyPatience = 10 * time.Second
)

// transact runs body in a transaction, again if that may help. It does nothing
// unless it returns nil, or an error that is ErrOutcomeUnknown.
func (s *Store) transact(ctx context.Context, o TxOptions, body func(Tx) error) error {
	err := s.retry(ctx, func() error { return s.once(ctx, o, body) })
	if errors.Is(err, errNothing) {
		return nil
	}
	return s.fault(ctx, err)
}

func (s *Store) once(ctx context.Context, o TxOptions, body func(Tx) error) error {
	tx, err := s.db.Begin(ctx, o)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing after a commit
	if err := body(tx); err != nil {
		return err
	}
	sent, err := tx.Commit(ctx)
	return s.outcome(sent, err)
}

// outcome is what is known after a commit.
func (s *Store) outcome(sent bool, err error) error {
	if err != nil && sent && s.dialect.Classify(err) == Lost {
		return fmt.Errorf("commit: %w: %w", s.dialect.Fault(err), apikeys.ErrOutcomeUnknown)
	}
	return err
}

// Statement runs a statement that is a transaction of its own, again if that may
// help. Do tells whether the database may have been asked, as Tx.Commit does.
func (s *Store) Statement(ctx context.Context, do func() (sent bool, err error)) error {
	return s.fault(ctx, s.retry(ctx, func() error { return s.outcome(do()) }))
}

// read runs reads that are no transaction, again if that may help.
func (s *Store) read(ctx context.Context, body func(Conn) error) error {
	return s.fault(ctx, s.retry(ctx, func() error { return body(s.db) }))
}

// retry repeats what did nothing, for as long as it makes sense.
func (s *Store) retry(ctx context.Context, do func() error) error {
	var busySince time.Time
	for failed := 0; ; failed++ {
		err := do()
		switch {
		case err == nil || isOurs(err):
			return err
		case errors.Is(err, errAgain), s.dialect.Classify(err) == Retryable, s.dialect.Classify(err) == ForeignKey:
			// A foreign key that was seen to hold and does not: its row has just gone.
			if failed >= retries {
				return err
			}
		case s.dialect.Classify(err) == Busy:
			if busySince.IsZero() {
				busySince = time.Now()
			}
			if time.Since(busySince) > busyPatience {
				return err
			}
		default:
			return err
		}
		if !pause(ctx, min(failed, retries)) {
			return err
		}
	}
}

// pause waits a random while, longer after more failures: at most 10 ms after
// the first, 80 ms after the fourth. It tells whether there is time left.
func pause(ctx context.Context, failed int) bool {
	timer := time.NewTimer(random(10 * time.Millisecond << failed))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func random(atMost time.Duration) time.Duration {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return time.Duration(binary.LittleEndian.Uint64(b[:]) % uint64(atMost))
}

func isOurs(err error) bool {
	var ours apikeys.Error
	return errors.As(err, &ours) || errors.Is(err, errNothing)
}

// fault makes err safe to show and gives it the meaning that callers look for.
func (s *Store) fault(ctx context.Context, err error) error {
	switch {
	case err == nil, isOurs(err), errors.As(err, new(problem)):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case s.dialect.Classify(err) == NoTable && s.noTables(ctx):
		return ErrNotMigrated
	}
	return s.dialect.Fault(err)
}

// noTables tells whether a missing table is one of ours.
func (s *Store) noTables(ctx context.Context) bool {
	if s.st.Migrated == "" {
		return true
	}
	migrated, ok, err := first(ctx, s.db, scanValue[int64], s.st.Migrated)
	return err == nil && ok && migrated == 0
}

// scanValue scans a row of one value.
func scanValue[T any](scan row) (v T, err error) {
	err = scan(&v)
	return v, err
}

// WhileBusy repeats what found the database busy, until it did not or there is no
// time left.
func WhileBusy(ctx context.Context, d Dialect, do func() error) error {
	return (&Store{dialect: d}).retry(ctx, do)
}
