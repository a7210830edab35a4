package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestPlans: each statement that a list, a request or a batch is made of finds its
// rows by an index, and none sorts. So the last page costs what the first one does.
func TestPlans(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	st := statements()
	for name, tc := range map[string]struct{ query, uses string }{
		"KeysByID":                {st.KeysByID, "sqlite_autoindex_apikeys_keys_1 (id=?"},
		"KeysByOwner":             {st.KeysByOwner, "apikeys_keys_owner (organization_id=? AND owner_id=? AND id<?)"},
		"KeysByProject":           {st.KeysByProject, "apikeys_keys_project (organization_id=? AND project_id=? AND id<?)"},
		"KeysByProduct":           {st.KeysByProduct, "apikeys_keys_product (organization_id=? AND product_id=? AND id<?)"},
		"KeysByOrganization":      {st.KeysByOrganization, "apikeys_keys_organization (organization_id=? AND id<?)"},
		"KeysAll":                 {st.KeysAll, "sqlite_autoindex_apikeys_keys_1 (id<?)"},
		"KeysRevoked":             {st.KeysRevoked, "apikeys_keys_revoked (revoked_at<?)"},
		"KeysExpiring":            {st.KeysExpiring, "apikeys_keys_expires ("},
		"KeysExpiringOf":          {st.KeysExpiringOf, "apikeys_keys_organization_expires (organization_id=? AND expires_at>? AND expires_at<?)"},
		"KeysExpired":             {st.KeysExpired, "apikeys_keys_expires (expires_at<?)"},
		"KeyByHash":               {st.KeyByHash, "SEARCH s USING PRIMARY KEY (hash=?)"},
		"KeysByHashes":            {st.KeysByHashes, "SEARCH s USING PRIMARY KEY (hash=?)"},
		"KeyByHash, the key":      {st.KeyByHash, "SEARCH k USING INTEGER PRIMARY KEY (rowid=?)"},
		"KeysByHashes, the keys":  {st.KeysByHashes, "SEARCH k USING INTEGER PRIMARY KEY (rowid=?)"},
		"KeyAndSecrets":           {st.KeyAndSecrets, "sqlite_autoindex_apikeys_keys_1 (id=?)"},
		"Secrets":                 {st.Secrets, "(key_id=?)"},
		"ResourceByID":            {st.ResourceByID, "PRIMARY KEY (id=?"},
		"ResourcesByName":         {st.ResourcesByName, "(namespace_id=? AND kind=? AND name=?)"},
		"ResourcesByLink":         {st.ResourcesByLink, "SEARCH d USING PRIMARY KEY (project_id=?"},
		"ResourcesByOrganization": {st.ResourcesByOrganization, "apikeys_resources_organization (organization_id=? AND kind=? AND id<?)"},
		"ResourcesByKind":         {st.ResourcesByKind, "apikeys_resources_kind (kind=? AND id<?)"},
		"KeyOfOrganization":       {st.KeyOfOrganization, "(organization_id=?)"},
		"KeyOfProject":            {st.KeyOfProject, "(organization_id=? AND project_id=?)"},
		"KeyOfProduct":            {st.KeyOfProduct, "(organization_id=? AND product_id=?)"},
		"DeleteLinksOfProduct":    {st.DeleteLinksOfProduct, "apikeys_links_product (organization_id=? AND product_id=?)"},
		"EventsByID":              {st.EventsByID, "PRIMARY KEY (id=?"},
		"EventsBySubject":         {st.EventsBySubject, "apikeys_events_subject (subject_id=? AND id<?)"},
		"EventsByOrganization":    {st.EventsByOrganization, "apikeys_events_organization (organization_id=? AND id<?)"},
		"EventsAll":               {st.EventsAll, "PRIMARY KEY (id<?)"},
		"BlankEvents":             {st.BlankEvents, "apikeys_events_subject (subject_id=?)"},
		"ChangesSince":            {st.ChangesSince, "SEARCH c USING PRIMARY KEY (revision>?)"},
		"Windows":                 {st.Windows, "PRIMARY KEY (subject=?)"},
		"UpdateUsed":              {st.UpdateUsed, "PRIMARY KEY (subject=? AND span=?)"},
		"UpdateWindow":            {st.UpdateWindow, "PRIMARY KEY (subject=? AND span=?)"},
		"FirstLogged":             {st.FirstLogged, "INTEGER PRIMARY KEY (rowid>?)"},
		"Logged":                  {st.Logged, "INTEGER PRIMARY KEY (rowid>?)"},
		"DeleteLogged":            {st.DeleteLogged, "INTEGER PRIMARY KEY (rowid=?)"},
		"KeyHours":                {st.KeyHours, "SEARCH h USING PRIMARY KEY (key_id=? AND hour>? AND hour<?)"},
		"DeleteHashes":            {st.DeleteHashes, "apikeys_secrets_signing (signing_id=?)"},
		"SweepWindows":            {st.SweepWindows, "apikeys_windows_starts (starts<?)"},
		"SweepEvents":             {st.SweepEvents, "apikeys_events_at (at<?)"},
		"SweepHours":              {st.SweepHours, "apikeys_usage_hours_hour (hour<?)"},
		"SweepWriters":            {st.SweepWriters, "apikeys_writers_seen (seen_at<?)"},
		"Event":                   {st.Event, "PRIMARY KEY (id=?)"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := explainPlan(t, s, tc.query)
			t.Log("\n" + plan)
			if !strings.Contains(plan, tc.uses) {
				t.Errorf("got this plan, want %q in it:\n%s", tc.uses, plan)
			}
			for _, bad := range []string{"TEMP B-TREE", "SCAN k", "SCAN r ", "SCAN e", "SCAN c", "SCAN apikeys_"} {
				if strings.Contains(plan, bad) && !sorts[name] {
					t.Errorf("got %q in the plan:\n%s", bad, plan)
				}
			}
		})
	}
}

// sorts are the statements that may sort: what they sort is a handful of rows.
var sorts = map[string]bool{"Secrets": true, "KeyAndSecrets": true, "KeyHours": true, "Windows": true}

func explainPlan(t *testing.T, s *Store, query string) string {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	for i := range args {
		args[i] = "[]"
	}
	rows, err := s.pools.writer.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
