package openapitest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi-validator/errors"
)

func TestTheDocumentIsOpenAPI(t *testing.T) {
	if ok, errs := open(t).ValidateDocument(); !ok {
		t.Error(explain(errs))
	}
}

// Every answer of the tests of package httpapi is one that the document describes,
// every request that was accepted is as it says, and everything that it says may
// come of an operation has come of it, each code of each status.
func TestTheDocumentIsTrue(t *testing.T) {
	d := open(t)
	seen, verdicts := map[string]bool{}, map[string]bool{}
	all := exchanges(t)
	for _, e := range all {
		what := fmt.Sprintf("%s: %s %.200s: %d", e.Test, e.Method, e.Target, e.Status)
		failure, verdict := e.codes(t)
		o := d.operation(e.Method, e.Target)
		if o == nil {
			if !(e.Status == http.StatusNotFound && failure == "not_found") && !(e.Status == http.StatusMethodNotAllowed && failure == "method_not_allowed") {
				t.Errorf("%s %s: for what the document does not describe", what, failure)
			}
			continue
		}
		seen[outcome(o, strconv.Itoa(e.Status), failure)] = true
		verdicts[verdict] = true
		if ambiguous(e.Target) {
			continue
		}
		if ok, errs := d.ValidateHttpResponse(e.request(t), e.response()); !ok {
			t.Errorf("%s: the answer\n%.500s\nis not as described: %s", what, e.Answer, explain(errs))
		}
		if ok, errs := d.ValidateHttpRequest(e.request(t)); !ok && e.Status < 300 {
			t.Errorf("%s: the request\n%.500s\nwas accepted, and is not as described: %s", what, e.Body, explain(errs))
		}
	}
	t.Logf("%d exchanges, %d outcomes of operations", len(all), len(seen))
	for _, o := range d.operations {
		for _, out := range d.outcomes(o) {
			if !seen[out] {
				t.Errorf("described, and not once seen: %s", out)
			}
			delete(seen, out)
		}
	}
	for _, out := range slices.Sorted(maps.Keys(seen)) {
		t.Errorf("seen, and not described: %s", out)
	}
	for _, code := range texts(d.at("components", "schemas", "Verdict", "properties", "code")["enum"]) {
		if !verdicts[code] {
			t.Errorf("verify never said %s", code)
		}
	}
}

// ambiguous tells of paths that the validator judges nothing of: some routers would
// take what is encoded in an id for a part of the path.
func ambiguous(target string) bool {
	path, _, _ := strings.Cut(strings.ToLower(target), "?")
	return strings.Contains(path, "%2f") || strings.Contains(path, "%2e")
}

// The examples are what they are examples of.
func TestTheExamplesAreTrue(t *testing.T) {
	d := open(t)
	count := 0
	for _, o := range d.operations {
		target := strings.ReplaceAll(strings.Fields(o.name)[1], "{id}", "0198c0de-0000-7000-8000-000000000004")
		e := &exchange{Method: o.method, Target: target, Header: http.Header{}}
		for _, body := range d.examples(t, asObject(o.spec["requestBody"])) {
			e.Body, e.Header = body, http.Header{"Content-Type": {"application/vnd.api+json"}}
			if ok, errs := d.ValidateHttpRequest(e.request(t)); !ok {
				t.Errorf("%s: request: %s", o.name, explain(errs))
			}
			count++
		}
		for status, response := range asObject(o.spec["responses"]) {
			for _, body := range d.examples(t, d.resolved(response)) {
				e.Answer, e.AnswerHeader = body, everyHeader()
				e.Status, _ = strconv.Atoi(status)
				if ok, errs := d.ValidateHttpResponse(e.request(t), e.response()); !ok {
					t.Errorf("%s: %s: %s", o.name, status, explain(errs))
				}
				count++
			}
		}
	}
	if count < 3*len(d.operations) {
		t.Errorf("there are %d examples for %d operations", count, len(d.operations))
	}
}

// examples returns those of a request body or a response.
func (d *document) examples(t *testing.T, of map[string]any) [][]byte {
	t.Helper()
	media := asObject(asObject(of["content"])["application/vnd.api+json"])
	values := []any{}
	if v, ok := media["example"]; ok {
		values = append(values, v)
	}
	for _, example := range asObject(media["examples"]) {
		values = append(values, d.resolved(example)["value"])
	}
	var all [][]byte
	for _, v := range values {
		body, err := json.Marshal(v)
		check(t, err)
		all = append(all, body)
	}
	return all
}

// everyHeader has all that a response may have to have.
func everyHeader() http.Header {
	return http.Header{
		"Content-Type": {"application/vnd.api+json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"},
		"Location": {"/x"}, "Retry-After": {"1"}, "Www-Authenticate": {"Bearer"},
	}
}

func explain(errs []*errors.ValidationError) string {
	text := ""
	for _, e := range errs {
		text += "\n" + e.Message + ": " + e.Reason
		for _, s := range e.SchemaValidationErrors {
			text += "\n\t" + s.FieldPath + ": " + s.Reason
		}
	}
	return text
}
