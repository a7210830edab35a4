package httpapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func TestKeyIsCreatedAndItsTextShownOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.send("alice", "POST", "/api-keys", keyBody(`{
		"name": "<script>", "scopes": ["docs:read", "read"], "rate_limits": ["1000/hour", "10 per second"],
		"expires_at": "2027-01-01T14:00:00+14:00", "custom": {"n": 9007199254740993, "deep": {"Name": [1]}}}`))
	got.want(t, "create", http.StatusCreated, "")
	text := got.text("data", "attributes", "key")
	key, err := w.Verify(t.Context(), text)
	check(t, err)
	if key.ID.String() != got.id() || key.OwnerID != "alice" || key.OrganizationID != w.own {
		t.Errorf("got key %s of %q in %s", key.ID, key.OwnerID, key.OrganizationID)
	}
	want := apikeys.KeyMetadata{
		Name: "<script>", Scopes: []string{"docs:read", "read"}, RateLimits: []apikeys.RateLimit{apikeys.PerSecond(10), apikeys.PerHour(1000)},
		ExpiresAt: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Custom: key.Metadata.Custom,
	}
	if diff := cmp.Diff(want, key.Metadata); diff != "" {
		t.Errorf("metadata: -want +got:\n%s", diff)
	}
	if !strings.Contains(got.body, "9007199254740993") || strings.Contains(got.body, "<script>") {
		t.Errorf("a number lost digits or markup is not escaped: %s", got.body)
	}
	if got, want := got.header.Get("Location"), "/v1/api-keys/"+got.id(); got != want {
		t.Errorf("got Location %q, want %q", got, want)
	}
	for _, again := range []*reply{w.send("alice", "GET", "/api-keys/"+got.id(), ""), w.send("alice", "GET", "/api-keys", "")} {
		again.want(t, "read", http.StatusOK, "")
		if strings.Contains(again.body, text) || strings.Contains(again.body, `"key":`) {
			t.Error("the text of the key was shown again")
		}
		if !strings.Contains(again.body, `"rate_limits":["10/second","1000/hour"]`) {
			t.Errorf("limits are not texts: %s", again.body)
		}
	}
}

func TestOwnerComesFromThePrincipal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	named := func(owner string) string {
		return `{"data":{"type":"api-keys","relationships":{"user":{"data":{"type":"users","id":"` + owner + `"}}}}}`
	}
	w.send("alice", "POST", "/api-keys", named("bob")).want(t, "for another", http.StatusForbidden, "forbidden")
	for who, owner := range map[string]string{"alice": "alice", "manager": "carol"} {
		got := w.send(who, "POST", "/api-keys", named(owner))
		got.want(t, who, http.StatusCreated, "")
		if got := got.text("data", "relationships", "user", "data", "id"); got != owner {
			t.Errorf("%s: got owner %q, want %q", who, got, owner)
		}
	}
	w.send("admin", "POST", "/api-keys", keyBody(`{}`)).want(t, "admin without organization", http.StatusBadRequest, "invalid_request")
	in := func(org uuid.UUID) string {
		return `{"data":{"type":"api-keys","relationships":{"organization":{"data":{"type":"organizations","id":"` + org.String() + `"}}}}}`
	}
	w.send("admin", "POST", "/api-keys", in(w.other)).want(t, "admin anywhere", http.StatusCreated, "")
	w.send("manager", "POST", "/api-keys", in(w.own)).want(t, "own organization", http.StatusCreated, "")
	for _, who := range []string{"manager", "alice"} {
		w.send(who, "POST", "/api-keys", in(w.other)).want(t, who+" elsewhere", http.StatusNotFound, "not_found")
	}
}

func TestKeysOfAUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, who := range []string{"alice", "manager"} {
		w.send(who, "POST", "/users/alice/api-keys", keyBody(`{"name":"mine"}`)).want(t, who, http.StatusCreated, "")
		got := w.send(who, "GET", "/users/alice/api-keys?filter[status]=active", "")
		got.want(t, who, http.StatusOK, "")
		if owner := got.text("data", 0, "relationships", "user", "data", "id"); owner != "alice" {
			t.Errorf("%s: got a key of %q", who, owner)
		}
	}
	w.send("bob", "GET", "/users/alice/api-keys", "").want(t, "bob", http.StatusNotFound, "not_found")
	w.send("bob", "POST", "/users/alice/api-keys", keyBody(`{}`)).want(t, "bob", http.StatusNotFound, "not_found")
	w.send("alice", "GET", "/api-keys?filter[owner]=bob", "").want(t, "filter", http.StatusNotFound, "not_found")
	w.send("admin", "GET", "/users/alice/api-keys", "").want(t, "admin", http.StatusBadRequest, "invalid_request")
	got := w.send("foreigner", "GET", "/users/alice/api-keys", "")
	got.want(t, "foreigner", http.StatusOK, "")
	if got.at("data", 0) != nil {
		t.Error("another organization's user's keys were listed")
	}
	key := w.issue("alice", apikeys.KeyMetadata{}).Key.ID.String()
	if got := w.send("alice", "GET", "/api-keys/"+key+"/relationships/user", ""); got.id() != "alice" {
		t.Errorf("got linkage %s", got.body)
	}
	loose := w.issue("", apikeys.KeyMetadata{}).Key.ID.String()
	if got := w.send("manager", "GET", "/api-keys/"+loose+"/relationships/user", ""); !strings.Contains(got.body, `"data":null`) {
		t.Errorf("got linkage %s", got.body)
	}
}

// In a patch, absent, null and [] are three different things.
func TestPatchTellsAbsentFromNullFromEmpty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := w.Clock.Now().Add(time.Hour)
	full := apikeys.KeyMetadata{
		Name: "n", Scopes: []string{"read"}, RateLimits: []apikeys.RateLimit{apikeys.PerDay(1)}, ExpiresAt: end,
		Custom: map[string]any{"a": "b"},
	}
	for _, c := range []struct {
		attributes string
		change     func(*apikeys.KeyMetadata) // nil: refused
	}{
		{`{}`, func(*apikeys.KeyMetadata) {}},
		{`{"name":""}`, func(m *apikeys.KeyMetadata) { m.Name = "" }},
		{`{"scopes":[]}`, func(m *apikeys.KeyMetadata) { m.Scopes = nil }},
		{`{"scopes":["docs:a:*"]}`, func(m *apikeys.KeyMetadata) { m.Scopes = []string{"docs:a:*"} }},
		{`{"rate_limits":[]}`, func(m *apikeys.KeyMetadata) { m.RateLimits = nil }},
		{`{"expires_at":null}`, func(m *apikeys.KeyMetadata) { m.ExpiresAt = time.Time{} }},
		{`{"custom":{}}`, func(m *apikeys.KeyMetadata) { m.Custom = nil }},
		{`{"name":null}`, nil},
		{`{"scopes":null}`, nil},
		{`{"rate_limits":null}`, nil},
		{`{"custom":null}`, nil},
	} {
		k := w.issue("alice", full).Key
		got := w.send("alice", "PATCH", "/api-keys/"+k.ID.String(), patchBody(k.ID.String(), c.attributes))
		want := full
		if c.change == nil {
			got.want(t, c.attributes, http.StatusBadRequest, "invalid_request")
		} else {
			got.want(t, c.attributes, http.StatusOK, "")
			c.change(&want)
		}
		now, err := w.GetKey(t.Context(), k.ID)
		check(t, err)
		if diff := cmp.Diff(want, now.Metadata); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.attributes, diff)
		}
	}
}

func TestPatchRefusesWhatIsFixed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.issue("alice", apikeys.KeyMetadata{}).Key.ID.String()
	path := "/api-keys/" + id
	for _, field := range []string{"hint", "key", "status", "created_at", "revoked_at", "use_count", "environment"} {
		got := w.send("alice", "PATCH", path, patchBody(id, `{"`+field+`":"x"}`))
		got.want(t, field, http.StatusForbidden, "immutable_field")
		if got := got.text("errors", 0, "source", "pointer"); got != "/data/attributes/"+field {
			t.Errorf("got pointer %q", got)
		}
	}
	w.send("alice", "PATCH", path, `{"data":{"type":"api-keys","id":"`+id+`","relationships":{}}}`).
		want(t, "relationships", http.StatusForbidden, "immutable_field")
	w.send("alice", "PATCH", path, `{"data":{"type":"projects","id":"`+id+`"}}`).want(t, "type", http.StatusConflict, "type_mismatch")
	w.send("alice", "PATCH", path, patchBody(w.own.String(), `{}`)).want(t, "id", http.StatusConflict, "type_mismatch")
	w.send("alice", "PATCH", path, `{"data":{"type":"api-keys"}}`).want(t, "no id", http.StatusBadRequest, "invalid_request")
	w.send("alice", "POST", "/api-keys", patchBody(id, `{}`)).want(t, "own id", http.StatusForbidden, "client_id")
	w.send("alice", "PATCH", path, patchBody(id, `{"name":"a","version":1}`)).want(t, "version", http.StatusOK, "")
	w.send("alice", "PATCH", path, patchBody(id, `{"name":"b","version":1}`)).want(t, "old version", http.StatusConflict, "conflict")
	w.send("alice", "PATCH", path, patchBody(id, `{"scopes":[],"version":1}`)).want(t, "old version", http.StatusConflict, "conflict")
	w.send("alice", "PATCH", path, patchBody(id, `{"version":0}`)).want(t, "version 0", http.StatusBadRequest, "invalid_request")
}

func TestLifecycleOfAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.issue("alice", apikeys.KeyMetadata{Scopes: []string{"read"}})
	path := "/api-keys/" + k.Key.ID.String()
	verify := func(text string, want error) {
		t.Helper()
		if _, err := w.Verify(t.Context(), text); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	w.send("alice", "POST", path+"/disable", "").want(t, "disable", http.StatusOK, "")
	verify(k.Plaintext.Reveal(), apikeys.ErrDisabledKey)
	w.send("alice", "POST", path+"/rotate", "").want(t, "rotate disabled", http.StatusConflict, "disabled_key")
	got := w.send("alice", "POST", path+"/enable", "")
	if got.text("data", "attributes", "status") != "active" {
		t.Errorf("got %s", got.body)
	}
	got = w.send("alice", "POST", path+"/rotate", `{"meta":{"overlap_seconds":60}}`)
	got.want(t, "rotate", http.StatusCreated, "")
	fresh := got.text("data", "attributes", "key")
	verify(fresh, nil)
	verify(k.Plaintext.Reveal(), nil)
	w.Clock.Advance(time.Minute)
	verify(k.Plaintext.Reveal(), apikeys.ErrExpiredKey)
	got = w.send("alice", "POST", path+"/revoke", `{"meta":{"reason":"left <b>"}}`)
	got.want(t, "revoke", http.StatusOK, "")
	if got := got.text("data", "attributes", "revoked_reason"); got != "left <b>" {
		t.Errorf("got reason %q", got)
	}
	verify(fresh, apikeys.ErrRevokedKey)
	w.send("alice", "POST", path+"/revoke", "").want(t, "again", http.StatusConflict, "already_revoked")
	w.send("alice", "POST", path+"/rotate", "").want(t, "rotate revoked", http.StatusConflict, "revoked_key")
	if got := w.send("alice", "DELETE", path, ""); got.status != http.StatusNoContent || got.body != "" {
		t.Errorf("delete: got %d %s", got.status, got.body)
	}
	w.send("alice", "DELETE", path, "").want(t, "deleted", http.StatusNotFound, "not_found")
	verify(fresh, apikeys.ErrInvalidKey)
}
