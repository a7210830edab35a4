package faulttest_test

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// A process is killed with -9 amid issuing, rotating and revoking, again and again: what
// it has acknowledged stands, what was revoked stays so, and no key is in the database
// that nobody was told of, beyond those whose issue was not answered.
func TestProcessIsKilled(t *testing.T) {
	t.Parallel()
	cycles := map[string]int{"sqlite": testdb.Dose(10, 10_000), "postgres": testdb.Dose(3, 500), "mysql": testdb.Dose(3, 500)}
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			d.Empty(t)       // which leaves the test out where there is no server
			const most = 100 // of one database, so that looking at all of it stays quick
			total, strangers := newLedger(), 0
			for left := cycles[d.Name]; left > 0; left -= most {
				t.Run("database", func(t *testing.T) { strangers += killProcesses(t, d, min(left, most), total) })
			}
			t.Logf("%d processes killed: %s; %d keys nobody was told of", cycles[d.Name], total, strangers)
			if !total.hasEach() {
				t.Error("too little was acknowledged for this to show anything")
			}
		})
	}
}

func killProcesses(t *testing.T, d stores.Database, cycles int, total *ledger) (strangers int) {
	t.Helper()
	dsn := d.Empty(t)
	organization := prepare(t, d, dsn)
	all := newLedger()
	for cycle := range cycles {
		one := newLedger()
		p := start(t, task{Database: d.Name, DSN: dsn, Organization: organization, Workers: 4})
		var killing *time.Timer
		p.notes(func(n note) {
			one.write(n)
			// However slow the machine is, a process does something first, and the first one something of each kind.
			if killing == nil && n.State == "done" && (cycle > 0 || one.hasEach()) {
				killing = time.AfterFunc(pause(rand.Uint64()), func() { _ = p.kill() })
			}
		})
		one.killed()
		look(t, d, dsn, func(c *apikeys.Client) { one.check(t, c) })
		all.add(one)
	}
	look(t, d, dsn, func(c *apikeys.Client) {
		all.check(t, c)
		strangers = all.checkStrangers(t, c, organization)
	})
	if d.Name == "sqlite" {
		checkIntegrity(t, dsn)
	}
	total.add(all)
	return strangers
}

// hasEach tells whether something of each kind was acknowledged.
func (l *ledger) hasEach() bool { return l.issued > 0 && l.rotated > 0 && l.revoked > 0 }

// add takes over what another ledger has.
func (l *ledger) add(o *ledger) {
	for id, e := range o.keys {
		l.keys[id] = e
	}
	for id := range o.unknown {
		l.unknown[id] = true
	}
	l.loose += o.loose
	l.issued, l.rotated, l.revoked = l.issued+o.issued, l.rotated+o.rotated, l.revoked+o.revoked
	l.unknowns, l.failed = l.unknowns+o.unknowns, l.failed+o.failed
}

// prepare makes the tables and an organization, and leaves nothing open.
func prepare(t *testing.T, d stores.Database, dsn string) uuid.UUID {
	t.Helper()
	s := must(d.Open(t.Context(), dsn))(t)
	defer s.Close()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := must(apikeys.New(t.Context(), s, strict()))(t)
	organization := must(c.CreateOrganization(t.Context(), "organization"))(t)
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return organization.ID
}

// look opens the database anew, as a program does that is started again.
func look(t *testing.T, d stores.Database, dsn string, see func(*apikeys.Client)) {
	t.Helper()
	s := must(d.Open(t.Context(), dsn))(t)
	defer s.Close()
	c := must(apikeys.New(t.Context(), s, strict()))(t)
	see(c)
	if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// checkIntegrity asks SQLite whether the file is whole.
func checkIntegrity(t *testing.T, path string) {
	t.Helper()
	db := must(sql.Open("sqlite", path))(t)
	defer db.Close()
	for _, check := range []string{"PRAGMA integrity_check", "SELECT count(*) FROM pragma_foreign_key_check"} {
		var got string
		if err := db.QueryRowContext(t.Context(), check).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != "ok" && got != "0" {
			t.Errorf("%s: got %s", check, got)
		}
	}
}
