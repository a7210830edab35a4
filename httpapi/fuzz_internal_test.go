package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A body is one JSON object, read as it stands, or refused with a status of 400.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `{"data":{"type":"api-keys","attributes":{"name":"a"}}}`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{} {}`, `{"a":"\ud800"}`,
		`{"data":null}`, `{"a":1e400}`, "{\"a\":\"\xff\"}", `{"data":{"attributes":{"scopes":["*"],"rate_limits":[{"requests":-1}]}}}`,
	} {
		f.Add([]byte(seed))
	}
	deep := bytes.Repeat([]byte(`{"a":`), 40)
	f.Add(append(append(deep, '1'), bytes.Repeat([]byte(`}`), 40)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := parseBody(raw)
		var refusal *fault
		switch {
		case err != nil && (!errors.As(err, &refusal) || refusal.status != http.StatusBadRequest):
			t.Fatalf("got error %v, want one of status 400", err)
		case err == nil:
			var plain map[string]any
			decoder := json.NewDecoder(bytes.NewReader(raw))
			decoder.UseNumber()
			if err := decoder.Decode(&plain); err != nil || len(plain) != len(body.fields) {
				t.Fatalf("%q is accepted as %d fields, and encoding/json has %d, %v", raw, len(body.fields), len(plain), err)
			}
		}
	})
}

// A query is read, or refused with a status of 400.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "page[size]=10", "page[size]=-1", "page[size]=1&page[size]=2", "filter[status]=active", "%zz", "a=b;c=d", "filter[user]=%00"} {
		f.Add(seed)
	}
	known := []string{"page[size]", "page[cursor]", "filter[status]", "filter[user]"}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := readQuery(raw, known)
		if err == nil {
			_, err = q.page()
		}
		if err == nil {
			_, err = q.owner()
		}
		if err != nil {
			rec := httptest.NewRecorder()
			(&api{}).refuse(rec, httptest.NewRequest(http.MethodGet, "/", http.NoBody), err)
			if rec.Code != http.StatusBadRequest {
				t.Fatalf("%q: got status %d for %v, want 400", raw, rec.Code, err)
			}
		}
	})
}
