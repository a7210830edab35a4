// Command httpserver is a service with two guarded routes.
//
//	export APIKEYS_SECRET=$(openssl rand -hex 32)
//	go run ./examples/httpserver
//	curl -H "X-API-Key: …" localhost:8080/docs
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpmw"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

func main() {
	ctx := context.Background()
	db := must(sqlite.Open(ctx, ":memory:"))
	check(db.Migrate(ctx))
	secret := must(apikeys.SecretFromEnv("APIKEYS_SECRET"))
	client := must(apikeys.New(ctx, db, apikeys.Config{SigningSecret: secret}))
	fmt.Println("try it with the key", must(issue(ctx, client)))

	server := &http.Server{Addr: "localhost:8080", Handler: routes(client), ReadHeaderTimeout: 5 * time.Second}
	go func() { log.Println(server.ListenAndServe()) }()
	stop, cancel := signal.NotifyContext(ctx, os.Interrupt)
	defer cancel()
	<-stop.Done()
	check(server.Shutdown(ctx)) // requests that are under way are answered,
	check(client.Close(ctx))    // and the last uses written
}

func routes(client *apikeys.Client) http.Handler {
	guard := httpmw.New(client, httpmw.Options{})
	mux := http.NewServeMux()
	mux.Handle("GET /docs", guard.Require("docs:read")(http.HandlerFunc(docs)))
	mux.Handle("DELETE /docs", guard.Require("docs:write")(http.HandlerFunc(docs)))
	return mux
}

func docs(w http.ResponseWriter, r *http.Request) {
	v, _ := httpmw.ValidationFrom(r.Context())
	_, _ = fmt.Fprintln(w, "documents of", v.OwnerID())
}

// issue returns the text of a new key, which is stored nowhere.
func issue(ctx context.Context, client *apikeys.Client) (string, error) {
	acme, _, err := client.GetOrCreateOrganization(ctx, "Acme Inc")
	if err != nil {
		return "", err
	}
	key, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID, OwnerID: "alice", Metadata: apikeys.KeyMetadata{
		Name: "laptop", Scopes: []string{"docs:read"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(100)}}})
	if err != nil {
		return "", err
	}
	return key.Plaintext.Reveal(), nil
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
