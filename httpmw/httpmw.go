package httpmw

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// Middleware requires API keys. Make one with [New]; it is safe for concurrent use.
type Middleware struct {
	keys          validator
	header        string // canonical
	authorization bool
	keep          bool
	failures      *failures // nil: not limited
	now           func() time.Time
	answers       answers
}

// validator is the part of a client that judges keys: the seam for tests of what lies
// around it.
type validator interface {
	Validate(context.Context, string, apikeys.ValidateParams) (apikeys.Validation, error)
	CheckParams(apikeys.ValidateParams) error
}

// paramsFunc tells what a request asks of its key.
type paramsFunc func(*http.Request) (apikeys.ValidateParams, error)

// New returns a middleware that judges keys with the client, which may be a view
// (apikeys.Client.Scoped). It panics when the client is nil or an option is
// wrong: both are the program's own and show at its start.
func New(client *apikeys.Client, opts Options) *Middleware {
	if client == nil {
		panic("httpmw: New: the client is nil")
	}
	return newMiddleware(client, opts)
}

// Require admits requests whose key grants all of the scopes; without scopes, any
// good key. It panics for what is no scope, such as "docs:*": a wildcard can be
// granted, not required.
func (m *Middleware) Require(scopes ...string) func(http.Handler) http.Handler {
	return m.RequireParams(apikeys.ValidateParams{Scopes: scopes})
}

// RequireParams admits requests whose key is good for the params. It panics when
// these can never be (a negative cost, a wrong scope).
func (m *Middleware) RequireParams(params apikeys.ValidateParams) func(http.Handler) http.Handler {
	return m.guard(m.fixed(params), false)
}

// RequireFunc admits requests whose key is good for what the function reads off
// the request, such as the id of a project in its path. The function is called
// once a request carries a key, before that key is judged; it must not trust it.
//
// An error of the function refuses the request, and is told only to those who hold
// a good key: others get the answer to theirs. An error of apikeys is
// answered as such (apikeys.ErrNotFound: 404, apikeys.ErrUnavailable: 503), the end of
// a context with 503, any other with 400 and without its text. Read ids with
// [PathID], or refuse uuid.Nil yourself: it asks nothing of a key.
//
// http.Request.PathValue works in the function when the middleware wraps the
// handler that is registered on the mux, not the mux.
func (m *Middleware) RequireFunc(params func(*http.Request) (apikeys.ValidateParams, error)) func(http.Handler) http.Handler {
	if params == nil {
		panic("httpmw: RequireFunc: the function is nil")
	}
	return m.guard(params, false)
}

// Optional admits requests as Require does, and also those without any key: for
// these, [ValidationFrom] has nothing. A bad key is refused.
func (m *Middleware) Optional(scopes ...string) func(http.Handler) http.Handler {
	return m.guard(m.fixed(apikeys.ValidateParams{Scopes: scopes}), true)
}

// Check judges the key of a request as RequireParams does, for those who have no
// handler to wrap. It writes nothing and leaves the request as it is. Its errors
// are those of apikeys.Client.Validate and of this package: answer them with
// [Middleware.WriteError].
func (m *Middleware) Check(r *http.Request, params apikeys.ValidateParams) (apikeys.Validation, error) {
	a, err := m.attempt(r)
	if err != nil {
		return apikeys.Validation{}, err
	}
	return m.judge(r, a, func(*http.Request) (apikeys.ValidateParams, error) { return params, nil })
}

// WriteError answers a request with an error of [Middleware.Check], by the table
// in the package's documentation.
func (m *Middleware) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	m.answers.refuse(w, r, err)
}

// fixed returns a function that asks the same of each request.
func (m *Middleware) fixed(params apikeys.ValidateParams) paramsFunc {
	params.Scopes = slices.Clone(params.Scopes)
	if err := m.keys.CheckParams(params); errors.Is(err, apikeys.ErrInvalidArgument) {
		panic("httpmw: " + err.Error())
	}
	return func(*http.Request) (apikeys.ValidateParams, error) { return params, nil }
}

func (m *Middleware) guard(params paramsFunc, optional bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			admitted, v, err := m.pass(r, params, optional)
			if err != nil {
				m.answers.refuse(w, r, err)
				return
			}
			vary(w.Header(), m.answers.vary)
			setLimits(w.Header(), keyPolicy, v.Limits(), m.now)
			next.ServeHTTP(w, admitted)
		})
	}
}

// pass returns the request as the next handler shall see it, or why it shall not.
func (m *Middleware) pass(r *http.Request, params paramsFunc, optional bool) (*http.Request, apikeys.Validation, error) {
	a, err := m.attempt(r)
	if err != nil {
		return nil, apikeys.Validation{}, err
	}
	if optional && a.anonymous() {
		return r, apikeys.Validation{}, nil
	}
	v, err := m.judge(r, a, params)
	if err != nil {
		return nil, apikeys.Validation{}, err
	}
	return m.admit(r, a, v), v, nil
}

// attempt is what a request tries to get in with.
type attempt struct {
	credential
	// again: this middleware has admitted the request with this key already.
	again bool
}

func (a attempt) anonymous() bool { return a.header == "" && a.text == "" }

// attempt finds the key of a request: in its headers, or, where a Require further
// out has removed it from there, in the request's context.
func (m *Middleware) attempt(r *http.Request) (attempt, error) {
	c, err := m.credential(r.Header)
	if err != nil {
		return attempt{}, err
	}
	a := attempt{credential: c}
	outer := admissionFrom(r.Context())
	if outer == nil {
		return a, nil
	}
	text := outer.text()
	if c.header == "" {
		a.text = text
	}
	a.again = outer.by == m && a.text == text
	return a, nil
}

// judge asks the client, unless too many invalid keys came from the address.
func (m *Middleware) judge(r *http.Request, a attempt, params paramsFunc) (apikeys.Validation, error) {
	if a.anonymous() {
		return apikeys.Validation{}, ErrNoCredential
	}
	if m.failures == nil {
		return m.ask(r, a, params)
	}
	address, err := m.failures.admit(r)
	if err != nil {
		return apikeys.Validation{}, err
	}
	v, err := m.ask(r, a, params)
	if errors.Is(err, apikeys.ErrInvalidKey) {
		m.failures.count(address)
	}
	return v, err
}

func (m *Middleware) ask(r *http.Request, a attempt, params paramsFunc) (apikeys.Validation, error) {
	p, err := params(r)
	if err != nil {
		return apikeys.Validation{}, m.refusal(r, a, err)
	}
	if a.again {
		p.SkipUsage = true
		p.SkipRateLimit = p.SkipRateLimit || p.Cost == 0
	}
	v, err := m.keys.Validate(r.Context(), a.text, p)
	if err == nil {
		return v, nil
	}
	var lacking *apikeys.InsufficientScopeError
	if errors.As(err, &lacking) && len(lacking.Missing) > 0 {
		err = &scopeError{lacking, p.Scopes}
	}
	return apikeys.Validation{}, err
}

// refusal is the error for a request whose params are in error: that of its key
// first, so that strangers cannot ask what exists.
func (m *Middleware) refusal(r *http.Request, a attempt, err error) error {
	_, bad := m.keys.Validate(r.Context(), a.text, apikeys.ValidateParams{SkipUsage: true, SkipRateLimit: true})
	if bad != nil {
		return bad
	}
	if codeOf(err) == CodeInternal {
		return &requestError{err}
	}
	return err
}
