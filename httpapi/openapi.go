package httpapi

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// openAPI describes all routes as they are when nothing is switched off. Package
// openapitest holds the tests of this package against it.
//
//go:embed openapi.json
var openAPI []byte

// documentPath is where the handler serves its description: to everybody, for it
// says nothing of what is stored.
const documentPath = "/openapi.json"

// serveDocument answers with the OpenAPI document of this very handler.
func serveDocument(doc []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(doc) // what fails now is the connection
	})
}

// describe fits the document to the options: where the handler is mounted, how
// principals authenticate, what is switched off.
func describe(opts Options) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		return nil, fmt.Errorf("httpapi: openapi.json: %w", err)
	}
	doc["servers"] = []any{map[string]any{"url": cmp.Or(opts.BasePath, "/")}}
	scheme, _, _ := strings.Cut(opts.Challenge, " ")
	within(doc, "components", "securitySchemes", "principal")["scheme"] = strings.ToLower(scheme)
	for _, r := range holderRoutes(opts) {
		if _, path, _ := strings.Cut(r.pattern, " "); r.off {
			delete(within(doc, "paths"), path)
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(doc)
	return out.Bytes(), err
}

// within follows names into objects of the document, which are there.
func within(doc map[string]any, names ...string) map[string]any {
	for _, name := range names {
		doc, _ = doc[name].(map[string]any)
	}
	return doc
}
