package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// bulk is a statement for many rows at once. Its arguments are arrays, one for each
// column, and it returns the number of each row that it inserted or changed. A statement for each row costs several times as much, even when all of them are sent
// in one round trip.
type bulk struct {
	query string
	kinds string // of the columns, see column
}

// bulkRows is how many rows one statement has at most.
const bulkRows = 1000

// inBulk returns the statement that does for many rows what another does for one.
func inBulk(query string) (bulk, bool) {
	switch query {
	case insertKey:
		return bulk{insertKeys, "uuuussssssssststtttsi"}, true
	case insertSecret:
		return bulk{insertSecrets, "buisstt"}, true
	case insertUsage:
		return bulk{insertUsages, "uit"}, true
	case addUsage:
		return bulk{addUsages, "ittu"}, true
	case addHour:
		return bulk{addHours, "utisit"}, true
	}
	return bulk{}, false
}

// RETURNING cannot tell the number of a row, so what the statements return is joined
// with what they were given. A row that is given twice is inserted the first time.
const (
	insertKeys = `
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
           $10::text[], $11::text[], $12::text[],
           $13::text[], $14::timestamptz[], $15::text[], $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[],
           $20::text[], $21::bigint[]) WITH ORDINALITY
        AS given (id, organization_id, project_id, product_id, owner_id, environment, head, hint, name, lower_name, lower_hint, scopes,
           rate_limits, expires_at, custom, created_at, updated_at, disabled_at, revoked_at, revoked_reason, version, n)
), inserted AS (
    INSERT INTO apikeys_keys (id, organization_id, project_id, product_id, owner_id, environment, head, hint, name,
           lower_name, lower_hint, scopes,
           rate_limits, expires_at, custom, created_at, updated_at, disabled_at, revoked_at, revoked_reason, version)
    SELECT id, organization_id, project_id, product_id, owner_id, environment, head, hint, name,
           lower_name, lower_hint, scopes::json,
           rate_limits::json, expires_at, custom::json, created_at, updated_at, disabled_at, revoked_at, revoked_reason, version
      FROM given ORDER BY n
        ON CONFLICT DO NOTHING RETURNING id
)
SELECT min(given.n) FROM given JOIN inserted USING (id) GROUP BY given.id`

	insertSecrets = `
WITH given AS (
    SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[]) WITH ORDINALITY
        AS given (hash, key_id, number, signing_id, hint, created_at, ends_at, n)
), inserted AS (
    INSERT INTO apikeys_secrets (hash, key_id, number, signing_id, hint, created_at, ends_at)
    SELECT hash, key_id, number, signing_id, hint, created_at, ends_at FROM given ORDER BY n
        ON CONFLICT DO NOTHING RETURNING hash, key_id
)
SELECT min(given.n) FROM given JOIN inserted USING (hash, key_id) GROUP BY given.hash, given.key_id`

	insertUsages = `
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) WITH ORDINALITY AS given (key_id, use_count, last_used_at, n)
), inserted AS (
    INSERT INTO apikeys_usage (key_id, use_count, last_used_at)
    SELECT key_id, use_count, last_used_at FROM given ORDER BY n
        ON CONFLICT DO NOTHING RETURNING key_id
)
SELECT min(given.n) FROM given JOIN inserted USING (key_id) GROUP BY given.key_id`

	// Each row is of another key, and they are locked in the order in which they are given
	// (see applyUsage).
	addUsages = `
WITH given AS (
    SELECT key_id, count, greatest(last_at, last_at_again) AS last_at, n
      FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::uuid[]) WITH ORDINALITY
        AS given (count, last_at, last_at_again, key_id, n)
), locked AS MATERIALIZED (
    SELECT g.n, u.key_id FROM (SELECT key_id, n FROM given ORDER BY n) g, LATERAL
           (SELECT key_id FROM apikeys_usage WHERE key_id = g.key_id FOR UPDATE) u
), used AS (
    INSERT INTO apikeys_usage AS u (key_id, use_count, last_used_at)
    SELECT key_id, count, last_at FROM given JOIN locked USING (key_id, n) ORDER BY n
        ON CONFLICT (key_id) DO UPDATE
       SET use_count = u.use_count + excluded.use_count, last_used_at = greatest(u.last_used_at, excluded.last_used_at)
)
SELECT n FROM locked`

	// Rows of one key, hour, secret and outcome are one.
	addHours = `
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::text[], $5::bigint[], $6::timestamptz[]) WITH ORDINALITY
        AS given (key_id, hour, secret, outcome, count, last_at, n)
), added AS (
    INSERT INTO apikeys_usage_hours AS h (key_id, hour, secret, outcome, count, last_at)
    SELECT key_id, hour, secret, outcome, sum(count), max(last_at) FROM given GROUP BY key_id, hour, secret, outcome ORDER BY min(n)
        ON CONFLICT (key_id, hour, secret, outcome) DO UPDATE
       SET count = h.count + excluded.count, last_at = greatest(h.last_at, excluded.last_at)
)
SELECT n FROM given`
)

// exec runs the statement and sets affected to 1 for the rows that it returned.
func (b bulk) exec(ctx context.Context, e executor, rows [][]any, affected []int64) error {
	args := make([]any, len(b.kinds))
	for i, kind := range []byte(b.kinds) {
		args[i] = column(kind, rows, i)
	}
	done, err := e.Query(ctx, b.query, args...)
	if err != nil {
		return err
	}
	var n int64
	_, err = pgx.ForEachRow(done, []any{&n}, func() error {
		affected[n-1] = 1
		return nil
	})
	return err
}

// column makes an array of one column of rows, of a type that says all by itself
// which array of Postgres it is.
func column(kind byte, rows [][]any, i int) any {
	switch kind {
	case 'u':
		return transpose(rows, i, func(v any) pgtype.UUID { id, _ := v.(pgtype.UUID); return id })
	case 't':
		return transpose(rows, i, func(v any) pgtype.Timestamptz {
			t, valid := v.(time.Time)
			return pgtype.Timestamptz{Time: t, Valid: valid}
		})
	case 'b':
		return transpose(rows, i, func(v any) []byte { return v.([]byte) })
	case 'i':
		return transpose(rows, i, func(v any) int64 {
			if n, ok := v.(int); ok {
				return int64(n)
			}
			return v.(int64)
		})
	default:
		return transpose(rows, i, func(v any) string { return v.(string) })
	}
}

func transpose[T any](rows [][]any, i int, value func(any) T) []T {
	list := make([]T, len(rows))
	for n, row := range rows {
		list[n] = value(row[i])
	}
	return list
}
