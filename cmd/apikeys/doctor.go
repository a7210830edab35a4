package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/migrations"
	"github.com/apikeys-platform/apikeys/store"
)

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with the installation",
		Long: `Look for what is wrong: is the database there and can it be written, are its tables,
indexes and collations what they should be, does its clock agree with this machine's,
does the signing secret belong to it, how much is in its tables? Nothing changes. It counts up
to a million rows of each table. The exit status is 1 if something is wrong.`,
		Args: arguments(),
		RunE: a.do(func(ctx context.Context, _ []string) error {
			d := &diagnosis{Healthy: true, Findings: []finding{}, Tables: []tableDocument{}}
			err := a.withStore(ctx, false, func(db store.DB) error { return a.examine(ctx, d, db) })
			if isUsage(err) {
				return err
			}
			if err != nil {
				d.add("database", failed, "%s", withoutKeys(message(err)))
			}
			if err := a.show(d, d.rows); err != nil || d.Healthy {
				return err
			}
			return errUnhealthy
		}),
	}
}

// diagnosis is what doctor found, as programs read it.
type diagnosis struct {
	Healthy  bool            `json:"healthy"` // nothing has failed; there may be warnings
	Findings []finding       `json:"findings"`
	Tables   []tableDocument `json:"tables"`
}

type finding struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Detail string `json:"detail"`
}

// What a finding may be.
const (
	fine    = "ok"
	warning = "warning"
	failed  = "failed"
)

type tableDocument struct {
	Name   string     `json:"name"`
	Rows   int64      `json:"rows"`
	More   bool       `json:"more"`   // than the rows, which are all that were counted
	Oldest *time.Time `json:"oldest"` // row of a table that is swept
}

func (d *diagnosis) add(name, status, format string, args ...any) {
	d.Healthy = d.Healthy && status != failed
	d.Findings = append(d.Findings, finding{name, status, fmt.Sprintf(format, args...)})
}

func (d *diagnosis) rows(t *table) {
	t.row("CHECK", "STATUS", "DETAIL")
	for _, f := range d.Findings {
		t.row(f.Name, f.Status, f.Detail)
	}
	if len(d.Tables) == 0 {
		return
	}
	t.gap()
	t.row("TABLE", "ROWS", "OLDEST")
	for _, table := range d.Tables {
		rows := fmt.Sprint(table.Rows)
		if table.More {
			rows = "> " + rows
		}
		oldest := ""
		if table.Oldest != nil {
			oldest = timeText(*table.Oldest)
		}
		t.row(table.Name, rows, oldest)
	}
}

// examine asks everything that can be asked once the database is open.
func (a *app) examine(ctx context.Context, d *diagnosis, db store.DB) error {
	asked := a.clock()
	report, err := db.Inspect(ctx)
	if err != nil {
		return err
	}
	answered := a.clock()
	if report.ReadOnly {
		d.add("database", failed, "%s; it cannot be written: is it a replica?", report.Server)
	} else {
		d.add("database", fine, "%s", report.Server)
	}
	d.schema(report.Migrations)
	d.clocks(report.Now, asked, answered)
	a.secret(ctx, d, db)
	if schemaOf(report.Migrations).Version == 0 {
		return nil
	}
	d.all("indexes", report.Missing, "all tables and indexes are there",
		"missing, or not usable: %s; look at the migrations for how they are made")
	d.all("collation", report.Inexact, "text is compared byte by byte",
		"not compared byte by byte: %s; names and ids that differ may be taken for one another")
	if err := a.lostKeys(ctx, d, db); err != nil {
		return err
	}
	d.Tables = mapped(report.Tables, func(t *migrations.TableSize) tableDocument {
		return tableDocument{t.Name, t.Rows, t.More, timeOrNull(t.Oldest)}
	})
	return nil
}

func (d *diagnosis) schema(list []migrations.Migration) {
	s := schemaOf(list)
	switch {
	case s.Version == 0:
		d.add("schema", failed, "the database has no apikeys tables: make them with: apikeys migrate up")
	case pending(list):
		d.add("schema", failed, "version %d, this program needs %d: run apikeys migrate up", s.Version, s.Latest)
	case s.Version > s.Latest:
		d.add("schema", warning, "version %d, newer than this program (%d): update it when you can", s.Version, s.Latest)
	default:
		d.add("schema", fine, "version %d", s.Version)
	}
}

// all is a check that finds a list of faults, or none.
func (d *diagnosis) all(name string, faults []string, good, bad string) {
	if len(faults) == 0 {
		d.add(name, fine, "%s", good)
		return
	}
	d.add(name, failed, bad, strings.Join(faults, ", "))
}

// How far the clocks may be apart. Expiry is judged by the machines' clocks, rate
// limit windows by the database's.
const (
	skewWarning = 2 * time.Second
	skewFailed  = time.Minute
)

// clocks compares the database's clock with this machine's, which was read before and
// after. Only what the time in between does not explain is a difference.
func (d *diagnosis) clocks(database, before, after time.Time) {
	skew := time.Duration(0)
	switch {
	case database.Before(before):
		skew = database.Sub(before)
	case database.After(after):
		skew = database.Sub(after)
	}
	status := fine
	switch {
	case skew.Abs() >= skewFailed:
		status = failed
	case skew.Abs() >= skewWarning:
		status = warning
	}
	if status == fine {
		d.add("clock", fine, "the database's agrees with this machine's")
		return
	}
	d.add("clock", status, "the database's is %s %s this machine's: keys expire by the one, rate limit windows end by the other; synchronise them",
		skew.Abs().Round(time.Second), map[bool]string{true: "behind", false: "ahead of"}[skew < 0])
}

// lostKeys asks whether there are keys that no configured secret verifies.
func (a *app) lostKeys(ctx context.Context, d *diagnosis, db store.DB) error {
	config, err := a.config()
	if err != nil {
		return nil //nolint:nilerr // secret has said so
	}
	counts, err := db.CountHashes(ctx, a.clock())
	if err != nil {
		return err
	}
	for _, secret := range append(config.AcceptedSecrets, config.SigningSecret) {
		delete(counts, secret.ID())
	}
	lost := int64(0)
	for _, n := range counts {
		lost += n.Only
	}
	if lost > 0 {
		d.add("keys", failed, "%s in use under signing secrets that are not configured here: add them to %s; apikeys secrets count tells which",
			plural(lost, "key is", "keys are"), envAccepted)
		return nil
	}
	d.add("keys", fine, "every key in use can be verified with the configured secrets")
	return nil
}

// secret asks whether the configured secret belongs to the database.
func (a *app) secret(ctx context.Context, d *diagnosis, db store.DB) {
	config, err := a.config()
	if err == nil {
		err = apikeys.CheckConfig(ctx, db, config)
	}
	switch {
	case errors.Is(err, store.ErrNotMigrated):
		d.add("secret", warning, "cannot be told: there are no tables")
	case err != nil:
		d.add("secret", failed, "%s", withoutKeys(message(err)))
	default:
		d.add("secret", fine, "it belongs to this database")
	}
}
