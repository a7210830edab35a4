package testdb_test

import (
	"testing"

	"github.com/apikeys-platform/apikeys/internal/testdb"
)

func TestDose(t *testing.T) {
	for value, want := range map[string]int{"": 2, "0": 2, "1": 20} {
		t.Setenv(testdb.FullVariable, value)
		if got := testdb.Dose(2, 20); got != want {
			t.Errorf("%s=%s: got %d, want %d", testdb.FullVariable, value, got, want)
		}
	}
}
