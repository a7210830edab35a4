//go:build !race

// The race detector makes sync.Pool forget on purpose, and so allocate.

package httpmw

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// The middleware costs a request at most 12 allocations.
func TestAllocationsOnACachedKey(t *testing.T) {
	client := apikeystest.New(t, func(c *apikeys.Config) { c.UsageFlushInterval, c.Now = 0, nil })
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	key := client.IssueWith(apikeys.KeyMetadata{Scopes: []string{"read"}, RateLimits: []apikeys.RateLimit{apikeys.PerHour(1_000_000_000)}})
	r := httptest.NewRequest(http.MethodGet, "/docs", nil)
	r.Header.Set("X-API-Key", key.Plaintext.Reveal())
	guarded := New(client.Client, Options{}).Require("read")(handler)
	w := writer{http.Header{}}
	if n := testing.AllocsPerRun(1000, func() { clear(w.header); guarded.ServeHTTP(w, r) }); n > 12 {
		t.Errorf("got %v allocations, want at most 12", n)
	}
}
