package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const password = "correct horse battery"

// server is the program at work.
type server struct {
	t    *testing.T
	url  string
	stop func() error // returns what the program ended with
}

// start runs the program on a database of its own, until the test ends.
func start(t *testing.T) *server {
	t.Helper()
	setenv(t)
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, in)
		_ = in.CloseWithError(err)
		ended <- err
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the program ended: ", lines.Err())
	}
	address, _ := strings.CutPrefix(lines.Text(), "listening on ")
	s := &server{t: t, url: address}
	s.stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() { _ = s.stop() })
	return s
}

// setenv says where the database of a test is, and all else that the program asks for.
func setenv(t *testing.T) {
	t.Helper()
	t.Setenv("APIKEYS_SECRET", "5f2c1a9e8b7d6c4f3e2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c")
	t.Setenv("ADMIN_PASSWORD", password)
	t.Setenv("DATABASE_URL", "sqlite:///"+filepath.Join(t.TempDir(), "server.db"))
	t.Setenv("LISTEN", "127.0.0.1:0")
}

// send makes a request as the administrator, unless it is changed.
func (s *server) send(method, path, body string, change ...func(*http.Request)) (int, http.Header, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	s.check(err)
	r.SetBasicAuth("admin", password)
	for _, f := range change {
		f(r)
	}
	response, err := http.DefaultClient.Do(r)
	s.check(err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	s.check(err)
	return response.StatusCode, response.Header, string(page)
}

// post sends a form and returns the page that it ends on.
func (s *server) post(path string, form url.Values) string {
	s.t.Helper()
	status, _, page := s.send("POST", path, form.Encode(), func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") })
	if status != http.StatusOK {
		s.t.Errorf("POST %s: got %d %s", path, status, page)
	}
	return page
}

// find returns the part of a page that an expression has in parentheses.
func (s *server) find(page, expression string) string {
	s.t.Helper()
	found := regexp.MustCompile(expression).FindStringSubmatch(page)
	if found == nil {
		s.t.Fatalf("no %s in %s", expression, page)
	}
	return found[1]
}

// newKey issues a key by the pages.
func (s *server) newKey(limits string) (organization, key string) {
	s.t.Helper()
	home := s.post("/organizations", url.Values{"name": {"Acme"}})
	organization = s.find(home, `href="(/organizations/[-0-9a-f]{36})">Acme<`)
	page := s.post("/keys", url.Values{
		"organization": {strings.TrimPrefix(organization, "/organizations/")}, "name": {"laptop"}, "user": {"alice"}, "scopes": {"hello:read"}, "rate_limits": {limits},
	})
	return organization, s.find(page, `<code class="key">(sk_\w+)<`)
}

func withKey(key string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Del("Authorization")
		r.Header.Set("X-API-Key", key)
	}
}

func (s *server) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
