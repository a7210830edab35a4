package mysql

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

// Statements that insert, in two parts, so that one statement can insert many rows:
// a round trip for each would make an import of thousands of keys slow.
const (
	insertKeyInto = `
INSERT INTO apikeys_keys (id, organization_id, project_id, product_id, owner_id, environment, head, hint, name,
       lower_name, lower_hint, scopes,
       rate_limits, expires_at, custom, created_at, updated_at, disabled_at, revoked_at, revoked_reason, version)
VALUES `
	insertKeyRow = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertKey    = insertKeyInto + insertKeyRow

	insertSecretInto = `
INSERT INTO apikeys_secrets (hash, key_id, number, signing_id, hint, created_at, ends_at)
VALUES `
	insertSecretRow = `(?, ?, ?, ?, ?, ?, ?)`
	insertSecret    = insertSecretInto + insertSecretRow

	insertUsageInto = `
INSERT INTO apikeys_usage (key_id, use_count, last_used_at) VALUES `
	insertUsageRow = `(?, ?, ?)`
	insertUsage    = insertUsageInto + insertUsageRow

	// Nobody asks whether this one inserted, and it must not leave a shared lock: see
	// insertWriter.
	insertWindowInto = `
INSERT INTO apikeys_windows (subject, span, starts, used) VALUES `
	insertWindowRow = `(?, ?, 0, 0)`
	orWindow        = ` ON DUPLICATE KEY UPDATE starts = starts`
	insertWindow    = insertWindowInto + insertWindowRow + orWindow

	addHourInto = `
INSERT INTO apikeys_usage_hours (key_id, hour, secret, outcome, count, last_at)
VALUES `
	addHourRow = `(?, ?, ?, ?, ?, ?)`
	orAddHour  = `
ON DUPLICATE KEY UPDATE count = count + VALUES(count), last_at = GREATEST(last_at, VALUES(last_at))`
	addHour = addHourInto + addHourRow + orAddHour

	// Updates of rows that are there and locked, so that none is inserted.
	updateWindowsInto = `
INSERT INTO apikeys_windows (starts, used, subject, span) VALUES `
	updateWindowsRow = `(?, ?, ?, ?)`
	orUpdateWindows  = ` ON DUPLICATE KEY UPDATE starts = VALUES(starts), used = VALUES(used)`

	addUsesInto = `
INSERT INTO apikeys_usage (use_count, last_used_at, key_id) VALUES `
	addUsesRow = `(?, ?, ?)`
	orAddUses  = `
ON DUPLICATE KEY UPDATE use_count = use_count + VALUES(use_count),
       last_used_at = GREATEST(COALESCE(last_used_at, VALUES(last_used_at)), COALESCE(VALUES(last_used_at), last_used_at))`
)

// form is a statement for any number of rows.
type form struct {
	into, row, or string
	again         bool // a row may come twice: the second time changes nothing
}

// forms are those of the statements that run once for each of many rows.
func formOf(query string) (form, bool) {
	switch query {
	case insertKey:
		return form{insertKeyInto, insertKeyRow, "", false}, true
	case insertSecret:
		return form{insertSecretInto, insertSecretRow, "", false}, true
	case insertUsage:
		return form{insertUsageInto, insertUsageRow, "", false}, true
	case insertWindow:
		return form{insertWindowInto, insertWindowRow, orWindow, true}, true
	case addHour:
		return form{addHourInto, addHourRow, orAddHour, false}, true
	case updateWindow:
		return form{updateWindowsInto, updateWindowsRow, orUpdateWindows, true}, true
	}
	return form{}, false
}

// text returns the statement for n rows.
func (f form) text(n int) string {
	return f.into + strings.Repeat(f.row+", ", n-1) + f.row + f.or
}

// maxArgs bounds the arguments of one statement. A prepared statement costs the
// server memory for each, on each connection.
const maxArgs = 2048

// next returns how many of the rows the next statement takes, and for how many it is
// made: a power of four, so that few different statements are prepared, and few are needed
// for what is left. Where a row may come twice, the last one does until there are a power
// of two, and one statement is enough.
func (f form) next(rows, args int) (some, size int) {
	size = 1
	if f.again {
		for size < rows && size*2*args <= maxArgs {
			size *= 2
		}
		return min(rows, size), size
	}
	for size*4 <= rows && size*4*args <= maxArgs {
		size *= 4
	}
	return size, size
}

// execMany runs a form on all rows. None counts as refused: either the form says
// what to do about a duplicate, or a statement that met one did nothing, and is
// run row by row.
func execMany(ctx context.Context, tx sqlstore.Tx, query string, f form, rows [][]any) ([]int64, error) {
	affected := make([]int64, 0, len(rows))
	for len(affected) < len(rows) {
		left := rows[len(affected):]
		some, size := f.next(len(left), len(left[0]))
		n, err := execChunk(ctx, tx, query, f, left[:some], size)
		if err != nil {
			return nil, err
		}
		affected = append(affected, n...)
	}
	return affected, nil
}

func execChunk(ctx context.Context, tx sqlstore.Tx, query string, f form, rows [][]any, size int) ([]int64, error) {
	if len(rows) == 1 {
		return tx.ExecEach(ctx, query, rows)
	}
	args := make([]any, 0, size*len(rows[0]))
	for i := range size {
		args = append(args, rows[min(i, len(rows)-1)]...)
	}
	_, err := tx.Exec(ctx, f.text(size), args...)
	if err != nil && (dialect{}).Classify(err) == sqlstore.Duplicate {
		return tx.ExecEach(ctx, query, rows)
	}
	if err != nil {
		return nil, err
	}
	affected := make([]int64, len(rows))
	for i := range affected {
		affected[i] = 1
	}
	return affected, nil
}

// addUses runs addUsage for each of many rows. How many rows an UPDATE affects does
// not tell whether a row is there: one that changes nothing, because all uses of
// the key were refused, counts or not by the option clientFoundRows. So the rows
// are locked first, in the order of ids.
func addUses(ctx context.Context, tx sqlstore.Tx, rows [][]any) ([]int64, error) {
	there, err := lockUses(ctx, tx, rows)
	if err != nil {
		return nil, err
	}
	affected := make([]int64, len(rows))
	var adding [][]any
	for i, row := range rows {
		count, last, id := row[0], row[1], row[3].([]byte)
		if !there[uuid.UUID(id)] {
			continue
		}
		affected[i] = 1
		adding = append(adding, []any{count, last, id})
	}
	_, err = execMany(ctx, tx, addUsesInto+addUsesRow+orAddUses, form{addUsesInto, addUsesRow, orAddUses, false}, adding)
	return affected, err
}

func lockUses(ctx context.Context, tx sqlstore.Tx, rows [][]any) (map[uuid.UUID]bool, error) {
	ids := make([]uuid.UUID, len(rows))
	for i, row := range rows {
		ids[i] = uuid.UUID(row[3].([]byte))
	}
	found, err := tx.Query(ctx, lockUsage, dialect{}.IDs(ids))
	if err != nil {
		return nil, err
	}
	defer found.Close()
	there := make(map[uuid.UUID]bool, len(rows))
	for found.Next() {
		var id uuid.UUID
		if err := found.Scan(dialect{}.ScanID(&id)); err != nil {
			return nil, err
		}
		there[id] = true
	}
	return there, found.Err()
}
