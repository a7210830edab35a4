package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys"
)

// Behind a prefix on a real server, the links lead where they say.
func TestMountedUnderAPrefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("alice", apikeys.KeyMetadata{Name: "first"})
	w.issue("alice", apikeys.KeyMetadata{Name: "second"})
	mux := http.NewServeMux()
	mux.Handle("/v1/", http.StripPrefix("/v1", w.handler))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for link, want := range map[string]int{
		"/v1/api-keys?page[size]=1": http.StatusOK, "/v1/api-keys/%00": http.StatusBadRequest, "/v1/nothing": http.StatusNotFound,
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+link, http.NoBody)
			check(t, err)
			r.Header.Set("X-Principal", "alice")
			res, err := server.Client().Do(r)
			check(t, err)
			check(t, res.Body.Close())
			if res.StatusCode != want {
				t.Errorf("%s %s: got %d, want %d", method, link, res.StatusCode, want)
			}
		}
	}
	w.handler = mux
	list := w.send("alice", "GET", "/v1/api-keys?page[size]=1", "")
	for _, link := range []string{list.text("links", "self"), list.text("links", "next"), list.text("data", 0, "links", "self")} {
		if !strings.HasPrefix(link, "/v1/") {
			t.Errorf("got link %q", link)
		}
		w.send("alice", "GET", link, "").want(t, link, http.StatusOK, "")
	}
}

// What names hold stays text: in no answer does it become markup or a header.
func TestNamesAreInert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{`</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `{{7*7}}`, `%0d%0aSet-Cookie: a=b`, `${jndi:x}`} {
		quoted := strings.ReplaceAll(name, `"`, `\"`)
		got := w.send("manager", "POST", "/api-keys", keyBody(`{"name":"`+quoted+`"}`))
		got.want(t, name, http.StatusCreated, "")
		if got.text("data", "attributes", "name") != name || strings.ContainsAny(got.body, "<>") || len(got.header["Set-Cookie"]) > 0 {
			t.Errorf("%q: got %v %s", name, got.header, got.body)
		}
		bad := w.send("manager", "POST", "/api-keys", keyBody(`{"`+quoted+`":1}`))
		bad.want(t, name, http.StatusBadRequest, "invalid_request")
		if strings.ContainsAny(bad.body, "<>") {
			t.Errorf("%q: got %s", name, bad.body)
		}
	}
	got := w.send("manager", "POST", "/users/a%0d%0aSet-Cookie:b/api-keys", keyBody(`{}`))
	got.want(t, "line ends in a user's id", http.StatusBadRequest, "invalid_request")
}
