package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func resourceTests() []test {
	return []test{
		{"come back as they were created", resourcesRoundTrip},
		{"a taken name returns the standing one", takenName},
		{"a name at once is created once", nameOnce},
		{"names are unique within an organization", namesWithinOrganization},
		{"names are compared byte for byte", namesByteForByte},
		{"need their organization", needOrganization},
		{"an id is never overwritten", idNotOverwritten},
		{"rename", rename},
		{"rename to a taken name", renameTaken},
		{"rename to the own name changes nothing", renameToOwn},
		{"a suspension keeps its first time", suspendOnce},
		{"resume", resume},
	}
}

func (f *fixture) resources(q apikeys.ResourceQuery) []apikeys.ResourceRecord {
	f.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	list, err := f.store.ListResources(f.Context(), q)
	f.must(err)
	return list
}

// resource reads a resource that must be there.
func (f *fixture) resource(r apikeys.ResourceRecord) apikeys.ResourceRecord {
	f.Helper()
	found := f.resources(apikeys.ResourceQuery{Kind: r.Kind, ID: r.ID})
	if len(found) != 1 {
		f.Fatalf("looking up a %s: got %d, want 1", r.Kind, len(found))
	}
	return found[0]
}

// Catches: times cut to milliseconds or in local time, fields mixed up.
func resourcesRoundTrip(f *fixture) {
	o := f.organization()
	for _, r := range []apikeys.ResourceRecord{o, f.project(o), f.product(o)} {
		f.equal(string(r.Kind), f.resource(r), r)
	}
	r := f.newResource(apikeys.KindProject, o.ID, "updated later than created")
	r.UpdatedAt = r.CreatedAt.Add(time.Second + time.Microsecond)
	_, _, err := f.store.CreateResource(f.Context(), f.mutation("project.create"), r)
	f.must(err)
	f.equal("project", f.resource(r), r)
}

// Catches: an error or an overwriting where the standing one is asked for; an
// event for what did not happen.
func takenName(f *fixture) {
	o := f.organization()
	for _, standing := range []apikeys.ResourceRecord{o, f.project(o), f.product(o)} {
		f.unchanged("creating a "+string(standing.Kind)+" again", func() {
			again := f.newResource(standing.Kind, o.ID, standing.Name)
			got, created, err := f.store.CreateResource(f.Context(), f.mutation("create"), again)
			f.must(err)
			if created {
				f.Fatalf("a taken name of a %s: got created true, want false", standing.Kind)
			}
			f.equal("the standing "+string(standing.Kind), got, standing)
		})
	}
}

// Catches: look first, insert then; a unique violation that comes out as an error.
func nameOnce(f *fixture) {
	const n = 8
	proposed, got, created := make([]apikeys.ResourceRecord, n), make([]apikeys.ResourceRecord, n), make([]bool, n)
	mutations := make([]apikeys.Mutation, n)
	for i := range n {
		proposed[i] = f.newResource(apikeys.KindOrganization, uuid.Nil, "wanted by all")
		mutations[i] = f.mutation("organization.create")
	}
	f.together(n, func(i int) (err error) {
		got[i], created[i], err = f.store.CreateResource(f.Context(), mutations[i], proposed[i])
		return err
	})
	made := 0
	for i := range n {
		f.equal("what everybody was told", got[i], got[0])
		if created[i] {
			made++
			f.equal("the one that was created", got[0], proposed[i])
		}
	}
	if all := f.resources(apikeys.ResourceQuery{Kind: apikeys.KindOrganization}); made != 1 || len(all) != 1 {
		f.Fatalf("got %d times created and %d organizations, want 1 and 1", made, len(all))
	}
}

// Catches: a unique index on the name alone, or on the name without the kind.
func namesWithinOrganization(f *fixture) {
	a := f.create(apikeys.KindOrganization, uuid.Nil, "same")
	b := f.organization()
	for _, o := range []apikeys.ResourceRecord{a, b} {
		f.create(apikeys.KindProject, o.ID, "same")
		f.create(apikeys.KindProduct, o.ID, "same")
	}
	if n := len(f.resources(apikeys.ResourceQuery{Kind: apikeys.KindProject, Name: ptr("same")})); n != 2 {
		f.Fatalf("projects of one name in two organizations: got %d, want 2", n)
	}
}

// hardTexts are texts that differ by little, or mean something to a database.
func hardTexts() []string {
	return []string{
		"Acme", "acme", "ACME", "ACME ", " ACME", "ACME  ", "AbC", "abc", "äcme", "a\u0308cme", "strasse", "straße",
		"🙂", "🙃", "👩‍👩‍👧", "ﬀ", "ff", "\u0130", "i\u0307", "\u212a", "K", "k", "½", "1/2",
		"a\"b", "a'b", "a''b", "a`b", "%", "_", "a%", "a_", `\`, `\\`, `\'`, "a;b", "--", "/*", "$1", "?", ":a", "@a", "{}",
		"'); DROP TABLE apikeys_keys; --", "<script>alert(1)</script>", "NULL", "null", "0", "00", "1e1", "10", "true",
		"tab\there", "line\nhere", "line\r\nhere", strings.Repeat("x", 200), strings.Repeat("🙂", 200), strings.Repeat("é", 199) + "e",
	}
}

// Catches: collations that fold case, accents or trailing space, normalisation,
// pattern characters, quoting by hand, columns that cut.
func namesByteForByte(f *fixture) {
	made := map[string]apikeys.ResourceRecord{}
	for _, name := range hardTexts() {
		made[name] = f.create(apikeys.KindOrganization, uuid.Nil, name)
	}
	for name, r := range made {
		found := f.resources(apikeys.ResourceQuery{Kind: apikeys.KindOrganization, Name: &name})
		f.equal(fmt.Sprintf("organizations named %q", name), found, []apikeys.ResourceRecord{r})
	}
}

// Catches: a foreign key that takes any resource for an organization, or none.
func needOrganization(f *fixture) {
	o := f.organization()
	for name, id := range map[string]uuid.UUID{
		"unknown": f.id(), "nil": uuid.Nil, "a project": f.project(o).ID, "a product": f.product(o).ID,
	} {
		for _, kind := range []apikeys.ResourceKind{apikeys.KindProject, apikeys.KindProduct} {
			f.unchanged("a refused creation", func() {
				_, created, err := f.store.CreateResource(f.Context(), f.mutation("create"), f.newResource(kind, id, "new"))
				if !errors.Is(err, apikeys.ErrNotFound) || created {
					f.Fatalf("a %s of an organization that is %s: got %v, want %v", kind, name, err, apikeys.ErrNotFound)
				}
			})
		}
	}
}

// Catches: INSERT OR REPLACE and its like.
func idNotOverwritten(f *fixture) {
	first := f.organization()
	again := f.newResource(apikeys.KindOrganization, uuid.Nil, "another name")
	again.ID, again.OrganizationID = first.ID, first.ID
	f.unchanged("creating under a taken id", func() {
		if _, created, err := f.store.CreateResource(f.Context(), f.mutation("organization.create"), again); err == nil || created {
			f.Fatalf("a taken id: got created %t and error %v, want an error", created, err)
		}
	})
}

// Catches: a rename that leaves the old name taken, or the index of names behind;
// an UpdatedAt by the store's clock.
func rename(f *fixture) {
	o := f.organization()
	for _, r := range []apikeys.ResourceRecord{o, f.project(o), f.product(o)} {
		old := r.Name
		for _, name := range []string{"new", "New", "new "} {
			m := f.mutation(string(r.Kind) + ".rename")
			got, err := f.store.UpdateResource(f.Context(), m, refOf(r), apikeys.ResourceChange{Name: &name})
			f.must(err)
			r.Name, r.UpdatedAt = name, m.At
			f.equal("the renamed "+string(r.Kind), got, r)
			f.equal("reading it", f.resource(r), r)
		}
		f.create(r.Kind, o.ID, old)
	}
}

// Catches: a unique violation that comes out as a fault of the store.
func renameTaken(f *fixture) {
	o := f.organization()
	for _, pair := range [][2]apikeys.ResourceRecord{
		{o, f.organization()}, {f.project(o), f.project(o)}, {f.product(o), f.product(o)},
	} {
		f.unchanged("a refused rename", func() {
			change := apikeys.ResourceChange{Name: &pair[1].Name}
			_, err := f.store.UpdateResource(f.Context(), f.mutation("rename"), refOf(pair[0]), change)
			f.fails(err, apikeys.ErrAlreadyExists)
		})
	}
	other := f.organization()
	f.change(f.project(o), apikeys.ResourceChange{Name: ptr("free there")})
	f.change(f.project(other), apikeys.ResourceChange{Name: ptr("free there")})
}

// Catches: a resource that stands in its own way; an event without a change.
func renameToOwn(f *fixture) {
	r := f.project(f.organization())
	f.unchanged("renaming to the same name", func() {
		f.equal("the project", f.change(r, apikeys.ResourceChange{Name: &r.Name}), r)
	})
}

// Catches: a second suspension that moves the time.
func suspendOnce(f *fixture) {
	o, other := f.organization(), f.organization()
	m, first := f.mutation("organization.suspend"), epoch.Add(time.Microsecond)
	got, err := f.store.UpdateResource(f.Context(), m, refOf(o), apikeys.ResourceChange{SuspendedAt: &first})
	f.must(err)
	o.SuspendedAt, o.UpdatedAt = first, m.At
	f.equal("suspended", got, o)
	f.equal("reading it", f.resource(o), o)
	f.unchanged("suspending again", func() {
		later := first.Add(time.Hour)
		f.equal("suspended again", f.change(o, apikeys.ResourceChange{SuspendedAt: &later}), o)
	})
	f.equal("another organization", f.resource(other), other)
}

// Catches: a zero time that is written as a time.
func resume(f *fixture) {
	o := f.organization()
	f.change(o, apikeys.ResourceChange{SuspendedAt: ptr(epoch)})
	m := f.mutation("organization.resume")
	got, err := f.store.UpdateResource(f.Context(), m, refOf(o), apikeys.ResourceChange{SuspendedAt: &time.Time{}})
	f.must(err)
	o.UpdatedAt = m.At
	f.equal("resumed", got, o)
	f.equal("reading it", f.resource(o), o)
	f.unchanged("resuming again", func() {
		f.equal("resumed again", f.change(o, apikeys.ResourceChange{SuspendedAt: &time.Time{}}), o)
	})
	f.change(o, apikeys.ResourceChange{SuspendedAt: ptr(epoch.Add(5 * time.Second))})
	if got := f.resource(o).SuspendedAt; !got.Equal(epoch.Add(5 * time.Second)) {
		f.Fatalf("suspended after resuming: got %v, want the new time", got)
	}
}
