package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// call is one request of an authenticated principal.
type call struct {
	api *api
	r   *http.Request
	who Principal
	// client is what the principal sees and may hand out; handlers know no other.
	client *apikeys.Client
	query  query
}

// answer is what an operation has to say. The zero status is 200; without a
// document it is 204.
type answer struct {
	status   int
	location string
	doc      *document
}

// guard authenticates a request, gives the operation the principal's own view of
// the client, and writes what it returns.
func (a *api) guard(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := a.admit(r, route.params)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		out, err := route.do(c)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		a.write(w, out)
	})
}

func (a *api) admit(r *http.Request, params []string) (*call, error) {
	who, err := a.opts.Authenticate(r)
	switch {
	case errors.Is(err, ErrUnauthenticated):
		return nil, errUnauthenticated
	case errors.Is(err, apikeys.ErrQuotaExceeded):
		return nil, err
	case err != nil:
		return nil, errFault.because(err)
	case !who.valid():
		return nil, errForbidden
	}
	c := &call{api: a, who: who, client: who.view(a.client).WithGrant(who.Grant)}
	c.r = r.WithContext(apikeys.ContextWithActor(r.Context(), who.Actor))
	if err := c.standing(); err != nil {
		return nil, err
	}
	if err := accepts(r); err != nil {
		return nil, err
	}
	c.query, err = readQuery(r.URL.RawQuery, params)
	return c, err
}

// standing refuses principals whose organization is suspended or gone, before
// anything else is looked at.
func (c *call) standing() error {
	if c.who.Admin {
		return nil
	}
	o, err := c.client.GetOrganization(c.ctx(), c.who.OrganizationID)
	switch {
	case errors.Is(err, apikeys.ErrNotFound):
		return errForbidden
	case err != nil:
		return err
	case !o.SuspendedAt.IsZero():
		return errSuspended
	}
	return nil
}

func (c *call) ctx() context.Context { return c.r.Context() }

// id reads the id in the path. It refuses to let a key change itself.
func (c *call) id() (uuid.UUID, error) {
	id, err := httpmw.PathID(c.r, "id")
	if err == nil && id == c.who.KeyID && c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return id, errForbidden.with("A key cannot change itself.")
	}
	return id, err
}

// organization returns the one to create or list in: named is what the request
// says, uuid.Nil if nothing. A view refuses all but its own.
func (c *call) organization(named uuid.UUID) uuid.UUID {
	if named != uuid.Nil {
		return named
	}
	return c.who.OrganizationID
}

func (a *api) write(w http.ResponseWriter, out answer) {
	setSafe(w.Header())
	if out.location != "" {
		w.Header().Set("Location", out.location)
	}
	if out.doc == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if out.status == 0 {
		out.status = http.StatusOK
	}
	out.doc.JSONAPI = jsonapi{Version: "1.1"}
	writeJSON(w, out.status, out.doc)
}

// setSafe keeps answers out of caches and from being taken for a page.
func setSafe(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept")
}

// writeJSON escapes HTML, as encoding/json does unless told otherwise.
func writeJSON(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc) // what fails now is the connection
}
