package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys/examples/server/pages"
)

// What is managed needs the login, and what is guarded a key; the program stops
// when it is told to, and what it counted is there at the next start.
func TestServer(t *testing.T) {
	s := start(t)
	anonymous := func(r *http.Request) { r.Header.Del("Authorization") }
	wrong := func(r *http.Request) { r.SetBasicAuth("admin", "wrong") }
	for _, path := range []string{"/", "/v1/organizations", "/debug/vars", "/verify", "/style.css"} {
		for _, who := range []func(*http.Request){anonymous, wrong} {
			if status, header, _ := s.send("GET", path, "", who); status != http.StatusUnauthorized || header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: got %d, want to be asked for the password", path, status)
			}
		}
	}
	_, key := s.newKey("100/day")
	for _, tt := range []struct {
		method, path string
		change       func(*http.Request)
		status       int
	}{
		{"GET", "/hello", withKey(key), 200},
		{"GET", "/hello", anonymous, 401},
		{"GET", "/hello", withKey("sk_madeup"), 401},
		{"PUT", "/hello", withKey(key), 403},
		{"GET", "/v1/openapi.json", anonymous, 200},
		{"GET", "/v1/whoami", withKey(key), 200},
		{"GET", "/v1/organizations", wrong, 401},
	} {
		if status, _, body := s.send(tt.method, tt.path, "", tt.change); status != tt.status {
			t.Errorf("%s %s: got %d %s, want %d", tt.method, tt.path, status, body, tt.status)
		}
	}
	if _, _, figures := s.send("GET", "/debug/vars", ""); !strings.Contains(figures, `"insufficient_scope":1`) {
		t.Errorf("got figures %s", figures)
	}
	if err := s.stop(); err != nil {
		t.Errorf("got %v, want a graceful stop", err)
	}
}

// The pages lead through the whole: organization, project, product, link, key,
// verdict, revocation.
func TestPages(t *testing.T) {
	s := start(t)
	organization, key := s.newKey("")
	id := strings.TrimPrefix(organization, "/organizations/")
	s.post(organization+"/products", url.Values{"organization": {id}, "name": {"Maps"}})
	page := s.post(organization+"/projects", url.Values{"organization": {id}, "name": {"v1"}})
	project := s.find(page, `href="(/projects/[-0-9a-f]{36})">v1<`)
	_, _, page = s.send("GET", project, "")
	product := s.find(page, `<option value="([-0-9a-f]{36})">Maps<`)
	page = s.post(project+"/link", url.Values{"product": {product}})
	s.find(page, `<li>(Maps)`)
	page = s.post("/keys", url.Values{"organization": {id}, "project": {strings.TrimPrefix(project, "/projects/")}, "product": {product}, "name": {"bound"}})
	s.find(page, `<code class="key">(sk_\w+)<`)
	if page = s.post("/verify", url.Values{"key": {key}, "scopes": {"hello:read"}}); !strings.Contains(page, ">valid<") || strings.Contains(page, key) {
		t.Errorf("got %s", page)
	}
	if page = s.post("/verify", url.Values{"key": {key}, "scopes": {"other"}}); !strings.Contains(page, ">refused<") || !strings.Contains(page, "other") || strings.Contains(page, key) {
		t.Errorf("got %s", page)
	}
	_, _, page = s.send("GET", project, "")
	revoke := s.find(page, `action="(/keys/[-0-9a-f]{36}/revoke)"`)
	if page = s.post(revoke, nil); !strings.Contains(page, ">revoked<") {
		t.Errorf("got %s", page)
	}
	s.post(organization+"/suspend", nil)
	if status, _, _ := s.send("GET", "/hello", "", withKey(key)); status != http.StatusForbidden {
		t.Errorf("a key of a suspended organization: got %d", status)
	}
}

// What names hold stays text, no page runs a script, and no other site can send forms.
func TestPagesAreSafe(t *testing.T) {
	s := start(t)
	page := s.post("/organizations", url.Values{"name": {`<script>alert(1)</script>"'`}})
	if strings.Contains(page, "<script") || !strings.Contains(page, "&lt;script&gt;") {
		t.Errorf("got %s", page)
	}
	_, header, _ := s.send("GET", "/", "")
	if got := header.Get("Content-Security-Policy"); got != pages.Policy {
		t.Errorf("got policy %q", got)
	}
	crossSite := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for _, path := range []string{"/organizations", "/v1/organizations"} {
		if status, _, _ := s.send("POST", path, "name=x", crossSite); status != http.StatusForbidden {
			t.Errorf("a form of another site on %s: got %d", path, status)
		}
	}
	organization, _ := s.newKey("")
	for _, bound := range []string{"project", "product"} { // what is not understood does not make a key that is good for all
		form := url.Values{"organization": {strings.TrimPrefix(organization, "/organizations/")}, bound: {"x"}}
		status, _, page := s.send("POST", "/keys", form.Encode(), func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") })
		if status != http.StatusBadRequest || strings.Contains(page, `class="key"`) {
			t.Errorf("a key for a %s x: got %d %s", bound, status, page)
		}
	}
	status, _, page := s.send("GET", "/organizations/%3Cscript%3E", "")
	if status != http.StatusBadRequest || strings.Contains(page, "<script") {
		t.Errorf("got %d %s", status, page)
	}
}

func TestSettings(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"ADMIN_PASSWORD": {"ADMIN_PASSWORD": ""}, "APIKEYS_SECRET": {"APIKEYS_SECRET": ""}, "RATE_LIMIT_DEFAULTS": {"RATE_LIMIT_DEFAULTS": "often"},
		"sqlite://": {"DATABASE_URL": "oracle://"},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t)
			for name, value := range env {
				t.Setenv(name, value)
			}
			if err := run(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got error %v, want one of %s", err, name)
			}
		})
	}
}
