package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpapi"
)

func TestNobodyGrantsMoreThanTheyHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		who, scopes string
		status      int
		code        string
	}{
		{"alice", `["docs:read","docs:a:*","read"]`, http.StatusCreated, ""},
		{"alice", `["docs:*"]`, http.StatusCreated, ""},
		{"alice", `["docs"]`, http.StatusForbidden, "beyond_grant"},
		{"alice", `["*"]`, http.StatusForbidden, "beyond_grant"},
		{"alice", `["read","write"]`, http.StatusForbidden, "beyond_grant"},
		{"alice", `["READ"]`, http.StatusForbidden, "beyond_grant"},
		{"manager", `["write"]`, http.StatusForbidden, "beyond_grant"},
		{"powerless", `[]`, http.StatusCreated, ""},
		{"powerless", `["read"]`, http.StatusForbidden, "beyond_grant"},
	} {
		got := w.send(c.who, "POST", "/api-keys", keyBody(`{"scopes":`+c.scopes+`}`))
		got.want(t, c.who+" creates "+c.scopes, c.status, c.code)
		if c.code != "" && got.text("errors", 0, "source", "pointer") != "/data/attributes/scopes" {
			t.Errorf("got source %s", got.body)
		}
		owner := c.who
		if owner == "powerless" {
			owner = "alice"
		}
		id := w.issue(owner, apikeys.KeyMetadata{}).Key.ID.String()
		status := c.status
		if status == http.StatusCreated {
			status = http.StatusOK
		}
		w.send(c.who, "PATCH", "/api-keys/"+id, patchBody(id, `{"scopes":`+c.scopes+`}`)).want(t, c.who+" patches "+c.scopes, status, c.code)
	}
}

// Whoever holds less than a key gets neither its new text nor a longer life for it.
func TestAKeyBeyondTheGrantIsNotPassedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	strong := w.issue("alice", apikeys.KeyMetadata{Scopes: []string{"billing"}, ExpiresAt: w.Clock.Now().Add(time.Hour)})
	id := strong.Key.ID.String()
	path := "/api-keys/" + id
	w.send("alice", "POST", path+"/rotate", "").want(t, "rotate", http.StatusForbidden, "beyond_grant")
	w.send("alice", "POST", path+"/enable", "").want(t, "enable", http.StatusForbidden, "beyond_grant")
	w.send("alice", "PATCH", path, patchBody(id, `{"expires_at":null}`)).want(t, "extend", http.StatusForbidden, "beyond_grant")
	w.send("alice", "PATCH", path, patchBody(id, `{"rate_limits":[]}`)).want(t, "limits", http.StatusForbidden, "beyond_grant")
	w.send("alice", "PATCH", path, patchBody(id, `{"name":"renamed"}`)).want(t, "rename", http.StatusOK, "")
	w.send("alice", "POST", path+"/revoke", "").want(t, "revoke", http.StatusOK, "")
	if _, err := w.Verify(t.Context(), strong.Plaintext.Reveal()); err == nil {
		t.Error("the key was revoked and is accepted")
	}
}

func TestGrantBoundsLimitsAndExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.principals["alice"] = httpapi.Principal{OrganizationID: w.own, OwnerID: "alice", Grant: apikeys.Grant{
		RateLimits: []apikeys.RateLimit{apikeys.PerMinute(100)}, ExpiresBy: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
	}}
	const soon = `"expires_at":"2026-06-01T00:00:00Z"`
	for attributes, status := range map[string]int{
		`{"rate_limits":["100/minute"],` + soon + `}`:          http.StatusCreated,
		`{"rate_limits":["9/minute","9/second"],` + soon + `}`: http.StatusCreated,
		`{"rate_limits":["101/minute"],` + soon + `}`:          http.StatusForbidden,
		`{"rate_limits":["1/hour"],` + soon + `}`:              http.StatusForbidden,
		`{` + soon + `}`:                                                          http.StatusForbidden,
		`{"rate_limits":["1/minute"]}`:                                            http.StatusForbidden,
		`{"rate_limits":["1/minute"],"expires_at":null}`:                          http.StatusForbidden,
		`{"rate_limits":["1/minute"],"expires_at":"2026-06-01T00:00:01Z"}`:        http.StatusForbidden,
		`{"rate_limits":["1/minute"],"expires_at":"2026-06-01T01:00:00.5+01:00"}`: http.StatusForbidden,
	} {
		if got := w.send("alice", "POST", "/api-keys", keyBody(attributes)); got.status != status {
			t.Errorf("%s: got %d %s, want %d", attributes, got.status, got.body, status)
		}
	}
}
