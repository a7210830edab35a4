package postgres

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
		"postgres://user:topsecret@localhost:5432/db?sslmode=disable",
		"postgresql://u:topsecret@h1,h2:99999/db",
		"host=h password=topsecret sslmode=maybe",
		"postgres://u:top%zzsecret@h/d",
		"postgres://u:topsecret@h/d?sslmode=topsecret",
		"password=topsecret port=topsecret",
		"postgres://u:topsecret@h/d?pool_max_conns=-1",
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
