// Command server is a whole service: a management API and pages for it behind a
// login, routes that need an API key, rate limits, figures, a graceful stop.
//
//	export APIKEYS_SECRET=$(openssl rand -hex 32) ADMIN_PASSWORD=$(openssl rand -hex 8)
//	go run ./examples/server
//
// Then open http://localhost:8080 and log in as admin. What can be set:
//
//	APIKEYS_SECRET       signs keys; required
//	ADMIN_PASSWORD       of the user admin; required, at least 12 characters
//	DATABASE_URL         sqlite:///server.db, postgres://…, mysql://…, mariadb://…
//	LISTEN               localhost:8080
//	RATE_LIMIT_DEFAULTS  of who manages keys, or of an address: 50/second; 1000/minute
package main

import (
	"cmp"
	"context"
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
	"github.com/apikeys-platform/apikeys/httpmw"
	"github.com/apikeys-platform/apikeys/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		log.Print(err)
		os.Exit(1)
	}
}

// settings are what the environment says.
type settings struct {
	secret                      apikeys.Secret
	password, address, database string
	limits                      []apikeys.RateLimit
}

func readSettings() (s settings, err error) {
	s.address = cmp.Or(os.Getenv("LISTEN"), "localhost:8080")
	s.database = cmp.Or(os.Getenv("DATABASE_URL"), "sqlite:///server.db")
	if s.password = os.Getenv("ADMIN_PASSWORD"); len(s.password) < 12 {
		return s, errors.New("ADMIN_PASSWORD must have at least 12 characters")
	}
	if s.secret, err = apikeys.SecretFromEnv("APIKEYS_SECRET"); err != nil {
		return s, err
	}
	s.limits, err = httpmw.LimitsFromEnv("RATE_LIMIT_DEFAULTS", apikeys.PerSecond(50), apikeys.PerMinute(1000))
	return s, err
}

// run serves until ctx ends.
func run(ctx context.Context, out io.Writer) (err error) {
	s, err := readSettings()
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, s.database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Migrate(ctx); err != nil { // safe on every start, on many machines at once
		return err
	}
	client, err := apikeys.New(ctx, db, apikeys.Config{SigningSecret: s.secret})
	if err != nil {
		return err
	}
	// The last uses are written after the server has stopped, on a context of their own.
	defer func() { err = errors.Join(err, client.Close(context.WithoutCancel(ctx))) }()
	handler, err := routes(client, s)
	if err != nil {
		return err
	}
	return serve(ctx, s.address, handler, out)
}

// serve answers until ctx ends, and lets requests that are under way finish.
func serve(ctx context.Context, address string, handler http.Handler, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
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
