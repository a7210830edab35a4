package mysql

import (
	"bytes"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"syscall"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

// dialect is that of MySQL and MariaDB.
type dialect struct{ sqlstore.Binary }

var _ sqlstore.Dialect = dialect{}

// IDs implements sqlstore.Dialect. Rows are locked in the order of the list, and that
// order is the same for all who lock.
func (d dialect) IDs(ids []uuid.UUID) any {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return d.Binary.IDs(slices.Compact(ids))
}

// Hashes implements sqlstore.Dialect, sorted as IDs are.
func (d dialect) Hashes(list [][32]byte) any {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	return d.Binary.Hashes(slices.Compact(list))
}

// The server's error numbers. Those above 1900 are of one of the two databases:
// MariaDB up to 2000, MySQL above 3000.
const (
	errTooManyConnections = 1040
	errAccessDeniedToDB   = 1044
	errAccessDenied       = 1045
	errUnknownDatabase    = 1049
	errNullColumn         = 1048
	errShutdown           = 1053
	errUnknownColumn      = 1054
	errDuplicateEntry     = 1062
	errNoSuchTable        = 1146
	errDuring             = 1180 // "during COMMIT", for one
	errUnknownVariable    = 1193
	errUserConnections    = 1203
	errLockWait           = 1205
	errDeadlock           = 1213
	errForeignKeyParent   = 1451
	errForeignKeyChild    = 1452
	errUserResources      = 1226
	errWrongValue         = 1231
	errUnknownTimeZone    = 1298
	errReadOnly           = 1290
	errInterrupted        = 1317
	errTooLong            = 1406
	errTooManyStatements  = 1461
	errReprepare          = 1615
	errReadOnlyMode       = 1836
	errReadOnlyTx         = 1792
	errBinlogFormat       = 1665
	errCheckRead          = 1020
	errKilled             = 1927 // MariaDB
	errConstraint         = 4025 // MariaDB
	errIdle               = 4031 // MySQL
	errGroupRollback      = 3101 // MySQL
	errCheckViolated      = 3819 // MySQL
)

// Classify implements sqlstore.Dialect.
func (dialect) Classify(err error) sqlstore.Class {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return sqlstore.Lost
	}
	switch e.Number {
	case errDeadlock, errLockWait, errReprepare, errCheckRead, errGroupRollback:
		// A lock wait that timed out undid its statement only. The rest is undone by us.
		return sqlstore.Retryable
	case errTooManyConnections, errUserConnections:
		return sqlstore.Busy
	case errDuplicateEntry:
		return sqlstore.Duplicate
	case errForeignKeyParent, errForeignKeyChild:
		return sqlstore.ForeignKey
	case errNoSuchTable:
		return sqlstore.NoTable
	case errShutdown, errInterrupted, errKilled, errIdle, errDuring:
		return sqlstore.Lost // at a commit: it may have been written
	}
	return sqlstore.Refused
}

// Fault implements sqlstore.Dialect. The server's texts repeat values, the driver's
// may repeat parts of a data source name.
func (dialect) Fault(err error) error {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return &sqlstore.Fault{Database: "mysql", Code: strconv.Itoa(int(e.Number)), Reason: meaning(e.Number)}
	}
	return &sqlstore.Fault{Database: "mysql", Reason: reason(err)}
}

func meaning(number uint16) string {
	switch number {
	case errTooManyConnections, errUserConnections, errUserResources:
		return "too many connections"
	case errAccessDenied:
		return "access denied: wrong user or password"
	case errAccessDeniedToDB:
		return "access denied: the user may not use this database"
	case errUnknownDatabase:
		return "there is no such database: create it first"
	case errShutdown:
		return "the server is shutting down"
	case errDuplicateEntry:
		return "a value is there already"
	case errNoSuchTable:
		return "a table is not there"
	case errUnknownColumn:
		return "a column is not there: the tables are of another version"
	case errUnknownVariable, errWrongValue, errUnknownTimeZone:
		return "the data source name sets a variable that the server does not have, or to a value that it does not take"
	case errLockWait:
		return "a lock was not granted in time"
	case errDeadlock:
		return "deadlock"
	case errForeignKeyParent, errForeignKeyChild:
		return "what a row refers to is not there, or something refers to it"
	case errReadOnly, errReadOnlyMode, errReadOnlyTx:
		return "the server or the session is read-only"
	case errTooLong, errNullColumn, errConstraint, errCheckViolated:
		return "a value does not fit its column"
	case errTooManyStatements:
		return "too many prepared statements on the server: raise max_prepared_stmt_count"
	case errBinlogFormat:
		return "the binary log does not take READ COMMITTED: set binlog_format to ROW or MIXED"
	case errInterrupted, errKilled, errIdle:
		return "the server ended the statement or the connection"
	}
	return "error of the server"
}

// reason is what an error of the driver or the network means: texts that are constant.
func reason(err error) string {
	var op *net.OpError
	var dns *net.DNSError
	var code syscall.Errno
	switch {
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was lost"
	case errors.As(err, &dns):
		return "the server's name could not be resolved"
	case errors.As(err, &op) && errors.As(err, &code):
		return op.Op + " " + op.Net + ": " + sqlstore.NetworkReason(code)
	case errors.As(err, &op):
		return op.Op + " " + op.Net + ": no answer"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "the server's certificate could not be verified"
	}
	for _, known := range []error{
		mysql.ErrNoTLS, mysql.ErrCleartextPassword, mysql.ErrNativePassword, mysql.ErrOldPassword,
		mysql.ErrUnknownPlugin, mysql.ErrMalformPkt, mysql.ErrPktTooLarge, mysql.ErrPktSync,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return sqlstore.UnknownReason(err)
}
