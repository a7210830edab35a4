package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// The service starts on an empty database, accepts the key that it prints and no
// other, and stops when it is told to.
func TestService(t *testing.T) {
	url := testdb.Postgres(t)
	t.Setenv("APIKEYS_SECRET", "5f2c1a9e8b7d6c4f3e2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c")
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = in
	defer func() { os.Stdout = stdout }()

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, url, "127.0.0.1:0")
		_ = in.Close() // nothing more is printed
		ended <- err
	}()
	lines := bufio.NewScanner(out)
	var key, address string
	for address == "" && lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "try it with the key "); ok {
			key = rest
		}
		address, _ = strings.CutPrefix(lines.Text(), "listening on ")
		if !strings.HasPrefix(lines.Text(), "listening on ") {
			address = ""
		}
	}
	for sent, want := range map[string]string{key: "200 hello, alice\n", "sk_madeup": "401", "": "401"} {
		if got := get(t, "http://"+address+"/hello", sent); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want a graceful stop", err)
	}
}

// get returns the status and, of a good answer, the body.
func get(t *testing.T, url, key string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("X-API-Key", key)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(response.Status[:3]) + " " + string(body)
}
