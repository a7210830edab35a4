package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/apikeys-platform/apikeys/apikeystest"
)

// The routes take the key that is printed, for what it grants.
func TestRoutes(t *testing.T) {
	t.Parallel()
	client := apikeystest.New(t).Client
	key, err := issue(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	handler := routes(client)
	for _, tt := range []struct {
		method, key string
		status      int
		body        string
	}{
		{"GET", key, http.StatusOK, "documents of alice\n"},
		{"DELETE", key, http.StatusForbidden, ""},
		{"GET", "", http.StatusUnauthorized, ""},
		{"GET", "sk_madeup", http.StatusUnauthorized, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, "/docs", http.NoBody)
		if tt.key != "" {
			r.Header.Set("X-API-Key", tt.key)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != tt.status || tt.body != "" && w.Body.String() != tt.body {
			t.Errorf("%s %.8s…: got %d %q, want %d %q", tt.method, tt.key, w.Code, w.Body, tt.status, tt.body)
		}
	}
}
