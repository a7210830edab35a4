package httpmw

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// writer is a ResponseWriter that costs nothing.
type writer struct{ header http.Header }

func (w writer) Header() http.Header         { return w.header }
func (w writer) Write(b []byte) (int, error) { return len(b), nil }
func (w writer) WriteHeader(int)             {}

// BenchmarkMiddleware measures what the middleware adds to a handler: judging the
// key is replaced by a stub.
func BenchmarkMiddleware(b *testing.B) {
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	plain, limits := validated(b), validated(b, apikeys.PerSecond(1_000_000_000), apikeys.PerHour(1_000_000_000))
	for _, bb := range []struct {
		name    string
		handler http.Handler
	}{
		{"bare", handler},
		{"require", accepting(plain, Options{}).Require()(handler)},
		{"keep", accepting(plain, Options{KeepCredential: true}).Require()(handler)},
		{"failures", accepting(plain, Options{FailureLimit: apikeys.PerMinute(10)}).Require()(handler)},
		{"limits", accepting(limits, Options{}).Require()(handler)},
		{"nested", nested(accepting(plain, Options{}), handler)},
		{"refused", newMiddleware(stub, Options{}).Require()(handler)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/docs", nil)
			for _, name := range []string{"Accept", "Accept-Encoding", "Content-Type", "User-Agent", "Traceparent", "X-Request-Id"} {
				r.Header.Set(name, "value")
			}
			r.Header.Set("X-API-Key", "sk_0123456789012345678901234567890123456789012345678")
			w := writer{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				bb.handler.ServeHTTP(w, r)
			}
		})
	}
}

func nested(m *Middleware, h http.Handler) http.Handler { return m.Require()(m.Require()(h)) }

// validated returns what a real client says of a key with these limits.
func validated(b *testing.B, limits ...apikeys.RateLimit) apikeys.Validation {
	b.Helper()
	c := apikeystest.New(b)
	v, err := c.Validate(b.Context(), c.IssueLimited(limits...).Plaintext.Reveal(), apikeys.ValidateParams{})
	if err != nil {
		b.Fatal(err)
	}
	return v
}

func accepting(v apikeys.Validation, opts Options) *Middleware {
	return newMiddleware(func(context.Context, string, apikeys.ValidateParams) (apikeys.Validation, error) { return v, nil }, opts)
}
