package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpapi"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// routes puts the parts together: what needs a key, and what needs the login.
func routes(client *apikeys.Client, s settings) (http.Handler, error) {
	admin := login{sha256.Sum256([]byte(s.password))}
	api, err := httpapi.New(client, httpapi.Options{
		BasePath: "/v1", Authenticate: admin.principal, Challenge: `Basic realm="server"`,
	})
	if err != nil {
		return nil, err
	}
	limit := httpmw.RateLimit(client, httpmw.RateLimitOptions{
		Name: "management", Limits: s.limits, By: httpmw.ByIdentity(admin.identity, httpmw.ByAddress()),
	})
	managed := http.NewServeMux()
	managed.Handle("/v1/", http.StripPrefix("/v1", api))
	managed.Handle("GET /debug/vars", admin.require(figures(client)))
	managed.Handle("/", admin.require(pages(api)))

	guard := httpmw.New(client, httpmw.Options{FailureLimit: apikeys.PerMinute(60)})
	mux := http.NewServeMux()
	mux.Handle("GET /hello", guard.Require("hello:read")(http.HandlerFunc(hello)))
	mux.Handle("PUT /hello", guard.Require("hello:write")(http.HandlerFunc(rename)))
	// A page of another site cannot send forms in the name of who is logged in here.
	mux.Handle("/", limit(http.NewCrossOriginProtection().Handler(managed)))
	return asDeclared(mux), nil
}

// asDeclared keeps browsers from taking an answer for a page that says it is none.
func asDeclared(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func hello(w http.ResponseWriter, r *http.Request) {
	v, _ := httpmw.ValidationFrom(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "hello, %s\n", v.OwnerID())
}

func rename(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// figures are for dashboards: what the client did since the start.
func figures(client *apikeys.Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]apikeys.Stats{"apikeys": client.Stats()})
	})
}

// login knows one user, by a password that the browser asks for (RFC 7617). A
// service has its own users here.
type login struct{ password [sha256.Size]byte }

func (l login) passed(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	given := sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(given[:], l.password[:]) == 1 && user == "admin"
}

// principal is for the management API: the administrator may do and grant everything.
func (l login) principal(r *http.Request) (httpapi.Principal, error) {
	if !l.passed(r) {
		return httpapi.Principal{}, httpapi.ErrUnauthenticated
	}
	return httpapi.Principal{Actor: "admin", Admin: true, Grant: apikeys.Grant{Scopes: []string{"*"}}}, nil
}

// identity is for the rate limit: who only says to be somebody is nobody yet.
func (l login) identity(r *http.Request) (string, error) {
	if !l.passed(r) {
		return "", httpmw.ErrNoIdentity
	}
	return "admin", nil
}

// require lets the administrator through.
func (l login) require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.passed(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="server", charset="UTF-8"`)
			http.Error(w, "Log in as admin.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
