package httpmw_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpmw"
)

func TestHandlersSeeTheValidationAndNotTheKey(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	issued := c.Issue("read")
	key := issued.Plaintext.Reveal()
	for _, form := range forms {
		handler := &seen{}
		r := httptest.NewRequest(http.MethodGet, "/docs?page=2", nil)
		r.Header.Set("Accept", "text/plain")
		form.set(r.Header, key)
		before := r.Header.Clone()
		wantStatus(t, do(httpmw.New(c.Client, form.opts).Require("read")(handler), r), 200)

		got := handler.last(t)
		v, ok := httpmw.ValidationFrom(got.Context())
		if !ok || v.KeyID() != issued.Key.ID || !v.HasScope("read") {
			t.Errorf("%s: got validation of %s (%t), want %s", form.name, v.KeyID(), ok, issued.Key.ID)
		}
		if diff := cmp.Diff(http.Header{"Accept": {"text/plain"}}, got.Header); diff != "" {
			t.Errorf("%s: headers of the next handler (-want +got):\n%s", form.name, diff)
		}
		if diff := cmp.Diff(before, r.Header); diff != "" {
			t.Errorf("%s: the original request changed (-want +got):\n%s", form.name, diff)
		}
		if _, ok := httpmw.ValidationFrom(r.Context()); ok {
			t.Errorf("%s: the original context changed", form.name)
		}
		if text := fmt.Sprintf("%v %+v %#v %s", got.Context(), got.Context(), got.Context(), got.Context()); strings.Contains(text, key[3:]) {
			t.Errorf("%s: the context prints the key", form.name)
		}
	}
}

func TestKeepCredentialKeepsIt(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.Issue().Plaintext.Reveal()
	handler := &seen{}
	wantStatus(t, get(httpmw.New(c.Client, httpmw.Options{KeepCredential: true}).Require()(handler), apiKey(key)), 200)
	if got := handler.last(t).Header.Get("X-API-Key"); got != key {
		t.Error("the key is gone from the request")
	}
}

func TestIgnoreAuthorizationLeavesItToTheHost(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.Issue().Plaintext.Reveal()
	handler := &seen{}
	mw := httpmw.New(c.Client, httpmw.Options{IgnoreAuthorization: true})
	wantStatus(t, get(mw.Require()(handler), apiKey(key), header("Authorization", "Basic eA==")), 200)
	if got := handler.last(t).Header.Get("Authorization"); got != "Basic eA==" {
		t.Errorf("got Authorization %q, want the host's", got)
	}
	res := get(mw.Require()(handler), header("Authorization", "Bearer "+key))
	wantRefusal(t, res, 401, "no_credential")
	wantHeader(t, res, "WWW-Authenticate", `ApiKey realm="api"`)
	wantHeader(t, res, "Vary", "X-Api-Key")
}

func TestOptionalAdmitsTheAnonymousAndNoBadKey(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	good := c.Issue("read").Plaintext.Reveal()
	handler := &seen{}
	h := httpmw.New(c.Client, httpmw.Options{}).Optional("read")(handler)
	for _, tt := range []struct {
		name   string
		set    func(http.Header)
		status int
		known  bool
	}{
		{"nobody", func(http.Header) {}, 200, false},
		{"the host's Basic", header("Authorization", "Basic eA=="), 200, false},
		{"good", apiKey(good), 200, true},
		{"good bearer", header("Authorization", "Bearer "+good), 200, true},
		{"without the scope", apiKey(c.Issue().Plaintext.Reveal()), 403, false},
		{"bad", apiKey("x"), 401, false},
		{"expired", apiKey(c.IssueExpired().Plaintext.Reveal()), 401, false},
		{"empty", apiKey(""), 401, false},
		{"empty bearer", header("Authorization", "Bearer"), 401, false},
		{"bearer without a space", header("Authorization", "Bearer"+good), 401, false},
		{"two", header("X-API-Key", good, good), 400, false},
	} {
		handler.requests = nil
		res := get(h, tt.set)
		wantStatus(t, res, tt.status)
		wantHeader(t, res, "Vary", "X-Api-Key, Authorization")
		if tt.status != 200 {
			continue
		}
		if _, known := httpmw.ValidationFrom(handler.last(t).Context()); known != tt.known {
			t.Errorf("%s: got validation %t, want %t", tt.name, known, tt.known)
		}
	}
}

func TestRequireFuncReadsThePath(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	project, err := c.CreateProject(t.Context(), c.Organization.ID, "p")
	if err != nil {
		t.Fatal(err)
	}
	mw := httpmw.New(c.Client, httpmw.Options{})
	mux := http.NewServeMux()
	mux.Handle("GET /projects/{id}", mw.RequireFunc(func(r *http.Request) (apikeys.ValidateParams, error) {
		id, err := httpmw.PathID(r, "id")
		return apikeys.ValidateParams{ProjectID: id}, err
	})(&seen{}))
	good := c.Issue().Plaintext.Reveal()
	for _, tt := range []struct {
		path, key string
		status    int
		code      string
	}{
		{"/projects/" + project.ID.String(), good, 200, ""},
		{"/projects/" + uuid.NewString(), good, 403, "insufficient_scope"},
		{"/projects/" + uuid.Nil.String(), good, 404, "not_found"},
		{"/projects/" + uuid.Nil.String(), "x", 401, "invalid_key"},
		{"/projects/" + project.ID.String()[1:], good, 400, "invalid_request"},
		{"/projects/" + project.ID.String() + "0", good, 400, "invalid_request"},
		{"/projects/{" + project.ID.String() + "}", good, 400, "invalid_request"},
		{"/projects/urn:uuid:" + project.ID.String(), good, 400, "invalid_request"},
		{"/projects/" + strings.ReplaceAll(project.ID.String(), "-", ""), good, 400, "invalid_request"},
		{"/projects/" + strings.ReplaceAll(project.ID.String(), "-", "x"), good, 400, "invalid_request"},
		{"/projects/%00", good, 400, "invalid_request"},
		{"/projects/..%2Fx", good, 400, "invalid_request"},
		{"/projects/secret-name", good, 400, "invalid_request"},
		{"/projects/secret-name", "x", 401, "invalid_key"},
	} {
		r := httptest.NewRequest(http.MethodGet, tt.path, nil)
		r.Header.Set("X-API-Key", tt.key)
		res := do(mux, r)
		if tt.status == 200 {
			wantStatus(t, res, 200)
			continue
		}
		wantRefusal(t, res, tt.status, tt.code)
		if strings.Contains(dump(res), "secret-name") {
			t.Errorf("%s: the answer repeats what was sent", tt.path)
		}
	}
}

func TestErrorsOfRequireFunc(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	good := c.Issue().Plaintext.Reveal()
	for _, tt := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New("inner text"), 400, "invalid_request"},
		{apikeys.ErrNotFound, 404, "not_found"},
		{apikeys.ErrUnavailable, 503, "unavailable"},
		{fmt.Errorf("lookup: %w", context.DeadlineExceeded), 503, "unavailable"},
		{&apikeys.InvalidArgumentError{Field: "inner text", Reason: "inner text"}, 400, "invalid_argument"},
	} {
		calls := 0
		h := httpmw.New(c.Client, httpmw.Options{}).RequireFunc(func(*http.Request) (apikeys.ValidateParams, error) {
			calls++
			return apikeys.ValidateParams{}, tt.err
		})(&seen{})
		res := get(h, apiKey(good))
		wantRefusal(t, res, tt.status, tt.code)
		if strings.Contains(dump(res), "inner text") {
			t.Errorf("%v: the answer shows the error", tt.err)
		}
		wantRefusal(t, get(h, apiKey("x")), 401, "invalid_key")
		wantRefusal(t, get(h), 401, "no_credential")
		if calls != 2 {
			t.Errorf("got %d calls of the function, want 2: none without a key", calls)
		}
	}
	if key, err := c.Verify(t.Context(), good); err != nil || key.UseCount != 1 {
		t.Errorf("got %d uses (%v), want 1, this one: refused requests are no uses", key.UseCount, err)
	}
}

// chi's groups put one Require within another.
func TestNestedRequireCountsOnceAndAsksAll(t *testing.T) {
	t.Parallel()
	for _, opts := range []httpmw.Options{{}, {KeepCredential: true}} {
		c := apikeystest.New(t)
		issued := c.IssueWith(apikeys.KeyMetadata{Name: "k", Scopes: []string{"read"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(10)}})
		mw, handler := httpmw.New(c.Client, at(c, opts)), &seen{}
		res := get(mw.Require()(mw.Optional("read")(mw.Require("read")(handler))), apiKey(issued.Plaintext.Reveal()))
		wantStatus(t, res, 200)
		wantHeader(t, res, "RateLimit", `"key-minute";r=9;t=60`)
		wantHeader(t, res, "Vary", "X-Api-Key, Authorization")
		v, _ := httpmw.ValidationFrom(handler.last(t).Context())
		if stored, err := c.GetKey(t.Context(), issued.Key.ID); err != nil || stored.UseCount != 1 || v.Key().UseCount != 1 {
			t.Errorf("got %d uses, %d seen by the handler (%v), want 1", stored.UseCount, v.Key().UseCount, err)
		}
		wantRefusal(t, get(mw.Require()(mw.Require("write")(handler)), apiKey(issued.Plaintext.Reveal())), 403, "insufficient_scope")

		// A cost of its own is charged on top: 1 + 3 of the 8 that are left.
		inner := mw.RequireParams(apikeys.ValidateParams{Cost: 3})
		res = get(mw.Require()(inner(handler)), apiKey(issued.Plaintext.Reveal()))
		wantHeader(t, res, "RateLimit", `"key-minute";r=4;t=60`)
	}
}

func TestRequireOfAnotherClientJudgesForItself(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	other, err := c.CreateOrganization(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	outer := httpmw.New(c.Client, httpmw.Options{})
	own := httpmw.New(c.Scoped(apikeys.Scope{OrganizationID: c.Organization.ID}), httpmw.Options{})
	foreign := httpmw.New(c.Scoped(apikeys.Scope{OrganizationID: other.ID}), httpmw.Options{})
	issued, handler := c.Issue(), &seen{}
	wantStatus(t, get(outer.Require()(own.Require()(handler)), apiKey(issued.Plaintext.Reveal())), 200)
	v, _ := httpmw.ValidationFrom(handler.last(t).Context())
	if got := v.Key().UseCount; got != 2 {
		t.Errorf("got %d uses, want 2: one for each client", got)
	}
	wantRefusal(t, get(outer.Require()(foreign.Require()(handler)), apiKey(issued.Plaintext.Reveal())), 401, "invalid_key")
	wantRefusal(t, get(outer.Optional()(own.Require()(handler))), 401, "no_credential")
}

// A handler in between may ask with another key: that one is judged, and counts.
func TestAnotherKeyWithinIsJudgedForItself(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	first, second := c.Issue("read"), c.Issue("write")
	mw, handler := httpmw.New(c.Client, httpmw.Options{}), &seen{}
	swap := func(next http.Handler, key string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-API-Key", key)
			next.ServeHTTP(w, r)
		})
	}
	inner := mw.Require("write")(handler)
	wantStatus(t, get(mw.Require("read")(swap(inner, second.Plaintext.Reveal())), apiKey(first.Plaintext.Reveal())), 200)
	v, _ := httpmw.ValidationFrom(handler.last(t).Context())
	if v.KeyID() != second.Key.ID || v.Key().UseCount != 1 {
		t.Errorf("got key %s with %d uses, want %s with 1", v.KeyID(), v.Key().UseCount, second.Key.ID)
	}
	for _, bad := range []string{"x", ""} {
		wantStatus(t, get(mw.Require("read")(swap(inner, bad)), apiKey(first.Plaintext.Reveal())), 401)
	}
}

func TestCheckIsForThoseWithoutAHandler(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	mw := httpmw.New(c.Client, httpmw.Options{})
	issued := c.Issue("read")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if _, err := mw.Check(r, scopes("read")); !errors.Is(err, httpmw.ErrNoCredential) {
		t.Errorf("got error %v, want no credential", err)
	}
	r.Header.Set("Authorization", "Bearer "+issued.Plaintext.Reveal())
	v, err := mw.Check(r, scopes("read"))
	if err != nil || v.KeyID() != issued.Key.ID {
		t.Errorf("got key %s, error %v, want %s", v.KeyID(), err, issued.Key.ID)
	}
	_, err = mw.Check(r, scopes("write"))
	var lacking *apikeys.InsufficientScopeError
	if !errors.Is(err, apikeys.ErrInsufficientScope) || !errors.As(err, &lacking) || httpmw.Status(err) != 403 {
		t.Errorf("got error %v, want a missing scope", err)
	}
	w := httptest.NewRecorder()
	mw.WriteError(w, r, err)
	wantRefusal(t, answerOf(w), 403, "insufficient_scope")
	if r.Header.Get("Authorization") == "" {
		t.Error("Check changed the request")
	}
	r.Header.Set("X-API-Key", "x")
	if _, err := mw.Check(r, scopes()); !errors.Is(err, httpmw.ErrMultipleCredentials) {
		t.Errorf("got error %v, want two credentials", err)
	}
}

func TestErrorsThatAreNobodysAre500(t *testing.T) {
	t.Parallel()
	mw := httpmw.New(apikeystest.New(t).Client, httpmw.Options{})
	for _, err := range []error{errors.New("inner text"), nil} {
		w := httptest.NewRecorder()
		mw.WriteError(w, httptest.NewRequest(http.MethodGet, "/", nil), err)
		wantRefusal(t, answerOf(w), 500, "internal_error")
		if strings.Contains(dump(answerOf(w)), "inner text") {
			t.Error("the answer shows the error")
		}
	}
}

func TestRequireKeepsItsOwnCopyOfTheScopes(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	required := []string{"read"}
	h := httpmw.New(c.Client, httpmw.Options{}).Require(required...)(&seen{})
	required[0] = "write"
	wantStatus(t, get(h, apiKey(c.Issue("read").Plaintext.Reveal())), 200)
}

func TestMistakesOfTheProgramPanicAtItsStart(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	mw := httpmw.New(c.Client, httpmw.Options{})
	for name, f := range map[string]func(){
		"nil client":         func() { httpmw.New(nil, httpmw.Options{}) },
		"header with spaces": func() { httpmw.New(c.Client, httpmw.Options{Header: "X API Key"}) },
		"header with a line": func() { httpmw.New(c.Client, httpmw.Options{Header: "X\r\nY"}) },
		"authorization":      func() { httpmw.New(c.Client, httpmw.Options{Header: "authorization"}) },
		"cookie":             func() { httpmw.New(c.Client, httpmw.Options{Header: "cookie"}) },
		"realm with a line":  func() { httpmw.New(c.Client, httpmw.Options{Realm: "a\r\nb"}) },
		"realm not ASCII":    func() { httpmw.New(c.Client, httpmw.Options{Realm: "é"}) },
		"revoked 404":        func() { httpmw.New(c.Client, httpmw.Options{RevokedStatus: 404}) },
		"failures negative":  func() { httpmw.New(c.Client, httpmw.Options{FailureLimit: apikeys.PerMinute(-1)}) },
		"failures zero":      func() { httpmw.New(c.Client, httpmw.Options{FailureLimit: apikeys.PerMinute(0)}) },
		"failures no window": func() { httpmw.New(c.Client, httpmw.Options{FailureLimit: apikeys.RateLimit{Requests: 1}}) },
		"wildcard required":  func() { mw.Require("docs:*") },
		"no scope":           func() { mw.Optional("read write") },
		"negative cost":      func() { mw.RequireParams(apikeys.ValidateParams{Cost: -1}) },
		"nil function":       func() { mw.RequireFunc(nil) },
		"view of nothing":    func() { httpmw.New(c.Scoped(apikeys.Scope{}), httpmw.Options{}).Require() },
	} {
		t.Run(name, func(t *testing.T) { wantPanic(t, f) })
	}
}

func TestConcurrentRequestsKeepTheirOwnKeys(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	mw := httpmw.New(c.Client, httpmw.Options{FailureLimit: apikeys.PerDay(1_000_000)})
	h := mw.Require()(mw.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, _ := httpmw.ValidationFrom(r.Context())
		_, _ = w.Write([]byte(v.KeyID().String()))
	})))
	var wrong atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		issued := c.Issue()
		group.Go(func() {
			for range 10 {
				res := get(h, apiKey(issued.Plaintext.Reveal()))
				if res.Body != issued.Key.ID.String() || get(h, apiKey("x")).StatusCode != 401 {
					wrong.Add(1)
				}
			}
		})
	}
	group.Wait()
	if got := wrong.Load(); got != 0 {
		t.Errorf("got %d wrong answers, want none", got)
	}
}

// Setting up routes is no use of any key: an operator sees no refusals before the
// first request.
func TestSettingUpCountsNothing(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	mw := httpmw.New(c.Client, httpmw.Options{})
	mw.Require("read")
	mw.Optional()
	mw.RequireParams(apikeys.ValidateParams{Cost: 2})
	if got := c.Stats(); len(got.Refused) != 0 {
		t.Errorf("got refusals %v, want none", got.Refused)
	}
	get(mw.Require()(&seen{}), apiKey("x"))
	if got := c.Stats().Refused; got["invalid_key"] != 1 {
		t.Errorf("got refusals %v, want one invalid key", got)
	}
}
