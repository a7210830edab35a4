package httpmw

import (
	"net/http"
	"strings"
)

const (
	defaultHeader = "X-Api-Key" // canonical form of X-API-Key
	authorization = "Authorization"
	bearerScheme  = "bearer"
)

// credential is what a request presents as its key. The zero value: nothing.
type credential struct {
	header string // canonical name of the one header line it came in
	text   string // what should be a key; empty when the line is malformed
}

// credential finds the one credential in the headers. It decides where a key may
// stand, not what a key looks like: that is the client's to judge, so whatever
// else the line holds (more spaces, further words) is handed over and refused
// there. An Authorization of another scheme is not a credential of ours, but
// is one more line that could be: next to an X-API-Key it is refused.
func (m *Middleware) credential(h http.Header) (credential, error) {
	own := h[m.header]
	var auth []string
	if m.authorization {
		auth = h[authorization]
	}
	if len(own)+len(auth) > 1 {
		return credential{}, ErrMultipleCredentials
	}
	if len(own) == 1 {
		return present(m.header, own[0])
	}
	if len(auth) == 1 {
		return bearer(auth[0])
	}
	return credential{}, nil
}

// present refuses a line that holds nothing: its sender meant to send a key, so it
// is not anonymous either.
func present(header, text string) (credential, error) {
	if isBlank(text) {
		return credential{}, ErrNoCredential
	}
	return credential{header, text}, nil
}

// bearer reads "Bearer" SP key (RFC 6750 §2.1): the scheme in any case (RFC 9110
// §11.1), exactly one space.
func bearer(line string) (credential, error) {
	if isBlank(line) {
		return credential{}, ErrNoCredential
	}
	if len(line) < len(bearerScheme) || !strings.EqualFold(line[:len(bearerScheme)], bearerScheme) {
		return credential{}, nil
	}
	rest := line[len(bearerScheme):]
	if isBlank(rest) {
		return credential{}, ErrNoCredential
	}
	if rest[0] != ' ' {
		return credential{header: authorization}, nil
	}
	return credential{authorization, rest[1:]}, nil
}

func isBlank(s string) bool { return strings.Trim(s, " \t") == "" }

// without returns a copy of the headers that lacks one.
func without(h http.Header, name string) http.Header {
	h = h.Clone()
	delete(h, name)
	return h
}
