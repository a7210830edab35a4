package httpapi_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mediaType = "application/vnd.api+json"

// world is a server with two organizations and a principal of each kind. Requests
// name their principal in the X-Principal header.
type world struct {
	*apikeystest.Client
	t          testing.TB
	handler    http.Handler
	principals map[string]httpapi.Principal
	faults     []error // what OnError was told
	reduced    bool    // the handler lacks routes: what it answers is not recorded

	own, other, suspended uuid.UUID // organizations
}

var errLogin = errors.New("password of the session store: hunter2")

func newWorld(t testing.TB, configure ...func(*apikeys.Config)) *world {
	t.Helper()
	return newWorldOf(t, apikeystest.New(t, configure...))
}

// newWorldOf makes a server on a client whose organization is there already.
func newWorldOf(t testing.TB, c *apikeystest.Client) *world {
	t.Helper()
	other, err := c.CreateOrganization(t.Context(), "other")
	check(t, err)
	suspended, err := c.CreateOrganization(t.Context(), "suspended")
	check(t, err)
	_, err = c.SuspendOrganization(t.Context(), suspended.ID)
	check(t, err)
	w := &world{Client: c, t: t, own: c.Organization.ID, other: other.ID, suspended: suspended.ID}
	grant := apikeys.Grant{Scopes: []string{"docs:*", "read"}}
	w.principals = map[string]httpapi.Principal{
		"admin":     {Actor: "root", Admin: true, Grant: apikeys.Grant{Scopes: []string{"*"}}},
		"manager":   {Actor: "manager", OrganizationID: w.own, Grant: grant},
		"alice":     {Actor: "alice", OrganizationID: w.own, OwnerID: "alice", Grant: grant},
		"bob":       {Actor: "bob", OrganizationID: w.own, OwnerID: "bob", Grant: grant},
		"powerless": {Actor: "powerless", OrganizationID: w.own, OwnerID: "alice"},
		"foreigner": {Actor: "foreigner", OrganizationID: w.other, Grant: grant},
		"namesake":  {Actor: "namesake", OrganizationID: w.other, OwnerID: "alice", Grant: grant},
		"suspended": {Actor: "suspended", OrganizationID: suspended.ID, Grant: grant},
		"gone":      {Actor: "gone", OrganizationID: uuid.New(), Grant: grant},
		"nobody":    {Actor: "nobody"},
		"two":       {Actor: "two", Admin: true, OwnerID: "alice", OrganizationID: w.own},
	}
	w.handler, err = httpapi.New(c.Client, httpapi.Options{
		Authenticate: w.authenticate, BasePath: "/v1", Now: c.Clock.Now,
		OnError: func(_ *http.Request, err error) { w.faults = append(w.faults, err) },
	})
	check(t, err)
	return w
}

func (w *world) authenticate(r *http.Request) (httpapi.Principal, error) {
	name := r.Header.Get("X-Principal")
	switch name {
	case "broken":
		return httpapi.Principal{}, errLogin
	case "eager":
		return httpapi.Principal{}, &apikeys.QuotaError{Limit: apikeys.PerMinute(1), RetryAfter: 1500 * time.Millisecond}
	}
	p, ok := w.principals[name]
	if !ok {
		return httpapi.Principal{}, httpapi.ErrUnauthenticated
	}
	return p, nil
}

// reply is what the server answered.
type reply struct {
	status int
	header http.Header
	body   string
	doc    map[string]any
}

// send makes a request as a principal; a body is sent as JSON:API.
func (w *world) send(who, method, target, body string, set ...func(*http.Request)) *reply {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("X-Principal", who)
	if body != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	for _, f := range set {
		f(r)
	}
	return w.do(r)
}

func (w *world) do(r *http.Request) *reply {
	w.t.Helper()
	rec := httptest.NewRecorder()
	var sent *exchange
	if !w.reduced {
		sent = record(w.t, r)
	}
	w.handler.ServeHTTP(rec, r)
	sent.answered(w.t, rec)
	out := &reply{status: rec.Code, header: rec.Result().Header, body: rec.Body.String()}
	if out.body != "" && r.Method != http.MethodHead {
		check(w.t, json.Unmarshal(rec.Body.Bytes(), &out.doc))
	}
	return out
}

// at follows a path of names and indices through the document.
func (r *reply) at(path ...any) any {
	var v any = r.doc
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				return nil
			}
			v = l[s]
		}
	}
	return v
}

func (r *reply) text(path ...any) string {
	s, _ := r.at(path...).(string)
	return s
}

func (r *reply) code() string { return r.text("errors", 0, "code") }
func (r *reply) id() string   { return r.text("data", "id") }

// want checks status and, of refusals, the code, the form and the headers.
func (r *reply) want(t testing.TB, what string, status int, code string) {
	t.Helper()
	if r.status != status || r.code() != code {
		t.Errorf("%s: got %d %q, want %d %q: %s", what, r.status, r.code(), status, code, r.body)
	}
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s: answer may be cached or sniffed: %v", what, r.header)
	}
	if r.body != "" && r.header.Get("Content-Type") != mediaType {
		t.Errorf("%s: got Content-Type %q", what, r.header.Get("Content-Type"))
	}
}

// issue makes a key of the own organization.
func (w *world) issue(owner string, meta apikeys.KeyMetadata) *apikeys.IssuedKey {
	w.t.Helper()
	k, err := w.CreateKey(w.t.Context(), apikeys.CreateKeyParams{OrganizationID: w.own, OwnerID: owner, Metadata: meta})
	check(w.t, err)
	return k
}

// keyBody is a document for a new key with these attributes.
func keyBody(attributes string) string {
	return `{"data":{"type":"api-keys","attributes":` + attributes + `}}`
}

func patchBody(id, attributes string) string {
	return `{"data":{"type":"api-keys","id":"` + id + `","attributes":` + attributes + `}}`
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
