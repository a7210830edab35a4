package httpmw_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// cases are the outcomes of the status table, each with a key that leads to it.
type outcomeCase struct {
	name   string
	key    string
	client *apikeys.Client // nil: the usual one
	params apikeys.ValidateParams

	status    int
	code      string
	challenge string // after the realm; "-": none
}

func outcomes(t *testing.T, c *apikeystest.Client) []outcomeCase {
	t.Helper()
	good, limited := c.Issue("read"), c.IssueLimited(apikeys.PerMinute(0))
	invalid := `, error="invalid_token", error_description="The API key is not valid."`
	return []outcomeCase{
		{name: "good", key: good.Plaintext.Reveal(), params: scopes("read"), status: 200, challenge: "-"},
		{name: "malformed", key: "hello", status: 401, code: "invalid_key", challenge: invalid},
		{name: "unknown", key: unknownKey(t, c), status: 401, code: "invalid_key", challenge: invalid},
		{name: "forged", key: apikeystest.New(t).Issue().Plaintext.Reveal(), status: 401, code: "invalid_key", challenge: invalid},
		{name: "other environment", key: otherEnvironmentKey(t), status: 401, code: "invalid_key", challenge: invalid},
		{
			name: "expired", key: c.IssueExpired().Plaintext.Reveal(), status: 401, code: "expired_key",
			challenge: `, error="invalid_token", error_description="The API key has expired."`,
		},
		{
			name: "retired", key: retiredKey(t, c), status: 401, code: "retired_secret",
			challenge: `, error="invalid_token", error_description="This API key was replaced by a newer one."`,
		},
		{name: "revoked", key: c.IssueRevoked().Plaintext.Reveal(), status: 403, code: "revoked_key", challenge: "-"},
		{name: "disabled", key: c.IssueDisabled().Plaintext.Reveal(), status: 403, code: "disabled_key", challenge: "-"},
		{name: "suspended", key: suspendedKey(t, c), status: 403, code: "suspended", challenge: "-"},
		{
			name: "missing scope", key: good.Plaintext.Reveal(), params: scopes("read", "write"), status: 403, code: "insufficient_scope",
			challenge: `, error="insufficient_scope", error_description="The API key does not grant what this request needs.", scope="read write"`,
		},
		{
			name: "wrong resource", key: good.Plaintext.Reveal(), params: apikeys.ValidateParams{OrganizationID: uuid.New()},
			status: 403, code: "insufficient_scope",
			challenge: `, error="insufficient_scope", error_description="The API key does not work for this organization."`,
		},
		{name: "over the limit", key: limited.Plaintext.Reveal(), status: 429, code: "quota_exceeded", challenge: "-"},
		{
			name: "store fault", key: good.Plaintext.Reveal(), client: onStore(t, c, broken{c.Store}),
			status: 503, code: "unavailable", challenge: "-",
		},
		{name: "client closed", key: good.Plaintext.Reveal(), client: closed(t, c), status: 503, code: "closed", challenge: "-"},
		{
			name: "impossible cost", key: c.IssueLimited(apikeys.PerMinute(3)).Plaintext.Reveal(), params: apikeys.ValidateParams{Cost: 4},
			status: 400, code: "invalid_argument", challenge: "-",
		},
	}
}

func TestEveryOutcomeHasItsAnswerInEveryHeaderForm(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	for _, tt := range outcomes(t, c) {
		for _, form := range forms {
			t.Run(tt.name+"/"+form.name, func(t *testing.T) {
				client := tt.client
				if client == nil {
					client = c.Client
				}
				mw := httpmw.New(client, at(c, form.opts))
				handler := &seen{}
				res := get(mw.RequireParams(tt.params)(handler), func(h http.Header) { form.set(h, tt.key) })
				wantOutcome(t, res, tt)
				if called := len(handler.requests) == 1; called != (tt.status == 200) {
					t.Errorf("handler called: %t, want %t", called, tt.status == 200)
				}
				wantNoKey(t, res, tt.key)
			})
		}
	}
}

func wantOutcome(t *testing.T, res *answer, want outcomeCase) {
	t.Helper()
	if want.status == 200 {
		wantStatus(t, res, 200)
	} else {
		wantRefusal(t, res, want.status, want.code)
	}
	if want.challenge == "-" {
		wantHeader(t, res, "WWW-Authenticate")
	} else {
		wantHeader(t, res, "WWW-Authenticate", `Bearer realm="api"`+want.challenge)
	}
	switch want.status {
	case 429:
		// The clock stands at a full minute.
		wantHeader(t, res, "Retry-After", "60")
		wantHeader(t, res, "RateLimit-Policy", `"key-minute";q=0;w=60`)
		wantHeader(t, res, "RateLimit", `"key-minute";r=0;t=60`)
	case 503:
		wantHeader(t, res, "Retry-After", "1")
	default:
		wantHeader(t, res, "Retry-After")
	}
}

// wantNoKey checks that an answer holds nothing of a key: no 8 characters of it.
func wantNoKey(t testing.TB, res *answer, key string) {
	t.Helper()
	all := dump(res)
	for i := 0; i+8 <= len(key); i++ {
		if strings.Contains(all, key[i:i+8]) {
			t.Fatal("the answer holds a piece of the key")
		}
	}
}

func TestInvalidKeysAreAnsweredByteForByteAlike(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	mw := httpmw.New(c.Client, httpmw.Options{})
	want := dump(get(mw.Require("read")(&seen{}), apiKey("x")))
	tried := 0
	for _, tt := range outcomes(t, c) {
		if tt.code != "invalid_key" {
			continue
		}
		for _, form := range forms[:5] {
			res := get(mw.Require("read")(&seen{}), func(h http.Header) { form.set(h, tt.key) })
			if got := dump(res); got != want {
				t.Errorf("%s as %s: got\n%s\nwant\n%s", tt.name, form.name, got, want)
			}
			tried++
		}
	}
	if tried < 20 {
		t.Errorf("compared %d answers, want at least 20", tried)
	}
}

func TestProblemsCarryWhatTheClientMayKnow(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	mw := httpmw.New(c.Client, at(c, httpmw.Options{}))
	expired, good := c.IssueExpired(), c.Issue("read")

	p := wantRefusal(t, get(mw.Require()(&seen{}), apiKey(expired.Plaintext.Reveal())), 401, "expired_key")
	if !p.ExpiredAt.Equal(expired.Key.Metadata.ExpiresAt) {
		t.Errorf("got expired_at %s, want %s", p.ExpiredAt, expired.Key.Metadata.ExpiresAt)
	}
	p = wantRefusal(t, get(mw.Require("read", "a", "b")(&seen{}), apiKey(good.Plaintext.Reveal())), 403, "insufficient_scope")
	if got, want := fmt.Sprint(p.MissingScopes), "[a b]"; got != want {
		t.Errorf("got missing_scopes %s, want %s", got, want)
	}
	params := apikeys.ValidateParams{ProjectID: uuid.New()}
	p = wantRefusal(t, get(mw.RequireParams(params)(&seen{}), apiKey(good.Plaintext.Reveal())), 403, "insufficient_scope")
	if p.Resource != "project" || p.MissingScopes != nil {
		t.Errorf("got resource %q and scopes %q, want the project only", p.Resource, p.MissingScopes)
	}
	limited := c.IssueLimited(apikeys.PerHour(0))
	c.Clock.Advance(1500 * time.Millisecond)
	p = wantRefusal(t, get(mw.Require()(&seen{}), apiKey(limited.Plaintext.Reveal())), 429, "quota_exceeded")
	if got, want := p.RetryAfter, int64(3599); got != want {
		t.Errorf("got retry_after %d, want %d: rounded up", got, want)
	}
}

func TestAbsentFactsAreAbsentFromTheBody(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	mw := httpmw.New(c.Client, httpmw.Options{})
	got := get(mw.Require()(&seen{})).Body
	want := `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"This needs an API key. Send it in X-API-Key, or in Authorization after the word Bearer.","code":"no_credential"}` + "\n"
	if got != want {
		t.Errorf("got body %s want %s", got, want)
	}
}

func TestRevokedStatusMayBe401(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	mw := httpmw.New(c.Client, httpmw.Options{RevokedStatus: 401, Realm: `say "hi" \o/`})
	res := get(mw.Require()(&seen{}), apiKey(c.IssueRevoked().Plaintext.Reveal()))
	wantRefusal(t, res, 401, "revoked_key")
	wantHeader(t, res, "WWW-Authenticate",
		`Bearer realm="say \"hi\" \\o/", error="invalid_token", error_description="The API key was revoked."`)
	res = get(mw.Require()(&seen{}), apiKey(c.IssueDisabled().Plaintext.Reveal()))
	wantRefusal(t, res, 403, "disabled_key")
}

func TestHeadIsAnsweredWithoutABody(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	mw := httpmw.New(c.Client, httpmw.Options{})
	res := do(mw.Require()(&seen{}), httptest.NewRequest(http.MethodHead, "/", nil))
	wantStatus(t, res, 401)
	wantHeader(t, res, "Content-Type", "application/problem+json")
	if got := res.Body; got != "" {
		t.Errorf("got body %q, want none", got)
	}
}

func TestErrorWriterHasTheLastWord(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	var got httpmw.Problem
	mw := httpmw.New(onStore(t, c, broken{c.Store}), httpmw.Options{
		ErrorWriter: func(w http.ResponseWriter, _ *http.Request, p httpmw.Problem) {
			got = p
			http.Error(w, p.Code, p.Status)
		},
	})
	res := get(mw.Require()(&seen{}), apiKey(c.Issue().Plaintext.Reveal()))
	if text := res.Body; res.StatusCode != 503 || text != "unavailable\n" {
		t.Errorf("got %d %q, want the writer's answer", res.StatusCode, text)
	}
	wantHeader(t, res, "Retry-After", "1")
	if !errors.Is(got.Err, apikeys.ErrUnavailable) || !errors.Is(got.Err, errBroken) {
		t.Errorf("got error %v, want that of the store", got.Err)
	}
}

func TestStatusTellsTheNumber(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 200},
		{httpmw.ErrNoCredential, 401},
		{httpmw.ErrMultipleCredentials, 400},
		{apikeys.ErrInvalidKey, 401},
		{apikeys.ErrExpiredKey, 401},
		{&apikeys.RetiredSecretError{}, 401},
		{apikeys.ErrRevokedKey, 403},
		{apikeys.ErrDisabledKey, 403},
		{apikeys.ErrSuspended, 403},
		{apikeys.ErrInsufficientScope, 403},
		{&apikeys.QuotaError{}, 429},
		{&httpmw.TooManyFailuresError{}, 429},
		{apikeys.ErrNotFound, 404},
		{apikeys.ErrAlreadyExists, 409},
		{apikeys.ErrConflict, 409},
		{apikeys.ErrInvalidArgument, 400},
		{apikeys.ErrUnavailable, 503},
		{apikeys.ErrOutcomeUnknown, 503},
		{apikeys.ErrClosed, 503},
		{context.Canceled, 503},
		{context.DeadlineExceeded, 503},
		{httpmw.ErrForwardedHeader, 400},
		{httpmw.ErrNoAddress, 500},
		{httpmw.ErrNoIdentity, 500},
		{errors.New("anything"), 500},
		{fmt.Errorf("wrapped: %w", apikeys.ErrRevokedKey), 403},
	} {
		if got := httpmw.Status(tt.err); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.err, got, tt.want)
		}
	}
}

func scopes(s ...string) apikeys.ValidateParams { return apikeys.ValidateParams{Scopes: s} }

func unknownKey(t *testing.T, c *apikeystest.Client) string {
	t.Helper()
	key := c.Issue()
	if err := c.DeleteKey(t.Context(), key.Key.ID); err != nil {
		t.Fatal(err)
	}
	return key.Plaintext.Reveal()
}

func otherEnvironmentKey(t *testing.T) string {
	t.Helper()
	return apikeystest.New(t, func(c *apikeys.Config) { c.Environment = "staging" }).Issue().Plaintext.Reveal()
}

func retiredKey(t *testing.T, c *apikeystest.Client) string {
	t.Helper()
	key := c.Issue()
	if _, err := c.RotateKey(t.Context(), key.Key.ID, apikeys.RotateParams{}); err != nil {
		t.Fatal(err)
	}
	return key.Plaintext.Reveal()
}

func suspendedKey(t *testing.T, c *apikeystest.Client) string {
	t.Helper()
	org, err := c.CreateOrganization(t.Context(), "suspended")
	if err != nil {
		t.Fatal(err)
	}
	key, err := c.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org.ID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SuspendOrganization(t.Context(), org.ID); err != nil {
		t.Fatal(err)
	}
	return key.Plaintext.Reveal()
}

func closed(t *testing.T, c *apikeystest.Client) *apikeys.Client {
	t.Helper()
	client := onStore(t, c, c.Store)
	if err := client.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return client
}
