package httpmw_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// from sends a key from an address.
func from(h http.Handler, address, key string) *answer {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = address
	if key != "" {
		r.Header.Set("X-API-Key", key)
	}
	return do(h, r)
}

func TestTooManyInvalidKeysFromAnAddressAreRefused(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	good := c.Issue("read").Plaintext.Reveal()
	mw := httpmw.New(c.Client, at(c, httpmw.Options{FailureLimit: apikeys.PerMinute(3)}))
	read, admin := mw.Require("read")(&seen{}), mw.Require("admin")(&seen{})
	c.Clock.Advance(20 * time.Second)

	for range 5 { // these are no failures
		wantStatus(t, from(read, "192.0.2.1:1000", good), 200)
		wantStatus(t, from(read, "192.0.2.1:1000", ""), 401)
		wantStatus(t, from(admin, "192.0.2.1:1000", good), 403)
		wantStatus(t, from(read, "192.0.2.1:1000", c.IssueExpired().Plaintext.Reveal()), 401)
		wantStatus(t, from(read, "192.0.2.1:1000", c.IssueRevoked().Plaintext.Reveal()), 403)
	}
	for i := range 3 {
		wantRefusal(t, from(read, fmt.Sprintf("192.0.2.1:%d", i), "x"), 401, "invalid_key")
	}
	for _, key := range []string{"x", good} {
		res := from(admin, "192.0.2.1:2000", key)
		if p := wantRefusal(t, res, 429, "too_many_failures"); p.RetryAfter != 40 {
			t.Errorf("got retry_after %d, want 40", p.RetryAfter)
		}
		wantHeader(t, res, "Retry-After", "40")
		wantHeader(t, res, "RateLimit")
	}
	wantStatus(t, from(read, "192.0.2.1:2000", ""), 401)
	wantStatus(t, from(read, "192.0.2.2:2000", good), 200)
	c.Clock.Advance(40 * time.Second)
	wantStatus(t, from(read, "192.0.2.1:2000", good), 200)
	wantStatus(t, from(read, "192.0.2.1:2000", "x"), 401)
}

// What the limiter refuses asks nothing of the client: a broken store would show.
func TestTooManyFailuresCostNothing(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	mw := httpmw.New(onStore(t, c, broken{c.Store}), at(c, httpmw.Options{FailureLimit: apikeys.PerMinute(1)}))
	good := c.Issue().Plaintext.Reveal()
	h := mw.Require()(&seen{})
	wantStatus(t, from(h, "192.0.2.1:1", good), 503)
	wantStatus(t, from(h, "192.0.2.1:1", "x"), 401)
	wantStatus(t, from(h, "192.0.2.1:1", good), 429)
	_, err := mw.Check(request("192.0.2.1:1", good), scopes())
	var failures *httpmw.TooManyFailuresError
	if !errors.As(err, &failures) || failures.RetryAfter != time.Minute {
		t.Errorf("got error %v, want too many failures for a minute", err)
	}
}

func TestFailuresAreCountedByThePrefixOfIPv6AndBehindProxies(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	opts := at(c, httpmw.Options{FailureLimit: apikeys.PerDay(1)})
	h := httpmw.New(c.Client, opts).Require()(&seen{})
	wantStatus(t, from(h, "[2001:db8::1]:1", "x"), 401)
	wantStatus(t, from(h, "[2001:db8::ffff:2]:1", "x"), 429)
	wantStatus(t, from(h, "[2001:db8:0:1::1]:1", "x"), 401)
	wantRefusal(t, from(h, "@", "x"), 500, "unknown_address")

	opts.Address = httpmw.ByAddress(netip.MustParsePrefix("10.0.0.0/8"))
	h = httpmw.New(c.Client, opts).Require()(&seen{})
	for i, want := range []int{401, 401, 429} {
		r := request("10.0.0.1:1", "x")
		r.Header.Set("X-Forwarded-For", []string{"192.0.2.1", "192.0.2.2", "192.0.2.1"}[i])
		wantStatus(t, do(h, r), want)
	}
}

func TestADeniedAddressDoesNotDenyItsNeighbours(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	h := httpmw.New(c.Client, at(c, httpmw.Options{FailureLimit: apikeys.PerDay(1)})).Require()(&seen{})
	for i := range 200 {
		address := fmt.Sprintf("192.0.2.%d:1", i)
		wantStatus(t, from(h, address, "x"), 401)
		wantStatus(t, from(h, address, "x"), 429)
	}
}

func request(address, key string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = address
	r.Header.Set("X-API-Key", key)
	return r
}
