package sqlite

import (
	"errors"
	"strconv"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

// dialect is SQLite's. Values that the driver never sees are part of it: it would
// store a time.Time as text, an empty []byte as NULL, and a []byte in a column of
// text as a BLOB, which STRICT tables refuse.
type dialect struct{ sqlstore.Binary }

var _ sqlstore.Dialect = dialect{}

// Classify implements sqlstore.Dialect. The driver reports extended codes, whose
// low byte is the primary one (https://www.sqlite.org/rescode.html).
func (dialect) Classify(err error) sqlstore.Class {
	code, ok := codeOf(err)
	if !ok {
		return sqlstore.Lost
	}
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return sqlstore.Duplicate
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return sqlstore.ForeignKey
	}
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return sqlstore.Busy
	case sqlite3.SQLITE_SCHEMA:
		return sqlstore.Retryable
	case sqlite3.SQLITE_ERROR:
		return sqlstore.NoTable // perhaps: SQLite has no code of its own for it
	case sqlite3.SQLITE_IOERR:
		return sqlstore.Lost // at a commit: the log may have reached the disk
	}
	return sqlstore.Refused
}

// Fault implements sqlstore.Dialect.
func (dialect) Fault(err error) error {
	code, ok := codeOf(err)
	if !ok {
		return &sqlstore.Fault{Database: "sqlite", Reason: sqlstore.UnknownReason(err)}
	}
	reason, ok := sqlite.ErrorCodeString[code]
	if !ok {
		reason = sqlite.ErrorCodeString[code&0xff]
	}
	return &sqlstore.Fault{Database: "sqlite", Code: strconv.Itoa(code), Reason: reason}
}

func codeOf(err error) (int, bool) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Code(), true
}
