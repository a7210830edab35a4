package main

import (
	"net/http"
	"strings"
)

// actions are what the forms of the pages do. Each ends on the page that shows what
// came of it; a new key is shown at once, for it is shown once.
func (s *site) actions(mux *http.ServeMux) {
	organization, project := "/organizations/{id}", "/projects/{id}"
	for pattern, a := range map[string]action{
		"/organizations":           {"POST", "/organizations", resource("organizations", named), "/"},
		organization + "/suspend":  {"POST", organization + "/suspend", nil, organization},
		organization + "/resume":   {"POST", organization + "/resume", nil, organization},
		organization + "/projects": {"POST", "/projects", resource("projects", named), organization},
		organization + "/products": {"POST", "/products", resource("products", named), organization},
		organization + "/keys":     {"POST", "/api-keys", resource("api-keys", key), ""},
		project + "/keys":          {"POST", "/api-keys", resource("api-keys", key), ""},
		project + "/link":          {"POST", project + "/relationships/products", linkage, project},
		project + "/unlink":        {"DELETE", project + "/relationships/products", linkage, project},
		"/api-keys/{id}/revoke":    {"POST", "/api-keys/{id}/revoke", nil, "{back}"},
		"/api-keys/{id}/rotate":    {"POST", "/api-keys/{id}/rotate", nil, ""},
	} {
		mux.HandleFunc("POST "+pattern, s.do(a))
	}
}

// action is one call of the management API.
type action struct {
	method, path string
	body         func(*http.Request) any
	then         string // the page to go to; "": the answer is a key to be shown
}

func (s *site) do(a action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body any
		if a.body != nil {
			body = a.body(r)
		}
		doc, err := s.api.call(r, a.method, strings.ReplaceAll(a.path, "{id}", pathID(r)), body)
		switch {
		case err != nil:
			s.fail(w, err)
		case a.then == "":
			s.render(w, http.StatusOK, "issued.html", view{"Issued": doc})
		case a.then == "{back}":
			redirect(w, r, "/organizations/"+doc.related("organization"))
		default:
			redirect(w, r, strings.ReplaceAll(a.then, "{id}", pathID(r)))
		}
	}
}

func redirect(w http.ResponseWriter, r *http.Request, path string) {
	http.Redirect(w, r, path, http.StatusSeeOther) //nolint:gosec // paths of this site: they begin with a name and hold escaped ids
}

// resource makes a document for something new of what a form holds.
func resource(kind string, attributes func(*http.Request) document) func(*http.Request) any {
	return func(r *http.Request) any {
		relationships := document{}
		for name, types := range map[string]string{"organization": "organizations", "project": "projects", "product": "products", "user": "users"} {
			if id := r.PostFormValue(name); id != "" {
				relationships[name] = document{"data": document{"type": types, "id": id}}
			}
		}
		data := document{"type": kind, "attributes": attributes(r)}
		if len(relationships) > 0 {
			data["relationships"] = relationships
		}
		return document{"data": data}
	}
}

func named(r *http.Request) document { return document{"name": r.PostFormValue("name")} }

func key(r *http.Request) document {
	return document{
		"name": r.PostFormValue("name"), "scopes": words(r.PostFormValue("scopes")), "rate_limits": words(r.PostFormValue("rate_limits")),
	}
}

// linkage names the product that is linked or unlinked.
func linkage(r *http.Request) any {
	return document{"data": []document{{"type": "products", "id": r.PostFormValue("product")}}}
}

// words splits what was typed; never nil, which would be null.
func words(s string) []string {
	return append([]string{}, strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,;\r\n\t", r) })...)
}
