package httpmw_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpmw"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// form is one of the ways to send a key.
type form struct {
	name string
	set  func(h http.Header, key string)
	opts httpmw.Options
}

var forms = []form{
	{name: "X-API-Key", set: func(h http.Header, key string) { h.Set("X-API-Key", key) }},
	{name: "x-api-key", set: func(h http.Header, key string) { h.Set("x-api-key", key) }},
	{name: "Bearer", set: func(h http.Header, key string) { h.Set("Authorization", "Bearer "+key) }},
	{name: "bearer", set: func(h http.Header, key string) { h.Set("Authorization", "bearer "+key) }},
	{name: "BEARER", set: func(h http.Header, key string) { h.Set("Authorization", "BEARER "+key) }},
	{
		name: "own header", opts: httpmw.Options{Header: "x-acme-key"},
		set: func(h http.Header, key string) { h.Set("X-Acme-Key", key) },
	},
}

// seen is a handler that keeps what it was called with.
type seen struct{ requests []*http.Request }

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests = append(s.requests, r)
	_, _ = io.WriteString(w, "welcome")
}

func (s *seen) last(t testing.TB) *http.Request {
	t.Helper()
	if len(s.requests) == 0 {
		t.Fatal("the handler was not called")
	}
	return s.requests[len(s.requests)-1]
}

// get sends a request with these headers and returns the answer.
func get(h http.Handler, set ...func(http.Header)) *answer {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, f := range set {
		f(r.Header)
	}
	return do(h, r)
}

func do(h http.Handler, r *http.Request) *answer {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answerOf(w)
}

func apiKey(text string) func(http.Header) {
	return func(h http.Header) { h.Set("X-API-Key", text) }
}

func header(name string, values ...string) func(http.Header) {
	return func(h http.Header) { h[http.CanonicalHeaderKey(name)] = values }
}

// answer is what a handler or a server answered.
type answer struct {
	StatusCode int
	Header     http.Header
	Body       string
}

func answerOf(w *httptest.ResponseRecorder) *answer {
	return &answer{w.Code, w.Result().Header, w.Body.String()}
}

// dump is everything in an answer. fmt sorts maps.
func dump(a *answer) string { return fmt.Sprintf("%d\n%q\n%s", a.StatusCode, a.Header, a.Body) }

// problem reads the body as a problem and checks that it is one.
func problem(t testing.TB, res *answer) httpmw.Problem {
	t.Helper()
	if got, want := res.Header.Get("Content-Type"), "application/problem+json"; got != want {
		t.Fatalf("got content type %q, want %q (status %d)", got, want, res.StatusCode)
	}
	var p httpmw.Problem
	if err := json.Unmarshal([]byte(res.Body), &p); err != nil {
		t.Fatalf("the body is no JSON: %v", err)
	}
	if p.Status != res.StatusCode || p.Type != "about:blank" || p.Title != http.StatusText(p.Status) || p.Detail == "" {
		t.Errorf("got problem %+v, want status %d and its title", p, res.StatusCode)
	}
	return p
}

// wantRefusal checks the answer's status and code.
func wantRefusal(t testing.TB, res *answer, status int, code string) httpmw.Problem {
	t.Helper()
	p := problem(t, res)
	if res.StatusCode != status || p.Code != code {
		t.Errorf("got %d %s, want %d %s", res.StatusCode, p.Code, status, code)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("got Cache-Control %q, want no-store", got)
	}
	if got := res.Header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("got X-Content-Type-Options %q, want nosniff", got)
	}
	return p
}

func wantStatus(t testing.TB, res *answer, status int) {
	t.Helper()
	if res.StatusCode != status {
		t.Errorf("got status %d, want %d", res.StatusCode, status)
	}
}

func wantHeader(t testing.TB, res *answer, name string, want ...string) {
	t.Helper()
	if got := res.Header.Values(name); !slices.Equal(got, want) {
		t.Errorf("got %s %q, want %q", name, got, want)
	}
}

func wantPanic(t testing.TB, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("got no panic, want one")
		}
	}()
	f()
}

// broken is a store that does not answer the request path.
type broken struct{ apikeys.Store }

var errBroken = errors.New("the database is on fire")

func (broken) KeysByHash(context.Context, []apikeys.Hash) ([]apikeys.KeyRecord, error) {
	return nil, errBroken
}

func (broken) TakeLeases(context.Context, []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	return nil, errBroken
}

// onStore returns another client on the database of base.
func onStore(t testing.TB, base *apikeystest.Client, store apikeys.Store) *apikeys.Client {
	t.Helper()
	client, err := apikeys.New(t.Context(), store, apikeys.Config{
		SigningSecret:      apikeys.NewSecret(apikeystest.SigningSecret),
		CacheSize:          1000,
		UsageFlushInterval: -1,
		Now:                base.Clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

func at(c *apikeystest.Client, opts httpmw.Options) httpmw.Options {
	opts.Now = c.Clock.Now
	return opts
}
