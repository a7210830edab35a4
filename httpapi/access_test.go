package httpapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpapi"
)

// No route answers anything but 401 to a request of nobody, 503 when it cannot be
// known whose it is, and 403 to principals who may do nothing.
func TestEveryRouteAsksWhoItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	patterns := httpapi.Patterns()
	if len(patterns) == 0 {
		t.Fatal("no routes")
	}
	for _, pattern := range patterns {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.ReplaceAll(path, "{id}", uuid.NewString())
		got := w.send("", method, path, "")
		got.want(t, pattern, http.StatusUnauthorized, "unauthenticated")
		if got.header.Get("WWW-Authenticate") != `Bearer realm="api"` {
			t.Errorf("%s: got no challenge", pattern)
		}
		got = w.send("broken", method, path, "")
		got.want(t, pattern, http.StatusServiceUnavailable, "unavailable")
		if strings.Contains(got.body, "hunter2") || got.header.Get("Retry-After") != "1" {
			t.Errorf("%s: got %v %s", pattern, got.header, got.body)
		}
		if n := len(w.faults); n == 0 || !errors.Is(w.faults[n-1], errLogin) {
			t.Errorf("%s: OnError was not told", pattern)
		}
		for who, code := range map[string]string{"nobody": "forbidden", "two": "forbidden", "gone": "forbidden", "suspended": "suspended"} {
			w.send(who, method, path, "").want(t, who+" "+pattern, http.StatusForbidden, code)
		}
	}
}

// Every operation on a key, by each principal. Who may not see the key gets, byte
// for byte, the answer for a key that does not exist, and changes nothing.
func TestOperationsOnKeysByPrincipal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	operations := map[string]func(who, id string) *reply{
		"get": func(who, id string) *reply { return w.send(who, "GET", "/api-keys/"+id, "") },
		"patch": func(who, id string) *reply {
			return w.send(who, "PATCH", "/api-keys/"+id, patchBody(id, `{"name":"x"}`))
		},
		"scopes": func(who, id string) *reply {
			return w.send(who, "PATCH", "/api-keys/"+id, patchBody(id, `{"scopes":["read"]}`))
		},
		"broken":  func(who, id string) *reply { return w.send(who, "PATCH", "/api-keys/"+id, `{`) },
		"delete":  func(who, id string) *reply { return w.send(who, "DELETE", "/api-keys/"+id, "") },
		"rotate":  func(who, id string) *reply { return w.send(who, "POST", "/api-keys/"+id+"/rotate", "") },
		"revoke":  func(who, id string) *reply { return w.send(who, "POST", "/api-keys/"+id+"/revoke", "") },
		"disable": func(who, id string) *reply { return w.send(who, "POST", "/api-keys/"+id+"/disable", "") },
		"enable":  func(who, id string) *reply { return w.send(who, "POST", "/api-keys/"+id+"/enable", "") },
		"user":    func(who, id string) *reply { return w.send(who, "GET", "/api-keys/"+id+"/relationships/user", "") },
	}
	for name, op := range operations {
		for _, who := range []string{"alice", "manager", "admin"} {
			got := op(who, w.issue("alice", apikeys.KeyMetadata{}).Key.ID.String())
			if name == "broken" {
				got.want(t, who+" "+name, http.StatusBadRequest, "invalid_request")
			} else if got.status >= 300 {
				t.Errorf("%s %s: got %d %s", who, name, got.status, got.body)
			}
		}
		for _, who := range []string{"bob", "foreigner", "namesake", "suspended", "gone", "nobody"} {
			target := w.issue("alice", apikeys.KeyMetadata{}).Key
			got, missing := op(who, target.ID.String()), op(who, uuid.NewString())
			if got.status != missing.status || got.body != missing.body || got.status != 404 && got.status != 403 {
				t.Errorf("%s %s: got %d %s, for a missing key %d %s", who, name, got.status, got.body, missing.status, missing.body)
			}
			now, err := w.GetKey(t.Context(), target.ID)
			if err != nil || now.Version != 1 {
				t.Errorf("%s %s changed the key: %v", who, name, err)
			}
		}
	}
}

// Lists hold what the principal may see, on every page.
func TestListsByPrincipal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 12 {
		w.issue([]string{"alice", "bob", ""}[i%3], apikeys.KeyMetadata{Name: "key"})
	}
	_, err := w.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: w.other, OwnerID: "alice"})
	check(t, err)
	for who, want := range map[string]int{"admin": 13, "manager": 12, "alice": 4, "bob": 4, "foreigner": 1, "namesake": 1} {
		seen := map[string]bool{}
		for link := "/v1/api-keys?page[size]=3"; link != ""; {
			got := w.send(who, "GET", strings.TrimPrefix(link, "/v1"), "")
			got.want(t, who, http.StatusOK, "")
			keys, _ := got.at("data").([]any)
			for i := range keys {
				seen[got.text("data", i, "id")] = true
			}
			link = got.text("links", "next")
		}
		if len(seen) != want {
			t.Errorf("%s: got %d keys, want %d", who, len(seen), want)
		}
	}
	for filter, want := range map[string]int{
		"filter[owner]=alice": 4, "filter[query]=KEY": 12, "filter[query]=%25": 0, "filter[status]=revoked": 0, "filter[status]=all": 12,
	} {
		got := w.send("manager", "GET", "/api-keys?"+filter, "")
		if keys, _ := got.at("data").([]any); len(keys) != want {
			t.Errorf("%s: got %d keys, want %d", filter, len(keys), want)
		}
	}
	next := w.send("manager", "GET", "/api-keys?page[size]=1", "").text("links", "next")
	_, cursor, _ := strings.Cut(next, "cursor")
	w.send("foreigner", "GET", "/api-keys?page%5Bcursor"+cursor, "").want(t, "another's cursor", http.StatusBadRequest, "invalid_argument")
}

// What is not a route is told in JSON:API too, and without a redirect.
func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/", "/nothing", "/api-keys/", "//api-keys", "/api-keys/../api-keys", "/API-KEYS"} {
		w.send("alice", "GET", path, "").want(t, path, http.StatusNotFound, "not_found")
	}
	got := w.send("alice", "PUT", "/api-keys", "")
	got.want(t, "PUT", http.StatusMethodNotAllowed, "method_not_allowed")
	if got := got.header.Get("Allow"); got != "GET, HEAD, POST" {
		t.Errorf("got Allow %q", got)
	}
}

func TestStoreFaultsAre503(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.issue("alice", apikeys.KeyMetadata{}).Key.ID.String()
	check(t, w.Store.Close())
	for _, who := range []string{"alice", "admin"} {
		got := w.send(who, "GET", "/api-keys/"+id, "")
		got.want(t, who, http.StatusServiceUnavailable, "unavailable")
		if strings.Contains(got.body, "sql") || got.header.Get("Retry-After") != "1" {
			t.Errorf("got %v %s", got.header, got.body)
		}
	}
}

func TestNewRefusesWrongOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, opts := range map[string]httpapi.Options{
		"no Authenticate": {},
		"relative base":   {Authenticate: w.authenticate, BasePath: "v1"},
		"slash at end":    {Authenticate: w.authenticate, BasePath: "/v1/"},
		"challenge":       {Authenticate: w.authenticate, Challenge: "a\r\nb"},
	} {
		if _, err := httpapi.New(w.Client.Client, opts); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := httpapi.New(nil, httpapi.Options{Authenticate: w.authenticate}); err == nil {
		t.Error("no client: got no error")
	}
}
