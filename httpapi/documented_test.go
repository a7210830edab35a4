package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpapi"
)

// Every operation refuses what each of them must refuse: strangers, those who come
// too often, answers that it cannot give, queries and bodies that it does not take.
func TestEveryOperationRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own := w.targetIn(w.own, "alice")
	accept := func(r *http.Request) { r.Header.Set("Accept", mediaType+"; charset=utf-8") }
	unknown := func(r *http.Request) { r.URL.RawQuery = "sort=name" }
	plain := func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }
	for _, o := range operations() {
		o.on(w, "", own).want(t, o.pattern, http.StatusUnauthorized, "unauthenticated")
		o.on(w, "nobody", own).want(t, o.pattern, http.StatusForbidden, "forbidden")
		o.on(w, "suspended", own).want(t, o.pattern, http.StatusForbidden, "suspended")
		o.on(w, "broken", own).want(t, o.pattern, http.StatusServiceUnavailable, "unavailable")
		o.on(w, "admin", own, accept).want(t, o.pattern, http.StatusNotAcceptable, "not_acceptable")
		o.on(w, "admin", own, unknown).want(t, o.pattern, http.StatusBadRequest, "invalid_request")
		early := o.on(w, "eager", own)
		early.want(t, o.pattern, http.StatusTooManyRequests, "quota_exceeded")
		if got := early.header.Get("Retry-After"); got != "2" {
			t.Errorf("%s: got Retry-After %q, want 2", o.pattern, got)
		}
		method, path, body := o.request(own)
		if o.body == nil {
			w.send("admin", method, path, `{"meta":{}}`).want(t, o.pattern, http.StatusBadRequest, "invalid_request")
			continue
		}
		o.on(w, "admin", own, plain).want(t, o.pattern, http.StatusUnsupportedMediaType, "unsupported_media_type")
		w.send("admin", method, path, body+strings.Repeat(" ", 64<<10)).want(t, o.pattern, http.StatusRequestEntityTooLarge, "body_too_large")
	}
	for _, o := range operations() {
		if strings.Contains(o.pattern, "{id}") && !strings.Contains(o.pattern, "/users/") {
			o.on(w, "admin", missing()).want(t, o.pattern, http.StatusNotFound, "not_found")
		}
	}
}

// What each operation refuses beyond that.
func TestOperationsRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own, foreign := w.targetIn(w.own, "alice"), w.targetIn(w.other, "alice")
	taken := map[string]string{}
	for kind, id := range map[string]uuid.UUID{"projects": own.project, "products": own.product, "organizations": own.organization} {
		taken[kind] = w.send("admin", "GET", "/"+kind+"/"+id.String(), "").text("data", "attributes", "name")
	}
	strong := w.issue("alice", apikeys.KeyMetadata{Scopes: []string{"billing"}}).Key.ID.String()
	hidden := `{"name":"\u202e"}`
	type request struct{ who, method, path, body, code string }
	requests := []request{
		{"manager", "GET", "/api-keys?page[cursor]=x", "", "invalid_argument"},
		{"manager", "GET", "/users/alice/api-keys?page[cursor]=x", "", "invalid_argument"},
		{"manager", "GET", "/organizations?page[cursor]=x", "", "invalid_argument"},
		{"manager", "GET", "/api-keys?filter[organization]=" + w.other.String(), "", "not_found"},
		{"manager", "GET", "/users/alice/api-keys?filter[organization]=" + w.other.String(), "", "not_found"},
		{"bob", "GET", "/users/alice/api-keys", "", "not_found"},
		{"alice", "POST", "/verify", `{"meta":{"key":"x","scopes":["*"]}}`, "invalid_argument"},
		{"alice", "POST", "/api-keys/" + strong + "/enable", "", "beyond_grant"},
		{"alice", "POST", "/api-keys/" + strong + "/rotate", "", "beyond_grant"},
		{"alice", "PATCH", "/api-keys/" + strong, patchBody(strong, `{"scopes":["x"]}`), "beyond_grant"},
		{"alice", "PATCH", "/api-keys/" + strong, patchBody(strong, hidden), "invalid_argument"},
		{"alice", "PATCH", "/api-keys/" + strong, patchBody(strong, `{"hint":"x"}`), "immutable_field"},
		{"alice", "PATCH", "/api-keys/" + strong, patchBody(own.key.String(), `{}`), "type_mismatch"},
		{"alice", "PATCH", "/api-keys/" + strong, patchBody(strong, `{"name":"x","version":9}`), "conflict"},
		{"alice", "POST", "/api-keys/" + strong + "/revoke", `{"meta":{"reason":"\u202e"}}`, "invalid_argument"},
		{"alice", "POST", "/users/alice/api-keys", `{"data":{"type":"api-keys","relationships":{"user":{"data":{"type":"users","id":"bob"}}}}}`, "type_mismatch"},
		{"manager", "POST", "/projects/" + own.project.String() + "/relationships/products", linkBody(foreign.product.String()), "not_found"},
	}
	for _, path := range []string{"/api-keys", "/users/alice/api-keys"} {
		requests = append(requests,
			request{"alice", "POST", path, keyBody(hidden), "invalid_argument"},
			request{"alice", "POST", path, keyBody(`{"scopes":["x"]}`), "beyond_grant"},
			request{"alice", "POST", path, patchBody(own.key.String(), `{}`), "client_id"},
			request{"alice", "POST", path, named("projects", "", "x"), "type_mismatch"},
			request{"alice", "POST", path, within("api-keys", `{}`, "")(foreign), "not_found"},
		)
	}
	for _, kind := range []string{"projects", "products", "organizations"} {
		id := map[string]uuid.UUID{"projects": own.project, "products": own.product, "organizations": w.other}[kind].String()
		one := "/" + kind + "/" + id
		spare := w.send("admin", "POST", "/"+kind, within(kind, `{"name":"spare"}`, "")(own))
		if kind == "organizations" {
			spare = w.send("admin", "POST", "/organizations", named(kind, "", "spare"))
		}
		who := "admin"
		if kind != "organizations" {
			who = "manager"
			requests = append(requests,
				request{who, "GET", "/" + kind + "?page[cursor]=x", "", "invalid_argument"},
				request{who, "GET", "/" + kind + "?" + ofOrganization(foreign), "", "not_found"},
				request{who, "POST", "/" + kind, within(kind, `{"name":"x"}`, "")(foreign), "not_found"},
			)
		}
		requests = append(requests,
			request{who, "POST", "/" + kind, named(kind, "", `\u202e`), "invalid_argument"},
			request{who, "POST", "/" + kind, named(kind, uuid.NewString(), "x"), "client_id"},
			request{who, "POST", "/" + kind, named("users", "", "x"), "type_mismatch"},
			request{who, "POST", "/" + kind, named(kind, "", taken[kind]), "already_exists"},
			request{who, "PATCH", one, named(kind, id, `\u202e`), "invalid_argument"},
			request{who, "PATCH", one, `{"data":{"type":"` + kind + `","id":"` + id + `","attributes":{"created_at":"x"}}}`, "immutable_field"},
			request{who, "PATCH", one, named(kind, uuid.NewString(), "x"), "type_mismatch"},
			request{who, "PATCH", "/" + kind + "/" + spare.id(), named(kind, spare.id(), taken[kind]), "already_exists"},
		)
	}
	for _, r := range requests {
		if got := w.send(r.who, r.method, r.path, r.body); got.code() != r.code {
			t.Errorf("%s %s %s: got %d %s, want %s", r.who, r.method, r.path, got.status, got.body, r.code)
		}
	}
	ended := map[string]*apikeys.IssuedKey{"expired_key": w.IssueExpired(), "revoked_key": w.IssueRevoked(), "disabled_key": w.IssueDisabled()}
	for code, key := range ended {
		w.send("manager", "POST", "/api-keys/"+key.Key.ID.String()+"/rotate", "").want(t, code, http.StatusConflict, code)
	}
	w.send("manager", "POST", "/api-keys/"+ended["revoked_key"].Key.ID.String()+"/revoke", "").want(t, "twice", http.StatusConflict, "already_revoked")
}

// The holder's routes refuse what package httpmw refuses, and queries, bodies and
// answers as the others do.
func TestHolderOperationsRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rotated := w.issue("alice", apikeys.KeyMetadata{})
	_, err := w.RotateKey(t.Context(), rotated.Key.ID, apikeys.RotateParams{})
	check(t, err)
	_, err = w.ResumeOrganization(t.Context(), w.suspended)
	check(t, err)
	stopped := w.targetIn(w.suspended, "")
	_, err = w.SuspendOrganization(t.Context(), w.suspended)
	check(t, err)
	good := w.Issue().Plaintext.Reveal()
	for _, o := range holderOperations() {
		for text, want := range map[string]struct {
			status int
			code   string
		}{
			"sk_x":                               {http.StatusUnauthorized, "invalid_key"},
			w.IssueExpired().Plaintext.Reveal():  {http.StatusUnauthorized, "expired_key"},
			rotated.Plaintext.Reveal():           {http.StatusUnauthorized, "retired_secret"},
			w.IssueRevoked().Plaintext.Reveal():  {http.StatusForbidden, "revoked_key"},
			w.IssueDisabled().Plaintext.Reveal(): {http.StatusForbidden, "disabled_key"},
			stopped.text:                         {http.StatusForbidden, "suspended"},
		} {
			o.on(w, "", target{text: text}).want(t, o.pattern, want.status, want.code)
		}
		method, path, _ := o.request(target{})
		w.send("", method, path, "").want(t, o.pattern, http.StatusUnauthorized, "no_credential")
		on := target{text: good}
		both := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+good) }
		o.on(w, "", on, both).want(t, o.pattern, http.StatusBadRequest, "multiple_credentials")
		accept := func(r *http.Request) { r.Header.Set("Accept", mediaType+"; charset=utf-8") }
		o.on(w, "", on, accept).want(t, o.pattern, http.StatusNotAcceptable, "not_acceptable")
		w.send("", method, path+"?x=1", "", withKey(good)).want(t, o.pattern, http.StatusBadRequest, "invalid_request")
	}
}

// unsure is a store whose answers to writes are lost, whose rows others change
// all the time, and whose reads fail, when it is told so.
type unsure struct {
	apikeys.Store
	lose, down, changing atomic.Bool
}

// write does one, unless others are faster, and may lose the answer.
func (u *unsure) write(do func() error) error {
	if u.changing.Load() {
		return apikeys.ErrConflict
	}
	err := do()
	if err == nil && u.lose.Load() {
		err = fmt.Errorf("connection reset: %w", apikeys.ErrOutcomeUnknown)
	}
	return err
}

func (u *unsure) CreateResource(ctx context.Context, m apikeys.Mutation, r apikeys.ResourceRecord) (out apikeys.ResourceRecord, created bool, err error) {
	err = u.write(func() (err error) { out, created, err = u.Store.CreateResource(ctx, m, r); return err })
	return out, created, err
}

func (u *unsure) UpdateResource(ctx context.Context, m apikeys.Mutation, ref apikeys.ResourceRef, change apikeys.ResourceChange) (out apikeys.ResourceRecord, err error) {
	err = u.write(func() (err error) { out, err = u.Store.UpdateResource(ctx, m, ref, change); return err })
	return out, err
}

func (u *unsure) SetLink(ctx context.Context, m apikeys.Mutation, link apikeys.LinkRef, linked bool) error {
	return u.write(func() error { return u.Store.SetLink(ctx, m, link, linked) })
}

func (u *unsure) CreateKeys(ctx context.Context, m apikeys.Mutation, keys []apikeys.KeyRecord) (faults []error, err error) {
	err = u.write(func() (err error) { faults, err = u.Store.CreateKeys(ctx, m, keys); return err })
	return faults, err
}

func (u *unsure) UpdateKey(ctx context.Context, m apikeys.Mutation, ref apikeys.KeyRef, change apikeys.KeyChange) (out apikeys.KeyRecord, err error) {
	err = u.write(func() (err error) { out, err = u.Store.UpdateKey(ctx, m, ref, change); return err })
	return out, err
}

func (u *unsure) RotateKey(ctx context.Context, m apikeys.Mutation, ref apikeys.KeyRef, rotation apikeys.Rotation) (out apikeys.KeyRecord, err error) {
	err = u.write(func() (err error) { out, err = u.Store.RotateKey(ctx, m, ref, rotation); return err })
	return out, err
}

func (u *unsure) DeleteKeys(ctx context.Context, m apikeys.Mutation, q apikeys.KeyQuery) (ids []uuid.UUID, err error) {
	err = u.write(func() (err error) { ids, err = u.Store.DeleteKeys(ctx, m, q); return err })
	return ids, err
}

func (u *unsure) KeysByHash(ctx context.Context, hashes []apikeys.Hash) ([]apikeys.KeyRecord, error) {
	if u.down.Load() {
		return nil, errors.New("connection refused")
	}
	return u.Store.KeysByHash(ctx, hashes)
}

// Every write whose outcome is not known says so, with the id of what it was about;
// one that others keep from happening, and a service that is closing, say that.
func TestOperationsWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	base := apikeystest.New(t)
	db := &unsure{Store: base.Store}
	w := newWorldOf(t, clientOn(t, db))
	for _, o := range append(operations(), holderOperations()...) {
		if strings.HasPrefix(o.pattern, "GET ") || o.pattern == "POST /verify" {
			continue
		}
		own := w.targetIn(w.own, "alice")
		if o.pattern == "DELETE /organizations/{id}" {
			own = w.targetIn(w.suspended, "alice")
		}
		db.lose.Store(true)
		got := o.on(w, "admin", own)
		db.lose.Store(false)
		got.want(t, o.pattern, http.StatusServiceUnavailable, "outcome_unknown")
		if got.at("errors", 0, "meta", "id") == nil || got.header.Get("Retry-After") != "1" {
			t.Errorf("%s: got %v %s", o.pattern, got.header, got.body)
		}
		_, _ = w.ResumeOrganization(t.Context(), w.own)
	}
	fresh := w.targetIn(w.own, "alice")
	db.changing.Store(true)
	for _, o := range operations() {
		switch o.pattern {
		case "DELETE /organizations/{id}", "DELETE /projects/{id}", "DELETE /products/{id}", "POST /api-keys/{id}/rotate", "POST /api-keys/{id}/revoke":
			o.on(w, "admin", fresh).want(t, o.pattern, http.StatusConflict, "conflict")
		}
	}
	db.changing.Store(false)
	fresh = w.targetIn(w.own, "alice")
	db.down.Store(true)
	for _, o := range holderOperations() {
		o.on(w, "", fresh).want(t, o.pattern, http.StatusServiceUnavailable, "unavailable")
	}
	check(t, w.Close(context.Background()))
	for _, o := range append(operations(), holderOperations()...) {
		o.on(w, "manager", fresh).want(t, o.pattern, http.StatusServiceUnavailable, "closed")
	}
}

// Of many who revoke a key at once, one does; the others are told that it was
// revoked. Changes of other kinds at the same time are no obstacle.
func TestOneOfManyRevokes(t *testing.T) {
	t.Parallel()
	onEveryDatabase(t, func(w *world) {
		const many = 8
		id := w.targetIn(w.own, "alice").key.String()
		codes := make(chan string, many)
		for i := range many {
			go func() {
				got := w.send("alice", "POST", "/api-keys/"+id+"/revoke", fmt.Sprintf(`{"meta":{"reason":"%d"}}`, i))
				codes <- fmt.Sprint(got.status, " ", got.code())
			}()
		}
		count := map[string]int{}
		for range many {
			count[<-codes]++
		}
		if count["200 "] != 1 || count["409 already_revoked"] != many-1 {
			w.t.Errorf("got %v, want one 200 and %d already_revoked", count, many-1)
		}
	})
}

// What nobody foresaw is a fault of the service, and its text is not told.
func TestUnforeseenErrorsAre500(t *testing.T) {
	t.Parallel()
	status, body := httpapi.Refuse(errors.New("disk at /dev/sda1"))
	if status != http.StatusInternalServerError || !strings.Contains(body, `"internal_error"`) || strings.Contains(body, "sda1") {
		t.Errorf("got %d %s", status, body)
	}
	status, body = httpapi.Refuse(context.DeadlineExceeded)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"unavailable"`) {
		t.Errorf("got %d %s", status, body)
	}
}
