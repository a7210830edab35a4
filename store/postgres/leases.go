package postgres

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/apikeys-platform/apikeys"
)

// decideLeases decides requests of different subjects as the shared flow does, in one
// statement instead of six, so that the rows are locked for as long as the server
// needs and not for as long as the network does. What is all or nothing may come in
// copies: as many of them are granted as fit. It grants nothing when a row that is
// wanted is not there (what does not exist cannot be locked), or when a statement that
// waited for a lock would not see what it waited for (default_transaction_isolation).
// The clock is read when the locks are held. What is returned was charged: the last
// column says so. Rows are looked up one by one, in the order of locks, and updated by way
// of a conflict that always happens: a join would have the planner read all of a table
// that is not large, or that was empty when the plan was made.
const decideLeases = `
WITH part AS (
    SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[], $8::timestamptz[])
      WITH ORDINALITY AS part (request, subject, span, most, want, copies, whole, at, n)
), held AS MATERIALIZED (
    SELECT w.* FROM (SELECT DISTINCT subject, span FROM part ORDER BY subject, span) p, LATERAL
           (SELECT subject, span, starts, used FROM apikeys_windows
             WHERE subject = p.subject AND span = p.span AND current_setting('transaction_isolation') = 'read committed' FOR UPDATE) w
), clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now, count(*) AS windows FROM held
), present AS (
    SELECT part.*, t.now, floor(extract(epoch FROM t.now) / part.span)::bigint * part.span AS start
      FROM part, clock, LATERAL (SELECT COALESCE(part.at, clock.now) AS now) t
), offer AS (
    SELECT p.*, l.span IS NOT NULL OR p.want = 0 AS there,
           CASE l.starts WHEN p.start THEN l.used WHEN p.start + p.span THEN p.most ELSE 0 END AS used
      FROM present p LEFT JOIN held l USING (subject, span)
), fitting AS (
    SELECT *, CASE WHEN want = 0 THEN copies ELSE least(copies, greatest(0, (most - used) / want)) END AS fit FROM offer
), complete AS MATERIALIZED (
    SELECT bool_and(there) AS yes FROM offer
), decided AS MATERIALIZED (
    SELECT f.*, CASE WHEN NOT c.yes THEN 0 WHEN f.whole THEN f.want * min(f.fit) OVER (PARTITION BY f.request)
           ELSE greatest(0, least(f.want, f.most - f.used)) END AS granted
      FROM fitting f, complete c
), charged AS (
    INSERT INTO apikeys_windows AS w (subject, span, starts, used)
    SELECT subject, span, start, used + granted FROM decided WHERE granted > 0
    ON CONFLICT (subject, span) DO UPDATE SET starts = excluded.starts, used = excluded.used
    RETURNING w.subject, w.span
)`

// decidedLeases tells what was decided.
const decidedLeases = `
SELECT d.request, d.now, d.start, d.used, d.granted, c.yes AND (d.granted > 0) = (w.span IS NOT NULL)
  FROM decided d CROSS JOIN complete c LEFT JOIN charged w USING (subject, span) ORDER BY d.n`

const takeLeases = decideLeases + decidedLeases

// decideSingle decides requests of one window each: the usual ones. Each row is locked and
// written at once, and made if it is not there; they come in the order of locks. The clock
// is read, and everything decided, when the row is locked. As RETURNING sees only what is
// in a row afterwards, the answer is written into it; a request that is refused changes
// nothing else. It returns no rows where decideLeases would grant nothing because of
// default_transaction_isolation.
const decideSingle = `
WITH charged AS (
    INSERT INTO apikeys_windows AS w (subject, span, starts, used, granted, asker, asked)
    SELECT p.subject, p.span, CASE WHEN g.granted > 0 THEN floor(extract(epoch FROM t.now) / p.span)::bigint * p.span ELSE 0 END,
           g.granted, g.granted, p.n, t.now
      FROM (SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[], $7::timestamptz[])
                     WITH ORDINALITY AS part (subject, span, most, want, copies, whole, at, n)
             WHERE current_setting('transaction_isolation') = 'read committed' ORDER BY n) p,
           LATERAL (SELECT COALESCE(p.at, clock_timestamp()) AS now OFFSET 0) t,
           LATERAL (SELECT CASE WHEN p.whole THEN p.want * least(p.copies, p.most / p.want) ELSE least(p.want, p.most) END AS granted) g
    ON CONFLICT (subject, span) DO UPDATE SET (starts, used, granted, asker, asked) = (
        SELECT CASE WHEN g.granted > 0 THEN t.start ELSE w.starts END, CASE WHEN g.granted > 0 THEN u.used + g.granted ELSE w.used END,
               g.granted, excluded.asker, t.now
          FROM (SELECT ($3::bigint[])[excluded.asker] AS most, ($4::bigint[])[excluded.asker] AS want, ($5::bigint[])[excluded.asker] AS copies,
                       ($6::boolean[])[excluded.asker] AS whole, COALESCE(($7::timestamptz[])[excluded.asker], clock_timestamp()) AS now OFFSET 0) p,
               LATERAL (SELECT p.now, floor(extract(epoch FROM p.now) / w.span)::bigint * w.span AS start OFFSET 0) t,
               LATERAL (SELECT CASE w.starts WHEN t.start THEN w.used WHEN t.start + w.span THEN p.most ELSE 0 END AS used) u,
               LATERAL (SELECT CASE WHEN p.whole THEN p.want * least(p.copies, greatest(0, (p.most - u.used) / p.want))
                               ELSE greatest(0, least(p.want, p.most - u.used)) END AS granted) g)
    RETURNING subject, span, starts, used, granted, asker, asked
)`

// decidedSingle tells what was decided, as decidedLeases does.
const decidedSingle = `
SELECT c.asker - 1, c.asked, s.start, CASE WHEN c.granted > 0 THEN c.used - c.granted
       ELSE CASE c.starts WHEN s.start THEN c.used WHEN s.start + c.span THEN ($3::bigint[])[c.asker] ELSE 0 END END, c.granted, true
  FROM charged c, LATERAL (SELECT floor(extract(epoch FROM c.asked) / c.span)::bigint * c.span AS start OFFSET 0) s`

const takeSingle = decideSingle + decidedSingle

// insertWindows makes rows that are wanted, in the order of locks; none where a row that
// somebody writes at that moment would fail it.
const insertWindows = `
INSERT INTO apikeys_windows (subject, span, starts, used)
SELECT subject, span, 0, 0 FROM unnest($1::bytea[], $2::bigint[]) AS wanted (subject, span)
 WHERE current_setting('transaction_isolation') = 'read committed' ORDER BY subject, span
    ON CONFLICT DO NOTHING`

// TakeLeases implements [apikeys.Store].
func (s *Store) TakeLeases(ctx context.Context, requests []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	batch, ok := batchOf(requests)
	if !ok {
		return s.Store.TakeLeases(ctx, requests)
	}
	query := takeLeases
	if batch.single {
		query = takeSingle
	}
	decided, err := s.decide(ctx, batch, query, batch.args())
	switch {
	case err != nil:
		return nil, err
	case !decided:
		return s.Store.TakeLeases(ctx, requests)
	}
	return batch.grants(requests), nil
}

// decide runs a statement, and tells whether it decided. Where it does not because a
// window was never used before, it is opened, and the statement runs again.
func (s *Store) decide(ctx context.Context, batch *leaseBatch, query string, args []any) (decided bool, err error) {
	decided, err = s.decideOnce(ctx, batch, query, args)
	if err == nil && !decided && !batch.single {
		if err = s.insertWindows(ctx, batch); err == nil {
			decided, err = s.decideOnce(ctx, batch, query, args)
		}
	}
	return decided, err
}

func (s *Store) decideOnce(ctx context.Context, batch *leaseBatch, query string, args []any) (decided bool, err error) {
	err = s.Statement(ctx, func() (sent bool, err error) {
		undecided := 0
		for i := range batch.groups {
			undecided += len(batch.groups[i].request.Parts)
			batch.groups[i].parts = batch.groups[i].parts[:0]
		}
		defer func() { decided = undecided == 0 }()
		return s.db.statement(ctx, query, args, func(rows pgx.Rows) error {
			var group, start int64
			var now time.Time
			var part grantedCopies
			var charged bool
			err := rows.Scan(&group, (*scanTime)(&now), &start, &part.used, &part.granted, &charged)
			if err == nil {
				part.start = time.Unix(start, 0).UTC()
				g := &batch.groups[batch.order[group]]
				g.now, g.parts = now, append(g.parts, part)
			}
			if charged {
				undecided--
			}
			return err
		})
	})
	return decided, err
}

func (s *Store) insertWindows(ctx context.Context, batch *leaseBatch) error {
	var subjects [][]byte
	var spans []int64
	for i := range batch.groups {
		r := &batch.groups[i].request
		for _, part := range r.Parts {
			if part.Want > 0 {
				subjects, spans = append(subjects, r.Subject[:]), append(spans, int64(part.Limit.Window))
			}
		}
	}
	return s.Statement(ctx, func() (sent bool, err error) {
		return s.db.statement(ctx, insertWindows, []any{subjects, spans}, func(pgx.Rows) error { return nil })
	})
}

// leaseBatch is requests as the statement takes them: those that are the same are one
// group.
type leaseBatch struct {
	groups []leaseGroup
	of     []int // the group of each request
	order  []int // of the groups, as they are passed on
	wants  bool
	single bool // each is of one window, and more than a look
}

// leaseGroup is a request in so many copies, and what became of them.
type leaseGroup struct {
	request apikeys.LeaseRequest
	copies  int64
	use     *apikeys.Admission // what each of them is for, when they are admissions
	now     time.Time
	parts   []grantedCopies
}

// grantedCopies is what all copies were granted of one part, and what was used before.
type grantedCopies struct {
	start         time.Time
	used, granted int64
}

// batchOf groups requests, unless two that are not the same have one subject: what the
// first is granted is used for the second. It is not for requests that only look, which
// lock nothing.
func batchOf(requests []apikeys.LeaseRequest) (*leaseBatch, bool) {
	b := &leaseBatch{groups: make([]leaseGroup, 0, len(requests)), of: make([]int, len(requests)), single: true}
	bySubject := make(map[apikeys.Subject]int, len(requests))
	for i, r := range requests {
		if len(r.Parts) == 0 {
			return nil, false // there would be no row that tells the time
		}
		n, known := bySubject[r.Subject]
		if !known {
			n = len(b.groups)
			bySubject[r.Subject] = n
			b.groups = append(b.groups, leaseGroup{request: r, parts: make([]grantedCopies, 0, len(r.Parts))})
		} else if !sameRequest(b.groups[n].request, r) {
			return nil, false
		}
		b.groups[n].copies++
		b.of[i] = n
		b.wants = b.wants || wants(r)
		b.single = b.single && len(r.Parts) == 1 && wants(r)
	}
	b.arrange()
	return b, b.wants
}

// arrange brings the groups into the order of locks.
func (b *leaseBatch) arrange() {
	b.order = make([]int, len(b.groups))
	for i := range b.order {
		b.order[i] = i
	}
	slices.SortFunc(b.order, func(x, y int) int {
		return bytes.Compare(b.groups[x].request.Subject[:], b.groups[y].request.Subject[:])
	})
}

func sameRequest(a, b apikeys.LeaseRequest) bool {
	return a.AllOrNothing && b.AllOrNothing && a.At.Equal(b.At) && slices.Equal(a.Parts, b.Parts)
}

// wants tells whether a request is more than a look.
func wants(r apikeys.LeaseRequest) bool {
	return slices.ContainsFunc(r.Parts, func(p apikeys.LeasePart) bool { return p.Want > 0 })
}

// args are the arguments of decideSingle, or of decideLeases.
func (b *leaseBatch) args() []any {
	var groups, spans, most, want, copies []int64
	var subjects [][]byte
	var whole []bool
	var at []pgtype.Timestamptz
	for i, n := range b.order {
		g := &b.groups[n]
		for _, part := range g.request.Parts {
			groups, subjects = append(groups, int64(i)), append(subjects, g.request.Subject[:])
			spans, most = append(spans, int64(part.Limit.Window)), append(most, part.Limit.Requests)
			want, copies = append(want, part.Want), append(copies, g.copies)
			whole = append(whole, g.request.AllOrNothing)
			at = append(at, pgtype.Timestamptz{Time: g.request.At.UTC(), Valid: !g.request.At.IsZero()})
		}
	}
	args := []any{groups, subjects, spans, most, want, copies, whole, at}
	if b.single {
		return args[1:]
	}
	return args
}

// grants are what each request was granted: of copies, the first ones.
func (b *leaseBatch) grants(requests []apikeys.LeaseRequest) []apikeys.LeaseGrant {
	grants := make([]apikeys.LeaseGrant, len(requests))
	for i, n := range b.of {
		g := &b.groups[n]
		grants[i] = apikeys.LeaseGrant{Now: g.now, Parts: make([]apikeys.GrantedPart, len(g.parts))}
		for j := range g.parts {
			p := &g.parts[j]
			granted := p.granted
			if g.request.AllOrNothing {
				granted = min(p.granted, g.request.Parts[j].Want)
			}
			p.used, p.granted = p.used+granted, p.granted-granted
			grants[i].Parts[j] = apikeys.GrantedPart{Start: p.start, Granted: granted, Used: p.used}
		}
	}
	return grants
}
