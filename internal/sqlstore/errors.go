package sqlstore

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/apikeys-platform/apikeys"
)

// problem is an error of this package: a constant text, safe to show.
type problem string

func (p problem) Error() string { return string(p) }

const (
	// ErrNotMigrated is returned by all methods of a Store as long as its
	// database has no tables.
	ErrNotMigrated problem = "the database has no apikeys tables: call Migrate, or run the migrations with goose"

	// errNothing is returned by the body of a transaction that has nothing to do:
	// it is rolled back, and that is no failure.
	errNothing problem = "sqlstore: nothing to do"
	// errAgain is returned by the body of a transaction that met something which
	// will be otherwise the next time.
	errAgain problem = "sqlstore: changed meanwhile"

	errReplica problem = "sqlstore: a replica, or a session without autocommit, cannot tell what was committed"
	errNoState problem = "sqlstore: table apikeys_state has no row"
	errDetail  problem = "sqlstore: the mutation's detail is not a JSON object"
	errSuspend problem = "sqlstore: only organizations can be suspended"
)

// errBadColumn tells of a column that holds what no store wrote.
func errBadColumn(name string) error {
	return problem("sqlstore: column " + name + " does not hold what was stored")
}

// NetworkReason says what an error of the operating system means for a connection.
func NetworkReason(code syscall.Errno) string {
	switch {
	case errors.Is(code, syscall.ECONNREFUSED):
		return code.Error() + ": is the server running, at this host and port?"
	case errors.Is(code, syscall.ENOENT):
		return code.Error() + ": there is no server at this socket; is the host missing?"
	}
	return code.Error()
}

// UnknownReason is what may be shown of an error that no driver explains: its type, for its
// text may hold anything. Pools that were closed say so in words alone.
func UnknownReason(err error) string {
	switch err.Error() {
	case "sql: database is closed", "closed pool":
		return "it was closed: close the store after the client"
	}
	return fmt.Sprintf("the driver failed (%T)", err)
}

// Fault is an error of a driver without its text, which may hold an argument.
type Fault struct {
	Database string // "sqlite", "postgres", "mysql"
	Code     string // the database's own; empty if there was no answer
	Reason   string // what the code means, if that is known; else the type of the error
}

// Error names the database, the reason, and the code if there is one.
func (f *Fault) Error() string {
	if f.Code == "" {
		return fmt.Sprintf("%s: %s", f.Database, f.Reason)
	}
	return fmt.Sprintf("%s: %s (code %s)", f.Database, f.Reason, f.Code)
}

// Is tells that a fault without a code is ErrUnavailable: there was no connection,
// or no answer.
func (f *Fault) Is(target error) bool { return f.Code == "" && target == apikeys.ErrUnavailable }
