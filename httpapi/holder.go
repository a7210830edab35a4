package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// What the holder of a key may ask with the key itself, whoever that is. None of
// it counts as a use or costs any of the key's limits.

// holderRoute is an operation that the key authenticates. As with route, there is no
// other way in than through the table.
type holderRoute struct {
	pattern string
	off     bool
	do      func(*holder) (answer, error)
}

func holderRoutes(o Options) []holderRoute {
	return []holderRoute{
		{"GET /whoami", o.WithoutWhoAmI, (*holder).whoAmI},
		{"GET /whoami/limits", o.WithoutLimits, (*holder).limits},
		{"POST /whoami/revoke", o.WithoutSelfRevoke, (*holder).revoke},
	}
}

// holder is one request of the holder of a key.
type holder struct {
	api *api
	r   *http.Request
	key apikeys.Key
}

// newKeys returns what judges the keys of holders: httpmw, with its headers and its
// table of statuses, in the form of JSON:API.
func newKeys(client *apikeys.Client, now func() time.Time) *httpmw.Middleware {
	return httpmw.New(client, httpmw.Options{
		Now: now,
		ErrorWriter: func(w http.ResponseWriter, _ *http.Request, p httpmw.Problem) {
			setSafe(w.Header())
			writeJSON(w, p.Status, errorDocument{jsonapi{"1.1"}, []errorObject{{
				Status: strconv.Itoa(p.Status), Code: p.Code, Title: p.Title, Detail: p.Detail,
			}}})
		},
	})
}

func (a *api) guardHolder(route holderRoute) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := a.keys.Check(r, apikeys.ValidateParams{SkipUsage: true, SkipRateLimit: true})
		if err != nil {
			a.keys.WriteError(w, r, err)
			return
		}
		out, err := a.asHolder(r, v, route.do)
		switch status := httpmw.Status(err); {
		case err == nil:
			a.write(w, out)
		case errors.Is(err, apikeys.ErrNotFound): // deleted since it was remembered
			a.keys.WriteError(w, r, apikeys.ErrInvalidKey)
		case status == http.StatusUnauthorized, status == http.StatusForbidden: // revoked since, and so on
			a.keys.WriteError(w, r, err)
		default:
			a.refuse(w, r, err)
		}
	})
}

func (a *api) asHolder(r *http.Request, v apikeys.Validation, do func(*holder) (answer, error)) (answer, error) {
	if err := accepts(r); err != nil {
		return answer{}, err
	}
	if _, err := readQuery(r.URL.RawQuery, nil); err != nil {
		return answer{}, err
	}
	if hasBody(r) {
		return answer{}, errBody
	}
	return do(&holder{api: a, r: r, key: v.Key()})
}

// client is what the holder sees: the keys of its organization and owner, of which it
// names its own alone.
func (h *holder) client() *apikeys.Client {
	return h.api.client.Scoped(apikeys.Scope{OrganizationID: h.key.OrganizationID, OwnerID: h.key.OwnerID})
}

func (h *holder) whoAmI() (answer, error) {
	return h.onKey(h.client().GetKey)
}

func (h *holder) onKey(do func(context.Context, uuid.UUID) (*apikeys.Key, error)) (answer, error) {
	key, err := do(apikeys.ContextWithActor(h.r.Context(), keyActor(h.key.ID)), h.key.ID)
	if err != nil {
		return answer{}, err
	}
	return answer{doc: &document{Data: h.api.keyResource(key)}}, nil
}

// revoke ends the key that asks for it: what to do with one that leaked.
func (h *holder) revoke() (answer, error) {
	return h.onKey(func(ctx context.Context, id uuid.UUID) (*apikeys.Key, error) {
		return h.client().RevokeKey(ctx, id, apikeys.RevokeParams{Reason: "revoked by its holder"})
	})
}

type limitAttributes struct {
	Limit     string    `json:"limit"`
	Remaining int64     `json:"remaining"`
	ResetAt   time.Time `json:"reset_at"`
}

// limits tells where the key stands, the most restrictive limit first. The id of a
// limit is its window.
func (h *holder) limits() (answer, error) {
	e, err := h.client().Explain(h.r.Context(), presented(h.r.Header), apikeys.ValidateParams{})
	if err != nil {
		return answer{}, err
	}
	if err := e.Err(); err != nil && !errors.Is(err, apikeys.ErrQuotaExceeded) {
		return answer{}, err
	}
	self := h.api.opts.BasePath + "/whoami/limits"
	list := make([]*resource, len(e.Limits))
	for i, l := range e.Limits {
		list[i] = &resource{
			identifier: identifier{typeLimits, l.Limit.Window.String()},
			Attributes: limitAttributes{l.Limit.String(), l.Remaining, l.ResetAt.UTC()},
			Links:      links{Self: self},
		}
	}
	return answer{doc: &document{Data: list, Links: &links{Self: self}}}, nil
}

// presented returns the key of a request that the middleware has accepted: it is in
// the one header or, after the scheme, in the other.
func presented(h http.Header) string {
	if text := h.Get("X-API-Key"); text != "" {
		return text
	}
	_, text, _ := strings.Cut(h.Get("Authorization"), " ")
	return text
}

func keyActor(id uuid.UUID) string { return "key:" + id.String() }
