package apikeys

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// inert is an error as it is logged: on one line, and without what changes how a line
// looks (text directions, the escapes of terminals), whatever a database put into its
// message. Not every handler escapes all of that. It stays the error that it was for
// errors.Is and errors.As.
type inert struct{ error }

func (e inert) Unwrap() error { return e.error }

func (e inert) Error() string {
	text := e.error.Error()
	if utf8.ValidString(text) && !strings.ContainsFunc(text, isHidden) {
		return text
	}
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}
