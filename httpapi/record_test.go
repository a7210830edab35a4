package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
)

// exchangesVariable names a file to which the tests add each request and answer, a
// line of JSON each: what package openapitest holds against the OpenAPI document.
const exchangesVariable = "APIKEYS_HTTP_EXCHANGES"

// exchange is a request and what the handler answered.
type exchange struct {
	Test           string
	Method, Target string
	Header         http.Header
	Body           []byte
	Status         int
	AnswerHeader   http.Header
	Answer         []byte
}

var exchanges sync.Mutex

// record notes a request before it is sent; nil when nobody asked for that.
func record(t testing.TB, r *http.Request) *exchange {
	t.Helper()
	if os.Getenv(exchangesVariable) == "" {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	check(t, err)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return &exchange{Test: t.Name(), Method: r.Method, Target: r.URL.RequestURI(), Header: r.Header.Clone(), Body: body}
}

func (e *exchange) answered(t testing.TB, rec *httptest.ResponseRecorder) {
	t.Helper()
	if e == nil {
		return
	}
	e.Status, e.AnswerHeader, e.Answer = rec.Code, rec.Result().Header, rec.Body.Bytes()
	line, err := json.Marshal(e)
	check(t, err)
	exchanges.Lock()
	defer exchanges.Unlock()
	file, err := os.OpenFile(os.Getenv(exchangesVariable), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	check(t, err)
	_, err = file.Write(append(line, '\n'))
	check(t, err)
	check(t, file.Close())
}
