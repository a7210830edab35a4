package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

func TestErrorsMeanWhatTheirCodesSay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		severity, code string
		want           sqlstore.Class
	}{
		{"ERROR", "40001", sqlstore.Retryable},
		{"ERROR", "40P01", sqlstore.Retryable},
		{"FATAL", "25P03", sqlstore.Retryable}, // before the commit was read
		{"ERROR", "55P03", sqlstore.Busy},
		{"ERROR", "23505", sqlstore.Duplicate},
		{"ERROR", "23503", sqlstore.ForeignKey},
		{"ERROR", "42P01", sqlstore.NoTable},
		{"ERROR", "57014", sqlstore.Refused}, // statement_timeout
		{"ERROR", "23514", sqlstore.Refused},
		{"ERROR", "25006", sqlstore.Refused}, // a replica
		{"ERROR", "53100", sqlstore.Refused}, // the disk is full
		{"ERROR", "40003", sqlstore.Lost},
		{"ERROR", "08006", sqlstore.Lost},
		{"FATAL", "57P01", sqlstore.Lost}, // perhaps after the commit
		{"FATAL", "57P02", sqlstore.Lost},
		{"PANIC", "58030", sqlstore.Lost},
		{"FATAL", "08P01", sqlstore.Lost}, // PgBouncer lost the server
		{"", "XX000", sqlstore.Lost},
	} {
		err := fmt.Errorf("wrapped: %w", &pgconn.PgError{SeverityUnlocalized: tc.severity, Code: tc.code})
		if got := (dialect{}).Classify(err); got != tc.want {
			t.Errorf("%s %s: got class %d, want %d", tc.severity, tc.code, got, tc.want)
		}
	}
	for err, want := range map[error]sqlstore.Class{
		pgx.ErrTxCommitRollback: sqlstore.Refused, io.ErrUnexpectedEOF: sqlstore.Lost, context.Canceled: sqlstore.Lost,
	} {
		if got := (dialect{}).Classify(err); got != want {
			t.Errorf("%v: got class %d, want %d", err, got, want)
		}
	}
}

// What a server says about values, and all that a driver says, stays out of faults.
func TestFaultsDoNotShowArguments(t *testing.T) {
	t.Parallel()
	const value = "h0rse-b4ttery"
	for _, code := range []string{"22P02", "22021", "22007", "23505", "42601", "P0001", "XX000", "26000", "", "4"} {
		pg := &pgconn.PgError{
			Severity: "ERROR", Code: code, Detail: value, Hint: value, Where: value, InternalQuery: value, ColumnName: value,
		}
		if class(code) != "23" { // whose messages name constraints and columns
			pg.Message = "invalid input: " + value
		}
		if text := (dialect{}).Fault(pg).Error(); strings.Contains(text, value) || !strings.Contains(text, code) {
			t.Errorf("code %s: got %q, want it with the code and without the value", code, text)
		}
	}
	for _, err := range []error{
		errors.New("failed to encode args[0]: " + value),
		pgx.ScanArgError{FieldName: "hash", Err: errors.New(value)},
		fmt.Errorf("connect to %s: %w", value, io.EOF),
	} {
		if text := (dialect{}).Fault(err).Error(); strings.Contains(text, value) {
			t.Errorf("%T: got a value in the text of the fault", err)
		}
	}
}
