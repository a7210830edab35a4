package openapitest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// exchange is a request of the tests of package httpapi and its answer, as these
// tests write them down.
type exchange struct {
	Test           string
	Method, Target string
	Header         http.Header
	Body           []byte
	Status         int
	AnswerHeader   http.Header
	Answer         []byte
}

// exchanges runs the tests of package httpapi and returns all that they sent and got: on SQLite, for what comes of a
// request does not hang on the database.
func exchanges(t *testing.T) []*exchange {
	t.Helper()
	path := filepath.Join(t.TempDir(), "exchanges")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-count=1", ".")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "APIKEYS_HTTP_EXCHANGES="+path, "APIKEYS_TEST_POSTGRES=", "APIKEYS_TEST_MYSQL=", "CI=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the tests of package httpapi: %v\n%s", err, out)
	}
	file, err := os.Open(path)
	check(t, err)
	defer file.Close()
	var all []*exchange
	dec := json.NewDecoder(file)
	for {
		e := &exchange{}
		if err := dec.Decode(e); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		e.Target = strings.TrimPrefix(e.Target, "/v1")
		all = append(all, e)
	}
}

// request is what was sent, to be read once.
func (e *exchange) request(t *testing.T) *http.Request {
	t.Helper()
	target, err := url.Parse("http://localhost" + e.Target)
	check(t, err)
	return &http.Request{
		Method: e.Method, URL: target, Host: target.Host, Header: e.Header.Clone(), ContentLength: int64(len(e.Body)),
		Body: io.NopCloser(bytes.NewReader(e.Body)),
	}
}

// response is what came back, to be read once.
func (e *exchange) response() *http.Response {
	return &http.Response{StatusCode: e.Status, Header: e.AnswerHeader, Body: io.NopCloser(bytes.NewReader(e.Answer))}
}

// codes are the stable names in the answer: that of the error, and why a key was
// judged not to be valid.
func (e *exchange) codes(t *testing.T) (failure, verdict string) {
	t.Helper()
	var doc struct {
		Errors []struct{ Code string }
		Meta   struct{ Code string }
	}
	if len(e.Answer) == 0 {
		return "", ""
	}
	check(t, json.Unmarshal(e.Answer, &doc))
	if len(doc.Errors) > 0 {
		failure = doc.Errors[0].Code
	}
	return failure, doc.Meta.Code
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
