package difftest_test

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys/internal/testdb"
)

func TestMain(m *testing.M) {
	fewerChecks()
	goleak.VerifyTestMain(m)
}

// fewerChecks is for tests that run together with all others: what is usual for rapid only
// in the full dose, unless asked for.
func fewerChecks() {
	if os.Getenv("RAPID_CHECKS") == "" {
		_ = flag.Set("rapid.checks", strconv.Itoa(testdb.Dose(30, 100))) // the command line comes after this
	}
}
