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
