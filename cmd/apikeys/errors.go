package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store"
)

// usageError says that the command line or the configuration is wrong: nothing was
// done.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func isUsage(err error) bool {
	return errors.As(err, new(*usageError)) || errors.Is(err, apikeys.ErrInvalidArgument)
}

// errRefused ends verify when the key is not good. What there is to say was said.
var errRefused = errors.New("the key was refused")

// errUnhealthy ends doctor when something is wrong. What there is to say was said.
var errUnhealthy = errors.New("something is wrong")

// errIncomplete ends import when rows were refused. What there is to say was said.
var errIncomplete = errors.New("not everything was imported")

// report writes an error to standard error: a line, or with --json a document.
func (a *app) report(err error) {
	if err == nil || errors.Is(err, errRefused) || errors.Is(err, errUnhealthy) || errors.Is(err, errIncomplete) {
		return
	}
	text := withoutKeys(message(err))
	if !a.flags.json {
		_, _ = fmt.Fprintf(a.stderr, "apikeys: %s\n", printable(text))
		return
	}
	document, _ := json.Marshal(map[string]any{"error": map[string]string{"code": code(err), "message": text}})
	_, _ = fmt.Fprintf(a.stderr, "%s\n", visibleJSON(document))
}

// code is the stable name of an error, for programs.
func code(err error) string {
	var ours apikeys.Error
	switch {
	case errors.Is(err, store.ErrNotMigrated):
		return "not_migrated"
	case errors.As(err, &ours):
		return ours.Code()
	case isUsage(err):
		return "usage"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	return "failed"
}

// message says what is wrong, in the words of the command line, and what to do.
func message(err error) string {
	var invalid *apikeys.InvalidArgumentError
	var exists *apikeys.AlreadyExistsError
	switch {
	case errors.Is(err, store.ErrNotMigrated):
		return "the database has no apikeys tables: make them with: apikeys migrate up"
	case errors.As(err, &invalid):
		return argument(invalid.Field) + ": " + fieldNames.Replace(invalid.Reason)
	case errors.As(err, &exists):
		return fmt.Sprintf("there is already one %s of this name: %s", exists.Kind, exists.ExistingID)
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", "; "), "apikeys: ")
	if errors.Is(err, apikeys.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return text + "; is the database up, and " + envDatabase + " right?"
	}
	return text
}

// fieldNames are what reasons call other fields, and what the command line does.
var fieldNames = strings.NewReplacer("AcceptedSecrets", envAccepted, "OrganizationID", "--org", "Config.Imported", "--imported",
	"CountKeysBySecret lists", "apikeys secrets count lists", "LoseKeys", "--lose-keys")

// argument is what the command line calls a field of the library.
func argument(field string) string {
	name, _, _ := strings.Cut(field, "[")
	if flag, ok := called[name]; ok {
		return flag
	}
	return strings.ToLower(field)
}

var called = map[string]string{
	"url":                 envDatabase,
	"dsn":                 envDatabase,
	"SigningSecret":       envSecret,
	"AcceptedSecrets":     envAccepted,
	"KeyPrefix":           "--prefix",
	"Environment":         "--environment",
	"AcceptedHeads":       "--accepted-heads",
	"OrganizationID":      "--org",
	"within":              "--within",
	"ID":                  "SECRET-ID",
	"LoseKeys":            "--lose-keys",
	"Imported":            "--imported",
	"ProjectID":           "--project",
	"ProductID":           "--product",
	"OwnerID":             "--owner",
	"Status":              "--status",
	"Query":               "--search",
	"Limit":               "--limit",
	"Cursor":              "--cursor",
	"Reason":              "--reason",
	"Overlap":             "--overlap",
	"Scopes":              "--scope",
	"Cost":                "--cost",
	"IfVersion":           "--if-version",
	"Metadata.Name":       "--name",
	"Metadata.Scopes":     "--scope",
	"Metadata.RateLimits": "--rate",
	"Metadata.ExpiresAt":  "--expires",
	"Metadata.Custom":     "--custom",
}
