package difftest_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also what the processes run that tests start.
func TestMain(m *testing.M) {
	if os.Getenv(taskVariable) == "" {
		fewerChecks()
		goleak.VerifyTestMain(m)
		return
	}
	if err := runTask(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// fewerChecks is for tests that run together with all others: half of what is usual
// for rapid, unless asked for.
func fewerChecks() {
	if os.Getenv("RAPID_CHECKS") == "" {
		_ = flag.Set("rapid.checks", "50") // the command line comes after this
	}
}
