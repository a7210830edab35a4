package httpapi_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpapi"
)

// target is what an organization owns, one of each kind: what operations are tried on.
type target struct {
	organization, project, product, key uuid.UUID
	user, text                          string
}

// targetIn makes a target: the product is linked to the project, and the key, of this
// user, is bound to both.
func (w *world) targetIn(organization uuid.UUID, user string) target {
	w.t.Helper()
	ctx := w.t.Context()
	project, err := w.CreateProject(ctx, organization, "project "+uuid.NewString())
	check(w.t, err)
	product, err := w.CreateProduct(ctx, organization, "product "+uuid.NewString())
	check(w.t, err)
	check(w.t, w.AddProductToProject(ctx, product.ID, project.ID))
	key, err := w.CreateKey(ctx, apikeys.CreateKeyParams{
		OrganizationID: organization, ProjectID: project.ID, ProductID: product.ID, OwnerID: user,
		Metadata: apikeys.KeyMetadata{Name: "key", Scopes: []string{"read"}},
	})
	check(w.t, err)
	return target{organization, project.ID, product.ID, key.Key.ID, user, key.Plaintext.Reveal()}
}

// missing is a target of which nothing exists.
func missing() target {
	return target{uuid.New(), uuid.New(), uuid.New(), uuid.New(), "nobody", "sk_nothing"}
}

// operation is one of the routes with a request for it that succeeds.
type operation struct {
	pattern string
	status  int
	query   func(target) string
	body    func(target) string // nil: it takes none
	who     string              // the least of those who may: "user", "manager" or "admin"
	secured bool                // the holder of a key asks, with the key
}

// request returns method, path and body for a target.
func (o operation) request(on target) (method, path, body string) {
	method, path, _ = strings.Cut(o.pattern, " ")
	ids := map[string]string{
		"api-keys": on.key.String(), "organizations": on.organization.String(), "projects": on.project.String(),
		"products": on.product.String(), "users": url.PathEscape(on.user),
	}
	kind, _, _ := strings.Cut(path[1:], "/")
	path = strings.ReplaceAll(path, "{id}", ids[kind])
	if o.query != nil {
		path += "?" + o.query(on)
	}
	if o.body != nil {
		body = o.body(on)
	}
	return method, path, body
}

// on sends the operation.
func (o operation) on(w *world, who string, on target, set ...func(*http.Request)) *reply {
	w.t.Helper()
	if o.secured {
		set = append([]func(*http.Request){withKey(on.text)}, set...)
	}
	method, path, body := o.request(on)
	return w.send(who, method, path, body, set...)
}

// allows tells whether a principal of this name may do it.
func (o operation) allows(who string) bool {
	rank := map[string]int{"user": 0, "manager": 1, "admin": 2, "alice": 0, "namesake": 0, "foreigner": 1}
	return rank[who] >= rank[o.who]
}

func operations() []operation {
	return slices.Concat(keyOperations(), organizationOperations(), ownedOperations("projects"), ownedOperations("products"), linkOperations())
}

func ofOrganization(on target) string { return "filter[organization]=" + on.organization.String() }

// within is a document for something new in the target's organization.
func within(kind, attributes, relationships string) func(target) string {
	return func(on target) string {
		return `{"data":{"type":"` + kind + `","attributes":` + attributes + `,"relationships":{"organization":{"data":{"type":"organizations","id":"` +
			on.organization.String() + `"}}` + relationships + `}}}`
	}
}

func keyOperations() []operation {
	create := within("api-keys", `{"name":"new","scopes":["read"]}`, "")
	patch := func(on target) string { return patchBody(on.key.String(), `{"name":"renamed","scopes":["docs:a"]}`) }
	verify := func(on target) string { return `{"meta":{"key":"` + on.text + `","scopes":["read"]}}` }
	overlap := func(target) string { return `{"meta":{"overlap_seconds":60}}` }
	reason := func(target) string { return `{"meta":{"reason":"left"}}` }
	bounded := func(on target) string {
		return ofOrganization(on) + "&filter[project]=" + on.project.String() + "&filter[product]=" + on.product.String()
	}
	return []operation{
		{pattern: "POST /api-keys", status: 201, body: create, who: "user"},
		{pattern: "GET /api-keys", status: 200, query: bounded, who: "user"},
		{pattern: "GET /api-keys/{id}", status: 200, who: "user"},
		{pattern: "PATCH /api-keys/{id}", status: 200, body: patch, who: "user"},
		{pattern: "DELETE /api-keys/{id}", status: 204, who: "user"},
		{pattern: "POST /api-keys/{id}/rotate", status: 201, body: overlap, who: "user"},
		{pattern: "POST /api-keys/{id}/revoke", status: 200, body: reason, who: "user"},
		{pattern: "POST /api-keys/{id}/disable", status: 200, who: "user"},
		{pattern: "POST /api-keys/{id}/enable", status: 200, who: "user"},
		{pattern: "GET /api-keys/{id}/relationships/user", status: 200, who: "user"},
		{pattern: "POST /users/{id}/api-keys", status: 201, body: create, who: "user"},
		{pattern: "GET /users/{id}/api-keys", status: 200, query: ofOrganization, who: "user"},
		{pattern: "POST /verify", status: 200, body: verify, who: "user"},
	}
}

func organizationOperations() []operation {
	create := func(target) string { return named("organizations", "", uuid.NewString()) }
	rename := func(on target) string { return named("organizations", on.organization.String(), uuid.NewString()) }
	return []operation{
		{pattern: "POST /organizations", status: 201, body: create, who: "admin"},
		{pattern: "GET /organizations", status: 200, who: "user"},
		{pattern: "GET /organizations/{id}", status: 200, who: "user"},
		{pattern: "PATCH /organizations/{id}", status: 200, body: rename, who: "admin"},
		{pattern: "POST /organizations/{id}/suspend", status: 200, who: "admin"},
		{pattern: "POST /organizations/{id}/resume", status: 200, who: "admin"},
		{pattern: "DELETE /organizations/{id}", status: 204, who: "admin"},
	}
}

func ownedOperations(kind string) []operation {
	create := func(on target) string { return within(kind, `{"name":"`+uuid.NewString()+`"}`, "")(on) }
	rename := func(on target) string {
		id := map[string]uuid.UUID{"projects": on.project, "products": on.product}[kind]
		return named(kind, id.String(), uuid.NewString())
	}
	return []operation{
		{pattern: "POST /" + kind, status: 201, body: create, who: "manager"},
		{pattern: "GET /" + kind, status: 200, query: ofOrganization, who: "user"},
		{pattern: "GET /" + kind + "/{id}", status: 200, who: "user"},
		{pattern: "PATCH /" + kind + "/{id}", status: 200, body: rename, who: "manager"},
		{pattern: "DELETE /" + kind + "/{id}", status: 204, who: "manager"},
	}
}

func linkOperations() []operation {
	product := func(on target) string { return linkBody(on.product.String()) }
	return []operation{
		{pattern: "GET /projects/{id}/products", status: 200, who: "user"},
		{pattern: "GET /projects/{id}/relationships/products", status: 200, who: "user"},
		{pattern: "POST /projects/{id}/relationships/products", status: 204, body: product, who: "manager"},
		{pattern: "DELETE /projects/{id}/relationships/products", status: 204, body: product, who: "manager"},
	}
}

func holderOperations() []operation {
	return []operation{
		{pattern: "GET /whoami", status: 200, secured: true},
		{pattern: "GET /whoami/limits", status: 200, secured: true},
		{pattern: "POST /whoami/revoke", status: 200, secured: true},
	}
}

// The tests that try every operation try every route.
func TestEveryRouteIsAnOperation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		routes     []string
		operations []operation
	}{{httpapi.Patterns(), operations()}, {httpapi.HolderPatterns(), holderOperations()}} {
		var tried []string
		for _, o := range c.operations {
			tried = append(tried, o.pattern)
		}
		slices.Sort(c.routes)
		slices.Sort(tried)
		if !slices.Equal(c.routes, tried) {
			t.Errorf("the routes are\n%q\nthe operations\n%q", c.routes, tried)
		}
	}
}
