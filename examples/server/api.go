package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// api is the management API as the pages use it: by its documents, in the name of
// whoever asks for the page.
type api struct{ handler http.Handler }

// document is one of JSON:API, as a template reads it.
type document map[string]any

const mediaType = "application/vnd.api+json"

// call sends a request to the handler and returns the document of its answer, or
// what it says was wrong.
func (a api) call(r *http.Request, method, path string, body any) (document, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	if body == nil {
		raw = nil
	}
	request, err := http.NewRequestWithContext(r.Context(), method, path, bytes.NewReader(raw)) //nolint:gosec // goes to the handler below and nowhere else
	if err != nil {
		return nil, err
	}
	request.RemoteAddr = r.RemoteAddr
	request.Header.Set("Authorization", r.Header.Get("Authorization"))
	request.Header.Set("Content-Type", mediaType)
	got := &answer{header: http.Header{}}
	a.handler.ServeHTTP(got, request)
	return got.document()
}

// answer is what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

func (a *answer) document() (document, error) {
	if a.status == http.StatusNoContent {
		return nil, nil
	}
	var doc document
	if err := json.Unmarshal(a.body.Bytes(), &doc); err != nil {
		return nil, err
	}
	if a.status >= http.StatusBadRequest {
		return nil, doc.fault()
	}
	return doc, nil
}

// fault is what a document of errors says.
func (d document) fault() error {
	all, _ := d["errors"].([]any)
	for _, one := range all {
		if e, ok := one.(map[string]any); ok {
			detail, _ := e["detail"].(string)
			return errors.New(detail)
		}
	}
	return errors.New("the management API failed")
}

// related is the id of what a resource belongs to.
func (d document) related(name string) string {
	var v any = map[string]any(d)
	for _, step := range []string{"data", "relationships", name, "data", "id"} {
		object, _ := v.(map[string]any)
		v = object[step]
	}
	id, _ := v.(string)
	return id
}

// list is the path of a list that is bounded by filters, as long as it may be.
func list(kind string, filters ...string) string {
	query := url.Values{"page[size]": {"200"}}
	for i := 0; i+1 < len(filters); i += 2 {
		query.Set("filter["+filters[i]+"]", filters[i+1])
	}
	return "/" + kind + "?" + query.Encode()
}
