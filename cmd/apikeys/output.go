package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
)

// show writes to standard output: the document for programs, or else what people
// makes for people.
func (a *app) show(document any, people func(*table)) error {
	if a.flags.json {
		return a.writeJSON(document)
	}
	t := &table{}
	people(t)
	_, err := a.stdout.Write(t.bytes())
	return err
}

func (a *app) writeJSON(document any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(document); err != nil {
		return err
	}
	_, err := a.stdout.Write(visibleJSON(b.Bytes()))
	return err
}

// note tells people what was done. It goes to standard error; programs read the
// document.
func (a *app) note(format string, args ...any) {
	if !a.flags.json {
		_, _ = fmt.Fprintln(a.stderr, printable(fmt.Sprintf(format, args...)))
	}
}

// table is text in columns.
type table struct{ rows [][]string }

// row adds a row. Cells are made safe for terminals; an empty one is a dash.
func (t *table) row(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		if row[i] = printable(cell); cell == "" {
			row[i] = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// fact adds a name and its value.
func (t *table) fact(name, value string) { t.row(name+":", value) }

// gap ends a block: what follows has columns of its own.
func (t *table) gap() { t.rows = append(t.rows, nil) }

func (t *table) bytes() []byte {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		if row == nil {
			_ = w.Flush() // to memory: cannot fail
		}
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush()
	return b.Bytes()
}

// What cells show.

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// orText is s, or what stands for nothing.
func orText(s, nothing string) string {
	if s == "" {
		return nothing
	}
	return s
}

func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// What documents show.

// timeOrNull is a time, or null for never.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// idOrNull is an id, or null for none.
func idOrNull(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	s := id.String()
	return &s
}

// orEmpty is a list that is [] in JSON where it would be null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// mapped applies f to a list.
func mapped[T, D any](list []T, f func(*T) D) []D {
	out := make([]D, len(list))
	for i := range list {
		out[i] = f(&list[i])
	}
	return out
}
