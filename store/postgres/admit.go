package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/apikeys-platform/apikeys"
)

// admit decides leases and counts the uses of what was granted in full, in one statement
// and one commit. Of a request that comes in copies, as many are counted as were granted.
// The windows are locked before the rows of usage, because these depend on the decision.
const admit = decideLeases + `, granted AS (
    SELECT request, min(CASE want WHEN 0 THEN copies ELSE granted / want END) AS uses
      FROM decided, complete WHERE complete.yes GROUP BY request
), delta AS (
    SELECT use.key_id, $12::timestamptz AS hour, use.secret, '` + apikeys.OutcomeAccepted + `' AS outcome, granted.uses AS count, $13::timestamptz AS last_at
      FROM unnest($9::bigint[], $10::uuid[], $11::bigint[]) AS use (request, key_id, secret) JOIN granted USING (request)
     WHERE granted.uses > 0
)` + addDeltas + decidedLeases

// Admit implements [apikeys.Store].
func (s *Store) Admit(ctx context.Context, at time.Time, admissions []apikeys.Admission) ([]apikeys.LeaseGrant, error) {
	requests := make([]apikeys.LeaseRequest, len(admissions))
	for i := range admissions {
		requests[i] = admissions[i].Lease
	}
	batch, ok := batchOf(requests)
	if !ok || !batch.uses(admissions) {
		return s.Store.Admit(ctx, at, admissions)
	}
	decided, err := s.decide(ctx, batch, admit, batch.admitArgs(at))
	switch {
	case err != nil:
		return nil, err
	case !decided:
		return s.Store.Admit(ctx, at, admissions)
	}
	return batch.grants(requests), nil
}

// uses finds the use that each group stands for, unless copies of one request stand for
// different ones: which of them were granted is decided in their order.
func (b *leaseBatch) uses(admissions []apikeys.Admission) bool {
	for i, n := range b.of {
		g, a := &b.groups[n], &admissions[i]
		if g.use == nil {
			g.use = a
		}
		if g.use.KeyID != a.KeyID || g.use.Secret != a.Secret {
			return false
		}
	}
	return true
}

func (b *leaseBatch) admitArgs(at time.Time) []any {
	groups, keys, secrets := make([]int64, len(b.groups)), make([]pgtype.UUID, len(b.groups)), make([]int64, len(b.groups))
	for i := range b.groups {
		use := b.groups[i].use
		groups[i], keys[i], secrets[i] = int64(i), pgtype.UUID{Bytes: use.KeyID, Valid: true}, int64(use.Secret)
	}
	d := dialect{}
	return append(b.args(), groups, keys, secrets, d.Time(at.Truncate(time.Hour)), d.Time(at))
}
