package apikeystest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(tidy{m}) }

// tidy ends what the examples began.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	defer t.end()
	return m.M.Run()
}

// exampleT is a testing.TB for examples: it ends with the program, and fails by a panic.
type exampleT struct {
	testing.TB // for what examples do not need
	cleanups   []func()
}

func (t *exampleT) Helper()                  {}
func (t *exampleT) Context() context.Context { return context.Background() }
func (t *exampleT) Cleanup(f func())         { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }

func (t *exampleT) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}
