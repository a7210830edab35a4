package httpmw_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpmw"
	"github.com/apikeys-platform/apikeys/internal/messages"
)

// mistakes are those of a program that sets the middleware up, and what it is told at its start.
var mistakes = []struct {
	make func(*apikeys.Client)
	want string
}{
	{func(*apikeys.Client) { httpmw.New(nil, httpmw.Options{}) }, `httpmw: New: the client is nil`},
	{func(c *apikeys.Client) { httpmw.New(c, httpmw.Options{Header: "cookie"}) },
		`httpmw: New: Options.Header cannot be Cookie: it must be a header of its own`},
	{func(c *apikeys.Client) { httpmw.New(c, httpmw.Options{RevokedStatus: 200}) }, `httpmw: New: Options.RevokedStatus must be 401 or 403`},
	{func(c *apikeys.Client) { httpmw.New(c, httpmw.Options{Realm: "ü"}) }, `httpmw: New: Options.Realm must be printable ASCII`},
	{func(c *apikeys.Client) { httpmw.New(c, httpmw.Options{FailureLimit: apikeys.PerMinute(0)}) },
		`httpmw: New: Options.FailureLimit of 0 would refuse everybody`},
	{func(c *apikeys.Client) { httpmw.New(c, httpmw.Options{FailureLimit: apikeys.RateLimit{Requests: 1}}) },
		`httpmw: New: Options.FailureLimit: apikeys: RateLimits: "1/RateLimitWindow(0)" is not a rate limit: write "100/minute" or "1000 per hour", with second, minute, hour or day`},
	{func(c *apikeys.Client) { httpmw.New(c, httpmw.Options{}).Require("docs:*") },
		`httpmw: apikeys: Scopes: scope "docs:*" has a "*", which can be granted but not required`},
	{func(c *apikeys.Client) { httpmw.New(c, httpmw.Options{}).RequireFunc(nil) }, `httpmw: RequireFunc: the function is nil`},
	{func(*apikeys.Client) { httpmw.ByAddress(netip.Prefix{}) }, `httpmw: ByAddress: a trusted prefix is not valid`},
	{func(*apikeys.Client) { httpmw.ByIdentity(nil, httpmw.ByAddress()) }, `httpmw: ByIdentity: a function is nil`},
	{func(*apikeys.Client) { httpmw.RateLimit(nil, httpmw.RateLimitOptions{}) }, `httpmw: RateLimit: the limiter is nil`},
	{func(c *apikeys.Client) { httpmw.RateLimit(c, httpmw.RateLimitOptions{}) }, `httpmw: RateLimit: there are no limits`},
	{limiting(httpmw.RateLimitOptions{Cost: -1}), `httpmw: RateLimit: the cost is negative; 0 means 1`},
	{limiting(httpmw.RateLimitOptions{Cost: 2}), `httpmw: RateLimit: the cost can never pass the limit of 1/minute`},
	{limiting(httpmw.RateLimitOptions{Name: "a b"}),
		`httpmw: RateLimit: the name must be of letters, digits, '_' and '.', at most 64, and not "key"`},
}

func limiting(opts httpmw.RateLimitOptions) func(*apikeys.Client) {
	opts.Limits = []apikeys.RateLimit{apikeys.PerMinute(1)}
	return func(c *apikeys.Client) { httpmw.RateLimit(c, opts) }
}

// requestErrors are what logs are told of requests.
func requestErrors(t *testing.T, client *apikeys.Client) map[string]error {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	_, none := httpmw.New(client, httpmw.Options{}).Check(r, apikeys.ValidateParams{})
	_, id := httpmw.PathID(r, "id")
	r.RemoteAddr = "@"
	_, address := httpmw.ByAddress()(r)
	r.Header["X-Api-Key"] = []string{"one", "two"}
	_, two := httpmw.New(client, httpmw.Options{}).Check(r, apikeys.ValidateParams{})
	var subject error
	limit := httpmw.RateLimit(client, httpmw.RateLimitOptions{
		By: func(*http.Request) (string, error) { return "", nil }, Limits: []apikeys.RateLimit{apikeys.PerMinute(1)},
		ErrorWriter: func(_ http.ResponseWriter, _ *http.Request, p httpmw.Problem) { subject = p.Err },
	})
	limit(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	return map[string]error{
		`httpmw: no API key in the request`:                                           none,
		`httpmw: the id in the path is no UUID`:                                       id,
		`httpmw: the remote address is not an IP address`:                             address,
		`httpmw: more than one credential in the request`:                             two,
		`httpmw: RateLimit: By returned an empty subject`:                             subject,
		`httpmw: the request has no identity`:                                         httpmw.ErrNoIdentity,
		`httpmw: the forwarding headers do not tell the client's address`:             httpmw.ErrForwardedHeader,
		`httpmw: too many invalid keys from this address; retry after 1s`:             &httpmw.TooManyFailuresError{RetryAfter: time.Second},
		`apikeys: LIMITS: holds no rate limit: write "100/minute" or "1000 per hour"`: errOf(httpmw.LimitsFromEnv("LIMITS")),
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestMistakesAreExplained(t *testing.T) {
	t.Parallel()
	client := apikeystest.New(t).Client
	var said []string
	for _, m := range mistakes {
		if got := panicOf(func() { m.make(client) }); got != m.want {
			t.Errorf("got  %s\nwant %s", got, m.want)
		}
		said = append(said, m.want)
	}
	for want, err := range requestErrors(t, client) {
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		said = append(said, want)
	}
	unsaid, err := messages.Unsaid(".", said, "panic", "sentinel", "Sprintf", "InvalidArgumentError")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range unsaid {
		t.Errorf("no row has %q", text)
	}
}

func panicOf(f func()) (said string) {
	defer func() { said = fmt.Sprint(recover()) }()
	f()
	return ""
}
