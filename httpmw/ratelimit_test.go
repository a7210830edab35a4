package httpmw_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// user identifies requests by a header, as a session would.
func user(r *http.Request) (string, error) {
	switch name := r.Header.Get("X-User"); name {
	case "":
		return "", httpmw.ErrNoIdentity
	case "broken":
		return "", errors.New("inner text")
	case "nameless":
		return "", nil
	default:
		return name, nil
	}
}

func limited(c *apikeystest.Client, opts httpmw.RateLimitOptions) http.Handler {
	opts.Now = c.Clock.Now
	return httpmw.RateLimit(c.Client, opts)(&seen{})
}

func as(h http.Handler, address, name string) *answer {
	r := request(address, "")
	r.Header.Set("X-User", name)
	return do(h, r)
}

func TestRateLimitCountsUsersAndStrangersApart(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	h := limited(c, httpmw.RateLimitOptions{
		By:     httpmw.ByIdentity(user, httpmw.ByAddress()),
		Limits: []apikeys.RateLimit{apikeys.PerMinute(2), apikeys.PerHour(100)},
	})
	res := as(h, "192.0.2.1:1", "alice")
	wantStatus(t, res, 200)
	wantHeader(t, res, "RateLimit-Policy", `"default-minute";q=2;w=60, "default-hour";q=100;w=3600`)
	wantHeader(t, res, "RateLimit", `"default-minute";r=1;t=60, "default-hour";r=99;t=3600`)
	wantStatus(t, as(h, "192.0.2.2:1", "alice"), 200) // from anywhere
	c.Clock.Advance(30 * time.Second)
	res = as(h, "192.0.2.3:1", "alice")
	if p := wantRefusal(t, res, 429, "quota_exceeded"); p.RetryAfter != 30 || !strings.Contains(p.Detail, "2/minute") {
		t.Errorf("got retry_after %d, detail %q, want 30 and the limit", p.RetryAfter, p.Detail)
	}
	wantHeader(t, res, "Retry-After", "30")
	wantHeader(t, res, "RateLimit-Policy", `"default-minute";q=2;w=60`)
	wantHeader(t, res, "RateLimit", `"default-minute";r=0;t=30`)

	wantStatus(t, as(h, "192.0.2.1:1", "bob"), 200)
	for _, want := range []int{200, 200, 429} {
		wantStatus(t, as(h, "192.0.2.1:1", ""), want)
	}
	wantStatus(t, as(h, "192.0.2.9:1", ""), 200)
	wantStatus(t, as(h, "192.0.2.1:1", "192.0.2.1"), 200) // users who are named like that address
	wantStatus(t, as(h, "192.0.2.1:1", "address:192.0.2.1"), 200)
	c.Clock.Advance(30 * time.Second)
	wantStatus(t, as(h, "192.0.2.1:1", "alice"), 200)
}

func TestOnlyNoIdentityFallsBackToTheAddress(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	h := limited(c, httpmw.RateLimitOptions{By: httpmw.ByIdentity(user, httpmw.ByAddress()), Limits: []apikeys.RateLimit{apikeys.PerMinute(9)}})
	for _, name := range []string{"broken", "nameless"} {
		res := as(h, "192.0.2.1:1", name)
		wantRefusal(t, res, 500, "internal_error")
		if strings.Contains(dump(res), "inner text") {
			t.Error("the answer shows the error")
		}
	}
	wantHeader(t, as(h, "192.0.2.1:1", ""), "RateLimit", `"default-minute";r=8;t=60`) // none was counted before
	wantRefusal(t, as(h, "@", ""), 500, "unknown_address")
	wantStatus(t, as(h, "@", "alice"), 200)

	bare := limited(c, httpmw.RateLimitOptions{By: user, Limits: []apikeys.RateLimit{apikeys.PerMinute(9)}})
	wantRefusal(t, as(bare, "192.0.2.1:1", ""), 500, "no_identity")
	unavailable := limited(c, httpmw.RateLimitOptions{
		By:     func(*http.Request) (string, error) { return "", apikeys.ErrUnavailable },
		Limits: []apikeys.RateLimit{apikeys.PerMinute(9)},
	})
	wantRefusal(t, as(unavailable, "192.0.2.1:1", ""), 503, "unavailable")
}

func TestRateLimitsWithNamesCountForThemselves(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	one := []apikeys.RateLimit{apikeys.PerMinute(1)}
	for _, name := range []string{"", "login", "search"} {
		h := limited(c, httpmw.RateLimitOptions{Name: name, Limits: one})
		wantStatus(t, from(h, "192.0.2.1:1", ""), 200)
		wantStatus(t, from(h, "192.0.2.1:1", ""), 429)
		again := limited(c, httpmw.RateLimitOptions{Name: name, Limits: one}) // another process
		wantStatus(t, from(again, "192.0.2.1:1", ""), 429)
	}
}

func TestRateLimitNextToAKeysLimits(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.IssueLimited(apikeys.PerMinute(1)).Plaintext.Reveal()
	all := httpmw.RateLimit(c.Client, httpmw.RateLimitOptions{Limits: []apikeys.RateLimit{apikeys.PerHour(10)}, Cost: 3, Now: c.Clock.Now})
	h := all(httpmw.New(c.Client, at(c, httpmw.Options{})).Require()(&seen{}))
	res := from(h, "192.0.2.1:1", key)
	wantStatus(t, res, 200)
	wantHeader(t, res, "RateLimit", `"default-hour";r=7;t=3600`, `"key-minute";r=0;t=60`)
	wantHeader(t, res, "RateLimit-Policy", `"default-hour";q=10;w=3600`, `"key-minute";q=1;w=60`)
	res = from(h, "192.0.2.1:1", key)
	wantRefusal(t, res, 429, "quota_exceeded")
	wantHeader(t, res, "RateLimit", `"default-hour";r=4;t=3600`, `"key-minute";r=0;t=60`)
}

func TestRateLimitFailsClosed(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	h := httpmw.RateLimit(onStore(t, c, broken{c.Store}), httpmw.RateLimitOptions{Limits: []apikeys.RateLimit{apikeys.PerMinute(9)}})(&seen{})
	res := from(h, "192.0.2.1:1", "")
	wantRefusal(t, res, 503, "unavailable")
	wantHeader(t, res, "Retry-After", "1")
	h = httpmw.RateLimit(brokenLimiter{}, httpmw.RateLimitOptions{Limits: []apikeys.RateLimit{apikeys.PerMinute(9)}})(&seen{})
	wantRefusal(t, from(h, "192.0.2.1:1", ""), 500, "internal_error")
}

type brokenLimiter struct{}

func (brokenLimiter) Allow(context.Context, string, []apikeys.RateLimit, int64) ([]apikeys.LimitState, error) {
	return nil, errors.New("inner text")
}

// What a limiter of the caller's own may say becomes a structured field all the same.
func TestStrangeLimitersWriteGoodFields(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	h := httpmw.RateLimit(strangeLimiter{}, httpmw.RateLimitOptions{
		Limits: []apikeys.RateLimit{apikeys.PerSecond(1), apikeys.PerDay(1)},
		Now:    func() time.Time { return now },
	})(&seen{})
	res := from(h, "192.0.2.1:1", "")
	wantHeader(t, res, "RateLimit", `"default-second";r=0;t=1, "default-day";r=999999999999999;t=1`)
}

type strangeLimiter struct{}

func (strangeLimiter) Allow(context.Context, string, []apikeys.RateLimit, int64) ([]apikeys.LimitState, error) {
	return []apikeys.LimitState{
		{Limit: apikeys.PerSecond(1), Remaining: -5},
		{Limit: apikeys.PerDay(1), Remaining: 5_000_000_000_000_000},
	}, nil
}

func TestMistakesOfRateLimitPanicAtTheStart(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	good := []apikeys.RateLimit{apikeys.PerMinute(9)}
	var none *apikeys.Client
	for name, f := range map[string]func(){
		"no limiter":     func() { httpmw.RateLimit(nil, httpmw.RateLimitOptions{Limits: good}) },
		"nil client":     func() { httpmw.RateLimit(none, httpmw.RateLimitOptions{Limits: good}) },
		"nil memory":     func() { httpmw.RateLimit((*apikeys.MemoryLimiter)(nil), httpmw.RateLimitOptions{Limits: good}) },
		"no limits":      func() { httpmw.RateLimit(c, httpmw.RateLimitOptions{}) },
		"negative limit": func() { httpmw.RateLimit(c, httpmw.RateLimitOptions{Limits: []apikeys.RateLimit{apikeys.PerDay(-1)}}) },
		"unknown window": func() {
			httpmw.RateLimit(c, httpmw.RateLimitOptions{Limits: []apikeys.RateLimit{{Requests: 1, Window: 7}}})
		},
		"two of a window": func() { httpmw.RateLimit(c, httpmw.RateLimitOptions{Limits: append(good, good...)}) },
		"negative cost":   func() { httpmw.RateLimit(c, httpmw.RateLimitOptions{Limits: good, Cost: -1}) },
		"cost too high":   func() { httpmw.RateLimit(c, httpmw.RateLimitOptions{Limits: good, Cost: 10}) },
		"quoted name":     func() { httpmw.RateLimit(c, httpmw.RateLimitOptions{Limits: good, Name: `a"b`}) },
		"name with -":     func() { httpmw.RateLimit(c, httpmw.RateLimitOptions{Limits: good, Name: "a-b"}) },
		"name of keys":    func() { httpmw.RateLimit(c, httpmw.RateLimitOptions{Limits: good, Name: "key"}) },
		"long name":       func() { httpmw.RateLimit(c, httpmw.RateLimitOptions{Limits: good, Name: strings.Repeat("a", 65)}) },
		"nil identity":    func() { httpmw.ByIdentity(nil, httpmw.ByAddress()) },
		"nil address":     func() { httpmw.ByIdentity(user, nil) },
	} {
		t.Run(name, func(t *testing.T) { wantPanic(t, f) })
	}
}

func TestLimitsFromEnv(t *testing.T) {
	const name = "RATE_LIMIT_DEFAULTS"
	standing := []apikeys.RateLimit{apikeys.PerMinute(5)}
	for _, tt := range []struct {
		text     string
		defaults []apikeys.RateLimit
		want     []apikeys.RateLimit
		wrong    bool
	}{
		{"100/minute; 1000 per hour", nil, []apikeys.RateLimit{apikeys.PerMinute(100), apikeys.PerHour(1000)}, false},
		{"100/minute", standing, []apikeys.RateLimit{apikeys.PerMinute(100)}, false},
		{"", standing, standing, false},
		{"  ", standing, standing, false},
		{"", nil, nil, true},
		{" ; ", standing, nil, true},
		{"100", standing, nil, true},
		{"-1/minute", standing, nil, true},
		{"1/minute 2/hour", standing, nil, true},
	} {
		t.Setenv(name, tt.text)
		got, err := httpmw.LimitsFromEnv(name, tt.defaults...)
		if !slices.Equal(got, tt.want) || (err != nil) != tt.wrong {
			t.Errorf("%q: got %v, %v, want %v, error %t", tt.text, got, err, tt.want, tt.wrong)
		}
		var invalid *apikeys.InvalidArgumentError
		if tt.wrong && (!errors.As(err, &invalid) || invalid.Field != name) {
			t.Errorf("%q: got error %v, want one that names the variable", tt.text, err)
		}
	}
}

// Limits may be each process's own: no database is asked, and another process, or
// another limiter, counts for itself.
func TestRateLimitPerProcess(t *testing.T) {
	t.Parallel()
	opts := httpmw.RateLimitOptions{Limits: []apikeys.RateLimit{apikeys.PerDay(2), apikeys.PerHour(1000)}}
	for range 2 {
		memory := apikeys.NewMemoryLimiter()
		h, again := httpmw.RateLimit(memory, opts)(&seen{}), httpmw.RateLimit(memory, opts)(&seen{})
		wantStatus(t, from(h, "192.0.2.1:1", ""), 200)
		res := from(again, "192.0.2.1:1", "")
		wantStatus(t, res, 200)
		wantHeader(t, res, "RateLimit-Policy", `"default-day";q=2;w=86400, "default-hour";q=1000;w=3600`)
		res = from(h, "192.0.2.1:1", "")
		wantRefusal(t, res, 429, "quota_exceeded")
		wantHeader(t, res, "RateLimit-Policy", `"default-day";q=2;w=86400`)
		if after, err := strconv.Atoi(res.Header.Get("Retry-After")); err != nil || after < 1 || after > 86400 {
			t.Errorf("got Retry-After %q, want the seconds to the end of the day", res.Header.Get("Retry-After"))
		}
		wantStatus(t, from(h, "192.0.2.2:1", ""), 200)
	}
}
