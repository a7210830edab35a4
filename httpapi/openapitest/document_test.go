package openapitest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
)

// document is openapi.json: for the validator, and as it stands.
type document struct {
	validator.Validator
	raw        map[string]any
	operations []*operation
}

// operation is one of the document, by the form of its paths.
type operation struct {
	name   string // "get /api-keys/{id}"
	method string
	path   *regexp.Regexp
	spec   map[string]any
}

func open(t *testing.T) *document {
	t.Helper()
	text, err := os.ReadFile("../openapi.json")
	check(t, err)
	model, err := libopenapi.NewDocument(text)
	check(t, err)
	// Who sends a request is told by a header of the tests.
	v, errs := validator.NewValidator(model, config.WithFormatAssertions(), config.WithoutSecurityValidation(), config.WithRejectUndeclaredRequestBody())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	d := &document{Validator: v}
	check(t, json.Unmarshal(text, &d.raw))
	for path, item := range d.at("paths") {
		form := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(path), `\{id\}`, `[^/]+`) + "$")
		for method, spec := range asObject(item) {
			d.operations = append(d.operations, &operation{method + " " + path, strings.ToUpper(method), form, asObject(spec)})
		}
	}
	return d
}

func asObject(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

// at follows names into the document.
func (d *document) at(names ...string) map[string]any {
	o := d.raw
	for _, name := range names {
		o = asObject(o[name])
	}
	return o
}

// resolved follows a reference, if it is one.
func (d *document) resolved(v any) map[string]any {
	o := asObject(v)
	ref, ok := o["$ref"].(string)
	if !ok {
		return o
	}
	return d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
}

// operation finds the one that a request is for; nil if it is for none.
func (d *document) operation(method, target string) *operation {
	path, _, _ := strings.Cut(target, "?")
	i := slices.IndexFunc(d.operations, func(o *operation) bool { return o.method == method && o.path.MatchString(path) })
	if i < 0 {
		return nil
	}
	return d.operations[i]
}

// outcomes are all that the document says may come of an operation: its name, the
// status, the code of the error.
func (d *document) outcomes(o *operation) []string {
	var all []string
	for status, response := range asObject(o.spec["responses"]) {
		for _, code := range d.errorCodes(d.resolved(response)) {
			all = append(all, outcome(o, status, code))
		}
	}
	return all
}

func outcome(o *operation, status, code string) string { return o.name + ": " + status + " " + code }

// errorCodes are those that a response lists; one that is empty for a good one.
func (d *document) errorCodes(response map[string]any) []string {
	media := asObject(asObject(response["content"])["application/vnd.api+json"])
	parts, _ := asObject(media["schema"])["allOf"].([]any)
	if len(parts) < 2 {
		return []string{""}
	}
	o := asObject(parts[1])
	for _, name := range []string{"properties", "errors", "items", "properties", "code"} {
		o = asObject(o[name])
	}
	return texts(o["enum"])
}

func texts(v any) []string {
	list, _ := v.([]any)
	all := make([]string, len(list))
	for i, item := range list {
		all[i] = fmt.Sprint(item)
	}
	return all
}
