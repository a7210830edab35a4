package faulttest_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also what the processes run that tests start.
func TestMain(m *testing.M) {
	if os.Getenv(taskVariable) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := runTask(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
