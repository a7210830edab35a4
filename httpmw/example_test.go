package httpmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpmw"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

func ExampleNew() {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:") // or a file: "app.db"
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	client, err := apikeys.New(ctx, db, apikeys.Config{
		// A program of yours reads its secret with apikeys.SecretFromEnv.
		SigningSecret: apikeys.NewSecret("8c1f0e7d5b3a49628f70d4c2b1a69e35c7d80f12e4a6b59d"),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	mw := httpmw.New(client, httpmw.Options{})
	mux := http.NewServeMux()
	mux.Handle("GET /docs", mw.Require("docs:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, _ := httpmw.ValidationFrom(r.Context())
		fmt.Fprintf(w, "hello, %s\n", v.OwnerID())
	})))
	server := httptest.NewServer(mux) // or http.ListenAndServe(":8080", mux)
	defer server.Close()

	org, err := client.CreateOrganization(ctx, "Acme Inc")
	if err != nil {
		log.Fatal(err)
	}
	key, err := client.CreateKey(ctx, apikeys.CreateKeyParams{
		OrganizationID: org.ID,
		OwnerID:        "alice",
		Metadata:       apikeys.KeyMetadata{Name: "first key", Scopes: []string{"docs:*"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	show(server.URL+"/docs", key.Plaintext.Reveal())
	show(server.URL+"/docs", "sk_guessed")
	// Output:
	// 200 hello, alice
	// 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"The API key is not valid.","code":"invalid_key"}
}

func ExampleMiddleware_Require() {
	client, org, done := exampleClient()
	defer done()
	mw := httpmw.New(client, httpmw.Options{})

	mux := http.NewServeMux()
	mux.Handle("GET /docs", mw.Require("docs:read")(http.HandlerFunc(ok)))
	mux.Handle("DELETE /docs", mw.Require("docs:read", "docs:delete")(http.HandlerFunc(ok)))
	server := httptest.NewServer(mux)
	defer server.Close()

	key := exampleKey(client, apikeys.CreateKeyParams{OrganizationID: org, Metadata: apikeys.KeyMetadata{Scopes: []string{"docs:read"}}})
	show(server.URL+"/docs", key)
	r, _ := http.NewRequest(http.MethodDelete, server.URL+"/docs", nil)
	r.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(r)
	if err == nil {
		fmt.Println(res.StatusCode, res.Header.Get("WWW-Authenticate"))
		res.Body.Close()
	}
	// Output:
	// 200 ok
	// 403 Bearer realm="api", error="insufficient_scope", error_description="The API key does not grant what this request needs.", scope="docs:read docs:delete"
}

func ExampleMiddleware_RequireFunc() {
	client, org, done := exampleClient()
	defer done()
	mw := httpmw.New(client, httpmw.Options{})

	project := func(r *http.Request) (apikeys.ValidateParams, error) {
		id, err := httpmw.PathID(r, "project")
		return apikeys.ValidateParams{ProjectID: id, Scopes: []string{"read"}}, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /projects/{project}", mw.RequireFunc(project)(http.HandlerFunc(ok)))
	server := httptest.NewServer(mux)
	defer server.Close()

	p, err := client.CreateProject(context.Background(), org, "v1")
	if err != nil {
		log.Fatal(err)
	}
	key := exampleKey(client, apikeys.CreateKeyParams{
		OrganizationID: org,
		ProjectID:      p.ID,
		Metadata:       apikeys.KeyMetadata{Scopes: []string{"read"}},
	})
	show(server.URL+"/projects/"+p.ID.String(), key)
	show(server.URL+"/projects/018f3d6e-0000-7000-8000-000000000000", key)
	show(server.URL+"/projects/v1", key)
	// Output:
	// 200 ok
	// 403 {"type":"about:blank","title":"Forbidden","status":403,"detail":"The API key does not work for this project.","code":"insufficient_scope","resource":"project"}
	// 400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"The request asks for something that is not possible.","code":"invalid_request"}
}

// Anonymous readers share the limits of their address; those with a key have the
// key's own, and limits by owner beside.
func ExampleRateLimit() {
	client, org, done := exampleClient()
	defer done()
	mw := httpmw.New(client, httpmw.Options{})

	owner := func(r *http.Request) (string, error) {
		v, ok := httpmw.ValidationFrom(r.Context())
		if !ok {
			return "", httpmw.ErrNoIdentity
		}
		return v.OwnerID(), nil
	}
	limits, err := httpmw.LimitsFromEnv("RATE_LIMIT_DEFAULTS", apikeys.PerDay(2))
	if err != nil {
		log.Fatal(err)
	}
	limit := httpmw.RateLimit(client, httpmw.RateLimitOptions{
		By:     httpmw.ByIdentity(owner, httpmw.ByAddress()),
		Limits: limits,
	})
	server := httptest.NewServer(mw.Optional()(limit(http.HandlerFunc(ok))))
	defer server.Close()

	for range 3 {
		fmt.Println("anonymous:", status(server.URL, ""))
	}
	key := exampleKey(client, apikeys.CreateKeyParams{OrganizationID: org, OwnerID: "alice"})
	fmt.Println("alice:", status(server.URL, key))
	// Output:
	// anonymous: 200
	// anonymous: 200
	// anonymous: 429
	// alice: 200
}

// A websocket server judges the key before it upgrades the connection.
func ExampleMiddleware_Check() {
	client, org, done := exampleClient()
	defer done()
	mw := httpmw.New(client, httpmw.Options{})

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := mw.Check(r, apikeys.ValidateParams{Scopes: []string{"stream"}})
		if err != nil {
			mw.WriteError(w, r, err)
			return
		}
		fmt.Fprintf(w, "upgraded for %s\n", v.OwnerID())
	}))
	defer server.Close()

	key := exampleKey(client, apikeys.CreateKeyParams{
		OrganizationID: org,
		OwnerID:        "alice",
		Metadata:       apikeys.KeyMetadata{Scopes: []string{"stream"}},
	})
	show(server.URL, key)
	fmt.Println(status(server.URL, ""))
	// Output:
	// 200 upgraded for alice
	// 401
}

// Refusals in the log, with the error behind; never the key.
func ExampleOptions_errorWriter() {
	client, _, done := exampleClient()
	defer done()
	mw := httpmw.New(client, httpmw.Options{
		ErrorWriter: func(w http.ResponseWriter, r *http.Request, p httpmw.Problem) {
			fmt.Println("refused:", r.Method, r.URL.Path, p.Code, errors.Is(p.Err, apikeys.ErrInvalidKey))
			p.ServeHTTP(w, r)
		},
	})
	server := httptest.NewServer(mw.Require()(http.HandlerFunc(ok)))
	defer server.Close()
	fmt.Println(status(server.URL+"/docs", "sk_guessed"))
	// Output:
	// refused: GET /docs invalid_key true
	// 401
}

func ok(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// exampleClient returns a client on a database in memory, an organization, and
// what ends both.
func exampleClient() (client *apikeys.Client, org uuid.UUID, done func()) {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	if err := db.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	client, err = apikeys.New(ctx, db, apikeys.Config{
		SigningSecret: apikeys.NewSecret("8c1f0e7d5b3a49628f70d4c2b1a69e35c7d80f12e4a6b59d"),
	})
	if err != nil {
		log.Fatal(err)
	}
	acme, err := client.CreateOrganization(ctx, "Acme Inc")
	if err != nil {
		log.Fatal(err)
	}
	return client, acme.ID, func() {
		if err := errors.Join(client.Close(ctx), db.Close()); err != nil {
			log.Fatal(err)
		}
	}
}

func exampleKey(client *apikeys.Client, params apikeys.CreateKeyParams) string {
	if params.Metadata.Name == "" {
		params.Metadata.Name = "example"
	}
	key, err := client.CreateKey(context.Background(), params)
	if err != nil {
		log.Fatal(err)
	}
	return key.Plaintext.Reveal()
}

// show prints the answer to a GET request with a key.
func show(url, key string) {
	status, text := call(url, key)
	fmt.Printf("%d %s", status, text)
}

func status(url, key string) int {
	status, _ := call(url, key)
	return status
}

// call sends a GET request with a key, if there is one.
func call(url, key string) (status int, text string) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	if key != "" {
		r.Header.Set("X-API-Key", key)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		log.Fatal(err)
	}
	return res.StatusCode, string(body)
}
