package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/apikeys-platform/apikeys"
)

// takeLease decides one request as the shared flow does, in one statement instead
// of six, so that the rows are locked for as long as the server needs and not for
// as long as the network does. It grants nothing when a row that is wanted is not
// there (what does not exist cannot be locked), or when a statement that waited for
// a lock would not see what it waited for (default_transaction_isolation). The clock
// is read when the locks are held. What is returned was charged: the last column
// says so.
const takeLease = `
WITH part AS (
    SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS part (span, most, want, n)
), locked AS MATERIALIZED (
    SELECT span, starts, used FROM apikeys_windows
     WHERE subject = $1 AND span = ANY ($2::bigint[]) AND current_setting('transaction_isolation') = 'read committed'
     ORDER BY span FOR UPDATE
), clock AS MATERIALIZED (
    SELECT COALESCE($5::timestamptz, clock_timestamp()) AS now, count(*) AS windows FROM locked
), present AS (
    SELECT part.*, clock.now, floor(extract(epoch FROM clock.now) / part.span)::bigint * part.span AS start FROM part, clock
), offer AS (
    SELECT p.*, l.span IS NOT NULL OR p.want = 0 AS there,
           CASE l.starts WHEN p.start THEN l.used WHEN p.start + p.span THEN p.most ELSE 0 END AS used
      FROM present p LEFT JOIN locked l USING (span)
), offered AS (
    SELECT *, greatest(0, least(want, most - used)) AS granted FROM offer
), agreed AS MATERIALIZED (
    SELECT bool_and(there AND (granted = want OR NOT $6::boolean)) AS yes FROM offered
), decided AS MATERIALIZED (
    SELECT o.n, o.span, o.now, o.start, o.used, CASE WHEN a.yes THEN o.granted ELSE 0 END AS granted, o.there
      FROM offered o, agreed a
), charged AS (
    UPDATE apikeys_windows w SET starts = d.start, used = d.used + d.granted
      FROM decided d WHERE w.subject = $1 AND w.span = d.span AND d.granted > 0
    RETURNING w.span
)
SELECT d.now, d.start, d.granted, d.used + d.granted,
       d.there AND (d.granted > 0) = EXISTS (SELECT 1 FROM charged c WHERE c.span = d.span)
  FROM decided d ORDER BY d.n`

// TakeLeases implements [apikeys.Store].
func (s *Store) TakeLeases(ctx context.Context, requests []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	if len(requests) != 1 || !wants(requests[0]) {
		return s.Store.TakeLeases(ctx, requests)
	}
	var grant apikeys.LeaseGrant
	decided := false
	err := s.Statement(ctx, func() (sent bool, err error) {
		grant, decided = apikeys.LeaseGrant{Parts: make([]apikeys.GrantedPart, 0, len(requests[0].Parts))}, true
		return s.db.statement(ctx, takeLease, leaseArgs(requests[0]), func(rows pgx.Rows) error {
			var part apikeys.GrantedPart
			var start int64
			var charged bool
			err := rows.Scan((*scanTime)(&grant.Now), &start, &part.Granted, &part.Used, &charged)
			part.Start = time.Unix(start, 0).UTC()
			grant.Parts, decided = append(grant.Parts, part), decided && charged
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	if !decided { // the first request of a window: the shared flow makes the row
		return s.Store.TakeLeases(ctx, requests)
	}
	return []apikeys.LeaseGrant{grant}, nil
}

// wants tells whether a request is more than a look, which locks nothing.
func wants(r apikeys.LeaseRequest) bool {
	for _, part := range r.Parts {
		if part.Want > 0 {
			return true
		}
	}
	return false
}

func leaseArgs(r apikeys.LeaseRequest) []any {
	spans, most, want := make([]int64, len(r.Parts)), make([]int64, len(r.Parts)), make([]int64, len(r.Parts))
	for i, part := range r.Parts {
		spans[i], most[i], want[i] = int64(part.Limit.Window), part.Limit.Requests, part.Want
	}
	return []any{r.Subject[:], spans, most, want, dialect{}.NullTime(r.At), r.AllOrNothing}
}
