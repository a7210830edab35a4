package sqlite

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
		"app.db",
		"file:app.db?mode=ro",
		"sqlite:///app.db",
		"sqlite:////var/lib/app.db",
		":memory:",
		"sqlite://",
		"file:a?_pragma=topsecret&vfs=%zz",
		"file://host/a",
		"sqlite://:memory:?cache=shared",
		"a\x00b",
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
