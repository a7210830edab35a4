package httpmw

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apikeys-platform/apikeys"
)

const (
	rateLimitField       = "Ratelimit" // canonical forms
	rateLimitPolicyField = "Ratelimit-Policy"

	// keyPolicy begins the names of policies that count a key's uses.
	keyPolicy = "key"
	// maxInteger is the largest Integer of a structured field (RFC 9651 §3.3.1);
	// limits may be one larger.
	maxInteger = 999_999_999_999_999
)

// challenge returns an auth-scheme and its realm, which RFC 6750 §3 wants to be
// followed by at least one parameter.
func challenge(scheme, realm string) string {
	if realm == "" {
		realm = "api"
	}
	if strings.ContainsFunc(realm, func(r rune) bool { return r < ' ' || r > '~' }) {
		panic("httpmw: New: Options.Realm must be printable ASCII")
	}
	return scheme + " realm=" + quote(realm)
}

// quote makes a quoted-string (RFC 9110 §5.6.4). What is not printable ASCII becomes
// "?": no value can end the line.
func quote(s string) string {
	b := append(make([]byte, 0, len(s)+2), '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

func errorParams(code, detail string) string {
	return `, error="` + code + `", error_description=` + quote(detail)
}

// scopeParam lists what the resource needs. Scopes are tokens of RFC 6749 §3.3,
// which need no quoting; should one not be, all are left out.
func scopeParam(err error) string {
	required := requiredScopes(err)
	if len(required) == 0 || strings.ContainsFunc(strings.Join(required, ""), notScopeRune) {
		return ""
	}
	return `, scope="` + strings.Join(required, " ") + `"`
}

func notScopeRune(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }

func requiredScopes(err error) []string {
	var full *scopeError
	if errors.As(err, &full) {
		return full.required
	}
	var lacking *apikeys.InsufficientScopeError
	if errors.As(err, &lacking) {
		return lacking.Missing
	}
	return nil
}

// vary tells caches that another key is another answer: for keys in a header of
// their own, unlike for Authorization (RFC 9111 §3.5), no cache knows by itself.
func vary(h http.Header, fields string) {
	if fields != "" && !slices.Contains(h["Vary"], fields) {
		h.Add("Vary", fields)
	}
}

// setLimits adds where a subject stands to the RateLimit fields of an answer
// (draft-ietf-httpapi-ratelimit-headers-11 §3 and §4).
func setLimits(h http.Header, policy string, states []apikeys.LimitState, now func() time.Time) {
	if len(states) == 0 {
		return
	}
	at := now()
	policies, limits := make([]byte, 0, 96), make([]byte, 0, 96)
	for i, s := range states {
		if i > 0 {
			policies, limits = append(policies, ", "...), append(limits, ", "...)
		}
		left := wholeSeconds(s.ResetAt.Sub(at))
		policies = appendPolicy(policies, policy, s.Limit)
		// A clock that differs from the one that defines the windows must not
		// send anybody away for longer than a window.
		limits = appendLimit(limits, policy, s.Limit, s.Remaining, min(left, int64(s.Limit.Window)))
	}
	if len(h[rateLimitPolicyField])+len(h[rateLimitField]) == 0 { // the usual case, in one allocation
		lines := []string{string(policies), string(limits)}
		h[rateLimitPolicyField], h[rateLimitField] = lines[:1:1], lines[1:]
		return
	}
	replace(h, rateLimitPolicyField, policy, string(policies))
	replace(h, rateLimitField, policy, string(limits))
}

// setExceeded does the same for the limit that refuses the request. What is left
// of it is less than was asked, which the client is told as nothing.
func setExceeded(h http.Header, policy string, limit apikeys.RateLimit, retryAfter int64) {
	if limit.Window <= 0 {
		return
	}
	replace(h, rateLimitPolicyField, policy, string(appendPolicy(nil, policy, limit)))
	replace(h, rateLimitField, policy, string(appendLimit(nil, policy, limit, 0, retryAfter)))
}

// appendPolicy appends a quota policy: "key-minute";q=100;w=60.
func appendPolicy(b []byte, policy string, l apikeys.RateLimit) []byte {
	b = appendName(b, policy, l.Window)
	b = append(b, ";q="...)
	b = strconv.AppendInt(b, min(l.Requests, maxInteger), 10)
	b = append(b, ";w="...)
	return strconv.AppendInt(b, int64(l.Window), 10)
}

// appendLimit appends a service limit: "key-minute";r=50;t=30.
func appendLimit(b []byte, policy string, l apikeys.RateLimit, remaining, reset int64) []byte {
	b = appendName(b, policy, l.Window)
	b = append(b, ";r="...)
	b = strconv.AppendInt(b, min(max(remaining, 0), maxInteger), 10)
	b = append(b, ";t="...)
	return strconv.AppendInt(b, reset, 10)
}

func appendName(b []byte, policy string, w apikeys.RateLimitWindow) []byte {
	b = append(b, '"')
	b = append(b, policy...)
	b = append(b, '-')
	b = append(b, w.String()...)
	return append(b, '"')
}

// replace adds a line to a field and removes what the same policy said before: one
// middleware within another speaks last. Lines of others stay.
func replace(h http.Header, field, policy, value string) {
	lines := h[field]
	if len(lines) > 0 {
		lines = slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
			return strings.HasPrefix(line, `"`+policy+`-`)
		})
	}
	h[field] = append(lines, value)
}

// wholeSeconds rounds up, to 1 at least: nobody is told to come back too early.
func wholeSeconds(d time.Duration) int64 {
	n := int64(d / time.Second)
	if d%time.Second > 0 {
		n++
	}
	return max(1, n)
}

func seconds(n int64) string { return strconv.FormatInt(n, 10) }
