package httpapi_test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apikeys-platform/apikeys/httpapi"
)

// The document describes the routes, each once, and no others.
func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.send("", "GET", "/openapi.json", "")
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" || got.text("openapi") != "3.1.1" {
		t.Fatalf("got %d %v %.200s", got.status, got.header, got.body)
	}
	var described []string
	paths, _ := got.at("paths").(map[string]any)
	for path, item := range paths {
		methods, _ := item.(map[string]any)
		for method := range methods {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	routes := slices.Concat(httpapi.Patterns(), httpapi.HolderPatterns(), []string{"GET /openapi.json"})
	slices.Sort(described)
	slices.Sort(routes)
	if diff := cmp.Diff(routes, described); diff != "" {
		t.Errorf("-routes +described:\n%s", diff)
	}
}

// What is served is the file of the repository, fitted to the options.
func TestOpenAPIFollowsTheOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw, err := os.ReadFile("openapi.json")
	check(t, err)
	var file map[string]any
	check(t, json.Unmarshal(raw, &file))
	file["servers"] = []any{map[string]any{"url": "/v1"}}
	if diff := cmp.Diff(file, w.send("", "GET", "/openapi.json", "").doc); diff != "" {
		t.Errorf("-file +served:\n%s", diff)
	}
	w.handler, err = httpapi.New(w.Client.Client, httpapi.Options{
		Authenticate: w.authenticate, Challenge: `Basic realm="x"`, WithoutWhoAmI: true, WithoutLimits: true, WithoutSelfRevoke: true,
	})
	check(t, err)
	got := w.send("", "GET", "/openapi.json", "")
	if got.text("servers", 0, "url") != "/" || got.text("components", "securitySchemes", "principal", "scheme") != "basic" {
		t.Errorf("got %v %v", got.at("servers"), got.at("components", "securitySchemes"))
	}
	for _, pattern := range httpapi.HolderPatterns() {
		if _, path, _ := strings.Cut(pattern, " "); got.at("paths", path) != nil {
			t.Errorf("%s is off and described", path)
		}
	}
	w.reduced = true
	w.handler, err = httpapi.New(w.Client.Client, httpapi.Options{Authenticate: w.authenticate, WithoutOpenAPI: true})
	check(t, err)
	w.send("", "GET", "/openapi.json", "").want(t, "switched off", http.StatusNotFound, "not_found")
}

// A walk over the mux: every route asks who it is, but for the document, which is for
// everybody, and there is no other way into the mux.
func TestNoRouteGoesAroundTheGuards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	patterns := httpapi.MuxPatterns(w.handler)
	if want := len(httpapi.Patterns()) + len(httpapi.HolderPatterns()) + 1; len(patterns) != want {
		t.Errorf("the mux has %d routes, the tables and the document are %d", len(patterns), want)
	}
	for _, pattern := range patterns {
		method, path, _ := strings.Cut(pattern, " ")
		got := w.send("", method, strings.ReplaceAll(path, "{id}", "x"), "")
		if open := pattern == "GET /openapi.json"; open != (got.status == http.StatusOK) || !open && got.status != http.StatusUnauthorized {
			t.Errorf("%s: a stranger got %d %.200s", pattern, got.status, got.body)
		}
	}
	files, err := os.ReadDir(".")
	check(t, err)
	var registered []string
	for _, file := range files {
		if name := file.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			source, err := os.ReadFile(name)
			check(t, err)
			registered = append(registered, regexp.MustCompile(`mux\.Handle(Func)?\(.*`).FindAllString(string(source), -1)...)
		}
	}
	registered = slices.DeleteFunc(registered, func(call string) bool { return strings.HasPrefix(call, `mux.Handle("/v1/", http.StripPrefix`) }) // in comments
	if want := []string{"mux.Handle(pattern, h)"}; !slices.Equal(registered, want) {
		t.Errorf("got the ways into the mux %q, want %q", registered, want)
	}
}
