package httpapi

import (
	"net/http"
	"net/http/httptest"
)

// Patterns are those of the routes that New registers for principals.
func Patterns() []string {
	var patterns []string
	for _, r := range routes() {
		patterns = append(patterns, r.pattern)
	}
	return patterns
}

// HolderPatterns are those of the routes that New registers for the holders of keys.
func HolderPatterns() []string {
	var patterns []string
	for _, r := range holderRoutes(Options{}) {
		patterns = append(patterns, r.pattern)
	}
	return patterns
}

// MuxPatterns are those of the mux of a handler, however they came there.
func MuxPatterns(h http.Handler) []string { return h.(*api).patterns }

// Refuse returns the answer to an error.
func Refuse(err error) (status int, body string) {
	rec := httptest.NewRecorder()
	(&api{}).refuse(rec, httptest.NewRequest(http.MethodGet, "/", http.NoBody), err)
	return rec.Code, rec.Body.String()
}
