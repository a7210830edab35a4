// Package pages shows organizations, projects, products and keys to people, and does
// what their forms ask. It asks nobody who they are: put it behind a login.
package pages

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

//go:embed *.html style.css
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{"now": time.Now}).ParseFS(files, "*.html"))

// Policy is the Content-Security-Policy of the pages: they run no script at all.
const Policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Handler serves the pages, which html/template makes: it escapes what names hold.
func Handler(client *apikeys.Client) http.Handler {
	s, mux := site{client}, http.NewServeMux()
	mux.Handle("GET /style.css", http.FileServerFS(files))
	for pattern, do := range map[string]func(*http.Request, uuid.UUID) (string, any, error){
		"GET /{$}": s.home, "GET /organizations/{id}": s.organization, "GET /projects/{id}": s.project, "GET /keys/{id}": s.key, "GET /verify": s.form,
		"POST /organizations": s.change, "POST /{kind}/{id}/{verb}": s.change, "POST /keys": s.issue, "POST /verify": s.verify,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if page, shown, err := do(r, parse(r.PathValue("id"))); err != nil {
				render(w, http.StatusBadRequest, "error.html", err.Error())
			} else if shown != nil {
				render(w, http.StatusOK, page, shown)
			} else {
				http.Redirect(w, r, page, http.StatusSeeOther)
			}
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", Policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

func render(w http.ResponseWriter, status int, page string, shown any) {
	var text bytes.Buffer
	if err := templates.ExecuteTemplate(&text, page, shown); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
}

// parse reads an id of a path or a form: nothing is the zero id, and what is none becomes
// an id that is not found, never one that is not asked about.
func parse(text string) uuid.UUID {
	id, err := uuid.Parse(text)
	if text != "" && err != nil {
		return uuid.Max
	}
	return id
}
