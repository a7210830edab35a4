package difftest_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	fewerChecks()
	goleak.VerifyTestMain(m)
}

// fewerChecks is for tests that run together with all others: half of what is usual
// for rapid, unless asked for.
func fewerChecks() {
	if os.Getenv("RAPID_CHECKS") == "" {
		_ = flag.Set("rapid.checks", "50") // the command line comes after this
	}
}
