package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/apikeys-platform/apikeys"
)

// applyUsage applies a batch as the shared flow does, in one statement. The writer's
// row is the gate: a batch that is not later than the last one passes nothing on, and
// the same batch, sent twice at once, waits there. The rows of usage are locked in
// the order of ids before they are updated, each looked up by its key (see takeLeases); an
// UPDATE alone would lock them in any order, and two batches would deadlock. It returns no row, having done nothing, when
// default_transaction_isolation would not let a statement that waited see what it
// waited for. A relaxed batch gives up the wait for the disk, for itself only.
const applyUsage = `
WITH mode AS MATERIALIZED (
    SELECT true AS ok WHERE current_setting('transaction_isolation') = 'read committed'
       AND (NOT $4::boolean OR set_config('synchronous_commit', 'off', true) = 'off')
), gate AS (
    INSERT INTO apikeys_writers AS w (id, seq, seen_at) SELECT $1::uuid, $2::bigint, $3::timestamptz FROM mode
    ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, seen_at = excluded.seen_at WHERE w.seq < excluded.seq
    RETURNING 1
), delta AS (
    SELECT * FROM unnest($5::uuid[], $6::timestamptz[], $7::bigint[], $8::text[], $9::bigint[], $10::timestamptz[])
        AS delta (key_id, hour, secret, outcome, count, last_at)
     WHERE EXISTS (SELECT 1 FROM gate)
)` + addDeltas + `
SELECT ok FROM mode`

// addDeltas adds what is in delta, for the keys that there are.
const addDeltas = `, sums AS MATERIALIZED (
    SELECT key_id, COALESCE(sum(count) FILTER (WHERE outcome = '` + apikeys.OutcomeAccepted + `'), 0)::bigint AS count,
           max(last_at) FILTER (WHERE outcome = '` + apikeys.OutcomeAccepted + `') AS last_at
      FROM delta GROUP BY key_id
), locked AS MATERIALIZED (
    SELECT u.key_id FROM (SELECT key_id FROM sums ORDER BY key_id) s, LATERAL
           (SELECT key_id FROM apikeys_usage WHERE key_id = s.key_id FOR UPDATE) u
), used AS (
    INSERT INTO apikeys_usage AS u (key_id, use_count, last_used_at)
    SELECT key_id, count, last_at FROM sums JOIN locked USING (key_id) ORDER BY key_id
    ON CONFLICT (key_id) DO UPDATE
       SET use_count = u.use_count + excluded.use_count, last_used_at = greatest(u.last_used_at, excluded.last_used_at)
    RETURNING u.key_id
), hours AS (
    INSERT INTO apikeys_usage_hours AS h (key_id, hour, secret, outcome, count, last_at)
    SELECT d.key_id, d.hour, d.secret, d.outcome, sum(d.count), max(d.last_at) FROM delta d JOIN used USING (key_id)
     GROUP BY d.key_id, d.hour, d.secret, d.outcome ORDER BY d.key_id, d.hour, d.secret, d.outcome
    ON CONFLICT (key_id, hour, secret, outcome) DO UPDATE
       SET count = h.count + excluded.count, last_at = greatest(h.last_at, excluded.last_at)
)`

// AddUsage implements [apikeys.Store].
func (s *Store) AddUsage(ctx context.Context, batch apikeys.UsageBatch) error {
	applied := false
	err := s.Statement(ctx, func() (sent bool, err error) {
		return s.db.statement(ctx, applyUsage, usageArgs(batch), func(pgx.Rows) error {
			applied = true
			return nil
		})
	})
	if err == nil && !applied {
		return s.Store.AddUsage(ctx, batch)
	}
	return err
}

func usageArgs(batch apikeys.UsageBatch) []any {
	n := len(batch.Deltas)
	keys, hours, lasts := make([]pgtype.UUID, n), make([]pgtype.Timestamptz, n), make([]pgtype.Timestamptz, n)
	secrets, counts, outcomes := make([]int64, n), make([]int64, n), make([]string, n)
	for i, d := range batch.Deltas {
		keys[i] = pgtype.UUID{Bytes: d.KeyID, Valid: true}
		hours[i] = pgtype.Timestamptz{Time: d.Hour, Valid: true}
		secrets[i], outcomes[i], counts[i] = int64(d.Secret), d.Outcome, d.Count
		lasts[i] = pgtype.Timestamptz{Time: d.LastAt, Valid: true}
	}
	d := dialect{}
	return []any{d.ID(batch.Writer), batch.Seq, d.Time(batch.At), batch.Relaxed, keys, hours, secrets, outcomes, counts, lasts}
}
