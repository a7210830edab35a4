// Command postgres is a service that has a pgx pool already, and keeps its API keys
// in the same database: it migrates at start-up, guards a route, and stops
// gracefully, so that no use is lost.
//
//	export DATABASE_URL=postgres://user:password@localhost:5432/app
//	export APIKEYS_SECRET=$(openssl rand -hex 32)
//	go run ./examples/postgres
//	curl -H "X-API-Key: …" localhost:8080/hello
//
// The first start prints a key to try it with.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpmw"
	"github.com/apikeys-platform/apikeys/store/postgres"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("DATABASE_URL"), "localhost:8080"); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, url, address string) (err error) {
	pool, err := pgxpool.New(ctx, url) // the service's own: apikeys never closes it
	if err != nil {
		return err
	}
	defer pool.Close()
	client, err := openKeys(ctx, pool)
	if err != nil {
		return err
	}
	// The last uses are written after the server has stopped, on a context of their own.
	defer func() { err = errors.Join(err, client.Close(context.WithoutCancel(ctx))) }()
	if err := firstKey(ctx, client); err != nil {
		return err
	}

	guard := httpmw.New(client, httpmw.Options{})
	mux := http.NewServeMux()
	mux.Handle("GET /hello", guard.Require("hello:read")(http.HandlerFunc(hello)))
	return serve(ctx, address, mux)
}

func openKeys(ctx context.Context, pool *pgxpool.Pool) (*apikeys.Client, error) {
	db := postgres.New(pool)
	if err := db.Migrate(ctx); err != nil { // safe on every start, on many machines at once
		return nil, err
	}
	secret, err := apikeys.SecretFromEnv("APIKEYS_SECRET")
	if err != nil {
		return nil, err
	}
	return apikeys.New(ctx, db, apikeys.Config{SigningSecret: secret})
}

// firstKey issues a key when the service starts for the first time.
func firstKey(ctx context.Context, client *apikeys.Client) error {
	acme, created, err := client.GetOrCreateOrganization(ctx, "Acme Inc")
	if err != nil || !created {
		return err
	}
	key, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID, OwnerID: "alice",
		Metadata: apikeys.KeyMetadata{Name: "first key", Scopes: []string{"hello:*"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(60)}}})
	if err != nil {
		return err
	}
	fmt.Println("try it with the key", key.Plaintext.Reveal())
	return nil
}

func hello(w http.ResponseWriter, r *http.Request) {
	v, _ := httpmw.ValidationFrom(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "hello, %s\n", v.OwnerID())
}

// serve answers until ctx ends, and lets requests that are under way finish.
func serve(ctx context.Context, address string, handler http.Handler) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		stopped <- server.Shutdown(patience)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
