package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

// problem is a constant text, safe to show.
type problem string

func (p problem) Error() string { return string(p) }

const (
	errHashLength problem = "a hash has another length than it was stored with"
	errInfinity   problem = "a time is infinite"
	errEncoding   problem = "client_encoding is not UTF8: leave it to the driver"
	errStrings    problem = "simple_protocol needs standard_conforming_strings=on: turn it on, or set default_query_exec_mode to exec"
	errDateStyle  problem = "exec and simple_protocol need a DateStyle of ISO: set it, or set default_query_exec_mode to cache_describe"
)

// SQLSTATEs that mean something to a store
// (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	codeForeignKey      = "23503"
	codeUnique          = "23505"
	codeIdleInTx        = "25P03" // we were frozen, and the server gave up the transaction
	codeStatementGone   = "26000"
	codeSerialization   = "40001"
	codeOutcomeUnknown  = "40003"
	codeDeadlock        = "40P01"
	codeStatementExists = "42P05"
	codeNoTable         = "42P01"
	codeLockNotFree     = "55P03" // lock_timeout
)

// Classify implements sqlstore.Dialect.
func (dialect) Classify(err error) sqlstore.Class {
	if errors.Is(err, pgx.ErrTxCommitRollback) {
		return sqlstore.Refused
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return sqlstore.Lost
	}
	switch pg.Code {
	case codeSerialization, codeDeadlock, codeIdleInTx:
		return sqlstore.Retryable
	case codeLockNotFree:
		return sqlstore.Busy
	case codeUnique:
		return sqlstore.Duplicate
	case codeForeignKey:
		return sqlstore.ForeignKey
	case codeNoTable:
		return sqlstore.NoTable
	case codeOutcomeUnknown:
		return sqlstore.Lost
	}
	// Whoever is told that the connection ends (57P01, a crash of the server, a pooler
	// that lost its own: 08…) may have been committed before: only an ERROR, after
	// which the session goes on, says that it was not.
	if severity(pg) != "ERROR" || strings.HasPrefix(pg.Code, "08") {
		return sqlstore.Lost
	}
	return sqlstore.Refused
}

// severity is not translated, as Severity is; poolers leave it out.
func severity(pg *pgconn.PgError) string {
	if pg.SeverityUnlocalized != "" {
		return pg.SeverityUnlocalized
	}
	return pg.Severity
}

// Fault implements sqlstore.Dialect. An error of the server has arguments in its
// details, and in the messages of some classes; one of the driver has them in its
// text, and the data source name too.
func (dialect) Fault(err error) error { return fault(err) }

func fault(err error) *sqlstore.Fault {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return &sqlstore.Fault{Database: "postgres", Code: pg.Code, Reason: meaning(pg)}
	}
	return &sqlstore.Fault{Database: "postgres", Reason: reason(err)}
}

// meaning is the message of an error whose class has messages that name tables,
// constraints, users and settings, but no values.
func meaning(pg *pgconn.PgError) string {
	switch pg.Code {
	case codeStatementGone, codeStatementExists:
		return "prepared statements do not live on behind this connection pooler: set default_query_exec_mode to cache_describe or exec"
	case codeNoTable, "42501", "42703": // privileges, columns
		return pg.Message
	}
	switch class(pg.Code) {
	case "08", "23", "25", "28", "3D", "3F", "40", "53", "55", "57", "58":
		return pg.Message
	}
	return "the server refused the statement"
}

func class(code string) string { return code[:min(2, len(code))] }

// reason is what is known of an error that is not the server's.
func reason(err error) string {
	var (
		errno   syscall.Errno
		dns     *net.DNSError
		scan    pgx.ScanArgError
		connect *pgconn.ConnectError
		ours    problem
	)
	switch {
	case errors.As(err, &ours):
		return string(ours)
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "the server's certificate is not trusted"
	case errors.As(err, &dns):
		return "the host is not known"
	case errors.As(err, &errno):
		return sqlstore.NetworkReason(errno)
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, pgconn.ErrConnClosed):
		return "the connection was closed"
	case errors.As(err, &scan):
		return "column " + scan.FieldName + " cannot be read"
	case errors.As(err, &connect) && connect.Config.TLSConfig != nil:
		return "the server does not speak TLS as sslmode asks for"
	}
	return sqlstore.UnknownReason(err)
}
