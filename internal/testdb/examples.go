package testdb

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// Examples is a testing.M that gives the examples of a package an empty database, whose data source name they find in an
// environment variable. They are left out where no server is named, which is said, and with -short; where CI is set, a
// missing server is a failure.
type Examples struct {
	*testing.M
	Server   string                  // PostgresVariable or MySQLVariable
	Database func(testing.TB) string // Postgres or MySQL
	Variable string                  // "DATABASE_URL"
}

// Run runs the tests and then the examples.
func (e Examples) Run() int {
	flag.Parse()
	if !examplesAreAsked() {
		return e.M.Run()
	}
	if testing.Short() || os.Getenv(e.Server) == "" {
		return e.withoutExamples()
	}
	t := &mainT{}
	defer t.end()
	if err := os.Setenv(e.Variable, e.Database(t)); err != nil {
		panic(err)
	}
	return e.M.Run()
}

func (e Examples) withoutExamples() int {
	if !testing.Short() && os.Getenv("CI") != "" {
		fmt.Fprintf(os.Stderr, "CI is set, so nothing may be left out, and the examples need %s\n", e.Server)
		return 1
	}
	skip := flag.Lookup("test.skip").Value
	if err := skip.Set(strings.TrimPrefix(skip.String()+"|^Example", "|")); err != nil {
		panic(err)
	}
	if testing.Verbose() {
		fmt.Printf("the examples are left out: they need a server (%s)\n", e.Server)
	}
	return e.M.Run()
}

// examplesAreAsked tells whether go test is about to run examples: neither single tests, nor a list, nor fuzzing.
func examplesAreAsked() bool {
	run := flag.Lookup("test.run").Value.String()
	return (run == "" || strings.Contains(run, "Example")) && flag.Lookup("test.list").Value.String() == "" &&
		flag.Lookup("test.fuzz").Value.String() == "" && flag.Lookup("test.fuzzworker").Value.String() == "false"
}

// mainT is a testing.TB around all tests of a package: what fails is a panic.
type mainT struct {
	testing.TB // for what the functions of this package do not call
	cleanups   []func()
}

func (t *mainT) Helper()                           {}
func (t *mainT) Context() context.Context          { return context.Background() }
func (t *mainT) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *mainT) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (t *mainT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (t *mainT) Errorf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (t *mainT) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}
