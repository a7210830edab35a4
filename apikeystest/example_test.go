package apikeystest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// Examples have no *testing.T of their own: t stands for the one of your test.
var t = new(exampleT)

// The life of a limited key, as a test of a program sees it.
func Example() {
	client := apikeystest.New(t)
	key := client.IssueLimited(apikeys.PerMinute(1)).Plaintext.Reveal()

	validate := func() error {
		_, err := client.Validate(t.Context(), key, apikeys.ValidateParams{})
		return err
	}
	fmt.Println(validate())
	fmt.Println(validate())
	client.Clock.Advance(time.Minute) // the window ends
	fmt.Println(validate())
	// Output:
	// <nil>
	// apikeys: rate limit 1/minute exceeded; retry after 1m0s
	// <nil>
}

// A handler behind the middleware, and keys that it lets in or not.
func ExampleNew_handler() {
	client := apikeystest.New(t)
	docs := httpmw.New(client.Client, httpmw.Options{}).Require("docs:read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	get := func(key *apikeys.IssuedKey) int {
		r, w := httptest.NewRequest("GET", "/docs", nil), httptest.NewRecorder()
		r.Header.Set("X-API-Key", key.Plaintext.Reveal())
		docs.ServeHTTP(w, r)
		return w.Code
	}
	fmt.Println("good:", get(client.Issue("docs:read")))
	fmt.Println("for something else:", get(client.Issue("billing")))
	fmt.Println("revoked:", get(client.IssueRevoked()))
	fmt.Println("expired:", get(client.IssueExpired()))
	// Output:
	// good: 200
	// for something else: 403
	// revoked: 403
	// expired: 401
}

// A client with another prefix.
func ExampleNew() {
	client := apikeystest.New(t, func(c *apikeys.Config) { c.KeyPrefix, c.Environment = "acme", "test" })
	fmt.Println(strings.HasPrefix(client.Issue().Key.Hint, "acme_test_"))
	// Output: true
}

// One clock for the client and for the program under test.
func ExampleNewClock() {
	clock := apikeystest.NewClock(time.Date(2026, time.January, 2, 18, 0, 0, 0, time.UTC))
	client := apikeystest.New(t, func(c *apikeys.Config) { c.Now = clock.Now })
	issued := client.IssueWith(apikeys.KeyMetadata{ExpiresAt: clock.Now().Add(time.Hour)})
	clock.Advance(time.Hour)
	_, err := client.Verify(t.Context(), issued.Plaintext.Reveal())
	fmt.Println(errors.Is(err, apikeys.ErrExpiredKey))
	// Output: true
}

func ExampleClient_Issue() {
	client := apikeystest.New(t)
	key := client.Issue("read", "docs:*").Plaintext.Reveal()
	_, err := client.Validate(t.Context(), key, apikeys.ValidateParams{Scopes: []string{"docs:read"}})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleClient_IssueWith() {
	client := apikeystest.New(t)
	issued := client.IssueWith(apikeys.KeyMetadata{Name: "ci", Custom: map[string]any{"plan": "pro"}})
	fmt.Println(issued.Key.Metadata.Custom["plan"])
	// Output: pro
}

func ExampleClient_IssueLimited() {
	client := apikeystest.New(t)
	key := client.IssueLimited(apikeys.PerSecond(0)).Plaintext.Reveal() // always over its limit
	_, err := client.Validate(t.Context(), key, apikeys.ValidateParams{})
	fmt.Println(errors.Is(err, apikeys.ErrQuotaExceeded))
	// Output: true
}

func ExampleClient_IssueExpired() {
	client := apikeystest.New(t)
	_, err := client.Verify(t.Context(), client.IssueExpired().Plaintext.Reveal())
	fmt.Println(errors.Is(err, apikeys.ErrExpiredKey))
	// Output: true
}

func ExampleClient_IssueRevoked() {
	client := apikeystest.New(t)
	_, err := client.Verify(t.Context(), client.IssueRevoked().Plaintext.Reveal())
	fmt.Println(errors.Is(err, apikeys.ErrRevokedKey))
	// Output: true
}

func ExampleClient_IssueDisabled() {
	client := apikeystest.New(t)
	_, err := client.Verify(t.Context(), client.IssueDisabled().Plaintext.Reveal())
	fmt.Println(errors.Is(err, apikeys.ErrDisabledKey))
	// Output: true
}
