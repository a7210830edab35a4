package httpmw

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// Problem is the answer to a refused request, in the form of RFC 9457. As an
// http.Handler it writes itself.
type Problem struct {
	Type   string `json:"type"` // "about:blank": Code tells the kinds apart
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Code is the stable name of what happened: "expired_key".
	Code string `json:"code"`
	// ExpiredAt is when the key ended; zero unless that is the reason.
	ExpiredAt time.Time `json:"expired_at,omitzero"`
	// MissingScopes are what the key does not grant.
	MissingScopes []string `json:"missing_scopes,omitempty"`
	// Resource is what the key is not for: "organization", "project" or "product".
	Resource string `json:"resource,omitempty"`
	// RetryAfter is when to come back, in seconds; 0: no use, or nobody knows.
	RetryAfter int64 `json:"retry_after,omitempty"`
	// Err is the error behind: for logs and metrics, never for the client.
	Err error `json:"-"`
}

// ServeHTTP writes the problem as application/problem+json. The answer to a HEAD
// request has no body.
func (p Problem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(cmp.Or(p.Status, http.StatusInternalServerError))
	if r.Method == http.MethodHead {
		return
	}
	_ = json.NewEncoder(w).Encode(p) // what fails now is the connection
}

// answers knows how to refuse.
type answers struct {
	challenge string // "Bearer realm=…"
	vary      string // the request headers that answers depend on; may be empty
	where     string // a key may stand
	revoked   int    // status for revoked keys
	policy    string // whose limits a QuotaError is about; empty: the key's
	write     func(http.ResponseWriter, *http.Request, Problem)
}

// refuse writes the answer to an error: the headers here, the rest by the writer.
func (a *answers) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := a.problem(err)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	vary(h, a.vary)
	if c := a.challengeFor(p); c != "" {
		h.Set("WWW-Authenticate", c)
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", seconds(p.RetryAfter))
	}
	var quota *apikeys.QuotaError
	if errors.As(err, &quota) {
		setExceeded(h, cmp.Or(a.policy, keyPolicy), quota.Limit, p.RetryAfter)
	}
	a.write(w, r, p)
}

func (a *answers) problem(err error) Problem {
	p := Problem{Type: "about:blank", Code: codeOf(err), Err: err}
	p.Status, p.Detail = outcome(p.Code)
	switch p.Code {
	case apikeys.CodeRevokedKey:
		p.Status = a.revoked
	case CodeNoCredential:
		p.Detail += " Send it in " + a.where + "."
	}
	if p.Status == http.StatusServiceUnavailable {
		p.RetryAfter = 1
	}
	p.Title = http.StatusText(p.Status)
	p.addFacts(err)
	return p
}

// addFacts fills in what the typed errors know and the client may know too.
func (p *Problem) addFacts(err error) {
	var (
		expired  *apikeys.ExpiredKeyError
		retired  *apikeys.RetiredSecretError
		lacking  *apikeys.InsufficientScopeError
		quota    *apikeys.QuotaError
		failures *TooManyFailuresError
	)
	switch {
	case errors.As(err, &expired):
		p.ExpiredAt = expired.ExpiredAt
	case errors.As(err, &retired):
		p.ExpiredAt = retired.RetiredAt
	case errors.As(err, &lacking):
		p.MissingScopes, p.Resource = lacking.Missing, lacking.Resource
		if p.Resource != "" {
			p.Detail = "The API key does not work for this " + p.Resource + "."
		}
	case errors.As(err, &quota):
		p.RetryAfter = wholeSeconds(quota.RetryAfter)
		p.Detail = "The rate limit of " + quota.Limit.String() + " is used up."
	case errors.As(err, &failures):
		p.RetryAfter = wholeSeconds(failures.RetryAfter)
	}
}

// challengeFor returns the WWW-Authenticate field of RFC 6750 §3: without an error
// when the client did not try to authenticate.
func (a *answers) challengeFor(p Problem) string {
	switch {
	case p.Code == CodeNoCredential:
		return a.challenge
	case p.Code == CodeMultipleCredentials:
		return a.challenge + errorParams("invalid_request", p.Detail)
	case p.Status == http.StatusUnauthorized:
		return a.challenge + errorParams("invalid_token", p.Detail)
	case p.Code == apikeys.CodeInsufficientScope:
		return a.challenge + errorParams("insufficient_scope", p.Detail) + scopeParam(p.Err)
	}
	return ""
}
