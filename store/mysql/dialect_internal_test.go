package mysql

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	number := func(n uint16) error {
		return fmt.Errorf("exec: %w", &mysql.MySQLError{Number: n, Message: "topsecret"})
	}
	for name, tc := range map[string]struct {
		err  error
		want sqlstore.Class
	}{
		"a deadlock":                      {number(1213), sqlstore.Retryable},
		"a lock wait that timed out":      {number(1205), sqlstore.Retryable},
		"a duplicate":                     {number(1062), sqlstore.Duplicate},
		"a missing parent":                {number(1452), sqlstore.ForeignKey},
		"a child":                         {number(1451), sqlstore.ForeignKey},
		"a missing table":                 {number(1146), sqlstore.NoTable},
		"too many connections":            {number(1040), sqlstore.Busy},
		"a value that is too long":        {number(1406), sqlstore.Refused},
		"a read-only server":              {number(1290), sqlstore.Refused},
		"a number that nobody knows":      {number(9999), sqlstore.Refused},
		"a shutdown, perhaps at a commit": {number(1053), sqlstore.Lost},
		"a connection that was killed":    {number(1927), sqlstore.Lost},
		"an error during the commit":      {number(1180), sqlstore.Lost},
		"a lost connection":               {mysql.ErrInvalidConn, sqlstore.Lost},
		"a bad connection":                {driver.ErrBadConn, sqlstore.Lost},
		"a context":                       {context.DeadlineExceeded, sqlstore.Lost},
	} {
		if got := (dialect{}).Classify(tc.err); got != tc.want {
			t.Errorf("%s: got class %d, want %d", name, got, tc.want)
		}
	}
}

func TestFaultTellsNoValue(t *testing.T) {
	t.Parallel()
	for says, err := range map[string]error{
		"1062":                   &mysql.MySQLError{Number: 1062, Message: "Duplicate entry 'topsecret' for key 'PRIMARY'"},
		"9999":                   &mysql.MySQLError{Number: 9999, Message: "topsecret"},
		"too many prepared":      &mysql.MySQLError{Number: 1461, Message: "topsecret"},
		"connection was lost":    fmt.Errorf("topsecret: %w", mysql.ErrInvalidConn),
		"lost":                   fmt.Errorf("topsecret: %w", io.ErrUnexpectedEOF),
		"refused":                &net.OpError{Op: "dial", Net: "tcp", Addr: &net.UnixAddr{Name: "topsecret"}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"no answer":              &net.OpError{Op: "read", Net: "tcp", Err: errors.New("topsecret")},
		"could not be resolved":  &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Name: "topsecret"}},
		"certificate":            &tls.CertificateVerificationError{Err: errors.New("topsecret")},
		"does not support TLS":   mysql.ErrNoTLS,
		"*errors.errorString":    errors.New("topsecret"),
		"a value does not fit":   &mysql.MySQLError{Number: 1406, Message: "topsecret"},
		"wrong user or password": &mysql.MySQLError{Number: 1045, Message: "topsecret"},
	} {
		got := (dialect{}).Fault(err).Error()
		if !strings.Contains(got, says) || strings.Contains(got, "topsecret") {
			t.Errorf("got %q, want it to say %q and no value", got, says)
		}
	}
}

// TestListsAreInOrder: rows are locked in the order of the list.
func TestListsAreInOrder(t *testing.T) {
	t.Parallel()
	ids := []uuid.UUID{{3}, {1}, {2}, {1}}
	got := dialect{}.IDs(ids)
	if want := `["01000000000000000000000000000000","02000000000000000000000000000000","03000000000000000000000000000000"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if ids[0] != (uuid.UUID{3}) {
		t.Error("the caller's list was changed")
	}
}
