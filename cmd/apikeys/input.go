package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/term"

	"github.com/apikeys-platform/apikeys"
)

// maxKeyLine is more than any key is long.
const maxKeyLine = 4096

// readKey reads the text of a key from standard input: one line.
func (a *app) readKey() (string, error) {
	a.stdinUsed = true
	if file, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		_, _ = fmt.Fprint(a.stderr, "the text of the key (it is not shown): ")
		text, err := term.ReadPassword(int(file.Fd()))
		_, _ = fmt.Fprintln(a.stderr)
		return string(text), err
	}
	data, err := io.ReadAll(io.LimitReader(a.stdin, maxKeyLine+1))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case text == "":
		return "", usagef("standard input is empty: give it the text of the key")
	case len(text) > maxKeyLine, strings.Contains(text, "\n"):
		return "", usagef("standard input is more than one line: give it the text of one key")
	}
	return text, nil
}

// keyID returns the id of the key that an argument names: the id itself, or - for
// the key whose text is on standard input.
func (a *app) keyID(ctx context.Context, c *apikeys.Client, arg string) (uuid.UUID, error) {
	if arg != "-" {
		return readID("KEY", arg)
	}
	text, err := a.readKey()
	if err != nil {
		return uuid.Nil, err
	}
	e, err := c.Explain(ctx, text, apikeys.ValidateParams{SkipRateLimit: true})
	if err != nil {
		return uuid.Nil, err
	}
	if e.Key == nil {
		return uuid.Nil, errors.New("the key on standard input is not known here: apikeys verify says why")
	}
	return e.Key.ID, nil
}

// readID reads an id. What is wrong with another text is not said by repeating it:
// it may be a key.
func readID(what, s string) (uuid.UUID, error) {
	if id, ok := asID(s); ok {
		return id, nil
	}
	return uuid.Nil, usagef("%s: is not an id such as 0199d2c4-7b1e-7c3a-9f00-3b1f0e7d5c9a (apikeys list shows them); "+
		"the text of a key is never an argument: give - and the text on standard input", what)
}

func asID(s string) (uuid.UUID, bool) {
	id, err := uuid.Parse(s)
	return id, err == nil && len(s) == 36
}

// confirm asks before what cannot be undone. Without anybody to ask, --yes answers.
func (a *app) confirm(format string, args ...any) error {
	if a.flags.yes {
		return nil
	}
	if a.stdinUsed || a.flags.json {
		return usagef("this cannot be undone, and there is nobody to ask: add --yes")
	}
	_, _ = fmt.Fprintf(a.stderr, "%s [y/N] ", printable(fmt.Sprintf(format, args...)))
	answer, err := bufio.NewReader(io.LimitReader(a.stdin, maxKeyLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read standard input: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	_, _ = fmt.Fprintln(a.stderr)
	return errors.New("nothing was done: it was not confirmed (answer y, or add --yes)")
}
