package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// house is what an organization owns, for the tests of who may touch it.
type house struct{ organization, project, product string }

func (w *world) build(name string) house {
	w.t.Helper()
	ctx := w.t.Context()
	project, err := w.CreateProject(ctx, w.own, "project "+name)
	check(w.t, err)
	product, err := w.CreateProduct(ctx, w.own, "product "+name)
	check(w.t, err)
	return house{w.own.String(), project.ID.String(), product.ID.String()}
}

func named(kind, id, name string) string {
	if id != "" {
		id = `"id":"` + id + `",`
	}
	return `{"data":{"type":"` + kind + `",` + id + `"attributes":{"name":"` + name + `"}}}`
}

func linkBody(ids ...string) string {
	var items []string
	for _, id := range ids {
		items = append(items, `{"type":"products","id":"`+id+`"}`)
	}
	return `{"data":[` + strings.Join(items, ",") + `]}`
}

// Every operation on projects, products and links, by each principal.
func TestOperationsOnTenancyByPrincipal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type operation struct {
		name, method string
		path         func(house) string
		body         func(house) string
		read         bool
	}
	none := func(house) string { return "" }
	project := func(h house) string { return "/projects/" + h.project }
	product := func(h house) string { return "/products/" + h.product }
	links := func(h house) string { return project(h) + "/relationships/products" }
	link := func(h house) string { return linkBody(h.product) }
	for _, op := range []operation{
		{"get project", "GET", project, none, true},
		{"rename project", "PATCH", project, func(h house) string { return named("projects", h.project, "new "+h.project) }, false},
		{"delete project", "DELETE", project, none, false},
		{"get product", "GET", product, none, true},
		{"rename product", "PATCH", product, func(h house) string { return named("products", h.product, "new "+h.product) }, false},
		{"delete product", "DELETE", product, none, false},
		{"list linked", "GET", func(h house) string { return project(h) + "/products" }, none, true},
		{"list links", "GET", links, none, true},
		{"link", "POST", links, link, false},
		{"unlink", "DELETE", links, link, false},
	} {
		for _, who := range []string{"admin", "manager", "alice"} {
			h := w.build(op.name + who)
			got := w.send(who, op.method, op.path(h), op.body(h))
			switch {
			case who == "alice" && !op.read:
				got.want(t, op.name, http.StatusForbidden, "forbidden")
			case got.status >= 300:
				t.Errorf("%s %s: got %d %s", who, op.name, got.status, got.body)
			}
		}
		for _, who := range []string{"foreigner", "namesake", "suspended", "gone", "nobody"} {
			h, missing := w.build(op.name+who), house{uuid.NewString(), uuid.NewString(), uuid.NewString()}
			got, want := w.send(who, op.method, op.path(h), op.body(h)), w.send(who, op.method, op.path(missing), op.body(missing))
			if got.status != want.status || got.body != want.body || got.status != 404 && got.status != 403 {
				t.Errorf("%s %s: got %d %s, for a missing one %d %s", who, op.name, got.status, got.body, want.status, want.body)
			}
			for _, path := range []string{project(h), product(h)} {
				if now := w.send("admin", "GET", path, ""); !strings.Contains(now.body, op.name+who) {
					t.Errorf("%s %s changed it: %s", who, op.name, now.body)
				}
			}
		}
	}
}

// Administrators alone change organizations; the others see their own.
func TestOperationsOnOrganizationsByPrincipal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own := "/organizations/" + w.own.String()
	for _, who := range []string{"manager", "alice"} {
		w.send(who, "GET", own, "").want(t, who, http.StatusOK, "")
		got := w.send(who, "GET", "/organizations", "")
		if got.text("data", 0, "id") != w.own.String() || got.at("data", 1) != nil {
			t.Errorf("%s: got list %s", who, got.body)
		}
		got, missing := w.send(who, "GET", "/organizations/"+w.other.String(), ""), w.send(who, "GET", "/organizations/"+uuid.NewString(), "")
		if got.status != http.StatusNotFound || got.body != missing.body {
			t.Errorf("%s: got %s, for a missing one %s", who, got.body, missing.body)
		}
		w.send(who, "POST", "/organizations", named("organizations", "", "x")).want(t, who, http.StatusForbidden, "forbidden")
		w.send(who, "PATCH", own, named("organizations", w.own.String(), "x")).want(t, who, http.StatusForbidden, "forbidden")
		for _, path := range []string{own + "/suspend", own + "/resume"} {
			w.send(who, "POST", path, "").want(t, who+" "+path, http.StatusForbidden, "forbidden")
		}
		w.send(who, "DELETE", own, "").want(t, who, http.StatusForbidden, "forbidden")
	}
	got := w.send("admin", "POST", "/organizations", named("organizations", "", "Acme"))
	got.want(t, "create", http.StatusCreated, "")
	path := strings.TrimPrefix(got.header.Get("Location"), "/v1")
	again := w.send("admin", "POST", "/organizations", named("organizations", "", "Acme"))
	again.want(t, "again", http.StatusConflict, "already_exists")
	if again.text("errors", 0, "meta", "existing_id") != got.id() {
		t.Errorf("got %s", again.body)
	}
	renamed := w.send("admin", "PATCH", path, named("organizations", got.id(), "Acme 2"))
	if renamed.text("data", "attributes", "name") != "Acme 2" {
		t.Errorf("got %s", renamed.body)
	}
	w.send("admin", "PATCH", path, `{"data":{"type":"organizations","id":"`+got.id()+`"}}`).want(t, "no change", http.StatusOK, "")
	w.send("admin", "DELETE", path, "").want(t, "delete", http.StatusNoContent, "")
	w.send("admin", "GET", path, "").want(t, "deleted", http.StatusNotFound, "not_found")
}

// Who acts in an organization is locked out while it is suspended, and let in again.
func TestSuspensionLocksOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.issue("alice", apikeys.KeyMetadata{}).Key.ID.String()
	path := "/organizations/" + w.own.String()
	got := w.send("admin", "POST", path+"/suspend", "")
	if got.at("data", "attributes", "suspended_at") == nil {
		t.Errorf("got %s", got.body)
	}
	for _, who := range []string{"manager", "alice"} {
		w.send(who, "GET", "/api-keys/"+key, "").want(t, who, http.StatusForbidden, "suspended")
		w.send(who, "POST", path+"/resume", "").want(t, who, http.StatusForbidden, "suspended")
	}
	w.send("admin", "GET", "/api-keys/"+key, "").want(t, "admin", http.StatusOK, "")
	w.send("admin", "POST", path+"/resume", "").want(t, "resume", http.StatusOK, "")
	w.send("alice", "GET", "/api-keys/"+key, "").want(t, "alice", http.StatusOK, "")
}

func TestProjectsAndProductsAreCreatedAndListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, kind := range []string{"projects", "products"} {
		for _, name := range []string{"a", "b", "'); DROP TABLE", "<b>"} {
			got := w.send("manager", "POST", "/"+kind, named(kind, "", name))
			got.want(t, name, http.StatusCreated, "")
			if got.text("data", "relationships", "organization", "data", "id") != w.own.String() || got.text("data", "attributes", "name") != name {
				t.Errorf("got %s", got.body)
			}
		}
		w.send("manager", "POST", "/"+kind, named(kind, "", "a")).want(t, "again", http.StatusConflict, "already_exists")
		w.send("foreigner", "POST", "/"+kind, named(kind, "", "a")).want(t, "elsewhere", http.StatusCreated, "")
		w.send("alice", "POST", "/"+kind, named(kind, "", "c")).want(t, "user", http.StatusForbidden, "forbidden")
		w.send("admin", "POST", "/"+kind, named(kind, "", "c")).want(t, "admin", http.StatusBadRequest, "invalid_request")
		w.send("admin", "GET", "/"+kind, "").want(t, "admin", http.StatusBadRequest, "invalid_request")
		seen := 0
		for link := "/v1/" + kind + "?page[size]=3"; link != ""; {
			got := w.send("alice", "GET", strings.TrimPrefix(link, "/v1"), "")
			items, _ := got.at("data").([]any)
			seen += len(items)
			link = got.text("links", "next")
		}
		if seen != 4 {
			t.Errorf("%s: got %d, want 4", kind, seen)
		}
		w.send("manager", "GET", "/"+kind+"?filter[organization]="+w.other.String(), "").want(t, "foreign", http.StatusNotFound, "not_found")
		for body, code := range map[string]string{
			named(kind, "", ""): "invalid_argument", named(kind, "", `\u202e`): "invalid_argument", `{"data":{"type":"` + kind + `"}}`: "invalid_request",
			`{"data":{"type":"` + kind + `","attributes":{"name":null}}}`:                  "invalid_request",
			`{"data":{"type":"` + kind + `","attributes":{"name":"n","slug":"s"}}}`:        "invalid_request",
			`{"data":{"type":"` + kind + `","attributes":{"name":"n"},"links":{}}}`:        "invalid_request",
			`{"data":{"type":"` + kind + `","relationships":{"organization":{"data":5}}}}`: "invalid_request",
		} {
			w.send("manager", "POST", "/"+kind, body).want(t, body, http.StatusBadRequest, code)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, spare := w.build("1"), w.build("2")
	path := "/projects/" + h.project + "/relationships/products"
	count := func(want int) {
		t.Helper()
		items, _ := w.send("alice", "GET", path, "").at("data").([]any)
		full, _ := w.send("alice", "GET", "/projects/"+h.project+"/products", "").at("data").([]any)
		if len(items) != want || len(full) != want {
			t.Errorf("got %d links and %d products, want %d", len(items), len(full), want)
		}
	}
	count(0)
	for range 2 { // linking again changes nothing
		w.send("manager", "POST", path, linkBody(h.product, spare.product)).want(t, "link", http.StatusNoContent, "")
		count(2)
	}
	bound := `{"data":{"type":"api-keys","relationships":{"project":{"data":{"type":"projects","id":"` + h.project + `"}},"product":{"data":{"type":"products","id":"` + h.product + `"}}}}}`
	w.send("alice", "POST", "/api-keys", bound).want(t, "bound key", http.StatusCreated, "")
	got := w.send("manager", "DELETE", path, linkBody(spare.product))
	got.want(t, "unlink", http.StatusNoContent, "")
	count(1)
	foreign, err := w.CreateProduct(t.Context(), w.other, "theirs")
	check(t, err)
	for _, who := range []string{"manager", "admin"} {
		w.send(who, "POST", path, linkBody(foreign.ID.String())).want(t, who, http.StatusNotFound, "not_found")
	}
	w.send("manager", "POST", path, linkBody(spare.product, uuid.NewString())).want(t, "one missing", http.StatusNotFound, "not_found")
	count(1)
	many := make([]string, 101)
	for i := range many {
		many[i] = h.product
	}
	for _, body := range []string{
		`{}`, `{"data":null}`, `{"data":{"type":"products","id":"x"}}`, `{"data":[1]}`, linkBody("x"), linkBody(""), linkBody(many...),
		`{"data":[{"type":"projects","id":"` + h.product + `"}]}`, `{"data":[{"type":"products","id":"` + h.product + `","meta":{}}]}`,
	} {
		w.send("manager", "POST", path, body).want(t, body[:min(80, len(body))], http.StatusBadRequest, "invalid_request")
	}
	w.send("manager", "POST", path, linkBody(uuid.Nil.String())).want(t, "nil", http.StatusNotFound, "not_found")
}
