package main

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed pages
var files embed.FS

// site is the pages: html/template escapes what keys and names hold, and the
// policy below runs no script at all.
type site struct {
	api       api
	templates *template.Template
}

const policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func pages(handler http.Handler) http.Handler {
	s := &site{api{handler}, template.Must(template.ParseFS(files, "pages/*.html"))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "pages/style.css") })
	mux.HandleFunc("GET /{$}", s.show("home.html", s.home))
	mux.HandleFunc("GET /organizations/{id}", s.show("organization.html", s.organization))
	mux.HandleFunc("GET /projects/{id}", s.show("project.html", s.project))
	mux.HandleFunc("GET /verify", s.show("verify.html", nothing))
	mux.HandleFunc("POST /verify", s.show("verify.html", s.verify))
	s.actions(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// pathID is the id of the page as a path of the management API has it.
func pathID(r *http.Request) string { return url.PathEscape(r.PathValue("id")) }

// view is what a template is given: documents of the management API, by name.
type view map[string]any

func nothing(*http.Request) (view, error) { return view{}, nil }

// show renders a page, or says what went wrong.
func (s *site) show(name string, read func(*http.Request) (view, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := read(r)
		if err != nil {
			s.fail(w, err)
			return
		}
		s.render(w, http.StatusOK, name, v)
	}
}

func (s *site) fail(w http.ResponseWriter, err error) {
	s.render(w, http.StatusBadRequest, "error.html", view{"Error": err.Error()})
}

func (s *site) render(w http.ResponseWriter, status int, name string, v view) {
	var page bytes.Buffer
	if err := s.templates.ExecuteTemplate(&page, name, v); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// read fills a view with the documents at these paths.
func (s *site) read(r *http.Request, paths map[string]string) (view, error) {
	v := view{}
	for name, path := range paths {
		doc, err := s.api.call(r, http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		v[name] = doc
	}
	return v, nil
}

func (s *site) home(r *http.Request) (view, error) {
	return s.read(r, map[string]string{"Organizations": list("organizations")})
}

func (s *site) organization(r *http.Request) (view, error) {
	id := pathID(r)
	return s.read(r, map[string]string{
		"Organization": "/organizations/" + id, "Projects": list("projects", "organization", id),
		"Products": list("products", "organization", id), "Keys": list("api-keys", "organization", id),
	})
}

func (s *site) project(r *http.Request) (view, error) {
	id := pathID(r)
	project, err := s.api.call(r, http.MethodGet, "/projects/"+id, nil)
	if err != nil {
		return nil, err
	}
	organization := project.related("organization")
	v, err := s.read(r, map[string]string{
		"Organization": "/organizations/" + organization, "Products": list("products", "organization", organization),
		"Linked": "/projects/" + id + "/products", "Keys": list("api-keys", "project", id),
	})
	if err == nil {
		v["Project"] = project
	}
	return v, err
}

func (s *site) verify(r *http.Request) (view, error) {
	verdict, err := s.api.call(r, http.MethodPost, "/verify", document{"meta": document{
		"key": r.PostFormValue("key"), "scopes": words(r.PostFormValue("scopes")),
	}})
	return view{"Verdict": verdict}, err
}
