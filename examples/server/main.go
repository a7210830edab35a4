// Command server is a whole service: the management API and pages for it behind a
// login, routes that need an API key, rate limits, figures, a graceful stop.
//
//	export APIKEYS_SECRET=$(openssl rand -hex 32) ADMIN_PASSWORD=$(openssl rand -hex 8)
//	go run ./examples/server
//
// Then open http://localhost:8080 and log in as admin. DATABASE_URL may name another
// database than sqlite:///server.db, LISTEN another address, and RATE_LIMIT_DEFAULTS other
// limits than "50/second; 1000/minute" of who manages keys, or of an address.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/examples/server/pages"
	"github.com/apikeys-platform/apikeys/httpapi"
	"github.com/apikeys-platform/apikeys/httpmw"
	"github.com/apikeys-platform/apikeys/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, out io.Writer) (err error) {
	secret, err := apikeys.SecretFromEnv("APIKEYS_SECRET")
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, cmp.Or(os.Getenv("DATABASE_URL"), "sqlite:///server.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Migrate(ctx); err != nil { // safe on every start, on many machines at once
		return err
	}
	client, err := apikeys.New(ctx, db, apikeys.Config{SigningSecret: secret})
	if err != nil {
		return err
	}
	// The last uses are written after the server has stopped, on a context of their own.
	defer func() { err = errors.Join(err, client.Close(context.WithoutCancel(ctx))) }()
	handler, err := routes(client)
	if err != nil {
		return err
	}
	return serve(ctx, handler, out)
}

// routes puts the parts together: what needs a key, and what needs the login.
func routes(client *apikeys.Client) (http.Handler, error) {
	limits, err := httpmw.LimitsFromEnv("RATE_LIMIT_DEFAULTS", apikeys.PerSecond(50), apikeys.PerMinute(1000))
	if err != nil {
		return nil, err
	}
	admin := login{os.Getenv("ADMIN_PASSWORD")}
	if len(admin.password) < 12 {
		return nil, errors.New("ADMIN_PASSWORD must have at least 12 characters")
	}
	api, err := httpapi.New(client, httpapi.Options{BasePath: "/v1", Authenticate: admin.principal, Challenge: `Basic realm="server"`})
	if err != nil {
		return nil, err
	}
	managed := http.NewServeMux()
	managed.Handle("/v1/", http.StripPrefix("/v1", api))
	managed.Handle("/", admin.require(pages.Handler(client)))
	managed.Handle("GET /debug/vars", admin.require(figures(client)))
	limit := httpmw.RateLimit(client, httpmw.RateLimitOptions{
		Name: "management", Limits: limits, By: httpmw.ByIdentity(admin.identity, httpmw.ByAddress()),
	})
	guard := httpmw.New(client, httpmw.Options{FailureLimit: apikeys.PerMinute(60)})
	mux := http.NewServeMux()
	mux.Handle("GET /hello", guard.Require("hello:read")(http.HandlerFunc(hello)))
	mux.Handle("PUT /hello", guard.Require("hello:write")(http.HandlerFunc(hello)))
	// A page of another site cannot send forms in the name of who is logged in here.
	mux.Handle("/", limit(http.NewCrossOriginProtection().Handler(managed)))
	return asDeclared(mux), nil
}

// asDeclared keeps browsers from taking an answer for a page that says it is none.
func asDeclared(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func hello(w http.ResponseWriter, r *http.Request) {
	v, _ := httpmw.ValidationFrom(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "hello, %s\n", v.OwnerID())
}

// figures are for dashboards: what the client did since the start.
func figures(client *apikeys.Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]apikeys.Stats{"apikeys": client.Stats()})
	})
}

// serve answers until ctx ends, and lets requests that are under way finish.
func serve(ctx context.Context, handler http.Handler, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cmp.Or(os.Getenv("LISTEN"), "localhost:8080"))
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return server.Shutdown(patience)
	}
}
