package main

import (
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// The exit statuses.
const (
	statusOK      = 0
	statusFailed  = 1 // it was tried and failed
	statusUsage   = 2 // the command line or the configuration is wrong: nothing was done
	statusRefused = 3 // verify: the key is not good for what was asked
)

// program is the command with everything that it takes from its surroundings.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	user           string           // who acts, if nothing else says so
	now            func() time.Time // nil: the machine's clock
}

// run does what the arguments say and returns the exit status.
func (p program) run(ctx context.Context, args []string) int {
	a := &app{program: p}
	root := newRoot(a)
	root.SetArgs(append([]string{}, args...)) // never nil: that would be os.Args
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := a.checkArguments(args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if err != nil && !a.started {
		err = &usageError{err} // cobra refused the command line
	}
	a.report(err)
	return statusOf(err)
}

// keyArgument is what a key looks like in an argument.
var keyArgument = regexp.MustCompile(`_[0-9A-Za-z]{49}\b`)

// checkArguments refuses a key as an argument, wherever it stands.
func (a *app) checkArguments(args []string) error {
	if !slices.ContainsFunc(args, keyArgument.MatchString) {
		return nil
	}
	a.flags.json = slices.Contains(args, "--json")
	return usagef("an argument is the text of a key: everybody on this machine can read arguments, and shells remember them. " +
		"Where a KEY is wanted give its id, or - and the text on standard input. This key should be rotated")
}

// app is one run of the program.
type app struct {
	program
	flags     globalFlags
	started   bool // a command began: errors are no longer about the command line
	stdinUsed bool // by a key: there is nobody left to ask
}

// do makes of f what cobra runs.
func (a *app) do(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		return f(cmd.Context(), args)
	}
}

// clock tells the time, in UTC.
func (a *app) clock() time.Time {
	if a.now != nil {
		return a.now().UTC()
	}
	return time.Now().UTC()
}

func statusOf(err error) int {
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, errRefused):
		return statusRefused
	case isUsage(err):
		return statusUsage
	}
	return statusFailed
}
