package storetest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// epoch is when the tests happen: to the microsecond, so that a store that cuts
// to milliseconds or seconds is seen.
var epoch = time.Date(2026, 3, 5, 10, 20, 30, 123456000, time.UTC)

// fixture is a test with a store and with the means to fill it.
type fixture struct {
	*testing.T
	store apikeys.Store
	open  func(*testing.T) apikeys.Store
	n     *atomic.Uint64 // the source of ids, hashes and times
}

func newFixture(t *testing.T, open func(*testing.T) apikeys.Store) *fixture {
	t.Helper()
	return &fixture{T: t, store: watch(t, open(t)), open: open, n: new(atomic.Uint64)}
}

// each runs one case of a table as a subtest on the same store.
func (f *fixture) each(name string, run func(*fixture)) {
	f.Helper()
	f.Run(name, func(t *testing.T) {
		c := *f
		c.T = t
		run(&c)
	})
}

// id returns an id greater than all before it. Only its first bytes ascend, as
// those of a UUIDv7 do; the last ones go wild.
func (f *fixture) id() uuid.UUID {
	n := f.n.Add(1)
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(epoch.UnixMilli())<<16+n<<16)
	binary.BigEndian.PutUint64(id[8:], n*0x9e3779b97f4a7c15)
	id[6] = 0x70
	id[8] = 0x80 | id[8]&0x3f
	return id
}

// hash returns a hash that no other key has.
func (f *fixture) hash() apikeys.Hash {
	return sha256.Sum256(fmt.Append(nil, "hash ", f.n.Add(1)))
}

func (f *fixture) subject() apikeys.Subject {
	return sha256.Sum256(fmt.Append(nil, "subject ", f.n.Add(1)))
}

// name returns a name that nothing else has.
func (f *fixture) name() string { return fmt.Sprint("a name ", f.n.Add(1)) }

// mutation returns a new mutation, later than all before it.
func (f *fixture) mutation(action string) apikeys.Mutation {
	id := f.id()
	return apikeys.Mutation{
		ID: id, At: epoch.Add(time.Duration(f.n.Load()) * time.Second), Actor: "the test suite", Action: action,
		Detail: json.RawMessage(`{"why":"a test","n":9007199254740993}`),
	}
}

func (f *fixture) mutationAt(action string, at time.Time) apikeys.Mutation {
	m := f.mutation(action)
	m.At = at
	return m
}

// must ends the test when something failed that should not have.
func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatalf("got error %v, want none", err)
	}
}

// fails ends the test unless err is the one that is due.
func (f *fixture) fails(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("got error %v, want %v", err, want)
	}
}

// equal ends the test when got is not want; see [diff].
func (f *fixture) equal(what string, got, want any) {
	f.Helper()
	if d := diff(got, want); d != "" {
		f.Fatalf("%s%s", what, d)
	}
}

// together does something n times at once, and ends the test if one of them fails.
func (f *fixture) together(n int, do func(i int) error) {
	f.Helper()
	var running sync.WaitGroup
	start, errs := make(chan struct{}), make([]error, n)
	for i := range n {
		running.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	running.Wait()
	f.must(errors.Join(errs...))
}

func (f *fixture) newResource(kind apikeys.ResourceKind, organization uuid.UUID, name string) apikeys.ResourceRecord {
	r := apikeys.ResourceRecord{Kind: kind, ID: f.id(), OrganizationID: organization, Name: name}
	if kind == apikeys.KindOrganization {
		r.OrganizationID = r.ID
	}
	r.CreatedAt = epoch.Add(time.Duration(f.n.Load()) * time.Microsecond)
	r.UpdatedAt = r.CreatedAt
	return r
}

// create adds a resource that must be new.
func (f *fixture) create(kind apikeys.ResourceKind, organization uuid.UUID, name string) apikeys.ResourceRecord {
	f.Helper()
	r := f.newResource(kind, organization, name)
	standing, created, err := f.store.CreateResource(f.Context(), f.mutation(string(kind)+".create"), r)
	f.must(err)
	if !created {
		f.Fatalf("creating a new %s: got created false, want true", kind)
	}
	f.equal("created "+string(kind), standing, r)
	return r
}

func (f *fixture) organization() apikeys.ResourceRecord {
	f.Helper()
	return f.create(apikeys.KindOrganization, uuid.Nil, fmt.Sprint("organization ", f.n.Load()))
}

func (f *fixture) project(organization apikeys.ResourceRecord) apikeys.ResourceRecord {
	f.Helper()
	return f.create(apikeys.KindProject, organization.ID, fmt.Sprint("project ", f.n.Load()))
}

func (f *fixture) product(organization apikeys.ResourceRecord) apikeys.ResourceRecord {
	f.Helper()
	return f.create(apikeys.KindProduct, organization.ID, fmt.Sprint("product ", f.n.Load()))
}

func (f *fixture) link(project, product apikeys.ResourceRecord, linked bool) {
	f.Helper()
	ref := apikeys.LinkRef{ProjectID: project.ID, ProductID: product.ID}
	f.must(f.store.SetLink(f.Context(), f.mutation("product.link"), ref, linked))
}

func refOf(r apikeys.ResourceRecord) apikeys.ResourceRef {
	return apikeys.ResourceRef{Kind: r.Kind, ID: r.ID}
}

// change does one change to a resource that must succeed.
func (f *fixture) change(r apikeys.ResourceRecord, change apikeys.ResourceChange) apikeys.ResourceRecord {
	f.Helper()
	changed, err := f.store.UpdateResource(f.Context(), f.mutation(string(r.Kind)+".change"), refOf(r), change)
	f.must(err)
	return changed
}

// newKey makes a key, with edits, that is not stored yet.
func (f *fixture) newKey(organization apikeys.ResourceRecord, edits ...func(*apikeys.KeyRecord)) apikeys.KeyRecord {
	id := f.id()
	created := epoch.Add(time.Duration(f.n.Load()) * time.Microsecond)
	k := apikeys.KeyRecord{
		ID: id, OrganizationID: organization.ID, Head: "sk", Hint: fmt.Sprintf("sk_%04d…wxyz", f.n.Load()),
		Name: fmt.Sprint("key ", f.n.Load()), CreatedAt: created, UpdatedAt: created, Version: 1,
	}
	for _, edit := range edits {
		edit(&k)
	}
	k.Secret = apikeys.SecretRecord{
		KeyID: k.ID, Number: 1, Hash: f.hash(), SigningID: "signing-1", Hint: k.Hint, CreatedAt: k.CreatedAt,
	}
	return k
}

// key stores a new key.
func (f *fixture) key(organization apikeys.ResourceRecord, edits ...func(*apikeys.KeyRecord)) apikeys.KeyRecord {
	f.Helper()
	k := f.newKey(organization, edits...)
	f.storeAll(k)
	return k
}

// keys stores n new keys at once, the one with the smallest id first.
func (f *fixture) keys(n int, organization apikeys.ResourceRecord, edits ...func(*apikeys.KeyRecord)) []apikeys.KeyRecord {
	f.Helper()
	keys := make([]apikeys.KeyRecord, n)
	for i := range keys {
		keys[i] = f.newKey(organization, edits...)
	}
	f.storeAll(keys...)
	return keys
}

// storeAll stores keys, none of which may fail.
func (f *fixture) storeAll(keys ...apikeys.KeyRecord) {
	f.Helper()
	faults, err := f.store.CreateKeys(f.Context(), f.mutation("key.create"), keys)
	f.must(err)
	if len(faults) != len(keys) {
		f.Fatalf("CreateKeys: got %d results for %d keys, want one for each", len(faults), len(keys))
	}
	f.must(errors.Join(faults...))
}

func keyRef(id uuid.UUID) apikeys.KeyRef { return apikeys.KeyRef{ID: id} }

// get reads a key that must be there.
func (f *fixture) get(id uuid.UUID) apikeys.KeyRecord {
	f.Helper()
	k, _, err := f.store.GetKey(f.Context(), keyRef(id))
	f.must(err)
	return stored(k)
}

// secrets reads the secrets of a key that must be there.
func (f *fixture) secrets(id uuid.UUID) []apikeys.SecretRecord {
	f.Helper()
	_, secrets, err := f.store.GetKey(f.Context(), keyRef(id))
	f.must(err)
	return secrets
}

// stored is k without what only KeysByHash sets.
func stored(k apikeys.KeyRecord) apikeys.KeyRecord {
	k.Secret, k.SuspendedAt, k.Linked = apikeys.SecretRecord{}, time.Time{}, false
	return k
}

// update changes a key, which must succeed.
func (f *fixture) update(id uuid.UUID, change apikeys.KeyChange) apikeys.KeyRecord {
	f.Helper()
	k, err := f.store.UpdateKey(f.Context(), f.mutation("key.update"), keyRef(id), change)
	f.must(err)
	return stored(k)
}

// byHash looks one hash up: the key it belongs to, or none.
func (f *fixture) byHash(h apikeys.Hash) []apikeys.KeyRecord {
	f.Helper()
	found, err := f.store.KeysByHash(f.Context(), []apikeys.Hash{h})
	f.must(err)
	return found
}

// list lists keys, all of them when the query says nothing of a limit.
func (f *fixture) list(q apikeys.KeyQuery) []apikeys.KeyRecord {
	f.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	keys, err := f.store.ListKeys(f.Context(), q)
	f.must(err)
	return keys
}

// events lists events, all of them when the query says nothing of a limit.
func (f *fixture) events(q apikeys.EventQuery) []apikeys.EventRecord {
	f.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	events, err := f.store.ListEvents(f.Context(), q)
	f.must(err)
	return events
}

// since looks at what changed after a mark.
func (f *fixture) since(mark apikeys.ChangeMark) apikeys.ChangeSet {
	f.Helper()
	set, err := f.store.Changes(f.Context(), mark)
	f.must(err)
	return set
}

// mark returns what stands now.
func (f *fixture) mark() apikeys.ChangeMark {
	f.Helper()
	return f.since(apikeys.ChangeMark{}).Mark
}

func ptr[T any](v T) *T { return &v }
