package migrations

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// patience bounds the wait for other processes.
const patience = 30 * time.Second

// inTurn runs goose until the database is where it should be. A run fails when
// another process was first, and the next one finds less to do; or when another
// has the database. Whoever fails without either has a failure of its own.
func inTurn(ctx context.Context, db *sql.DB, dialect Dialect, run func(*goose.Provider, int64) error, arrived func(version, latest int64) bool) error {
	latest, err := Latest(dialect)
	if err != nil {
		return err
	}
	for begun := time.Now(); ; {
		p, store, err := provider(db, dialect)
		if err != nil {
			return err
		}
		before, err := version(ctx, db, store)
		if err == nil && arrived(before, latest) {
			return nil
		}
		if err == nil {
			err = run(p, latest)
		}
		if err == nil {
			return nil
		}
		after, readErr := version(ctx, db, store)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("migrations: %w", ctx.Err())
		case !busy(err) && (readErr == nil || !busy(readErr)) && after == before:
			return fmt.Errorf("migrations: %w", err)
		case time.Since(begun) > patience:
			return ErrLocked
		}
		pause(ctx)
	}
}

// version returns the version of a database without making the version table,
// as goose would; 0 when there is none.
func version(ctx context.Context, db *sql.DB, store database.Store) (int64, error) {
	exists, err := tableExists(ctx, db, store)
	if err != nil || !exists {
		return 0, err
	}
	v, err := store.GetLatestVersion(ctx, db)
	if errors.Is(err, database.ErrVersionNotFound) {
		return 0, nil
	}
	return v, err
}

// busy tells of an error that will pass: SQLite's BUSY, LOCKED and PROTOCOL, by the
// code of the modernc driver, whose type is not needed for it.
func busy(err error) bool {
	var coded interface{ Code() int }
	if !errors.As(err, &coded) {
		return false
	}
	switch coded.Code() & 0xff {
	case 5, 6, 15:
		return true
	}
	return false
}

// pause waits a random while of up to 50 ms.
func pause(ctx context.Context) {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	timer := time.NewTimer(time.Duration(binary.LittleEndian.Uint16(b[:])) * 50 * time.Millisecond >> 16)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
