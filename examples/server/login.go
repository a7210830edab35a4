package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpapi"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// login knows one user, by a password that the browser asks for (RFC 7617). A service
// has its own users here.
type login struct{ password string }

// identity is for the rate limit: who only says to be somebody is nobody yet.
func (l login) identity(r *http.Request) (string, error) {
	user, password, _ := r.BasicAuth()
	given, want := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(l.password))
	if subtle.ConstantTimeCompare(given[:], want[:]) != 1 || user != "admin" {
		return "", httpmw.ErrNoIdentity
	}
	return user, nil
}

// principal is for the management API: the administrator may do and grant everything.
func (l login) principal(r *http.Request) (httpapi.Principal, error) {
	user, err := l.identity(r)
	if err != nil {
		return httpapi.Principal{}, httpapi.ErrUnauthenticated
	}
	return httpapi.Principal{Actor: user, Admin: true, Grant: apikeys.Grant{Scopes: []string{"*"}}}, nil
}

// require lets the administrator through.
func (l login) require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := l.identity(r)
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Basic realm="server", charset="UTF-8"`)
			http.Error(w, "Log in as admin.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(apikeys.ContextWithActor(r.Context(), user)))
	})
}
