package httpapi_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/memstore"
)

// markup is text that names and custom data may hold: kept exactly, and never more
// than text.
const markup = `</script><script>alert(1)</script>"><img src=x onerror=alert(1)>//'%0d%0aSet-Cookie: a=b\r\n{{7*7}}${7*7}<!--&lt;b&gt;`

// unprintable is text that names refuse, and that custom data, keys and headers may
// hold as they like; but for the last, which is no text.
var unprintable = []string{
	"a\r\nSet-Cookie: a=b\r\n\r\n<script>\u2028\u2029\u202e\x1b[31m\ufeff\u200b\x00\x7f\u009b", "\xff<script>",
}

// said are the headers of our answers. Another one was not written by us.
var said = []string{
	"Allow", "Cache-Control", "Content-Type", "Location", "Retry-After", "Vary", "Www-Authenticate", "X-Content-Type-Options",
}

// wantInert checks that an answer is JSON:API that nobody takes for anything else, and
// that nothing in it is markup, ends a line, or is a header of somebody else's.
func (r *reply) wantInert(t testing.TB, what string) {
	t.Helper()
	if r.header.Get("X-Content-Type-Options") != "nosniff" || r.body != "" && r.header.Get("Content-Type") != mediaType {
		t.Errorf("%s: may be taken for a page: %v", what, r.header)
	}
	if strings.ContainsAny(strings.TrimSuffix(r.body, "\n"), "<>\r\n\x00\x1b\u2028\u2029") {
		t.Errorf("%s: not inert: %s", what, r.body)
	}
	for name, values := range r.header {
		if !slices.Contains(said, name) || strings.ContainsAny(strings.Join(values, ""), "<>\r\n") {
			t.Errorf("%s: got header %s %q", what, name, values)
		}
	}
	if r.status >= http.StatusInternalServerError {
		t.Errorf("%s: got %d %s", what, r.status, r.body)
	}
}

// documented are the operations of the document that is served.
func (w *world) documented() []operation {
	w.t.Helper()
	known := map[string]operation{}
	for _, o := range append(operations(), holderOperations()...) {
		known[o.pattern] = o
	}
	var all []operation
	paths, _ := w.send("", "GET", "/openapi.json", "").at("paths").(map[string]any)
	for path, item := range paths {
		methods, _ := item.(map[string]any)
		for method := range methods {
			pattern := strings.ToUpper(method) + " " + path
			o, ok := known[pattern]
			if !ok && path != "/openapi.json" {
				w.t.Errorf("%s is described, and no hostile text is sent to it", pattern)
			}
			if ok {
				all = append(all, o)
			}
		}
	}
	return all
}

// hostileTarget is a target whose every name is this text. Its organization is another
// each time, so that the names are free.
func (w *world) hostileTarget(text string) target {
	w.t.Helper()
	ctx := w.t.Context()
	organization, err := w.CreateOrganization(ctx, text+" "+uuid.NewString())
	check(w.t, err)
	on := w.targetIn(organization.ID, text)
	_, err = w.RenameProject(ctx, on.project, text)
	check(w.t, err)
	_, err = w.RenameProduct(ctx, on.product, text)
	check(w.t, err)
	custom := map[string]any{text: text}
	other := strings.ReplaceAll(unprintable[0], "\x00", "") // which no database keeps
	custom[other] = map[string]any{"list": []any{other, 1}}
	_, err = w.PatchKey(ctx, on.key, apikeys.KeyPatch{Name: &text, Custom: &custom, RateLimits: &[]apikeys.RateLimit{apikeys.PerDay(99)}})
	check(w.t, err)
	return on
}

// What names, owners and custom data hold stays text, whatever is asked about it.
func TestHostileNamesAreInertInEveryAnswer(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, clientOn(t, memstore.New())) // thousands of requests, none about a database
	repeated := map[string]bool{}
	ops := w.documented()
	for _, o := range ops {
		on := w.hostileTarget(markup)
		got := o.on(w, "admin", on)
		got.wantInert(t, o.pattern)
		if got.status != o.status {
			t.Errorf("%s: got %d %s, want %d", o.pattern, got.status, got.body, o.status)
		}
		if contains(got.doc, markup) {
			repeated[o.pattern] = true
		}
		// A name that is taken, and a key that has ended.
		o.on(w, "admin", on).wantInert(t, "again "+o.pattern)
	}
	if len(repeated) < 20 {
		t.Errorf("only the answers of %q hold the text: the test shows little", slices.Sorted(maps.Keys(repeated)))
	}
}

// contains looks for a text in all strings of a document.
func contains(v any, text string) bool {
	switch v := v.(type) {
	case string:
		return strings.HasPrefix(v, text)
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return contains(item, text) })
	case map[string]any:
		for name, item := range v {
			if name == text || contains(item, text) {
				return true
			}
		}
	}
	return false
}

// Whatever is sent in whichever place of whichever operation, the answer is inert:
// also, and above all, the refusal that repeats some of it.
func TestHostileRequestsGetInertAnswers(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, clientOn(t, memstore.New())) // thousands of requests, none about a database
	ops := w.documented()
	w.reduced = true // too many to be recorded
	for _, o := range ops {
		organization, err := w.CreateOrganization(t.Context(), uuid.NewString())
		check(t, err)
		on := w.targetIn(organization.ID, "alice")
		for _, text := range []string{markup + unprintable[0], unprintable[1]} {
			o.inPath(w, on, text)
			o.inQuery(w, on, text)
			o.inHeaders(w, on, text)
			o.inBody(w, on, text)
		}
	}
}

func (o operation) inPath(w *world, on target, text string) {
	w.t.Helper()
	method, path, body := o.request(on)
	parts := strings.Split(strings.TrimPrefix(o.pattern, method+" "), "/")
	for i := range parts {
		// The path as a router has it: decoded.
		at := strings.Split(path, "/")
		raw := func(r *http.Request) {
			r.URL.Path = strings.Join(append(append(at[:i:i], text), at[i+1:]...), "/")
			r.URL.RawPath = ""
		}
		w.send("admin", method, path, body, raw, withKey(on.text)).wantInert(w.t, o.pattern+" path")
	}
}

func (o operation) inQuery(w *world, on target, text string) {
	w.t.Helper()
	method, path, body := o.request(on)
	for _, name := range []string{
		"page[size]", "page[cursor]", "filter[status]", "filter[owner]", "filter[organization]", "filter[project]", "filter[product]", "filter[query]", text,
	} {
		value := func(r *http.Request) { r.URL.RawQuery = url.Values{name: {text}}.Encode() }
		w.send("admin", method, path, body, value, withKey(on.text)).wantInert(w.t, o.pattern+" query")
	}
	w.send("admin", method, path, body, func(r *http.Request) { r.URL.RawQuery = text }, withKey(on.text)).wantInert(w.t, o.pattern+" query")
}

func (o operation) inHeaders(w *world, on target, text string) {
	w.t.Helper()
	method, path, body := o.request(on)
	for name, value := range map[string]string{
		"Accept": mediaType + "; charset=" + text, "Content-Type": mediaType + "; charset=" + text, "Content-Encoding": text,
		"Authorization": "Bearer " + text, "X-Api-Key": text, "X-Principal": text,
	} {
		set := func(r *http.Request) { r.Header[name] = []string{value} }
		w.send("admin", method, path, body, set).wantInert(w.t, o.pattern+" header "+name)
	}
}

// inBody puts the text in the place of each string of the document, and in the place
// of a field that nobody knows.
func (o operation) inBody(w *world, on target, text string) {
	w.t.Helper()
	method, path, body := o.request(on)
	if body == "" {
		w.send("admin", method, path, text, withKey(on.text)).wantInert(w.t, o.pattern+" body")
		return
	}
	var doc any
	check(w.t, json.Unmarshal([]byte(body), &doc))
	each(doc, func(set func(any), object map[string]any) {
		if object != nil {
			object[text] = text
			w.send("admin", method, path, asText(w.t, doc), withKey(on.text)).wantInert(w.t, o.pattern+" field")
			delete(object, text)
			return
		}
		for _, value := range []any{text, []any{text}, map[string]any{text: text}} {
			set(value)
			w.send("admin", method, path, asText(w.t, doc), withKey(on.text)).wantInert(w.t, o.pattern+" value")
		}
	})
	w.send("admin", method, path, text, withKey(on.text)).wantInert(w.t, o.pattern+" body")
}

// each visits the objects and, with a function that exchanges it for the time of the
// visit, the strings of a document.
func each(doc any, visit func(set func(any), object map[string]any)) {
	inside := func(v any, set func(any)) {
		if _, ok := v.(string); ok {
			visit(set, nil)
			set(v)
			return
		}
		each(v, visit)
	}
	switch v := doc.(type) {
	case map[string]any:
		visit(nil, v)
		for name, value := range maps.Clone(v) {
			inside(value, func(x any) { v[name] = x })
		}
	case []any:
		for i, value := range slices.Clone(v) {
			inside(value, func(x any) { v[i] = x })
		}
	}
}

func asText(t testing.TB, doc any) string {
	t.Helper()
	text, err := json.Marshal(doc)
	check(t, err)
	return string(text)
}
