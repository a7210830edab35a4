package httpapi

import (
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// Options says how the handler works. Only Authenticate is required.
type Options struct {
	// Authenticate tells who sends a request. Required: the handler knows no
	// sessions or passwords. It returns [ErrUnauthenticated], or an error that
	// wraps it, for a request of nobody, which is answered 401, and an
	// *apikeys.QuotaError for one who asks too often, which is answered 429; any
	// other error is a fault and is answered 503, without its text. It is called for
	// each request and must be safe for concurrent use.
	Authenticate func(*http.Request) (Principal, error)
	// BasePath is what the links in documents begin with: where the handler is
	// mounted, such as "/v1". It begins with "/" and does not end with it. The
	// handler itself expects paths without it: mount it behind http.StripPrefix.
	BasePath string
	// Challenge is the WWW-Authenticate field of 401 answers (RFC 9110 §11.6.1),
	// for the scheme that Authenticate reads. "" means `Bearer realm="api"`.
	Challenge string
	// WithoutWhoAmI, WithoutLimits and WithoutSelfRevoke switch off what the holder
	// of a key may ask with the key itself: GET /whoami, GET /whoami/limits and POST
	// /whoami/revoke.
	WithoutWhoAmI     bool
	WithoutLimits     bool
	WithoutSelfRevoke bool
	// WithoutOpenAPI switches off GET /openapi.json, which describes the handler to
	// everybody.
	WithoutOpenAPI bool
	// OnError is told the errors behind answers of status 500 and above, for logs
	// and metrics. nil means that nobody is. It must be safe for concurrent use.
	OnError func(*http.Request, error)
	// Now tells the time that the status of keys is judged by. nil means time.Now;
	// give it the Config.Now of the client if that is set.
	Now func() time.Time
}

const defaultChallenge = `Bearer realm="api"`

// New returns the management API as a handler that is safe for concurrent use.
// The client should see all that the principals do; a view
// (apikeys.Client.Scoped) bounds all of them, administrators too. An error says
// which argument is wrong.
func New(client *apikeys.Client, opts Options) (http.Handler, error) {
	return newAPI(client, opts)
}

func newAPI(client *apikeys.Client, opts Options) (*api, error) {
	if client == nil {
		return nil, errors.New("httpapi: the client is nil")
	}
	if err := opts.check(); err != nil {
		return nil, err
	}
	if opts.Challenge == "" {
		opts.Challenge = defaultChallenge
	}
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // as Config.Now defaults to
	}
	a := &api{client: client, opts: opts, mux: http.NewServeMux(), keys: newKeys(client, opts.Now)}
	for _, r := range routes() {
		a.handle(r.pattern, a.guard(r))
	}
	for _, r := range holderRoutes(opts) {
		if !r.off {
			a.handle(r.pattern, a.guardHolder(r))
		}
	}
	if opts.WithoutOpenAPI {
		return a, nil
	}
	doc, err := describe(opts)
	if err != nil {
		return nil, err
	}
	a.handle("GET "+documentPath, serveDocument(doc))
	return a, nil
}

// check says which option is wrong.
func (o Options) check() error {
	if o.Authenticate == nil {
		return errors.New("httpapi: Options.Authenticate is missing: it says who sends a request")
	}
	if base := o.BasePath; base != "" && (!strings.HasPrefix(base, "/") || path.Clean(base) != base || base == "/") {
		return errors.New(`httpapi: Options.BasePath must be empty or begin with "/" and not end with it`)
	}
	if strings.ContainsFunc(o.Challenge, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("httpapi: Options.Challenge must be printable ASCII")
	}
	return nil
}

type api struct {
	client   *apikeys.Client
	opts     Options
	mux      *http.ServeMux
	patterns []string           // those of the mux
	keys     *httpmw.Middleware // judges those of holders
}

// handle is the only way into the mux, so that tests can walk over it.
func (a *api) handle(pattern string, h http.Handler) {
	a.patterns = append(a.patterns, pattern)
	a.mux.Handle(pattern, h)
}

// route is one operation. There is no other way to a handler than through the
// table, and so through guard.
type route struct {
	pattern string
	do      func(*call) (answer, error)
	params  []string // of the query; all others are refused
}

func routes() []route {
	return slices.Concat(keyRoutes(), organizationRoutes(), projects().routes(), products().routes(), linkRoutes(), verifyRoutes())
}

// ServeHTTP answers what the mux would answer in its own words (404, 405) as
// JSON:API errors, and does not redirect: a path that needs cleaning is no path of ours.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// As it was sent: what stands encoded in it is part of an id, such as the "//" of a
	// user whose id is a URL.
	if sent := r.URL.EscapedPath(); !strings.HasPrefix(sent, "/") || path.Clean(sent) != sent {
		a.refuse(w, r, errNoRoute)
		return
	}
	if h, pattern := a.mux.Handler(r); pattern == "" {
		a.refuse(w, r, unrouted(w, r, h))
		return
	}
	a.mux.ServeHTTP(w, r)
}

// unrouted asks the mux's own handler for the kind of refusal, and keeps the Allow
// field that 405 must have (RFC 9110 §15.5.6).
func unrouted(w http.ResponseWriter, r *http.Request, h http.Handler) error {
	said := &refusal{header: http.Header{}}
	h.ServeHTTP(said, r)
	if said.status != http.StatusMethodNotAllowed {
		return errNoRoute
	}
	w.Header().Set("Allow", said.header.Get("Allow"))
	return errMethod
}

// refusal is a response of which only status and header are wanted.
type refusal struct {
	header http.Header
	status int
}

func (r *refusal) Header() http.Header         { return r.header }
func (r *refusal) WriteHeader(status int)      { r.status = status }
func (r *refusal) Write(b []byte) (int, error) { return len(b), nil }
