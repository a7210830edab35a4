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

// direction is what goose is asked to do, and when it is done.
type direction struct {
	run     func(ctx context.Context, p *goose.Provider) error
	arrived func(version, latest int64) bool
}

var (
	up = direction{
		run:     func(ctx context.Context, p *goose.Provider) error { _, err := p.Up(ctx); return err },
		arrived: func(version, latest int64) bool { return version >= latest },
	}
	down = direction{
		run:     func(ctx context.Context, p *goose.Provider) error { _, err := p.DownTo(ctx, 0); return err },
		arrived: func(version, _ int64) bool { return version <= 0 },
	}
)

// inTurn runs goose until the database is where it should be.
func inTurn(ctx context.Context, db *sql.DB, dialect Dialect, to direction, patience time.Duration) error {
	latest, err := Latest(dialect)
	if err != nil {
		return err
	}
	for begun := time.Now(); ; pause(ctx) {
		again, err := step(ctx, db, dialect, to, latest)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("migrations: %w", ctx.Err())
		case !again:
			return fmt.Errorf("migrations: %w", err)
		case time.Since(begun) > patience:
			return ErrLocked
		}
	}
}

// step runs goose once. It fails, and may be tried again, when another process was
// first, after which there is less to do; or when another has the database. Who
// fails without either has a failure of its own.
func step(ctx context.Context, db *sql.DB, dialect Dialect, to direction, latest int64) (again bool, err error) {
	p, store, err := provider(db, dialect) // a new one each time: it remembers whether there is a version table
	if err != nil {
		return false, err
	}
	before, err := version(ctx, db, store)
	if err != nil || to.arrived(before, latest) {
		return busy(err), err
	}
	if err = to.run(ctx, p); err == nil {
		return false, nil
	}
	after, errRead := version(ctx, db, store)
	return after != before || busy(err) || busy(errRead), err
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
