package storetest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func eventTests() []test {
	return []test{
		{"tell who did what to whom", eventsTell},
		{"keep the mutation's detail", eventsKeepDetail},
		{"of an update tell before and after", eventsTellBeforeAndAfter},
		{"tell a resource and a secret before and after", eventsTellOldAndNew},
		{"of a bulk operation tell the keys", eventsTellKeys},
		{"are selected by every field", eventsByField},
		{"are in pages, within the scope", eventsInPages},
		{"hold no hash", eventsHoldNoHash},
		{"outlive what they are about", eventsStay},
	}
}

// event reads the event of a mutation.
func (f *fixture) event(m apikeys.Mutation) apikeys.EventRecord {
	f.Helper()
	found := f.events(apikeys.EventQuery{ID: m.ID})
	if len(found) != 1 {
		f.Fatalf("events of one mutation: got %d, want 1", len(found))
	}
	return found[0]
}

// members are those of the event's detail.
func (f *fixture) members(e apikeys.EventRecord) map[string]json.RawMessage {
	f.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object(e.Detail), &members); err != nil || members == nil {
		f.Fatal("the detail of an event: got something else, want a JSON object")
	}
	return members
}

// Catches: a method without an event, or with one that cannot be found by its
// organization or its subject; times by the store's clock.
func eventsTell(f *fixture) {
	for _, p := range operations() {
		f.each(p.name, func(f *fixture) {
			op, m := p.prepare(f), f.mutation("something."+p.name)
			m.Actor = "user:7 'x' 🙂"
			_, err := op.do(f.Context(), m)
			f.must(err)
			got := f.event(m)
			want := op.event
			want.ID, want.At, want.Actor, want.Action, want.Detail = m.ID, m.At, m.Actor, m.Action, got.Detail
			if want.Kind == "" { // of several kinds at once: which one is not said
				want.Kind, want.SubjectID = got.Kind, got.SubjectID
			}
			f.equal("the event", got, want)
			f.members(got)
		})
	}
}

// Catches: detail that the store's own replaces; numbers through float64; no detail
// that is null, or an error.
func eventsKeepDetail(f *fixture) {
	detail := json.RawMessage(`{"n":9007199254740993,"f":1.50,"s":"<'\"\\ 🙂>","a":[1,{"b":null}],"o":{"y":1,"x":2}}`)
	for _, p := range operations() {
		f.each(p.name, func(f *fixture) {
			for _, detail := range []json.RawMessage{detail, nil, json.RawMessage("{}")} {
				op, m := p.prepare(f), f.mutation(p.name)
				m.Detail = detail
				_, err := op.do(f.Context(), m)
				f.must(err)
				got := f.members(f.event(m))
				for name, want := range f.members(apikeys.EventRecord{Detail: detail}) {
					if canonical(got[name]) != canonical(want) {
						f.Fatalf("member %q of the detail: got %s, want %s", name, got[name], want)
					}
				}
			}
		})
	}
}

// canonical is b without space, with its members sorted and its numbers by value.
func canonical(b json.RawMessage) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return "not JSON"
	}
	text, _ := json.Marshal(byValue(v)) // what was decoded can be encoded
	return string(text)
}

// byValue turns numbers into exact fractions: 1.50 is 1.5, and 9007199254740993
// is not 9007199254740992.
func byValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		if r, ok := new(big.Rat).SetString(v.String()); ok {
			return "number " + r.RatString()
		}
	case []any:
		for i := range v {
			v[i] = byValue(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = byValue(v[name])
		}
	}
	return v
}

// Catches: an audit that does not tell what was changed, or tells it wrong.
func eventsTellBeforeAndAfter(f *fixture) {
	k := f.key(f.organization(), func(k *apikeys.KeyRecord) { k.Name = "the old name" })
	m := f.mutation("key.update")
	change := apikeys.KeyChange{Name: ptr("the new name"), DisabledAt: ptr(epoch)}
	_, err := f.store.UpdateKey(f.Context(), m, keyRef(k.ID), change)
	f.must(err)
	members := f.members(f.event(m))
	for member, want := range map[string]string{"before": "the old name", "after": "the new name"} {
		if !strings.Contains(string(members[member]), want) {
			f.Fatalf("%q of an update: got %s, want %q in it", member, members[member], want)
		}
	}
	if strings.Contains(string(members["before"]), "the new name") || strings.Contains(string(members["after"]), "the old name") {
		f.Fatal("before and after: got one in the other")
	}
}

// Catches: changes of organizations, and new secrets, that an audit cannot tell from
// each other.
func eventsTellOldAndNew(f *fixture) {
	o := f.organization()
	k := f.key(o)
	ref := apikeys.ResourceRef{Kind: o.Kind, ID: o.ID}
	resource := func(change apikeys.ResourceChange) func(apikeys.Mutation) error {
		return func(m apikeys.Mutation) error {
			_, err := f.store.UpdateResource(f.Context(), m, ref, change)
			return err
		}
	}
	rotation := f.rotation(epoch)
	for _, step := range []struct {
		do            func(apikeys.Mutation) error
		before, after string
	}{
		{resource(apikeys.ResourceChange{Name: ptr("renamed")}), `{"name":"` + o.Name + `"}`, `{"name":"renamed"}`},
		{resource(apikeys.ResourceChange{SuspendedAt: ptr(epoch)}), `{"suspended_at":null}`, `{"suspended_at":"` + epoch.Format(time.RFC3339Nano) + `"}`},
		{resource(apikeys.ResourceChange{SuspendedAt: &time.Time{}}), `{"suspended_at":"` + epoch.Format(time.RFC3339Nano) + `"}`, `{"suspended_at":null}`},
		{func(m apikeys.Mutation) error {
			_, err := f.store.RotateKey(f.Context(), m, keyRef(k.ID), rotation)
			return err
		}, `{"hint":"` + k.Hint + `"}`, `{"hint":"` + rotation.Secret.Hint + `"}`},
		{func(m apikeys.Mutation) error {
			_, err := f.store.DeleteKeys(f.Context(), m, apikeys.KeyQuery{ID: k.ID, Limit: 1})
			return err
		}, "", ""},
		{resource(apikeys.ResourceChange{Delete: true}), `{"name":"renamed"}`, ""},
	} {
		m := f.mutation("something")
		f.must(step.do(m))
		members := f.members(f.event(m))
		if before, after := string(members["before"]), string(members["after"]); !sameJSON(before, step.before) || !sameJSON(after, step.after) {
			f.Fatalf("before and after: got %s and %s, want %s and %s", before, after, step.before, step.after)
		}
	}
}

func sameJSON(got, want string) bool {
	return got == want || want != "" && canonical(json.RawMessage(got)) == canonical(json.RawMessage(want))
}

// Catches: an audit that cannot tell whose key went with which operation.
func eventsTellKeys(f *fixture) {
	o := f.organization()
	for what, do := range map[string]func(m apikeys.Mutation, q apikeys.KeyQuery) error{
		"revoke": func(m apikeys.Mutation, q apikeys.KeyQuery) error {
			_, err := f.store.RevokeKeys(f.Context(), m, q, "over")
			return err
		},
		"delete": func(m apikeys.Mutation, q apikeys.KeyQuery) error {
			_, err := f.store.DeleteKeys(f.Context(), m, q)
			return err
		},
	} {
		keys, m := f.keys(3, o, func(k *apikeys.KeyRecord) { k.OwnerID = what }), f.mutation("key."+what)
		f.must(do(m, apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: o.ID, OwnerID: what}, Limit: 10}))
		for _, k := range keys {
			if !strings.Contains(string(f.members(f.event(m))["keys"]), k.ID.String()) {
				f.Fatalf("the event of a bulk %s: got no id of one of its keys among %q", what, "keys")
			}
		}
	}
}

// Catches: a filter that is left out; a scope that events do not have.
func eventsByField(f *fixture) {
	a, b := f.organization(), f.organization()
	k, foreign := f.key(a), f.key(b)
	rename := f.mutation("key.update")
	_, err := f.store.UpdateKey(f.Context(), rename, keyRef(k.ID), apikeys.KeyChange{Name: ptr("renamed")})
	f.must(err)
	inA, inB := apikeys.Scope{OrganizationID: a.ID}, apikeys.Scope{OrganizationID: b.ID}
	for what, tc := range map[string]struct {
		q    apikeys.EventQuery
		want int
	}{
		"all":                          {apikeys.EventQuery{}, 5},
		"by scope":                     {apikeys.EventQuery{Scope: inA}, 3},
		"by another scope":             {apikeys.EventQuery{Scope: inB}, 2},
		"by an unknown scope":          {apikeys.EventQuery{Scope: apikeys.Scope{OrganizationID: f.id()}}, 0},
		"the owner plays no part":      {apikeys.EventQuery{Scope: apikeys.Scope{OrganizationID: a.ID, OwnerID: "x"}}, 3},
		"by subject":                   {apikeys.EventQuery{SubjectID: k.ID}, 2},
		"by subject, in scope":         {apikeys.EventQuery{SubjectID: k.ID, Scope: inA}, 2},
		"by subject, out of scope":     {apikeys.EventQuery{SubjectID: foreign.ID, Scope: inA}, 0},
		"by id":                        {apikeys.EventQuery{ID: rename.ID}, 1},
		"by id, out of scope":          {apikeys.EventQuery{ID: rename.ID, Scope: inB}, 0},
		"by id and another subject":    {apikeys.EventQuery{ID: rename.ID, SubjectID: a.ID}, 0},
		"before itself":                {apikeys.EventQuery{ID: rename.ID, Before: rename.ID}, 0},
		"by subject, before the last":  {apikeys.EventQuery{SubjectID: k.ID, Before: rename.ID}, 1},
		"by subject, at most one":      {apikeys.EventQuery{SubjectID: k.ID, Limit: 1}, 1},
		"by a subject that is unknown": {apikeys.EventQuery{SubjectID: f.id()}, 0},
	} {
		if got := len(f.events(tc.q)); got != tc.want {
			f.Fatalf("%s: got %d events, want %d", what, got, tc.want)
		}
	}
}

// Catches: order by time; a boundary that is forgotten on page 2.
func eventsInPages(f *fixture) {
	a, b := f.organization(), f.organization()
	ka, kb := f.key(a), f.key(b)
	want := map[uuid.UUID][]uuid.UUID{a.ID: nil, b.ID: nil}
	for _, o := range []apikeys.ResourceRecord{a, b} {
		want[o.ID] = idsOf(f.events(apikeys.EventQuery{Scope: apikeys.Scope{OrganizationID: o.ID}}), eventID)
	}
	for i := range 16 {
		k := []apikeys.KeyRecord{ka, kb}[i%2]
		m := f.mutationAt("key.update", epoch.Add(-time.Duration(i)*time.Second))
		_, err := f.store.UpdateKey(f.Context(), m, keyRef(k.ID), apikeys.KeyChange{Name: ptr(m.ID.String())})
		f.must(err)
		want[k.OrganizationID] = append(want[k.OrganizationID], m.ID)
	}
	for scope, ids := range want {
		f.equal("all pages of one organization", f.pages(3, func(before uuid.UUID, limit int) []uuid.UUID {
			q := apikeys.EventQuery{Scope: apikeys.Scope{OrganizationID: scope}, Before: before, Limit: limit}
			return idsOf(f.events(q), eventID)
		}), newestFirst(ids...))
	}
	f.equal("all pages", f.pages(5, func(before uuid.UUID, limit int) []uuid.UUID {
		return idsOf(f.events(apikeys.EventQuery{Before: before, Limit: limit}), eventID)
	}), newestFirst(append(want[a.ID], want[b.ID]...)...))
}

// Catches: a record written to the audit as it is.
func eventsHoldNoHash(f *fixture) {
	k, r := f.fullKey(), f.rotation(epoch)
	k.RevokedAt, k.DisabledAt = time.Time{}, time.Time{}
	f.storeAll(k)
	f.rotate(k.ID, r)
	added := f.hashFor(k, 2, "signing-2")
	f.addHash(added)
	f.update(k.ID, apikeys.KeyChange{Name: ptr("renamed")})
	f.revokeKeys(apikeys.KeyQuery{}, "over")
	for _, e := range f.events(apikeys.EventQuery{}) {
		text := strings.ToLower(string(e.Detail))
		for _, h := range []apikeys.Hash{k.Secret.Hash, r.Secret.Hash, added.Hash} {
			for _, form := range []string{
				hex.EncodeToString(h[:]), base64.StdEncoding.EncodeToString(h[:]), base64.RawURLEncoding.EncodeToString(h[:]),
			} {
				if strings.Contains(text, strings.ToLower(form)) {
					f.Fatalf("the detail of %s: got a hash in it, want none", e.Action)
				}
			}
		}
	}
}

// Catches: a cascade that takes the audit along.
func eventsStay(f *fixture) {
	o := f.organization()
	project := f.project(o)
	f.remove(project)
	f.remove(o)
	inO := apikeys.EventQuery{Scope: apikeys.Scope{OrganizationID: o.ID}}
	if n := len(f.events(inO)); n != 4 {
		f.Fatalf("events of a deleted organization: got %d, want 4", n)
	}
	if n := len(f.events(apikeys.EventQuery{SubjectID: project.ID})); n != 2 {
		f.Fatalf("events of a deleted project: got %d, want 2", n)
	}
	e := f.events(inO)
	for i := range e { // what is returned is the caller's
		copy(e[i].Detail, bytes.Repeat([]byte{'x'}, len(e[i].Detail)))
	}
	for _, again := range f.events(inO) {
		f.members(again)
	}
}
