package httpmw_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpmw"
)

func TestAcceptedAnswersSayWhereTheKeyStands(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t) // 18:00:00 UTC
	c.Clock.Advance(30*time.Second + 100*time.Millisecond)
	mw := httpmw.New(c.Client, at(c, httpmw.Options{}))
	for _, tt := range []struct {
		name   string
		limits []apikeys.RateLimit
		policy []string
		limit  []string
	}{
		{"none", nil, nil, nil},
		{"one", []apikeys.RateLimit{apikeys.PerMinute(100)}, []string{`"key-minute";q=100;w=60`}, []string{`"key-minute";r=99;t=30`}},
		{
			"all, the tightest first", []apikeys.RateLimit{apikeys.PerSecond(5), apikeys.PerMinute(2), apikeys.PerHour(100), apikeys.PerDay(3)},
			[]string{`"key-minute";q=2;w=60, "key-day";q=3;w=86400, "key-second";q=5;w=1, "key-hour";q=100;w=3600`},
			[]string{`"key-minute";r=1;t=30, "key-day";r=2;t=21570, "key-second";r=4;t=1, "key-hour";r=99;t=3570`},
		},
		{
			// One more than a structured field's Integer can be.
			"the largest", []apikeys.RateLimit{apikeys.PerDay(1_000_000_000_000_000)},
			[]string{`"key-day";q=999999999999999;w=86400`}, []string{`"key-day";r=999999999999999;t=21570`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := get(mw.Require()(&seen{}), apiKey(c.IssueLimited(tt.limits...).Plaintext.Reveal()))
			wantStatus(t, res, 200)
			wantHeader(t, res, "RateLimit-Policy", tt.policy...)
			wantHeader(t, res, "RateLimit", tt.limit...)
			wantHeader(t, res, "Retry-After")
			wantHeader(t, res, "Cache-Control")
		})
	}
}

// Draft 11 §3 and §4: a List of Strings with parameters (RFC 9651).
func TestRateLimitFieldsAreStructuredFields(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	res := get(httpmw.New(c.Client, at(c, httpmw.Options{})).Require()(&seen{}),
		apiKey(c.IssueLimited(apikeys.PerSecond(5), apikeys.PerHour(9)).Plaintext.Reveal()))
	for field, item := range map[string]string{"RateLimit-Policy": `"[ -~]+";q=\d{1,15};w=\d{1,15}`, "RateLimit": `"[ -~]+";r=\d{1,15};t=\d{1,15}`} {
		if got := res.Header.Get(field); !regexp.MustCompile(`^` + item + `, ` + item + `$`).MatchString(got) {
			t.Errorf("got %s %q, want a list of two items", field, got)
		}
	}
}

// A clock that is wrong sends nobody away for longer than a window, nor for less
// than a second.
func TestRateLimitSecondsStayWithinTheWindow(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	for _, tt := range []struct {
		off  time.Duration
		want string
	}{
		{-24 * time.Hour, `"key-minute";r=9;t=60`},
		{24 * time.Hour, `"key-minute";r=9;t=1`},
		{59*time.Second + time.Nanosecond, `"key-minute";r=9;t=1`},
		{58*time.Second + time.Nanosecond, `"key-minute";r=9;t=2`},
	} {
		mw := httpmw.New(c.Client, httpmw.Options{Now: func() time.Time { return c.Clock.Now().Add(tt.off) }})
		res := get(mw.Require()(&seen{}), apiKey(c.IssueLimited(apikeys.PerMinute(10)).Plaintext.Reveal()))
		wantHeader(t, res, "RateLimit", tt.want)
	}
}
