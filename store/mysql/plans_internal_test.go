package mysql

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/sqlstore"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// step is a line of EXPLAIN: how one table is read.
type step struct{ table, access, index, length, extra string }

func (s step) String() string {
	return fmt.Sprintf("%s %s %s %s (%s)", s.table, s.access, s.index, s.length, s.extra)
}

// explainer is a Database that notes how each statement is run, with the arguments
// it is run with.
type explainer struct {
	database
	mu    *sync.Mutex
	plans map[string][]step
}

func (e explainer) Looks() sqlstore.Conn { return e }

func (e explainer) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	if err := e.explain(ctx, e.database, query, args); err != nil {
		return nil, err
	}
	return e.database.Query(ctx, query, args...)
}

func (e explainer) Begin(ctx context.Context, o sqlstore.TxOptions) (sqlstore.Tx, error) {
	tx, err := e.database.Begin(ctx, o)
	if err != nil {
		return nil, err
	}
	t := tx.(*transaction)
	t.Tx = explainedTx{t.Tx, e}
	return t, nil
}

type explainedTx struct {
	sqlstore.Tx
	e explainer
}

func (t explainedTx) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	if err := t.e.explain(ctx, t.Tx, query, args); err != nil {
		return nil, err
	}
	return t.Tx.Query(ctx, query, args...)
}

func (t explainedTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if err := t.e.explain(ctx, t.Tx, query, args); err != nil {
		return 0, err
	}
	return t.Tx.Exec(ctx, query, args...)
}

func (t explainedTx) ExecEach(ctx context.Context, query string, rows [][]any) ([]int64, error) {
	if err := t.e.explain(ctx, t.Tx, query, rows[0]); err != nil {
		return nil, err
	}
	return t.Tx.ExecEach(ctx, query, rows)
}

func (e explainer) explain(ctx context.Context, c sqlstore.Conn, query string, args []any) error {
	if strings.HasPrefix(strings.TrimSpace(query), "INSERT INTO") && !strings.Contains(query, "SELECT") {
		return nil
	}
	rows, err := c.Query(ctx, "EXPLAIN "+query, args...)
	if err != nil {
		return fmt.Errorf("explain %s: %w", query, err)
	}
	defer rows.Close()
	var plan []step
	for rows.Next() {
		s, err := scanStep(rows)
		if err != nil {
			return err
		}
		plan = append(plan, s)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plans[query] = plan
	return rows.Err()
}

// scanStep finds the columns by name: MySQL has some that MariaDB has not.
func scanStep(rows sqlstore.Rows) (step, error) {
	named, ok := rows.(interface{ Columns() ([]string, error) })
	if !ok {
		return step{}, fmt.Errorf("%T has no columns", rows)
	}
	columns, err := named.Columns()
	if err != nil {
		return step{}, err
	}
	values := make([]*string, len(columns))
	targets := make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	err = rows.Scan(targets...)
	value := func(name string) string {
		if v := values[slices.Index(columns, name)]; v != nil {
			return *v
		}
		return ""
	}
	return step{value("table"), value("type"), value("key"), value("key_len"), value("Extra")}, err
}

// fill makes organizations with projects, products and keys of several owners.
func fill(t *testing.T, s apikeys.Store, organizations, keysOfEach int) (of []apikeys.KeyRecord) {
	t.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := func() apikeys.Mutation { return apikeys.Mutation{ID: newID(t), At: at, Action: "test"} }
	resource := func(kind apikeys.ResourceKind, o uuid.UUID) uuid.UUID {
		id := newID(t)
		_, _, err := s.CreateResource(t.Context(), m(), apikeys.ResourceRecord{
			Kind: kind, ID: id, OrganizationID: cmp.Or(o, id), Name: id.String(), CreatedAt: at, UpdatedAt: at,
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for range organizations {
		o := resource(apikeys.KindOrganization, uuid.Nil)
		project, product := resource(apikeys.KindProject, o), resource(apikeys.KindProduct, o)
		if err := s.SetLink(t.Context(), m(), apikeys.LinkRef{ProjectID: project, ProductID: product}, true); err != nil {
			t.Fatal(err)
		}
		keys := make([]apikeys.KeyRecord, keysOfEach)
		for i := range keys {
			id := newID(t)
			keys[i] = apikeys.KeyRecord{
				ID: id, OrganizationID: o, OwnerID: fmt.Sprint("owner ", i%7), Head: "sk", Hint: "sk_Ab3d…x9Qz", Name: fmt.Sprint("key ", i),
				CreatedAt: at, UpdatedAt: at, Version: 1,
				Secret: apikeys.SecretRecord{KeyID: id, Number: 1, Hash: sha256.Sum256(id[:]), SigningID: "s", CreatedAt: at},
			}
			if i%3 == 0 {
				keys[i].ProjectID = project
			}
			if i%4 == 0 {
				keys[i].ProductID = product
			}
		}
		if _, err := s.CreateKeys(t.Context(), m(), keys); err != nil {
			t.Fatal(err)
		}
		of = append(of, keys[0])
	}
	return of
}

func newID(t *testing.T) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestPlans: each statement finds its rows by an index, with the arguments that it is
// run with, in tables that are almost empty and in tables that are not. So the last
// page costs what the first one does, and no statement locks what it does not touch.
func TestPlans(t *testing.T) {
	t.Parallel()
	for _, keysOfEach := range []int{2, 500} {
		t.Run(fmt.Sprint(10*keysOfEach, " keys"), func(t *testing.T) {
			t.Parallel()
			plans := plansOf(t, keysOfEach)
			st := reflect.ValueOf(*statements())
			for i := range st.NumField() {
				name, query := st.Type().Field(i).Name, st.Field(i).String()
				plan, ran := plans[query]
				if !ran && query != "" && !strings.Contains(query, "INSERT") {
					t.Errorf("%s was not run", name)
				}
				wantIndexes(t, name, plan)
			}
		})
	}
}

// sorting are the statements that sort a handful of rows, or none: MariaDB says that it
// sorts what it joins to a single row.
var sorting = map[string]bool{
	"ChangesSince": true, "KeyAndSecrets": true, "KeyHours": true, "LockKeys": true,
	"OldChanges": true, "CountHashes": true,
}

// wanted are the indexes that a table is read by, where several would be possible.
var wanted = map[string]string{
	"KeysByOwner": "k range apikeys_keys_owner 1058", "KeysByProject": "k range apikeys_keys_project 49",
	"KeysByProduct": "k range apikeys_keys_product 49", "KeysByOrganization": "k range apikeys_keys_organization 32",
	"KeysAll": "k range PRIMARY", "KeysRevoked": "k range apikeys_keys_revoked", "KeysExpired": "k range apikeys_keys_expires", "KeysExpiring": "k range apikeys_keys_expires",
	"KeysExpiringOf": "k range apikeys_keys_organization_expires",
	"KeyByHash":      "s const PRIMARY", "KeysByHashes": "s eq_ref PRIMARY", "LockKeys": "k eq_ref PRIMARY", "RevokeKeys": "k eq_ref PRIMARY",
	"DeleteKeys": "k eq_ref PRIMARY", "DeleteKeyUsage": "u eq_ref PRIMARY", "DeleteKeyHours": "h ref PRIMARY",
	"ResourcesByOrganization": "r range apikeys_resources_organization", "ResourcesByKind": "r range apikeys_resources_kind",
	"EventsBySubject": "e range apikeys_events_subject", "EventsByOrganization": "e range apikeys_events_organization",
	"EventsAll": "e range PRIMARY", "LockWindows": "w ref PRIMARY", "ReturnWindow": "apikeys_windows range PRIMARY",
	"FirstLogged": "apikeys_usage_log range PRIMARY", "Logged": "apikeys_usage_log range PRIMARY", "DeleteLogged": "l eq_ref PRIMARY",
	"ShareResources": "apikeys_resources range PRIMARY", "ChangesSince": "apikeys_changes range PRIMARY",
}

func wantIndexes(t *testing.T, name string, plan []step) {
	t.Helper()
	t.Logf("%s: %v", name, plan)
	found := wanted[name] == ""
	for _, s := range plan {
		found = found || strings.HasPrefix(s.String(), wanted[name])
		// A list is read as a whole, and so is what was read before.
		whole := (s.access == "ALL" || s.access == "index") && s.table != "j" && !strings.HasPrefix(s.table, "<derived")
		sorts := strings.Contains(s.extra, "filesort") || strings.Contains(s.extra, "join buffer")
		if whole && name != "CountHashes" && name != "InsertChange" || sorts && !sorting[name] {
			t.Errorf("%s reads a table as a whole, or sorts:\n%s", name, s)
		}
	}
	if !found {
		t.Errorf("%s: want %q in the plan:\n%v", name, wanted[name], plan)
	}
}

func plansOf(t *testing.T, keysOfEach int) map[string][]step {
	t.Helper()
	s, err := Open(t.Context(), testdb.MySQL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := fill(t, s, 10, keysOfEach)
	if _, err := s.pool.db.ExecContext(t.Context(),
		"ANALYZE TABLE apikeys_keys, apikeys_secrets, apikeys_resources, apikeys_usage, apikeys_events, apikeys_changes"); err != nil {
		t.Fatal(err)
	}
	e := explainer{newDatabase(s.pool), new(sync.Mutex), map[string][]step{}}
	use(t, sqlstore.New(e, dialect{}, statements()), keys[4], keys[6])
	return e.plans
}

// use runs every method.
func use(t *testing.T, s apikeys.Store, k, other apikeys.KeyRecord) {
	t.Helper()
	ctx, at, later := t.Context(), k.CreatedAt, k.CreatedAt.Add(time.Hour)
	m := func() apikeys.Mutation { return apikeys.Mutation{ID: newID(t), At: later, Action: "test"} }
	scope := apikeys.Scope{OrganizationID: k.OrganizationID}
	owner := apikeys.Scope{OrganizationID: k.OrganizationID, OwnerID: k.OwnerID}
	ref := apikeys.KeyRef{Scope: scope, ID: k.ID}
	name, text := "new name", "name"
	subject := apikeys.Subject{1}
	lease := []apikeys.LeaseRequest{{Subject: subject, At: at, Parts: []apikeys.LeasePart{{Limit: apikeys.PerMinute(10), Want: 1}, {Limit: apikeys.PerDay(10), Want: 1}}}}
	renaming, create := m(), m()
	another := other
	another.ID, another.Secret.Hash = newID(t), apikeys.Hash{9}
	taken := another
	taken.ID = newID(t)
	for i, err := range []error{
		second(s.EnsureSettings(ctx, apikeys.SettingsRecord{Version: 1})),
		second(s.EnsureSettings(ctx, apikeys.SettingsRecord{Version: 2})),
		second(s.ListResources(ctx, apikeys.ResourceQuery{Kind: apikeys.KindProject, ID: k.ID, Limit: 10})),
		second(s.ListResources(ctx, apikeys.ResourceQuery{Kind: apikeys.KindProject, Scope: scope, Name: &text, Limit: 10})),
		second(s.ListResources(ctx, apikeys.ResourceQuery{Kind: apikeys.KindProduct, LinkOf: k.ProjectID, Limit: 10})),
		second(s.ListResources(ctx, apikeys.ResourceQuery{Kind: apikeys.KindProject, Scope: scope, Limit: 10})),
		second(s.ListResources(ctx, apikeys.ResourceQuery{Kind: apikeys.KindProject, Limit: 10})),
		second(s.UpdateResource(ctx, m(), apikeys.ResourceRef{Kind: apikeys.KindOrganization, ID: k.OrganizationID}, apikeys.ResourceChange{Name: &name})),
		second(s.Binding(ctx, k.ProjectID, k.ProductID)),
		second(s.KeysByHash(ctx, []apikeys.Hash{k.Secret.Hash})),
		second(s.KeysByHash(ctx, []apikeys.Hash{k.Secret.Hash, other.Secret.Hash})),
		third(s.GetKey(ctx, ref)),
		second(s.ListKeys(ctx, apikeys.KeyQuery{ID: k.ID, Now: at, Limit: 50})),
		second(s.ListKeys(ctx, apikeys.KeyQuery{Scope: owner, Now: at, Limit: 50})),
		second(s.ListKeys(ctx, apikeys.KeyQuery{ProjectID: k.ProjectID, Now: at, Limit: 50})),
		second(s.ListKeys(ctx, apikeys.KeyQuery{ProductID: k.ProductID, Now: at, Limit: 50})),
		second(s.ListKeys(ctx, apikeys.KeyQuery{Scope: scope, Now: at, Limit: 50, Before: k.ID})),
		second(s.ListKeys(ctx, apikeys.KeyQuery{Now: at, Limit: 50})),
		second(s.ListKeys(ctx, apikeys.KeyQuery{Now: at, ExpiresBefore: later, Expiring: &apikeys.ExpiryMark{At: at}, Limit: 50})),
		second(s.ListKeys(ctx, apikeys.KeyQuery{Scope: scope, Now: at, ExpiresBefore: later, Expiring: &apikeys.ExpiryMark{At: at}, Limit: 50})),
		second(s.UpdateKey(ctx, renaming, ref, apikeys.KeyChange{Name: &name})),
		second(s.UpdateKey(ctx, renaming, ref, apikeys.KeyChange{Name: &name})),
		second(s.RotateKey(ctx, m(), ref, apikeys.Rotation{Secret: apikeys.SecretRecord{Hash: apikeys.Hash{7}, SigningID: "s", CreatedAt: at}, OldEndsAt: later})),
		s.AddHash(ctx, apikeys.SecretRecord{KeyID: k.ID, Number: 1, Hash: apikeys.Hash{8}, SigningID: "t", CreatedAt: at}),
		second(s.CountHashes(ctx, at)),
		second(s.DeleteHashes(ctx, m(), "t", 10)),
		second(s.Changes(ctx, apikeys.ChangeMark{Revision: 3})),
		second(s.TakeLeases(ctx, lease)),
		second(s.TakeLeases(ctx, []apikeys.LeaseRequest{{Subject: subject, At: at, Parts: lease[0].Parts[:1]}})),
		second(s.TakeLeases(ctx, []apikeys.LeaseRequest{{Subject: subject, Parts: []apikeys.LeasePart{{Limit: apikeys.PerMinute(10)}}}})),
		s.ReturnLeases(ctx, []apikeys.LeaseReturn{{Subject: subject, Window: apikeys.WindowDay, Start: apikeys.WindowDay.Start(at), Unused: 1}}),
		s.AddUsage(ctx, apikeys.UsageBatch{Writer: k.ID, Seq: 1, At: at, Deltas: []apikeys.UsageDelta{
			{KeyID: k.ID, Secret: 1, Hour: at.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: at},
			{KeyID: other.ID, Secret: 1, Hour: at.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: at},
		}}),
		s.AddUsage(ctx, apikeys.UsageBatch{Writer: k.ID, Seq: 2, At: at, Deltas: []apikeys.UsageDelta{
			{KeyID: k.ID, Secret: 1, Hour: at.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: at},
		}}),
		second(s.Admit(ctx, at, []apikeys.Admission{{Lease: lease[0], KeyID: k.ID, Secret: 1}})),
		s.FoldUsage(ctx),
		second(s.KeyUsage(ctx, apikeys.UsageQuery{Ref: ref, From: at.Add(-time.Hour), To: later})),
		second(s.ListEvents(ctx, apikeys.EventQuery{ID: k.ID, Limit: 50})),
		second(s.ListEvents(ctx, apikeys.EventQuery{SubjectID: k.ID, Limit: 50})),
		second(s.ListEvents(ctx, apikeys.EventQuery{Scope: scope, Limit: 50})),
		second(s.ListEvents(ctx, apikeys.EventQuery{Limit: 50})),
		second(s.RevokeKeys(ctx, m(), apikeys.KeyQuery{Scope: scope, Now: at, Limit: 20}, "test")),
		second(s.DeleteKeys(ctx, m(), apikeys.KeyQuery{Now: at, EndedBefore: later.Add(time.Hour), Limit: 30})),
		second(s.Sweep(ctx, apikeys.SweepParams{WindowsBefore: at, ChangesBefore: later.Add(time.Hour), EventsBefore: at, UsageBefore: at, WritersBefore: at, Limit: 10})),
		s.SetLink(ctx, m(), apikeys.LinkRef{ProjectID: k.ProjectID, ProductID: k.ProductID}, false),
		second(s.DeleteKeys(ctx, m(), apikeys.KeyQuery{Scope: scope, Now: at})),
		second(s.UpdateResource(ctx, m(), apikeys.ResourceRef{Kind: apikeys.KindProject, ID: k.ProjectID}, apikeys.ResourceChange{Delete: true})),
		second(s.UpdateResource(ctx, m(), apikeys.ResourceRef{Kind: apikeys.KindProduct, ID: k.ProductID}, apikeys.ResourceChange{Delete: true})),
		second(s.UpdateResource(ctx, m(), apikeys.ResourceRef{Kind: apikeys.KindOrganization, ID: k.OrganizationID}, apikeys.ResourceChange{Delete: true})),
		second(s.CreateKeys(ctx, create, []apikeys.KeyRecord{another})),
		second(s.CreateKeys(ctx, create, []apikeys.KeyRecord{another})),
		second(s.CreateKeys(ctx, m(), []apikeys.KeyRecord{taken})),
	} {
		if err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }
