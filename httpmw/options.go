package httpmw

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// Options says how a [Middleware] reads keys and answers. The zero value is safe.
type Options struct {
	// Header is the request header that holds a key and nothing else. "" means
	// X-API-Key. It cannot be Authorization, Cookie or Host.
	Header string
	// IgnoreAuthorization leaves the Authorization header to the host: it is not
	// read, not removed, and may stand beside the key. Otherwise a request with
	// both is refused, also when the second is of another scheme (Basic).
	IgnoreAuthorization bool
	// KeepCredential leaves the key in the request that the next handler sees; for
	// gateways whose upstream asks for it again.
	KeepCredential bool
	// Realm names the protected space in WWW-Authenticate (RFC 9110 §11.5),
	// printable ASCII. "" means "api".
	Realm string
	// RevokedStatus answers revoked keys: 403, which 0 means, or 401, which RFC 6750
	// §3.1 has.
	RevokedStatus int

	// FailureLimit is how many invalid keys may come from one address in a window;
	// what comes after is answered 429 before its key is looked at, a good one
	// too. The zero value: no limit. Only keys that are invalid count, not those that are
	// missing, expired or revoked. It is kept in memory by each process, for up to
	// 65,536 addresses at a time.
	FailureLimit apikeys.RateLimit
	// Address tells where a request comes from, for FailureLimit. nil means
	// [ByAddress] without proxies: behind one, name it, or all clients share the
	// limit of its address. Errors of Address refuse the request.
	Address func(*http.Request) (string, error)

	// ErrorWriter writes refusals in place of [Problem.ServeHTTP]: to use another
	// format, or to log before it calls that. The headers of the answer are set
	// by then, but for Content-Type.
	ErrorWriter func(http.ResponseWriter, *http.Request, Problem)
	// Now tells the time that the seconds in RateLimit and the windows of
	// FailureLimit are counted by. nil means time.Now; give it the Config.Now of
	// the client if that is set.
	Now func() time.Time
}

func newMiddleware(keys validator, opts Options) *Middleware {
	m := &Middleware{
		keys:          keys,
		header:        headerName(opts.Header),
		authorization: !opts.IgnoreAuthorization,
		keep:          opts.KeepCredential,
		now:           clock(opts.Now),
	}
	m.failures = newFailures(opts, m.now)
	m.answers = answers{
		challenge: challenge("Bearer", opts.Realm),
		vary:      m.header + ", " + authorization,
		where:     cmp.Or(opts.Header, "X-API-Key") + ", or in " + authorization + " after the word Bearer",
		revoked:   revokedStatus(opts.RevokedStatus),
		write:     errorWriter(opts.ErrorWriter),
	}
	if opts.IgnoreAuthorization {
		// RFC 9110 §15.5.2 asks for a challenge with each 401. No scheme is
		// registered for keys in a header of their own; this name is the usual one.
		m.answers.challenge, m.answers.vary, m.answers.where = challenge("ApiKey", opts.Realm), m.header, cmp.Or(opts.Header, "X-API-Key")
	}
	return m
}

func headerName(name string) string {
	if name == "" {
		return defaultHeader
	}
	name = http.CanonicalHeaderKey(name)
	if !isToken(name) || slices.Contains([]string{authorization, "Cookie", "Host"}, name) {
		panic("httpmw: New: Options.Header cannot be " + name + ": it must be a header of its own")
	}
	return name
}

func revokedStatus(status int) int {
	switch status {
	case 0, http.StatusForbidden:
		return http.StatusForbidden
	case http.StatusUnauthorized:
		return status
	}
	panic("httpmw: New: Options.RevokedStatus must be 401 or 403")
}

func errorWriter(write func(http.ResponseWriter, *http.Request, Problem)) func(http.ResponseWriter, *http.Request, Problem) {
	if write != nil {
		return write
	}
	return func(w http.ResponseWriter, r *http.Request, p Problem) { p.ServeHTTP(w, r) }
}

func clock(now func() time.Time) func() time.Time {
	if now != nil {
		return now
	}
	return time.Now
}

// isToken tells whether s is a token of RFC 9110 §5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}
