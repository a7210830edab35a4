package mysql

import (
	"errors"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys"
)

// A data source name is read, or refused as an argument, and its password is not shown.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"",
		"user:topsecret@tcp(localhost:3306)/db?parseTime=true",
		"mysql://user:topsecret@host/db",
		"mariadb://u:topsecret@[::1]:3306/db?tls=true",
		"u:topsecret@unix(/tmp/s)/db",
		"mysql://u:topsecret@host:port/db",
		"u:topsecret@tcp(h)/d?collation=%zz&topsecret",
		"/",
		"mysql://%zz:topsecret@h",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, dsn string) {
		_, err := parse(dsn)
		if err != nil && !errors.Is(err, apikeys.ErrInvalidArgument) {
			t.Fatalf("%q: got error %v, want an invalid argument", dsn, err)
		}
		if err != nil && strings.Contains(err.Error(), "topsecret") {
			t.Fatalf("%q: the error shows the password: %v", dsn, err)
		}
	})
}
