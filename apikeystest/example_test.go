package apikeystest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// A test of a program that takes keys. Examples have no *testing.T of their own: t
// is your test's.
var t *testing.T

func Example() {
	client := apikeystest.New(t)
	key := client.IssueLimited(apikeys.PerMinute(1)).Plaintext.Reveal()

	validate := func() error {
		_, err := client.Validate(t.Context(), key, apikeys.ValidateParams{})
		return err
	}
	if err := validate(); err != nil {
		t.Error(err)
	}
	if err := validate(); !errors.Is(err, apikeys.ErrQuotaExceeded) {
		t.Errorf("got %v, want a refusal", err)
	}
	client.Clock.Advance(time.Minute) // the window ends
	if err := validate(); err != nil {
		t.Error(err)
	}
}

// A client with another prefix.
func ExampleNew() {
	client := apikeystest.New(t, func(c *apikeys.Config) { c.KeyPrefix, c.Environment = "acme", "test" })
	t.Log(client.Issue().Key.Hint) // acme_test_…
}

// One clock for the client and for the program under test.
func ExampleNewClock() {
	clock := apikeystest.NewClock(time.Date(2026, time.January, 2, 18, 0, 0, 0, time.UTC))
	client := apikeystest.New(t, func(c *apikeys.Config) { c.Now = clock.Now })
	issued := client.IssueWith(apikeys.KeyMetadata{ExpiresAt: clock.Now().Add(time.Hour)})
	clock.Advance(time.Hour)
	_, err := client.Verify(t.Context(), issued.Plaintext.Reveal())
	t.Log(errors.Is(err, apikeys.ErrExpiredKey)) // true
}

func ExampleClient_Issue() {
	client := apikeystest.New(t)
	key := client.Issue("read", "docs:*").Plaintext.Reveal()
	_, err := client.Validate(t.Context(), key, apikeys.ValidateParams{Scopes: []string{"docs:read"}})
	t.Log(err) // <nil>
}

func ExampleClient_IssueWith() {
	client := apikeystest.New(t)
	issued := client.IssueWith(apikeys.KeyMetadata{Name: "ci", Custom: map[string]any{"plan": "pro"}})
	t.Log(issued.Key.Metadata.Custom["plan"]) // pro
}

func ExampleClient_IssueLimited() {
	client := apikeystest.New(t)
	key := client.IssueLimited(apikeys.PerSecond(0)).Plaintext.Reveal() // always over its limit
	_, err := client.Validate(t.Context(), key, apikeys.ValidateParams{})
	t.Log(errors.Is(err, apikeys.ErrQuotaExceeded)) // true
}

func ExampleClient_IssueExpired() {
	client := apikeystest.New(t)
	_, err := client.Verify(t.Context(), client.IssueExpired().Plaintext.Reveal())
	t.Log(errors.Is(err, apikeys.ErrExpiredKey)) // true
}

func ExampleClient_IssueRevoked() {
	client := apikeystest.New(t)
	_, err := client.Verify(t.Context(), client.IssueRevoked().Plaintext.Reveal())
	t.Log(errors.Is(err, apikeys.ErrRevokedKey)) // true
}

func ExampleClient_IssueDisabled() {
	client := apikeystest.New(t)
	_, err := client.Verify(t.Context(), client.IssueDisabled().Plaintext.Reveal())
	t.Log(errors.Is(err, apikeys.ErrDisabledKey)) // true
}
