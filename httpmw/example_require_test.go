package httpmw_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// An expensive route costs ten times as much as others.
func ExampleMiddleware_RequireParams() {
	client, org, done := exampleClient()
	defer done()
	mw := httpmw.New(client, httpmw.Options{})
	server := httptest.NewServer(mw.RequireParams(apikeys.ValidateParams{Cost: 10})(http.HandlerFunc(ok)))
	defer server.Close()

	key := exampleKey(client, apikeys.CreateKeyParams{
		OrganizationID: org,
		Metadata:       apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerDay(15)}},
	})
	fmt.Println(status(server.URL, key), status(server.URL, key))
	// Output: 200 429
}

// Anonymous readers are welcome; a bad key is refused all the same.
func ExampleMiddleware_Optional() {
	client, org, done := exampleClient()
	defer done()
	mw := httpmw.New(client, httpmw.Options{})
	server := httptest.NewServer(mw.Optional()(http.HandlerFunc(greet)))
	defer server.Close()

	show(server.URL, "")
	show(server.URL, exampleKey(client, apikeys.CreateKeyParams{OrganizationID: org, OwnerID: "alice"}))
	fmt.Println(status(server.URL, "sk_guessed"))
	// Output:
	// 200 hello, stranger
	// 200 hello, alice
	// 401
}

// greet is a handler behind [httpmw.Middleware.Optional].
func greet(w http.ResponseWriter, r *http.Request) {
	name := "stranger"
	if v, ok := httpmw.ValidationFrom(r.Context()); ok {
		name = v.OwnerID()
	}
	fmt.Fprintln(w, "hello,", name)
}

func ExampleValidationFrom() {
	client, org, done := exampleClient()
	defer done()
	mw := httpmw.New(client, httpmw.Options{})
	server := httptest.NewServer(mw.Require("read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, _ := httpmw.ValidationFrom(r.Context())
		fmt.Fprintln(w, v.OwnerID(), "may write:", v.HasScope("write"))
	})))
	defer server.Close()

	show(server.URL, exampleKey(client, apikeys.CreateKeyParams{
		OrganizationID: org,
		OwnerID:        "alice",
		Metadata:       apikeys.KeyMetadata{Scopes: []string{"read"}},
	}))
	// Output: 200 alice may write: false
}

func ExamplePathID() {
	r := httptest.NewRequest(http.MethodGet, "/projects/v1", nil)
	r.SetPathValue("project", "v1")
	_, err := httpmw.PathID(r, "project")
	fmt.Println(httpmw.Status(err), err)

	r.SetPathValue("project", "018f3d6e-0000-7000-8000-000000000000")
	id, err := httpmw.PathID(r, "project")
	fmt.Println(id, err)
	// Output:
	// 400 httpmw: the id in the path is no UUID
	// 018f3d6e-0000-7000-8000-000000000000 <nil>
}

// For those who answer in another way than HTTP does: a gRPC gateway, a log.
func ExampleStatus() {
	fmt.Println(httpmw.Status(nil))
	fmt.Println(httpmw.Status(apikeys.ErrInvalidKey))
	fmt.Println(httpmw.Status(fmt.Errorf("search: %w", apikeys.ErrQuotaExceeded)))
	// Output:
	// 200
	// 401
	// 429
}

// WriteError answers what Check has refused, as the middleware would.
func ExampleMiddleware_WriteError() {
	client, _, done := exampleClient()
	defer done()
	mw := httpmw.New(client, httpmw.Options{})

	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	_, err := mw.Check(r, apikeys.ValidateParams{})
	mw.WriteError(w, r, err)
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer realm="api"
}

// Users have limits of their own; everybody else those of the address.
func ExampleByIdentity() {
	user := func(r *http.Request) (string, error) {
		name, _, ok := r.BasicAuth() // your session, not this
		if !ok {
			return "", httpmw.ErrNoIdentity
		}
		return name, nil
	}
	by := httpmw.ByIdentity(user, httpmw.ByAddress())

	r := httptest.NewRequest(http.MethodGet, "/", nil) // from 192.0.2.1
	fmt.Println(by(r))
	r.SetBasicAuth("alice", "…")
	fmt.Println(by(r))
	// Output:
	// address:192.0.2.1 <nil>
	// identity:alice <nil>
}

func ExampleLimitsFromEnv() {
	if err := os.Setenv("RATE_LIMIT_DEFAULTS", "100/minute; 1000 per hour"); err != nil {
		panic(err)
	}
	defer os.Unsetenv("RATE_LIMIT_DEFAULTS")
	fmt.Println(httpmw.LimitsFromEnv("RATE_LIMIT_DEFAULTS"))
	fmt.Println(httpmw.LimitsFromEnv("RATE_LIMIT_UNSET", apikeys.PerMinute(60)))
	// Output:
	// [100/minute 1000/hour] <nil>
	// [60/minute] <nil>
}
