package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/sqlstore"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// manyRows fills the tables with keys of one organization, some of others, and
// events. Ids ascend with n.
const manyRows = `
CREATE FUNCTION pg_temp.id(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
  $$ SELECT (lpad(to_hex(n), 12, '0') || '7000800000000000' || lpad(to_hex(kind), 4, '0'))::uuid $$;
INSERT INTO apikeys_resources (id, kind, organization_id, namespace_id, name, created_at, updated_at)
  SELECT pg_temp.id(1, n), 'organization', pg_temp.id(1, n), '00000000-0000-0000-0000-000000000000', 'organization ' || n, now(), now()
    FROM generate_series(1, 1000) n;
INSERT INTO apikeys_resources (id, kind, organization_id, namespace_id, name, created_at, updated_at)
  SELECT pg_temp.id(k, n), CASE k WHEN 2 THEN 'project' ELSE 'product' END, pg_temp.id(1, 1), pg_temp.id(1, 1), 'name ' || n, now(), now()
    FROM generate_series(1, 1000) n, generate_series(2, 3) k;
INSERT INTO apikeys_links SELECT pg_temp.id(2, p), pg_temp.id(3, x), pg_temp.id(1, 1) FROM generate_series(1, 100) p, generate_series(1, 100) x;
INSERT INTO apikeys_keys (id, organization_id, project_id, product_id, owner_id, environment, head, hint, name, lower_name, lower_hint, scopes,
       rate_limits, expires_at, custom, created_at, updated_at, revoked_at, revoked_reason, version)
  SELECT pg_temp.id(4, n), pg_temp.id(1, CASE WHEN n % 10 < 5 THEN 1 ELSE 1 + n / 10 % 1000 END),
         CASE WHEN n % 10 = 1 THEN pg_temp.id(2, 1 + n / 10 % 100) END, CASE WHEN n % 10 = 2 THEN pg_temp.id(3, 1 + n / 10 % 100) END,
         'owner ' || n % 1000, '', 'sk', 'sk_', 'key ' || n, 'key ' || n, 'sk_', '["read"]', '[]',
         CASE WHEN n % 50 = 0 THEN now() + n * interval '1 second' END, '{}', now(), now(),
         CASE WHEN n % 50 = 1 THEN now() - n * interval '1 second' END, '', 1
    FROM generate_series(1, :rows) n;
INSERT INTO apikeys_secrets SELECT sha256(id::text::bytea), id, 1, 'signing', 'sk_', now(), NULL FROM apikeys_keys;
INSERT INTO apikeys_usage SELECT id, 0, NULL FROM apikeys_keys;
INSERT INTO apikeys_events SELECT id, now(), '', 'key.create', organization_id, 'key', id, '{}' FROM apikeys_keys;
INSERT INTO apikeys_usage_hours SELECT id, date_trunc('hour', now()), 1, 'accepted', 1, now() FROM apikeys_keys;
INSERT INTO apikeys_usage_log (at, uses) SELECT now(), '' FROM generate_series(1, :rows);
INSERT INTO apikeys_changes SELECT n, 'key', pg_temp.id(4, n), pg_temp.id(5, n), now() - n * interval '1 second' FROM generate_series(1, :rows) n;
INSERT INTO apikeys_windows SELECT sha256(id::text::bytea), 60, 0, 0 FROM apikeys_keys;
UPDATE apikeys_state SET revision = :rows, stamp = pg_temp.id(5, :rows);
ANALYZE`

// testID is what pg_temp.id makes.
func testID(kind, n int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("%012x7000800000000000%04x", n, kind))
}

func fill(t *testing.T, rows int) *pgxpool.Pool {
	t.Helper()
	pool := newPool(t, testdb.Postgres(t))
	if err := New(pool).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), strings.ReplaceAll(manyRows, ":rows", strconv.Itoa(rows)), pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	return pool
}

// Every list walks along an index that is in its order, from where the page begins,
// and stops at its end; every look-up goes by an index. Whether the plan is made for
// the arguments or once for all.
func TestPlans(t *testing.T) {
	t.Parallel()
	rows := testdb.Dose(20_000, 100_000)
	pool := fill(t, rows)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for name, tc := range plannedCalls(rows) {
		t.Run(name, func(t *testing.T) {
			r := &recorder{}
			_ = tc.call(t.Context(), sqlstore.New(r, dialect{}, statements())) // finds nothing
			if len(r.queries) != len(tc.indexes) {
				t.Fatalf("got %d statements, want %d", len(r.queries), len(tc.indexes))
			}
			for i, query := range r.queries {
				for kind, plan := range plans(t, conn.Conn(), query, r.args[i]) {
					t.Logf("%s plan:\n%s", kind, plan)
					if !strings.Contains(plan, tc.indexes[i]+" ") || strings.Contains(plan, "Seq Scan on apikeys_keys") ||
						strings.Contains(plan, "Sort") && !tc.sorted {
						t.Errorf("%s plan: want it by %s and without sorting, got\n%s", kind, tc.indexes[i], plan)
					}
				}
			}
		})
	}
}

// The log is read from its beginning, and its rows are removed one by one.
func TestPlansOfTheLog(t *testing.T) {
	t.Parallel()
	conn, err := fill(t, testdb.Dose(20_000, 100_000)).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for query, args := range map[string][]any{
		firstLogged: nil, lockFirstLogged: nil, logged: {int64(7), 1000}, deleteLogged: {[]int64{7, 8}},
	} {
		for kind, plan := range plans(t, conn.Conn(), query, args) {
			if !strings.Contains(plan, "apikeys_usage_log_pkey ") || strings.Contains(plan, "Sort") {
				t.Errorf("%s plan of %s:\n%s\nwant it by the primary key and without sorting", kind, query, plan)
			}
		}
	}
}

// An admission finds each window by its key, in one step where it decides at once, and
// never reads the table, however small that was when the plan was made; nothing is read to
// log the uses.
func TestPlansOfAdmissions(t *testing.T) {
	t.Parallel()
	conn, err := fill(t, testdb.Dose(20_000, 100_000)).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	const step, lookUp = "Conflict Arbiter Indexes: apikeys_windows_pkey ", "Index Scan using apikeys_windows_pkey "
	one, two := []apikeys.RateLimit{apikeys.PerMinute(10)}, []apikeys.RateLimit{apikeys.PerMinute(10), apikeys.PerDay(100)}
	for name, tc := range map[string]struct {
		limits  []apikeys.RateLimit
		query   string
		uses    bool
		indexes []string
	}{
		"one limit":              {one, admitSingle, true, []string{step}},
		"several limits":         {two, admit, true, []string{lookUp, step}},
		"one limit, no uses":     {one, takeSingle, false, []string{step}},
		"several limits, no use": {two, takeLeases, false, []string{lookUp, step}},
	} {
		t.Run(name, func(t *testing.T) {
			batch, args := plannedBatch(t, tc.limits)
			if batch.single != (len(tc.limits) == 1) {
				t.Fatalf("got single %t: the store would run another statement", batch.single)
			}
			if tc.uses {
				args = append(args, time.Now(), batch.uses())
			}
			for kind, plan := range plans(t, conn.Conn(), tc.query, args) {
				t.Logf("%s plan:\n%s", kind, plan)
				if strings.Contains(plan, "Scan on apikeys_") || strings.Count(plan, "Scan using apikeys_") != len(tc.indexes)-1 {
					t.Errorf("%s plan: want the tables read by look-ups of windows alone, got\n%s", kind, plan)
				}
				for _, index := range tc.indexes {
					if !strings.Contains(plan, index) {
						t.Errorf("%s plan: want %s, got\n%s", kind, index, plan)
					}
				}
			}
		})
	}
}

// plannedBatch is what the store makes of admissions of 32 keys, and its arguments.
func plannedBatch(t *testing.T, limits []apikeys.RateLimit) (*leaseBatch, []any) {
	t.Helper()
	admissions, requests := make([]apikeys.Admission, 32), make([]apikeys.LeaseRequest, 32)
	for i := range admissions {
		id := testID(4, 1+i)
		r := apikeys.LeaseRequest{Subject: sha256.Sum256([]byte(id.String())), AllOrNothing: true}
		for _, limit := range limits {
			r.Parts = append(r.Parts, apikeys.LeasePart{Limit: limit, Want: 1})
		}
		requests[i], admissions[i] = r, apikeys.Admission{Lease: r, KeyID: id, Secret: 1}
	}
	batch, ok := batchOf(requests)
	if !ok || !batch.takesUses(admissions) {
		t.Fatal("the store would not decide them in one statement")
	}
	args := batch.args()
	return batch, args
}

type plannedCall struct {
	call    func(context.Context, *sqlstore.Store) error
	indexes []string // of each statement
	sorted  bool     // a handful of rows
}

func plannedCalls(rows int) map[string]plannedCall {
	now := time.Now()
	organization := apikeys.Scope{OrganizationID: testID(1, 1)}
	list := func(q apikeys.KeyQuery, index string) plannedCall {
		q.Now, q.Limit = now, 50
		if q.Before == uuid.Nil {
			q.Before = testID(4, rows/2)
		}
		return plannedCall{func(ctx context.Context, s *sqlstore.Store) error {
			_, err := s.ListKeys(ctx, q)
			return err
		}, []string{index}, false}
	}
	resources := func(q apikeys.ResourceQuery, index string, sorted bool) plannedCall {
		q.Limit = 50
		return plannedCall{func(ctx context.Context, s *sqlstore.Store) error {
			_, err := s.ListResources(ctx, q)
			return err
		}, []string{index}, sorted}
	}
	events := func(q apikeys.EventQuery, index string) plannedCall {
		q.Limit, q.Before = 50, testID(4, rows/2)
		return plannedCall{func(ctx context.Context, s *sqlstore.Store) error {
			_, err := s.ListEvents(ctx, q)
			return err
		}, []string{index}, false}
	}
	name := "name 7"
	h := sha256.Sum256([]byte(testID(4, 7).String()))
	return map[string]plannedCall{
		"keys of an organization":             list(apikeys.KeyQuery{Scope: organization}, "apikeys_keys_organization"),
		"first page of an organization":       list(apikeys.KeyQuery{Scope: organization, Before: uuid.Max}, "apikeys_keys_organization"),
		"active keys of an organization":      list(apikeys.KeyQuery{Scope: organization, Status: apikeys.StatusActive}, "apikeys_keys_organization"),
		"revoked keys of an organization":     list(apikeys.KeyQuery{Scope: organization, Status: apikeys.StatusRevoked}, "apikeys_keys_organization"),
		"a search in an organization":         list(apikeys.KeyQuery{Scope: organization, Search: "key 1"}, "apikeys_keys_organization"),
		"keys of an owner":                    list(apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: testID(1, 1), OwnerID: "owner 7"}}, "apikeys_keys_owner"),
		"keys of a project":                   list(apikeys.KeyQuery{Scope: organization, ProjectID: testID(2, 7)}, "apikeys_keys_project"),
		"keys of a product":                   list(apikeys.KeyQuery{ProductID: testID(3, 7)}, "apikeys_keys_product"),
		"all keys":                            list(apikeys.KeyQuery{}, "apikeys_keys_pkey"),
		"keys that expire soon":               list(apikeys.KeyQuery{Status: apikeys.StatusActive, ExpiresBefore: now.Add(time.Hour), Expiring: &apikeys.ExpiryMark{At: now, ID: uuid.Max}}, "apikeys_keys_expires"),
		"keys of an organization that expire": list(apikeys.KeyQuery{Scope: organization, Status: apikeys.StatusActive, ExpiresBefore: now.Add(time.Hour), Expiring: &apikeys.ExpiryMark{At: now, ID: uuid.Max}}, "apikeys_keys_organization_expires"),
		"a key in a list":                     list(apikeys.KeyQuery{ID: testID(4, 7)}, "apikeys_keys_pkey"),
		"products linked to a project":        resources(apikeys.ResourceQuery{Kind: apikeys.KindProduct, LinkOf: testID(2, 7)}, "apikeys_links_pkey", true),
		"products of an organization":         resources(apikeys.ResourceQuery{Kind: apikeys.KindProduct, Scope: organization}, "apikeys_resources_organization", false),
		"organizations":                       resources(apikeys.ResourceQuery{Kind: apikeys.KindOrganization}, "apikeys_resources_kind", false),
		"a product by name":                   resources(apikeys.ResourceQuery{Kind: apikeys.KindProduct, Scope: organization, Name: &name}, "apikeys_resources_namespace_id_kind_name_key", true),
		"events of a key":                     events(apikeys.EventQuery{SubjectID: testID(4, 7)}, "apikeys_events_subject"),
		"events of an organization":           events(apikeys.EventQuery{Scope: organization}, "apikeys_events_organization"),
		"all events":                          events(apikeys.EventQuery{}, "apikeys_events_pkey"),
		"a key by hash":                       {keysByHash(h), []string{"apikeys_secrets_pkey"}, false},
		"keys by hashes":                      {keysByHash(h, apikeys.Hash{1}), []string{"apikeys_secrets_pkey"}, false},
		"a key and its secrets":               {getKey, []string{"apikeys_secrets_key_id_number_signing_id_key"}, true},
		"keys that ended, and their deletion": {deleteEnded(now.Add(-time.Hour)), []string{"apikeys_events_pkey", "apikeys_keys_revoked", "apikeys_keys_expires", "apikeys_events_pkey"}, false},
		"changes":                             {changes(rows), []string{"apikeys_state", "apikeys_changes_pkey"}, true},
		"windows":                             {look(apikeys.Subject(h)), []string{"apikeys_windows_pkey"}, true},
	}
}

func keysByHash(hashes ...apikeys.Hash) func(context.Context, *sqlstore.Store) error {
	return func(ctx context.Context, s *sqlstore.Store) error {
		_, err := s.KeysByHash(ctx, hashes)
		return err
	}
}

func getKey(ctx context.Context, s *sqlstore.Store) error {
	_, _, err := s.GetKey(ctx, apikeys.KeyRef{ID: testID(4, 7)})
	return err
}

func deleteEnded(before time.Time) func(context.Context, *sqlstore.Store) error {
	return func(ctx context.Context, s *sqlstore.Store) error {
		_, err := s.DeleteKeys(ctx, apikeys.Mutation{ID: testID(6, 1)}, apikeys.KeyQuery{EndedBefore: before, Now: before, Limit: 100})
		return err
	}
}

func changes(rows int) func(context.Context, *sqlstore.Store) error {
	return func(ctx context.Context, s *sqlstore.Store) error {
		_, err := s.Changes(ctx, apikeys.ChangeMark{Revision: int64(rows / 2), Stamp: testID(5, rows/2)})
		return err
	}
}

func look(subject apikeys.Subject) func(context.Context, *sqlstore.Store) error {
	return func(ctx context.Context, s *sqlstore.Store) error {
		_, err := s.TakeLeases(ctx, []apikeys.LeaseRequest{{Subject: subject, At: time.Now(), Parts: []apikeys.LeasePart{{Limit: apikeys.PerMinute(1)}}}})
		return err
	}
}

// plans are those of a statement with these arguments, and with any.
func plans(t *testing.T, conn *pgx.Conn, query string, args []any) map[string]string {
	t.Helper()
	custom := explain(t, conn, "EXPLAIN (COSTS OFF) "+query, append([]any{pgx.QueryExecModeExec}, args...)...)
	nulls := ""
	if len(args) > 0 {
		nulls = "(NULL" + strings.Repeat(", NULL", len(args)-1) + ")"
	}
	if _, err := conn.Exec(t.Context(), "SET plan_cache_mode = force_generic_plan; PREPARE any_arguments AS "+query); err != nil {
		t.Fatal(err)
	}
	generic := explain(t, conn, "EXPLAIN (COSTS OFF) EXECUTE any_arguments"+nulls, pgx.QueryExecModeSimpleProtocol)
	if _, err := conn.Exec(t.Context(), "DEALLOCATE any_arguments; RESET plan_cache_mode"); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"custom": custom, "generic": generic}
}

func explain(t *testing.T, conn *pgx.Conn, query string, args ...any) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, " \n") + " "
}

// recorder is a database without rows, which writes down what is read from it.
type recorder struct {
	queries []string
	args    [][]any
}

var _ sqlstore.Database = (*recorder)(nil)

func (r *recorder) Looks() sqlstore.Conn { return r }

func (r *recorder) Begin(context.Context, sqlstore.TxOptions) (sqlstore.Tx, error) { return r, nil }

func (r *recorder) Query(_ context.Context, query string, args ...any) (sqlstore.Rows, error) {
	if query != firstLogged { // which comes before all that tells counts
		r.queries, r.args = append(r.queries, query), append(r.args, slices.Clone(args))
	}
	if query == state {
		return &oneState{}, nil
	}
	return nothing{}, nil
}

func (r *recorder) Exec(context.Context, string, ...any) (int64, error) { return 0, nil }

func (r *recorder) ExecEach(_ context.Context, _ string, rows [][]any) ([]int64, error) {
	return make([]int64, len(rows)), nil
}

func (r *recorder) Commit(context.Context) (bool, error) { return true, nil }
func (r *recorder) Rollback()                            {}

type nothing struct{}

func (nothing) Next() bool        { return false }
func (nothing) Scan(...any) error { return nil }
func (nothing) Err() error        { return nil }
func (nothing) Close()            {}

// oneState is one row, of zeros.
type oneState struct {
	nothing
	read bool
}

func (s *oneState) Next() bool {
	defer func() { s.read = true }()
	return !s.read
}
