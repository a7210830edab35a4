package httpmw_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// hostileText is what strangers put wherever something may be put: markup, line ends, a
// header, escapes of terminals, NUL, text directions, no UTF-8.
const hostileText = "x\r\nSet-Cookie: a=b\r\n\r\n</script><script>alert(1)</script>\"><img src=x onerror=alert(1)>\u2028\u202e\x1b[31m\x00\u009b\xff"

// ours are the headers of our answers.
var ours = []string{"Cache-Control", "Content-Type", "Ratelimit", "Ratelimit-Policy", "Retry-After", "Vary", "Www-Authenticate", "X-Content-Type-Options"}

// wantInert checks that an answer holds nothing that a browser or a proxy could take
// for more than text.
func wantInert(t *testing.T, res *answer) {
	t.Helper()
	if strings.ContainsAny(strings.TrimSuffix(res.Body, "\n"), "<>\r\n\x00\x1b\u2028\u202e") {
		t.Errorf("got body %q", res.Body)
	}
	for name, values := range res.Header {
		if !slices.Contains(ours, name) || strings.ContainsFunc(strings.Join(values, ""), func(r rune) bool { return r < ' ' || r > '~' || r == '<' }) {
			t.Errorf("got header %s %q", name, values)
		}
	}
}

// Whatever a request says, in whichever header, the refusal is inert, and so is a line
// that a host logs of the error behind it.
func TestHostileRequestsGetInertAnswersAndLogLines(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	var lines bytes.Buffer
	mw := httpmw.New(c.Client, at(c, httpmw.Options{
		FailureLimit: apikeys.PerDay(1_000_000), Address: httpmw.ByAddress(prefixes("192.0.2.0/24")...),
		ErrorWriter: func(w http.ResponseWriter, r *http.Request, p httpmw.Problem) {
			logAll(&lines, p.Err)
			p.ServeHTTP(w, r)
		},
	}))
	limit := httpmw.RateLimit(c, httpmw.RateLimitOptions{
		Limits: []apikeys.RateLimit{apikeys.PerDay(1_000_000)}, By: httpmw.ByAddress(prefixes("192.0.2.0/24")...),
		ErrorWriter: func(w http.ResponseWriter, r *http.Request, p httpmw.Problem) {
			logAll(&lines, p.Err)
			p.ServeHTTP(w, r)
		},
	})
	ids := mw.RequireFunc(func(r *http.Request) (apikeys.ValidateParams, error) {
		id, err := httpmw.PathID(r, "id")
		return apikeys.ValidateParams{ProjectID: id}, err
	})
	good := c.Issue().Plaintext.Reveal()
	for name, values := range map[string][]string{
		"X-Api-Key": {hostileText}, "Authorization": {"Bearer " + hostileText}, "authorization": {hostileText}, "x-api-key": {good, hostileText},
		"X-Forwarded-For": {hostileText}, "Forwarded": {`for="` + hostileText + `"`}, "Origin": {hostileText}, "Cookie": {hostileText},
	} {
		for _, guard := range []func(http.Handler) http.Handler{mw.Require("read"), mw.Optional("read"), ids, limit} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.SetPathValue("id", hostileText)
			if !strings.EqualFold(name, "X-Api-Key") && !strings.EqualFold(name, "Authorization") {
				r.Header.Set("X-API-Key", good)
			}
			r.Header[http.CanonicalHeaderKey(name)] = values
			res := do(guard(&seen{}), r)
			if res.StatusCode != http.StatusOK {
				wantInert(t, res)
			}
		}
	}
	wantInertLines(t, lines.String(), good)
}

// What keys and those who refuse them are called goes into no answer, but for what
// tells of itself; and an error of the host's goes to the host alone.
func TestHostileValuesOfTheHostAreInert(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	name := strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, hostileText)
	key := c.IssueWith(apikeys.KeyMetadata{Name: name, Custom: map[string]any{"x": "\r\n<script>"}, RateLimits: []apikeys.RateLimit{apikeys.PerDay(2)}})
	text := key.Plaintext.Reveal()
	mw := httpmw.New(c.Client, httpmw.Options{Realm: `"><script>alert(1)</script>\`})
	res := get(mw.Require()(&seen{}))
	wantHeader(t, res, "WWW-Authenticate", `Bearer realm="\"><script>alert(1)</script>\\"`) // the realm is the host's, and quoted
	own := httpmw.New(c.Client, httpmw.Options{})
	for _, guard := range []func(http.Handler) http.Handler{
		own.RequireFunc(func(*http.Request) (apikeys.ValidateParams, error) {
			return apikeys.ValidateParams{}, errors.New(hostileText)
		}),
		own.RequireFunc(func(*http.Request) (apikeys.ValidateParams, error) {
			return apikeys.ValidateParams{}, &apikeys.InvalidArgumentError{Field: hostileText, Reason: hostileText}
		}),
		own.RequireFunc(func(*http.Request) (apikeys.ValidateParams, error) {
			return apikeys.ValidateParams{Scopes: []string{hostileText}}, nil
		}),
		own.Require("write"), own.Require(), own.Require(), own.Require(),
	} {
		res := get(guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
		})), apiKey(text))
		wantInert(t, res)
	}
	if _, err := c.RevokeKey(context.WithoutCancel(t.Context()), key.Key.ID, apikeys.RevokeParams{Reason: name}); err != nil {
		t.Fatal(err)
	}
	wantInert(t, get(own.Require()(&seen{}), apiKey(text)))
}

// logAll writes an error as hosts do: as text, as JSON and with package log.
func logAll(to *bytes.Buffer, err error) {
	slog.New(slog.NewTextHandler(to, nil)).Error("refused", "error", err)
	slog.New(slog.NewJSONHandler(to, nil)).Error("refused", "error", err)
	log.New(to, "plain ", 0).Print(err)
}

// wantInertLines checks that each line is a whole one of logAll, printable and without
// a piece of the key.
func wantInertLines(t *testing.T, lines, key string) {
	t.Helper()
	kinds := map[string]int{}
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		kinds[line[:5]]++
		if strings.HasPrefix(line, "{") && !json.Valid([]byte(line)) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
			t.Errorf("got line %q", line)
		}
		for i := 0; i+8 <= len(key); i++ {
			if strings.Contains(line, key[i:i+8]) {
				t.Fatal("a line holds a piece of the key")
			}
		}
	}
	if len(kinds) != 3 || kinds["time="] < 10 || kinds["plain"] != kinds["time="] || kinds[`{"tim`] != kinds["time="] {
		t.Errorf("got lines of the kinds %v, want as many of each of three", kinds)
	}
}
