package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// bulk is an "if absent" statement for many rows at once. Its arguments are arrays,
// one for each column, and it returns the number of each row that it inserted. A
// statement for each row costs several times as much, even when all of them are sent
// in one round trip.
type bulk struct {
	query string
	kinds string // of the columns, see column
}

// bulkRows is how many rows one statement inserts at most.
const bulkRows = 1000

// inBulk returns the statement that does for many rows what the statement of an
// import does for one.
func inBulk(query string) (bulk, bool) {
	switch query {
	case insertKey:
		return bulk{insertKeys, "uuuussssssssststtttsi"}, true
	case insertSecret:
		return bulk{insertSecrets, "buisstt"}, true
	case insertUsage:
		return bulk{insertUsages, "uit"}, true
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
)

// exec inserts rows and sets affected to 1 for those that went in.
func (b bulk) exec(ctx context.Context, e executor, rows [][]any, affected []int64) error {
	args := make([]any, len(b.kinds))
	for i, kind := range []byte(b.kinds) {
		args[i] = column(kind, rows, i)
	}
	inserted, err := e.Query(ctx, b.query, args...)
	if err != nil {
		return err
	}
	var n int64
	_, err = pgx.ForEachRow(inserted, []any{&n}, func() error {
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
