package httpapi_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpapi"
	"github.com/apikeys-platform/apikeys/httpmw"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// Keys that manage keys: those that have the scope for it by name.
func ExampleKeyPrincipal() {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	client, err := apikeys.New(ctx, db, apikeys.Config{
		SigningSecret: apikeys.NewSecret("3f6d0c1be45a97288dd1f0a2c6b79e5436fa08e1d2c3b4957a6e8f10bc2d4e59"),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)
	acme, err := client.CreateOrganization(ctx, "Acme")
	if err != nil {
		log.Fatal(err)
	}

	mw := httpmw.New(client, httpmw.Options{})
	api, err := httpapi.New(client, httpapi.Options{
		Authenticate: func(r *http.Request) (httpapi.Principal, error) {
			v, err := mw.Check(r, apikeys.ValidateParams{})
			if err != nil {
				return httpapi.Principal{}, err
			}
			return httpapi.KeyPrincipal(v), nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	for _, scope := range []string{httpapi.ManageScope, "read"} {
		key, err := client.CreateKey(ctx, apikeys.CreateKeyParams{
			OrganizationID: acme.ID, Metadata: apikeys.KeyMetadata{Scopes: []string{scope}},
		})
		if err != nil {
			log.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/api-keys", nil)
		r.Header.Set("X-API-Key", key.Plaintext.Reveal())
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		fmt.Println(scope, w.Code)
	}
	// Output:
	// apikeys:manage 200
	// read 403
}
