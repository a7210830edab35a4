package postgres

import (
	"context"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/sqlstore"
)

// Statements that decide leases and log the uses of what was granted in full, in one
// commit. What a row of the log begins with is given; how often each use was granted is
// added to it here, in the same order: of a request that comes in copies, as many are
// counted as were granted.
const (
	admit = decideLeases + `, granted AS (
    SELECT request, min(CASE want WHEN 0 THEN copies ELSE granted / want END) AS uses
      FROM decided, complete WHERE complete.yes GROUP BY request
), logged AS (
    INSERT INTO apikeys_usage_log (at, uses)
    SELECT $9::timestamptz, $10::bytea || string_agg(int4send(uses::integer), ''::bytea ORDER BY request) FROM granted HAVING sum(uses) > 0
)` + decidedLeases

	admitSingle = decideSingle + `, logged AS (
    INSERT INTO apikeys_usage_log (at, uses)
    SELECT $8::timestamptz, $9::bytea || string_agg(int4send((granted / ($4::bigint[])[asker])::integer), ''::bytea ORDER BY asker)
      FROM charged HAVING sum(granted / ($4::bigint[])[asker]) > 0
)` + decidedSingle
)

// Statements of the log of uses, see [sqlstore.Statements].
const (
	logUses         = `INSERT INTO apikeys_usage_log (at, uses) VALUES ($1, $2)`
	firstLogged     = `SELECT id FROM apikeys_usage_log WHERE id > 0 ORDER BY id LIMIT 1`
	lockFirstLogged = firstLogged + ` FOR UPDATE`
	logged          = `SELECT id, at, uses FROM apikeys_usage_log WHERE id > $1 ORDER BY id LIMIT $2`
	deleteLogged    = `DELETE FROM apikeys_usage_log WHERE id = ANY ($1::bigint[])`
)

// Admit implements [apikeys.Store].
func (s *Store) Admit(ctx context.Context, at time.Time, admissions []apikeys.Admission) ([]apikeys.LeaseGrant, error) {
	requests := make([]apikeys.LeaseRequest, len(admissions))
	for i := range admissions {
		requests[i] = admissions[i].Lease
	}
	batch, ok := batchOf(requests)
	if !ok || !batch.takesUses(admissions) {
		return s.Store.Admit(ctx, at, admissions)
	}
	query := admit
	if batch.single {
		query = admitSingle
	}
	decided, err := s.decide(ctx, batch, query, append(batch.args(), dialect{}.Time(at), batch.uses()))
	switch {
	case err != nil:
		return nil, err
	case !decided:
		return s.Store.Admit(ctx, at, admissions)
	}
	return batch.grants(requests), nil
}

// takesUses finds the use that each group stands for, unless copies of one request stand
// for different ones: which of them were granted is decided in their order.
func (b *leaseBatch) takesUses(admissions []apikeys.Admission) bool {
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

// uses are those of the groups, in the order of args, as a row of the log begins.
func (b *leaseBatch) uses() []byte {
	var uses []byte
	for _, n := range b.order {
		use := b.groups[n].use
		uses = sqlstore.AppendUse(uses, use.KeyID, use.Secret)
	}
	return uses
}
