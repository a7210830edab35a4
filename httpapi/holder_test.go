package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpapi"
	"github.com/apikeys-platform/apikeys/httpmw"
)

func withKey(text string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("X-API-Key", text) }
}

// The holder's routes know keys, and nobody else.
func TestHolderRoutesNeedAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, pattern := range httpapi.HolderPatterns() {
		method, path, _ := strings.Cut(pattern, " ")
		got := w.send("admin", method, path, "")
		got.want(t, pattern, http.StatusUnauthorized, "no_credential")
		if got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: got no challenge", pattern)
		}
		w.send("admin", method, path, "", withKey("sk_x")).want(t, pattern, http.StatusUnauthorized, "invalid_key")
		w.send("", method, path, "", withKey(w.IssueExpired().Plaintext.Reveal())).want(t, pattern, http.StatusUnauthorized, "expired_key")
		w.send("", method, path, "", withKey(w.IssueRevoked().Plaintext.Reveal())).want(t, pattern, http.StatusForbidden, "revoked_key")
		good := w.Issue().Plaintext.Reveal()
		w.send("", method, path+"?x=1", "", withKey(good)).want(t, pattern, http.StatusBadRequest, "invalid_request")
		w.send("", method, path, "{}", withKey(good)).want(t, pattern, http.StatusBadRequest, "invalid_request")
		w.send("", method, path, "", withKey(good)).want(t, pattern, http.StatusOK, "")
	}
}

func TestHolderAsksAboutItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.IssueLimited(apikeys.PerMinute(3), apikeys.PerDay(100))
	text := key.Plaintext.Reveal()
	_, err := w.Validate(t.Context(), text, apikeys.ValidateParams{Cost: 2})
	check(t, err)
	for range 2 { // asking costs nothing
		got := w.send("", "GET", "/whoami", "", withKey(text))
		if got.id() != key.Key.ID.String() || got.at("data", "attributes", "use_count") != 1.0 || strings.Contains(got.body, text) {
			t.Errorf("got %s", got.body)
		}
		got = w.send("", "GET", "/whoami/limits", "", func(r *http.Request) { r.Header.Set("Authorization", "bearer "+text) })
		if got.at("data", 0, "id") != "minute" || got.at("data", 0, "attributes", "remaining") != 1.0 || got.at("data", 1, "attributes", "limit") != "100/day" {
			t.Errorf("got %s", got.body)
		}
	}
	w.send("", "POST", "/whoami/revoke", "", withKey(text)).want(t, "revoke", http.StatusOK, "")
	w.send("", "GET", "/whoami", "", withKey(text)).want(t, "revoked", http.StatusForbidden, "revoked_key")
}

func TestHolderRoutesCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h, err := httpapi.New(w.Client.Client, httpapi.Options{
		Authenticate: w.authenticate, WithoutWhoAmI: true, WithoutLimits: true, WithoutSelfRevoke: true,
	})
	check(t, err)
	w.handler, w.reduced = h, true
	for _, pattern := range httpapi.HolderPatterns() {
		method, path, _ := strings.Cut(pattern, " ")
		w.send("", method, path, "", withKey(w.Issue().Plaintext.Reveal())).want(t, pattern, http.StatusNotFound, "not_found")
	}
}

func TestVerify(t *testing.T) {
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
	body := func(key, rest string) string { return `{"meta":{"key":"` + key + `"` + rest + `}}` }
	good := w.issue("alice", apikeys.KeyMetadata{Scopes: []string{"docs:*"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(4)}})
	text := good.Plaintext.Reveal()
	for _, c := range []struct{ who, key, rest, code string }{
		{"manager", text, "", ""},
		{"alice", text, `,"scopes":["docs:read"]`, ""},
		{"admin", text, "", ""},
		{"bob", text, "", "invalid_key"},
		{"foreigner", text, "", "invalid_key"},
		{"manager", "sk_nothing", "", "invalid_key"},
		{"manager", text, `,"scopes":["write"]`, "insufficient_scope"},
		{"manager", w.IssueExpired().Plaintext.Reveal(), "", "expired_key"},
		{"manager", w.IssueRevoked().Plaintext.Reveal(), "", "revoked_key"},
		{"manager", w.IssueDisabled().Plaintext.Reveal(), "", "disabled_key"},
		{"manager", rotated.Plaintext.Reveal(), "", "retired_secret"},
		{"admin", stopped.text, "", "suspended"},
		{"manager", text, "", ""},
		{"manager", text, "", "quota_exceeded"},
	} {
		got := w.send(c.who, "POST", "/verify", body(c.key, c.rest))
		got.want(t, c.who, http.StatusOK, "")
		if got.text("meta", "code") != c.code || got.at("meta", "valid") != (c.code == "") || (got.id() != "") != (c.code == "") {
			t.Errorf("%s, want %q: got %s", c.who, c.code, got.body)
		}
		if strings.Contains(got.body, c.key) {
			t.Errorf("%s: the answer repeats the key", c.who)
		}
		if c.code == "quota_exceeded" && got.at("meta", "retry_after") != 60.0 {
			t.Errorf("got %s", got.body)
		}
	}
	for rest, code := range map[string]string{
		`{}`: "invalid_request", `{"meta":{"key":7}}`: "invalid_request", `{"meta":{"key":"x","cost":1}}`: "invalid_request", body(text, `,"scopes":["*"]`): "invalid_argument",
	} {
		w.send("manager", "POST", "/verify", rest).want(t, rest, http.StatusBadRequest, code)
	}
	w.send("manager", "POST", "/verify", "").want(t, "no body", http.StatusBadRequest, "invalid_request")
}

// A key manages keys with the explicit scope only, never itself, and passes on no
// more than it has.
func TestKeysThatManageKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mw := httpmw.New(w.Client.Client, httpmw.Options{})
	var err error
	w.handler, err = httpapi.New(w.Client.Client, httpapi.Options{Authenticate: func(r *http.Request) (httpapi.Principal, error) {
		v, err := mw.Check(r, apikeys.ValidateParams{})
		if err != nil {
			return httpapi.Principal{}, httpapi.ErrUnauthenticated
		}
		return httpapi.KeyPrincipal(v), nil
	}})
	check(t, err)
	end := w.Clock.Now().Add(time.Hour)
	manager := w.issue("", apikeys.KeyMetadata{Scopes: []string{"read", httpapi.ManageScope}, ExpiresAt: end})
	text, other := manager.Plaintext.Reveal(), w.issue("", apikeys.KeyMetadata{}).Key.ID.String()
	for _, scopes := range [][]string{nil, {"read"}, {"*"}, {"apikeys:*"}} {
		weak := w.issue("", apikeys.KeyMetadata{Scopes: scopes}).Plaintext.Reveal()
		w.send("", "GET", "/api-keys", "", withKey(weak)).want(t, strings.Join(scopes, " "), http.StatusForbidden, "forbidden")
	}
	w.send("", "GET", "/api-keys", "").want(t, "no key", http.StatusUnauthorized, "unauthenticated")
	expiry := `"expires_at":"` + end.Format(time.RFC3339) + `"`
	w.send("", "POST", "/api-keys", keyBody(`{"scopes":["read"],`+expiry+`}`), withKey(text)).want(t, "create", http.StatusCreated, "")
	w.send("", "POST", "/api-keys", keyBody(`{"scopes":["write"],`+expiry+`}`), withKey(text)).want(t, "more scopes", http.StatusForbidden, "beyond_grant")
	w.send("", "POST", "/api-keys", keyBody(`{"scopes":["read"]}`), withKey(text)).want(t, "longer life", http.StatusForbidden, "beyond_grant")
	w.send("", "POST", "/api-keys/"+other+"/revoke", "", withKey(text)).want(t, "another key", http.StatusOK, "")
	w.send("", "POST", "/projects", named("projects", "", "p"), withKey(text)).want(t, "project", http.StatusForbidden, "forbidden")
	own := manager.Key.ID.String()
	for _, op := range []struct{ method, path, body string }{
		{"PATCH", "", patchBody(own, `{"name":"x"}`)}, {"DELETE", "", ""}, {"POST", "/rotate", ""}, {"POST", "/revoke", ""}, {"POST", "/disable", ""}, {"POST", "/enable", ""},
	} {
		w.send("", op.method, "/api-keys/"+own+op.path, op.body, withKey(text)).want(t, op.method+op.path, http.StatusForbidden, "forbidden")
	}
	w.send("", "GET", "/api-keys/"+own, "", withKey(text)).want(t, "itself", http.StatusOK, "")
	if now, err := w.GetKey(t.Context(), manager.Key.ID); err != nil || now.Version != 1 {
		t.Errorf("the key changed itself: %v", err)
	}
	project, err := w.CreateProject(t.Context(), w.own, "p")
	check(t, err)
	bound, err := w.CreateKey(t.Context(), apikeys.CreateKeyParams{
		OrganizationID: w.own, ProjectID: project.ID, Metadata: apikeys.KeyMetadata{Scopes: []string{httpapi.ManageScope}},
	})
	check(t, err)
	w.send("", "GET", "/api-keys", "", withKey(bound.Plaintext.Reveal())).want(t, "bound key", http.StatusForbidden, "forbidden")
	if got := httpapi.KeyPrincipal(apikeys.Validation{}); got.OrganizationID != uuid.Nil || got.Admin {
		t.Errorf("nobody's validation makes %+v", got)
	}
}

// A key that another process has deleted is no key, whatever is remembered of it.
func TestHolderOfADeletedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	elsewhere := clientOn(t, w.Store)
	for _, o := range holderOperations() {
		key := w.Issue()
		on := target{text: key.Plaintext.Reveal()}
		w.send("", "GET", "/whoami", "", withKey(on.text)).want(t, "remembered", http.StatusOK, "")
		check(t, elsewhere.DeleteKey(t.Context(), key.Key.ID))
		o.on(w, "", on).want(t, o.pattern, http.StatusUnauthorized, "invalid_key")
	}
}
