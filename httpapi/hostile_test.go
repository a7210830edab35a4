package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys"
)

func TestHostileBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const bad, arg = "invalid_request", "invalid_argument"
	for _, c := range []struct{ body, code, pointer string }{
		{`{`, bad, ""},
		{`null`, bad, ""},
		{`[]`, bad, ""},
		{`"x"`, bad, ""},
		{`{} {}`, bad, ""},
		{`{"data":{"type":"api-keys"}}x`, bad, ""},
		{"\xef\xbb\xbf{}", bad, ""},
		{"{\"data\":{\"type\":\"api-keys\xff\"}}", bad, ""},
		{strings.Repeat("[", 60_000), bad, ""},
		{keyBody(`{"custom":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40) + `}`), bad, "/data/attributes/custom" + strings.Repeat("/a", 29)},
		{`{}`, bad, "/data/type"},
		{`{"data":null}`, bad, "/data"},
		{`{"data":[]}`, bad, "/data"},
		{`{"Data":{}}`, bad, "/Data"},
		{`{"data":{"type":"api-keys"},"extra":1}`, bad, "/extra"},
		{`{"data":{"type":"api-keys"},"data":{"type":"api-keys"}}`, bad, "/data"},
		{`{"data":{"type":"api-keys","TYPE":"x"}}`, bad, "/data/TYPE"},
		{keyBody(`{"Name":"x"}`), bad, "/data/attributes/Name"},
		{keyBody(`{"name":"a","name":"b"}`), bad, "/data/attributes/name"},
		{keyBody(`{"name":"a","n\u0061me":"b"}`), bad, "/data/attributes/name"},
		{keyBody(`{"a/b~c":1}`), bad, "/data/attributes/a~1b~0c"},
		{keyBody(`{"` + strings.Repeat("x", 5000) + `":1}`), bad, "/data/attributes"},
		{keyBody(`{"owner_id":"bob"}`), bad, "/data/attributes/owner_id"},
		{keyBody(`{"hash":"x"}`), bad, "/data/attributes/hash"},
		{keyBody(`null`), bad, "/data/attributes"},
		{keyBody(`{"name":1}`), bad, "/data/attributes/name"},
		{keyBody(`{"name":"\ud800"}`), bad, "/data/attributes/name"},
		{keyBody(`{"name":"\u0000"}`), arg, "/data/attributes/name"},
		{keyBody(`{"name":"\u202e"}`), arg, "/data/attributes/name"},
		{keyBody(`{"name":"` + strings.Repeat("é", 201) + `"}`), arg, "/data/attributes/name"},
		{keyBody(`{"scopes":"read"}`), bad, "/data/attributes/scopes"},
		{keyBody(`{"scopes":[1]}`), bad, "/data/attributes/scopes"},
		{keyBody(`{"scopes":["docs::a"]}`), arg, "/data/attributes/scopes"},
		{keyBody(`{"scopes":["docs:a b"]}`), arg, "/data/attributes/scopes"},
		{keyBody(`{"scopes":["docs:"]}`), "invalid_argument", "/data/attributes/scopes"},
		{keyBody(`{"rate_limits":["100"]}`), arg, "/data/attributes/rate_limits"},
		{keyBody(`{"rate_limits":[100]}`), bad, "/data/attributes/rate_limits"},
		{keyBody(`{"rate_limits":["-1/minute"]}`), arg, "/data/attributes/rate_limits"},
		{keyBody(`{"rate_limits":["1.5/minute"]}`), arg, "/data/attributes/rate_limits"},
		{keyBody(`{"rate_limits":["9223372036854775807/minute"]}`), arg, "/data/attributes/rate_limits"},
		{keyBody(`{"rate_limits":["1/minute;2/hour"]}`), bad, "/data/attributes/rate_limits"},
		{keyBody(`{"rate_limits":[""]}`), bad, "/data/attributes/rate_limits"},
		{keyBody(`{"rate_limits":["1/minute","2/minute"]}`), arg, "/data/attributes/rate_limits"},
		{keyBody(`{"expires_at":"0001-01-01T00:00:00Z"}`), bad, "/data/attributes/expires_at"},
		{keyBody(`{"expires_at":"0001-01-01T01:00:00+01:00"}`), bad, "/data/attributes/expires_at"},
		{keyBody(`{"expires_at":"999999-01-01T00:00:00Z"}`), bad, "/data/attributes/expires_at"},
		{keyBody(`{"expires_at":"-0001-01-01T00:00:00Z"}`), bad, "/data/attributes/expires_at"},
		{keyBody(`{"expires_at":"2016-12-31T23:59:60Z"}`), bad, "/data/attributes/expires_at"},
		{keyBody(`{"expires_at":"2027-01-01"}`), bad, "/data/attributes/expires_at"},
		{keyBody(`{"expires_at":""}`), bad, "/data/attributes/expires_at"},
		{keyBody(`{"expires_at":1900000000}`), bad, "/data/attributes/expires_at"},
		{keyBody(`{"expires_at":"1969-12-31T23:59:59Z"}`), arg, "/data/attributes/expires_at"},
		{keyBody(`{"custom":[]}`), bad, "/data/attributes/custom"},
		{keyBody(`{"custom":"x"}`), bad, "/data/attributes/custom"},
		{keyBody(`{"custom":{"a":1,"a":2}}`), bad, "/data/attributes/custom/a"},
		{keyBody(`{"custom":{"a":1e400}}`), arg, "/data/attributes/custom"},
		{keyBody(`{"custom":{"a":"\u0000"}}`), arg, "/data/attributes/custom"},
		{keyBody(`{"custom":{"a":"` + strings.Repeat("x", 17<<10) + `"}}`), arg, "/data/attributes/custom"},
		{`{"data":{"type":"api-keys","relationships":{"user":{}}}}`, bad, "/data/relationships/user/data"},
		{`{"data":{"type":"api-keys","relationships":{"user":{"data":{"type":"users","id":""}}}}}`, bad, "/data/relationships/user/data/id"},
		{`{"data":{"type":"api-keys","relationships":{"user":{"data":{"type":"users","id":7}}}}}`, bad, "/data/relationships/user/data/id"},
		{`{"data":{"type":"api-keys","relationships":{"project":{"data":{"type":"users","id":"x"}}}}}`, bad, "/data/relationships/project/data/type"},
		{`{"data":{"type":"api-keys","relationships":{"project":{"data":{"type":"projects","id":"x"}}}}}`, bad, "/data/relationships/project/data/id"},
		{`{"data":{"type":"api-keys","relationships":{"owner":{"data":null}}}}`, bad, "/data/relationships/owner"},
	} {
		got := w.send("alice", "POST", "/api-keys", c.body)
		status := http.StatusBadRequest
		if c.code == "beyond_grant" {
			status = http.StatusForbidden
		}
		name := c.body[:min(len(c.body), 120)]
		got.want(t, name, status, c.code)
		if pointer := got.text("errors", 0, "source", "pointer"); pointer != c.pointer {
			t.Errorf("%s: got pointer %q, want %q", name, pointer, c.pointer)
		}
		if len(got.body) > 1000 {
			t.Errorf("%s: the answer repeats %d bytes", name, len(got.body))
		}
	}
	page, err := w.ListKeys(t.Context(), apikeys.KeyFilter{}, apikeys.ListOptions{})
	check(t, err)
	if len(page.Items) != 0 {
		t.Errorf("%d keys were created", len(page.Items))
	}
}

func TestHostileEnvelopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := keyBody(`{}`)
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	for name, c := range map[string]struct {
		body   string
		set    func(*http.Request)
		status int
		code   string
	}{
		"good":                {good, header("X-Nothing"), 201, ""},
		"profile":             {good, header("Content-Type", mediaType+`; profile="https://example.com/p"`), 201, ""},
		"at the limit":        {good + strings.Repeat(" ", 64<<10-len(good)), header("X-Nothing"), 201, ""},
		"over the limit":      {good + strings.Repeat(" ", 64<<10-len(good)+1), header("X-Nothing"), 413, "body_too_large"},
		"chunked, over":       {good + strings.Repeat(" ", 64<<10), func(r *http.Request) { r.ContentLength = -1 }, 413, "body_too_large"},
		"json":                {good, header("Content-Type", "application/json"), 415, "unsupported_media_type"},
		"no type":             {good, header("Content-Type"), 415, "unsupported_media_type"},
		"charset":             {good, header("Content-Type", mediaType+"; charset=utf-8"), 415, "unsupported_media_type"},
		"two types":           {good, header("Content-Type", mediaType, mediaType), 415, "unsupported_media_type"},
		"form":                {good, header("Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported_media_type"},
		"gzip":                {good, header("Content-Encoding", "gzip"), 415, "unsupported_media_type"},
		"identity":            {good, header("Content-Encoding", "identity"), 415, "unsupported_media_type"},
		"accepts parameters":  {good, header("Accept", mediaType+"; charset=utf-8"), 406, "not_acceptable"},
		"accepts also plain":  {good, header("Accept", mediaType+"; ext=x, "+mediaType+";q=0.5"), 201, ""},
		"accepts what it may": {good, header("Accept", "text/html, */*"), 201, ""},
	} {
		w.send("alice", "POST", "/api-keys", c.body, c.set).want(t, name, c.status, c.code)
	}
	id := w.issue("alice", apikeys.KeyMetadata{}).Key.ID.String()
	w.send("alice", "DELETE", "/api-keys/"+id, good).want(t, "delete with body", 400, "invalid_request")
	w.send("alice", "POST", "/api-keys/"+id+"/disable", good).want(t, "disable with body", 400, "invalid_request")
	for _, meta := range []string{`{"overlap_seconds":-1}`, `{"overlap_seconds":1e3}`, `{"overlap_seconds":"1"}`, `{"overlap_seconds":99999999999}`, `{"overlap":1}`, `7`} {
		w.send("alice", "POST", "/api-keys/"+id+"/rotate", `{"meta":`+meta+`}`).want(t, meta, 400, "invalid_request")
	}
	w.send("alice", "POST", "/api-keys/"+id+"/revoke", `{"meta":{"reason":"\u202e"}}`).want(t, "reason", 400, "invalid_argument")
}

func TestHostileIDsAndQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.issue("alice", apikeys.KeyMetadata{}).Key.ID.String()
	for path, status := range map[string]int{
		id: 200, strings.ToUpper(id): 200,
		"%7B" + id + "%7D": 400, "urn:uuid:" + id: 400, strings.ReplaceAll(id, "-", ""): 400,
		strings.Repeat("g", 36): 400, strings.Repeat("%00", 36): 400, "%00": 400, id + "%00": 400, "..%2Fx": 400, "%2e%2e": 400, "../x": 404, "..": 404,
		id + "/": 404, "%2F": 404, "00000000-0000-0000-0000-000000000000": 404, "x": 400, strings.Repeat("%ff", 36): 400,
		strings.Repeat("a", 60_000): 400,
	} {
		if got := w.send("alice", "GET", "/api-keys/"+path, ""); got.status != status {
			t.Errorf("id %.60s: got %d, want %d", path, got.status, status)
		}
	}
	if got := w.send("manager", "GET", "/api-keys?=x", ""); got.status != http.StatusBadRequest || strings.Contains(got.body, "source") {
		t.Errorf("a parameter without a name: got %d %s", got.status, got.body)
	}
	for _, q := range []string{
		"page[size]=0", "page[size]=-1", "page[size]=1000000000000000000", "page[size]=abc", "page[size]=201", "page[size]=", "page[size]=+5",
		"page[size]=1&page[size]=2", "page[cursor]=x", "page[cursor]=" + strings.Repeat("A", 64<<10), "page[number]=1", "sort=name", "include=user",
		"filter[status]=dead", "filter[Status]=active", "filter[project]=x", "filter[project]={" + id + "}", "filter[query]=%00", "filter[query]=%ff",
		"filter[owner]=%00", "%zz", "a;b", "filter[organization]=x",
	} {
		got := w.send("manager", "GET", "/api-keys?"+strings.ReplaceAll(q, "{", "%7B"), "")
		if got.status != http.StatusBadRequest {
			t.Errorf("query %.60s: got %d %s", q, got.status, got.body)
		}
	}
	for _, q := range []string{"filter[project]=" + id, "filter[product]=00000000-0000-0000-0000-000000000000", "filter[organization]=" + w.other.String()} {
		w.send("manager", "GET", "/api-keys?"+q, "").want(t, q, http.StatusNotFound, "not_found")
	}
	w.send("alice", "POST", "/api-keys?x=1", keyBody(`{}`)).want(t, "parameter on create", 400, "invalid_request")
	for _, user := range []string{"%00", "%ff", "a%0d%0ab"} {
		w.send("manager", "GET", "/users/"+user+"/api-keys", "").want(t, user, 400, "invalid_request")
	}
}
