package main

import (
	"bytes"
	"log"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// hostileName may be a name; brokenName may not.
const (
	hostileName = `</script><script>alert(1)</script>"><img src=x onerror=alert(1)>' onclick=alert(1) javascript:alert(1) {{7*7}} %0d%0aSet-Cookie:a=b`
	brokenName  = "x\r\nSet-Cookie: a=b\r\n\r\n<script>\u2028\u202e\x1b[31m\x00\xff"
)

var (
	tagForm = regexp.MustCompile(`<[^>]*>`)
	idForm  = regexp.MustCompile(`[-0-9a-f]{36}`)
)

// shape is the markup of a page, without what it says and whose it is.
func shape(page string) string {
	return idForm.ReplaceAllString(strings.Join(tagForm.FindAllString(page, -1), "\n"), "ID")
}

// tour goes through every page and form with one name for everything, and returns the
// markup of each page.
func (s *server) tour(name string) map[string]string {
	pages := map[string]string{}
	home := s.post("/organizations", url.Values{"name": {name}})
	pages["/organizations"] = home
	organization := s.find(home, `href="(/organizations/[-0-9a-f]{36})">`)
	id := strings.TrimPrefix(organization, "/organizations/")
	of := url.Values{"organization": {id}, "name": {name}}
	key := url.Values{"organization": {id}, "name": {name}, "user": {name}, "scopes": {"hello:read"}, "rate_limits": {"100/day"}}
	pages["/organizations/{id}/products"] = s.post(organization+"/products", of)
	pages["/organizations/{id}/projects"] = s.post(organization+"/projects", of)
	project := s.find(pages["/organizations/{id}/projects"], `href="(/projects/[-0-9a-f]{36})">`)
	_, _, pages["/projects/{id}"] = s.send("GET", project, "")
	product := url.Values{"product": {s.find(pages["/projects/{id}"], `<option value="([-0-9a-f]{36})">`)}}
	pages["/projects/{id}/link"] = s.post(project+"/link", product)
	pages["/keys"] = s.post("/keys", key)
	text := s.find(pages["/keys"], `<code class="key">(sk_\w+)<`)
	key.Set("project", strings.TrimPrefix(project, "/projects/"))
	s.post("/keys", key)
	_, _, pages["/organizations/{id}"] = s.send("GET", organization, "")
	_, _, pages["/{$}"] = s.send("GET", "/", "")
	pages["/verify"] = s.post("/verify", url.Values{"key": {text}, "scopes": {"hello:read"}})
	pages["/organizations/{id}/suspend"] = s.post(organization+"/suspend", nil)
	pages["/organizations/{id}/resume"] = s.post(organization+"/resume", nil)
	one := s.find(pages["/organizations/{id}"], `action="(/keys/[-0-9a-f]{36})/rotate"`)
	_, _, pages["/keys/{id}"] = s.send("GET", one, "")
	pages["/keys/{id}/rotate"] = s.post(one+"/rotate", nil)
	pages["/keys/{id}/revoke"] = s.post(one+"/revoke", nil)
	pages["/projects/{id}/unlink"] = s.post(project+"/unlink", product)
	for _, page := range pages {
		if !strings.Contains(page, "<!doctype html>") {
			s.t.Errorf("got %s", page)
		}
	}
	return pages
}

// Whatever things are called, the pages have the markup that they have of things with
// plain names.
func TestHostileNamesChangeNoPage(t *testing.T) {
	plain, hostile := start(t).tour("plain"), start(t).tour(hostileName)
	named := 0
	for path, page := range hostile {
		if got, want := shape(page), shape(plain[path]); got != want {
			t.Errorf("%s: got markup\n%s\nwant\n%s", path, got, want)
		}
		if strings.Contains(page, "&lt;img src=x") {
			named++
		}
	}
	if named < 8 {
		t.Errorf("%d pages show the name: the test shows little", named)
	}
	for _, file := range []string{"pages/pages.go", "pages/site.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"(?:GET|POST) (/[^"]*)"|case "(\w+)/(\w+)"`).FindAllStringSubmatch(string(source), -1) {
			path := m[1]
			if m[2] != "" {
				path = "/" + m[2] + "/{id}/" + m[3]
			}
			if hostile[path] == "" && path != "/style.css" && path != "/{kind}/{id}/{verb}" {
				t.Errorf("%s is in no tour", path)
			}
		}
	}
}

// What strangers and users send is refused by answers that say what they are, sets no
// header, and stands on no line of the log.
func TestHostileRequestsAreInert(t *testing.T) {
	var lines bytes.Buffer
	log.SetOutput(&lines)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	s := start(t)
	_, key := s.newKey("100/day")
	escaped := url.PathEscape(brokenName)
	form := func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	values := url.Values{}
	for _, name := range []string{"name", "organization", "project", "product", "user", "scopes", "rate_limits", "key"} {
		values.Set(name, brokenName)
	}
	for _, r := range []struct {
		method, path, body string
		change             func(*http.Request)
	}{
		{"GET", "/" + escaped, "", form},
		{"GET", "/organizations/" + escaped, "", form},
		{"GET", "/projects/" + escaped, "", form},
		{"POST", "/organizations", values.Encode(), form},
		{"GET", "/keys/" + escaped, "", form},
		{"POST", "/keys", values.Encode(), form},
		{"POST", "/" + escaped + "/" + escaped + "/" + escaped, values.Encode(), form},
		{"POST", "/organizations/" + escaped + "/projects", values.Encode(), form},
		{"POST", "/projects/" + escaped + "/link", values.Encode(), form},
		{"POST", "/keys/" + escaped + "/revoke", "", form},
		{"POST", "/api-keys/" + escaped + "/rotate", "", form},
		{"POST", "/verify", values.Encode(), form},
		{"GET", "/v1/api-keys/" + escaped, "", form},
		{"GET", "/v1/users/" + escaped + "/api-keys", "", form},
		{"POST", "/v1/verify", brokenName, header("Content-Type", "application/vnd.api+json")},
		{"GET", "/hello?" + values.Encode(), "", withKey("sk_</script><script>")},
		{"GET", "/hello", "", header("Authorization", `Bearer "><img src=x>`)},
		{"GET", "/hello", "", withKey(key)},
		{"PUT", "/hello", "", withKey(key)},
		{"GET", "/debug/vars", "", form},
		{"GET", "/", "", header("Authorization", `Basic "><img src=x>`)},
		{"GET", "/v1/openapi.json", "", form},
	} {
		status, got, body := s.send(r.method, r.path, r.body, r.change)
		what := r.method + " " + r.path
		kind := strings.TrimSuffix(got.Get("Content-Type"), "; charset=utf-8")
		if !slices.Contains([]string{"text/html", "text/plain", "application/json", "application/vnd.api+json", "application/problem+json"}, kind) && status != http.StatusNoContent {
			t.Errorf("%s: got Content-Type %q", what, kind)
		}
		if got.Get("X-Content-Type-Options") != "nosniff" || len(got["Set-Cookie"]) > 0 || status >= http.StatusInternalServerError {
			t.Errorf("%s: got %d %v", what, status, got)
		}
		if kind == "text/html" && strings.Contains(body, "<script") || strings.ContainsAny(body, "\x1b\x00\u2028\u202e") {
			t.Errorf("%s: got %s", what, body)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(lines.String()) {
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }) || strings.Contains(line, "Set-Cookie") {
			t.Errorf("the log has the line %q", line)
		}
	}
}
