package sqlstore

import (
	"fmt"
	"reflect"
)

// Statements are the texts of a database: whole statements with one placeholder
// for each argument, in the order of the comments, so that one list of arguments
// serves every database; a value that is needed twice is passed twice. What a
// statement returns is in the order of the comments too.
//
// Words in the comments: "scope" is the four arguments 1-if-asked, organization,
// owner, owner (an empty owner asks nothing); "locked" means FOR UPDATE (SQLite:
// nothing, the transaction excludes other writers); "shared" means that the rows
// may not be deleted before the transaction ends; "if absent" means ON CONFLICT DO
// NOTHING (or an error that Classify calls Duplicate, where that does not end a
// transaction); "list" is one argument from Dialect.IDs, Dialect.Hashes or Dialect.Numbers.
//
// Columns of records, as select lists:
//
//	resource: kind, id, organization_id, name, created_at, updated_at, suspended_at
//	key:      id, organization_id, project_id, product_id, owner_id, environment, head, hint, name, scopes,
//	          rate_limits, expires_at, custom, created_at, updated_at, disabled_at, revoked_at, revoked_reason, version,
//	          use_count, last_used_at (0 and NULL when there is no row of usage)
//	secret:   number, hash, signing_id, hint, created_at, ends_at
//	event:    id, at, actor, action, organization_id, kind, subject_id, detail
//
// Filters at the end of every list, after what the list is driven by:
//
//	keyFilter: 1-if-asked, organization_id; owner_id twice ('' asks nothing); 1-if-asked, project_id;
//	           1-if-asked, product_id; status twice ('' asks nothing), now; search three times, for lower_name and
//	           lower_hint ('' asks nothing);
//	           created before, twice; expires before, twice; ended before, three times (NULL asks nothing);
//	           1 for those that are not revoked only; ids less than this
//	page:      order by id, the greatest first; limit
type Statements struct {
	// Migrated returns 1 if the tables are there, else 0. Empty where the code of
	// an error says so for certain.
	Migrated string

	Settings       string // → version, document
	InsertSettings string // if absent: version, document
	UpdateSettings string // version, document; where version is: version

	State            string // → revision, stamp, now, 1 on a replica
	ChangesSince     string // mark's revision, mark's stamp, revision, limit → revision and stamp of the state, now, 1 if the mark is in the history, revision (0: none), kind, subject_id; by revision
	RaiseRevision    string // stamp
	InsertChange     string // kind, subject_id, at: under the state's revision and stamp
	InsertKeyChanges string // at, list of keys: under the state's revision and stamp

	Event                string // id → event
	InsertEvent          string // if absent: event
	BlankEvents          string // list of subjects
	EventsByID           string // id; 1-if-asked, organization; 1-if-asked, subject; less than; limit → event
	EventsBySubject      string // subject; as above
	EventsByOrganization string // organization; as above
	EventsAll            string // as above, driven by nothing

	LockResource            string // id, kind, 1-if-asked, organization → resource, locked
	ShareResources          string // three ids → kind, id, organization_id, shared, in the order of ids
	InsertResource          string // if absent: id, kind, organization_id, namespace_id, name, created_at, updated_at, suspended_at
	UpdateResource          string // name, suspended_at, updated_at; where id
	DeleteResource          string // id
	DeleteOrganization      string // organization, the same: its projects and products, not itself
	KeyOfOrganization       string // organization → any row if a key is bound to it
	KeyOfProject            string // organization, project → any row if a key is bound to it
	KeyOfProduct            string // organization, product → any row if a key is bound to it
	ResourceByID            string // id; resourceFilter → resource
	ResourcesByName         string // namespace, kind, name; resourceFilter → resource
	ResourcesByLink         string // project; resourceFilter → resource
	ResourcesByOrganization string // organization, kind; resourceFilter → resource
	ResourcesByKind         string // kind; resourceFilter → resource
	// resourceFilter: kind; 1-if-asked, organization; 1-if-asked, id; 1-if-asked,
	// name; 1-if-asked, project it is linked to; less than; page.

	InsertLink              string // if absent: project, product, organization
	DeleteLink              string // project, product
	DeleteLinksOfProject    string // organization, project
	DeleteLinksOfProduct    string // organization, product
	DeleteLinksOrganization string // organization
	Binding                 string // project, product, project, product → two organizations or NULL, linked

	InsertKey          string // if absent, id: key without its last two; lower_name, lower_hint after name
	InsertSecret       string // if absent, hash: hash, key_id, number, signing_id, hint, created_at, ends_at
	InsertUsage        string // if absent: key_id, use_count, last_used_at
	DeleteKey          string // id
	KeyStanding        string // id, hash → 1 if the id is taken, the key that has the hash or NULL
	Key                string // id, scope → key
	KeyAndSecrets      string // id, scope → key, secret (number 0: none); the greatest number first
	LockKey            string // id, scope → key, locked
	UpdateKey          string // hint, name, lower_name, lower_hint, scopes, rate_limits, expires_at, custom, updated_at, disabled_at, revoked_at, revoked_reason, version; where id
	KeyByHash          string // hash → key, secret, suspended_at of the organization, linked
	KeysByHashes       string // list of hashes → the same
	KeysByID           string // id; keyFilter, page → key
	KeysByOwner        string // organization, owner; keyFilter, page → key
	KeysByProject      string // project twice; keyFilter, page → key
	KeysByProduct      string // product twice; keyFilter, page → key
	KeysByOrganization string // organization; keyFilter, page → key
	KeysAll            string // keyFilter, page → key
	KeysRevoked        string // revoked before; keyFilter; limit, in any order → key
	KeysExpiring       string // end, end, id, end before; keyFilter; limit, by end and id → key
	KeysExpiringOf     string // organization; then as KeysExpiring
	KeysExpired        string // expired by; keyFilter; limit, in any order → key
	LockKeys           string // list of ids; keyFilter, page → id, organization_id, locked
	RevokeKeys         string // revoked_at, revoked_reason, updated_at, list of ids: version + 1
	DeleteKeys         string // list of ids
	DeleteKeySecrets   string // list of keys
	DeleteKeyUsage     string // list of keys
	DeleteKeyHours     string // list of keys

	Secrets      string // key → secret, the greatest number first
	EndSecret    string // end; where key, number; if it ends later than: end
	EndOlder     string // end; where key, numbers less than; if they end later than: end
	CountHashes  string // time, time → signing_id, keys, keys that live then by a secret that has no other hash
	DeleteHashes string // signing_id, limit

	Now          string // → the database's clock
	Windows      string // list of subjects → subject, span, starts, used, the database's clock, at any time of the statement
	LockWindows  string // list of subjects → the same, locked in the order of subject and span
	InsertWindow string // if absent: subject, span; starts and used are 0
	UpdateWindow string // starts, used; where subject, span
	// UpdateUsed is UpdateWindow of a window that goes on. Empty where an index costs
	// nothing when what it is of does not change.
	UpdateUsed   string // used; where subject, span
	ReturnWindow string // unused; where subject, span, starts; if used is not less than: unused

	UpdateWriter string // seq, seen_at; where id; if seq is less than: seq
	InsertWriter string // if absent: id, seq, seen_at
	AddUsage     string // count, last used (or NULL) twice; where key: the later of both times
	AddHour      string // key_id, hour, secret, outcome, count, last_at: or adds to what is there, the later of both times
	KeyHours     string // from, before; where key, scope → hour (NULL: none), secret, outcome, count, last_at; by hour, secret, outcome

	LogUses         string // at, uses: of one call
	FirstLogged     string // → id of the first row of the log; ids are greater than 0
	LockFirstLogged string // → the same, locked
	Logged          string // id, limit → id, at, uses of the rows after it, in the order of ids
	DeleteLogged    string // list of numbers: ids

	SweepWindows  string // starts before, ends before (both seconds), limit
	SweepEvents   string // before, limit
	SweepHours    string // before, limit
	SweepWriters  string // before, limit
	OldChanges    string // before, limit → revision, of all but the newest revision, the oldest first
	DeleteChanges string // revisions up to, before
}

// Check returns an error that names a statement that is missing.
func (s *Statements) Check() error {
	v := reflect.ValueOf(*s)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).String() == "" && name != "Migrated" && name != "UpdateUsed" {
			return fmt.Errorf("sqlstore: statement %s is missing", name)
		}
	}
	return nil
}
