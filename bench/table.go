package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// table is what is printed: rows as they were measured.
type table struct{ rows []row }

// row is one figure beside its floor.
type row struct{ what, measured, floor, ratio, bound string }

// add adds a row that has no floor.
func (t *table) add(what, measured, bound string) {
	t.rows = append(t.rows, row{what: what, measured: measured, bound: bound})
}

// cost compares what something takes with what its floor takes: less is better.
func (t *table) cost(what, floor string, ours, floors rates, bound string) {
	t.rows = append(t.rows, row{
		what, perOperation(ours.median()), floor + " " + perOperation(floors.median()), ratio(floors, ours), bound,
	})
}

// speed compares how many operations there are in a second: more is better.
func (t *table) speed(what, floor string, ours, floors rates, bound string) {
	t.rows = append(t.rows, row{
		what, perSecond(ours.median()), floor + " " + perSecond(floors.median()), ratio(ours, floors), bound,
	})
}

// ratio is that of the medians, and the least and the most that it was in a round.
func ratio(a, b rates) string {
	each := make([]float64, len(a))
	for i := range a {
		each[i] = a[i] / b[i]
	}
	return fmt.Sprintf("%.2f× (%.2f to %.2f)", a.median()/b.median(), slices.Min(each), slices.Max(each))
}

// perOperation is the time of one operation, of so many in a second.
func perOperation(rate float64) string {
	d := time.Duration(float64(time.Second) / rate)
	switch {
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.0f µs", float64(d.Nanoseconds())/1e3)
	}
	return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1e3)
}

func perSecond(rate float64) string {
	switch {
	case rate >= 1e6:
		return fmt.Sprintf("%.2f M/s", rate/1e6)
	case rate >= 1e4:
		return fmt.Sprintf("%.0f k/s", rate/1e3)
	}
	return fmt.Sprintf("%.0f/s", rate)
}

// print writes the table as Markdown.
func (t *table) print(w io.Writer) error {
	if _, err := fmt.Fprint(w, "| what | measured | floor | ratio | bound |\n|---|---|---|---|---|\n"); err != nil {
		return err
	}
	for _, r := range t.rows {
		if _, err := fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", r.what, r.measured, r.floor, r.ratio, r.bound); err != nil {
			return err
		}
	}
	return nil
}
