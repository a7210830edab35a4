package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
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
	page = s.post(project+"/keys", url.Values{"organization": {id}, "project": {strings.TrimPrefix(project, "/projects/")}, "product": {product}, "name": {"bound"}})
	s.find(page, `<code class="key">(sk_\w+)<`)
	if page = s.post("/verify", url.Values{"key": {key}, "scopes": {"hello:read"}}); !strings.Contains(page, ">valid<") || strings.Contains(page, key) {
		t.Errorf("got %s", page)
	}
	if page = s.post("/verify", url.Values{"key": {key}, "scopes": {"other"}}); !strings.Contains(page, "insufficient_scope") {
		t.Errorf("got %s", page)
	}
	_, _, page = s.send("GET", project, "")
	revoke := s.find(page, `action="(/api-keys/[-0-9a-f]{36}/revoke)"`)
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
	if got := header.Get("Content-Security-Policy"); got != policy {
		t.Errorf("got policy %q", got)
	}
	crossSite := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for _, path := range []string{"/organizations", "/v1/organizations"} {
		if status, _, _ := s.send("POST", path, "name=x", crossSite); status != http.StatusForbidden {
			t.Errorf("a form of another site on %s: got %d", path, status)
		}
	}
	status, _, page := s.send("GET", "/organizations/%3Cscript%3E", "")
	if status != http.StatusBadRequest || strings.Contains(page, "<script") {
		t.Errorf("got %d %s", status, page)
	}
}

func TestSettings(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"no password": {"ADMIN_PASSWORD": ""}, "no secret": {"APIKEYS_SECRET": ""}, "limits": {"RATE_LIMIT_DEFAULTS": "often"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("APIKEYS_SECRET", "5f2c1a9e8b7d6c4f3e2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c")
			t.Setenv("ADMIN_PASSWORD", password)
			for name, value := range env {
				t.Setenv(name, value)
			}
			if _, err := readSettings(); err == nil {
				t.Error("got no error")
			}
		})
	}
}
