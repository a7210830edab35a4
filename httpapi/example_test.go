package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpapi"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// A user of the host's own login creates a key, within what the host lets users
// grant.
func ExampleNew() {
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

	api, err := httpapi.New(client, httpapi.Options{
		BasePath: "/v1",
		Authenticate: func(r *http.Request) (httpapi.Principal, error) {
			user, _, ok := r.BasicAuth() // your login, not this
			if !ok {
				return httpapi.Principal{}, httpapi.ErrUnauthenticated
			}
			return httpapi.Principal{
				Actor: user, OrganizationID: acme.ID, OwnerID: user,
				Grant: apikeys.Grant{Scopes: []string{"docs:*"}},
			}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", http.StripPrefix("/v1", api))

	create := func(scopes string) {
		body := `{"data":{"type":"api-keys","attributes":{"name":"laptop","scopes":` + scopes + `}}}`
		req := httptest.NewRequest("POST", "/v1/api-keys", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/vnd.api+json")
		req.SetBasicAuth("alice", "…")
		res := httptest.NewRecorder()
		mux.ServeHTTP(res, req)

		var doc struct {
			Data struct {
				Attributes struct{ Key string }
			}
			Errors []struct{ Detail string }
		}
		if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
			log.Fatal(err)
		}
		fmt.Println(res.Code, doc.Errors)
		if key, err := client.Verify(ctx, doc.Data.Attributes.Key); err == nil {
			fmt.Println(key.OwnerID, key.Metadata.Scopes)
		}
	}
	create(`["docs:read"]`)
	create(`["admin"]`)
	// Output:
	// 201 []
	// alice [docs:read]
	// 403 [{You cannot hand this out: what may be granted is "docs:*".}]
}
