package routers_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/examples/routers"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// Behind each router, requests are judged as behind net/http, and counted once.
func TestRouters(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	for name, router := range map[string]func(*httpmw.Middleware) http.Handler{"chi": routers.Chi, "gin": routers.Gin} {
		t.Run(name, func(t *testing.T) {
			client := apikeystest.New(t)
			handler := router(httpmw.New(client.Client, httpmw.Options{}))
			issue := func(scopes ...string) string {
				key, err := client.CreateKey(t.Context(), apikeys.CreateKeyParams{
					OrganizationID: client.Organization.ID, OwnerID: "alice",
					Metadata: apikeys.KeyMetadata{Scopes: scopes, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(2)}},
				})
				if err != nil {
					t.Fatal(err)
				}
				return key.Plaintext.Reveal()
			}
			reader, writer := issue(), issue("docs:write")
			for _, tt := range []struct {
				method, path, key string
				status            int
			}{
				{"GET", "/docs", "", 401},
				{"GET", "/docs", "sk_madeup", 401},
				{"GET", "/docs", reader, 200},
				{"PUT", "/docs/1", reader, 403},
				{"PUT", "/docs/1", writer, 200},
				{"PUT", "/docs/1", writer, 200},
				{"PUT", "/docs/1", writer, 429},
			} {
				r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, http.NoBody)
				if tt.key != "" {
					r.Header.Set("X-API-Key", tt.key)
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != tt.status || tt.status == 200 && w.Body.String() != "documents of alice\n" {
					t.Errorf("%s %s: got %d %s, want %d", tt.method, tt.path, w.Code, w.Body, tt.status)
				}
			}
		})
	}
}
