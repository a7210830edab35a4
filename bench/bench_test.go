package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Every section comes to its end and has something to say.
func TestSections(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: starts servers")
	}
	c := config{rounds: 1, each: 20 * time.Millisecond, seed: 1, keys: 100, scan: 1000, memory: 1000, table: &table{}}
	for _, s := range sections() {
		t.Run(s.name, func(t *testing.T) {
			c.table = &table{}
			if err := run(t.Context(), c, regexp.MustCompile("^"+regexp.QuoteMeta(s.name)+"$")); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := c.table.print(&out); err != nil {
				t.Fatal(err)
			}
			if len(c.table.rows) == 0 {
				t.Skip("no server")
			}
			for _, row := range c.table.rows {
				if row.measured == "" || !strings.Contains(out.String(), row.what) {
					t.Errorf("got row %+v", row)
				}
			}
		})
	}
}
