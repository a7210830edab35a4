package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// Codes of the error objects that package apikeys has no error for, next to
// httpmw.CodeInvalidRequest and httpmw.CodeInternal. They never change between
// releases.
const (
	CodeUnauthenticated      = "unauthenticated"
	CodeForbidden            = "forbidden"
	CodeImmutableField       = "immutable_field"
	CodeClientID             = "client_id"
	CodeTypeMismatch         = "type_mismatch"
	CodeAlreadyRevoked       = "already_revoked"
	CodeMethodNotAllowed     = "method_not_allowed"
	CodeNotAcceptable        = "not_acceptable"
	CodeBodyTooLarge         = "body_too_large"
	CodeUnsupportedMediaType = "unsupported_media_type"
)

// fault is a refusal as it is told to the client.
type fault struct {
	status int
	code   string
	detail string
	source *source
	cause  error // not told
}

// source says which part of the request is meant.
type source struct {
	Pointer   string `json:"pointer,omitempty"`   // RFC 6901, into the body
	Parameter string `json:"parameter,omitempty"` // of the query
	Header    string `json:"header,omitempty"`
}

func (f *fault) Error() string { return "httpapi: " + f.detail }
func (f *fault) Code() string  { return f.code }
func (f *fault) Unwrap() error { return f.cause }

// with, at, in and because return copies: the faults below are shared.
func (f fault) with(detail string) *fault { f.detail = detail; return &f }
func (f fault) because(err error) *fault  { f.cause = err; return &f }

// in names a parameter of the query; one without a name goes without saying.
func (f fault) in(parameter string) *fault {
	if f.source = nil; parameter != "" {
		f.source = &source{Parameter: parameter}
	}
	return &f
}

// at names a place in the body; the whole body goes without saying.
func (f fault) at(pointer string) *fault {
	if f.source = nil; pointer != "" {
		f.source = &source{Pointer: pointer}
	}
	return &f
}

var (
	errUnauthenticated = &fault{status: http.StatusUnauthorized, code: CodeUnauthenticated, detail: "This needs authentication."}
	errForbidden       = &fault{status: http.StatusForbidden, code: CodeForbidden, detail: "You may not do this."}
	errSuspended       = &fault{status: http.StatusForbidden, code: apikeys.CodeSuspended, detail: "Your organization is suspended."}
	errImmutable       = &fault{status: http.StatusForbidden, code: CodeImmutableField, detail: "This cannot be changed."}
	errClientID        = &fault{status: http.StatusForbidden, code: CodeClientID, detail: "Ids are given by the server.", source: &source{Pointer: "/data/id"}}
	errNotFound        = &fault{status: http.StatusNotFound, code: apikeys.CodeNotFound, detail: "There is no such thing."}
	errNoRoute         = errNotFound
	errMethod          = &fault{status: http.StatusMethodNotAllowed, code: CodeMethodNotAllowed, detail: "This method is not for this path."}
	errNotAcceptable   = &fault{status: http.StatusNotAcceptable, code: CodeNotAcceptable, detail: "Answers are " + mediaType + " without parameters.", source: &source{Header: "Accept"}}
	errTypeMismatch    = &fault{status: http.StatusConflict, code: CodeTypeMismatch, detail: "This is not the resource of this path."}
	errRevokedTwice    = &fault{status: http.StatusConflict, code: CodeAlreadyRevoked, detail: "The key was revoked before."}
	errTooLarge        = &fault{status: http.StatusRequestEntityTooLarge, code: CodeBodyTooLarge, detail: "The body is larger than 64 KiB."}
	errMediaType       = &fault{status: http.StatusUnsupportedMediaType, code: CodeUnsupportedMediaType}
	errBody            = &fault{status: http.StatusBadRequest, code: httpmw.CodeInvalidRequest, detail: "This request takes no body."}
	errBadRequest      = &fault{status: http.StatusBadRequest, code: httpmw.CodeInvalidRequest}
	errFault           = &fault{status: http.StatusServiceUnavailable, code: apikeys.CodeUnavailable, detail: "The service cannot answer at the moment."}
)

// errorDocument is a JSON:API document of errors.
type errorDocument struct {
	JSONAPI jsonapi       `json:"jsonapi"`
	Errors  []errorObject `json:"errors"`
}

type errorObject struct {
	Status string         `json:"status"`
	Code   string         `json:"code"`
	Title  string         `json:"title"`
	Detail string         `json:"detail"`
	Source *source        `json:"source,omitempty"`
	Meta   map[string]any `json:"meta,omitempty"`
}

// refuse writes the answer to an error.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := faultOf(err)
	h := w.Header()
	setSafe(h)
	switch f.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", a.opts.Challenge)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter(err))
	}
	if f.status >= http.StatusInternalServerError && a.opts.OnError != nil {
		a.opts.OnError(r, err)
	}
	writeJSON(w, f.status, errorDocument{jsonapi{"1.1"}, []errorObject{{
		Status: strconv.Itoa(f.status), Code: f.code, Title: http.StatusText(f.status),
		Detail: f.detail, Source: f.source, Meta: metaOf(err),
	}}})
}

// faultOf gives any error the form that is told. What it does not know is not told.
func faultOf(err error) *fault {
	var own *fault
	var wrong *apikeys.InvalidArgumentError
	var over *apikeys.BeyondGrantError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &wrong):
		f := errBadRequest.with(wrong.Reason)
		f.code, f.source = apikeys.CodeInvalidArgument, sourceOf(wrong.Field)
		return f
	case errors.As(err, &over):
		f := byCode(err).with("You cannot hand this out: " + over.Allowed + ".")
		f.source = sourceOf(over.Field)
		return f
	case errors.Is(err, apikeys.ErrNotFound):
		return errNotFound
	}
	return byCode(err)
}

func byCode(err error) *fault {
	var ours apikeys.Error
	status := httpmw.Status(err)
	if !errors.As(err, &ours) {
		if status == http.StatusServiceUnavailable { // the end of a context
			return errFault
		}
		return &fault{status: http.StatusInternalServerError, code: httpmw.CodeInternal, detail: "The service failed."}
	}
	f := &fault{status: status, code: ours.Code(), detail: details(ours.Code())}
	switch f.code {
	case apikeys.CodeRevokedKey, apikeys.CodeExpiredKey, apikeys.CodeDisabledKey:
		f.status = http.StatusConflict // it is not the key that asks
	}
	return f
}

// details are the texts for errors of apikeys.
func details(code string) string {
	switch code {
	case apikeys.CodeRevokedKey:
		return "The key is revoked."
	case apikeys.CodeExpiredKey:
		return "The key has expired."
	case apikeys.CodeDisabledKey:
		return "The key is disabled."
	case apikeys.CodeAlreadyExists:
		return "The name is taken."
	case apikeys.CodeConflict:
		return "It was changed meanwhile: read it again."
	case apikeys.CodeOutcomeUnknown:
		return "It is not known whether this was done: look before you repeat it."
	case httpmw.CodeInvalidRequest:
		return "The id is not a UUID."
	case apikeys.CodeQuotaExceeded:
		return "The rate limit is used up."
	}
	return errFault.detail
}

// metaOf names what stands in the way of a name, which is of the same organization,
// and what a write was about whose outcome is not known.
func metaOf(err error) map[string]any {
	var taken *apikeys.AlreadyExistsError
	var unknown *apikeys.OutcomeUnknownError
	switch {
	case errors.As(err, &taken):
		return map[string]any{"existing_id": taken.ExistingID}
	case errors.As(err, &unknown):
		return map[string]any{"id": unknown.ID}
	}
	return nil
}

// retryAfter is for the header of RFC 9110 §10.2.3.
func retryAfter(err error) string {
	var quota *apikeys.QuotaError
	if !errors.As(err, &quota) {
		return "1"
	}
	return strconv.FormatInt(wholeSeconds(quota.RetryAfter), 10)
}

// wholeSeconds rounds up, to 1 at least: nobody is told to come back too early.
func wholeSeconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}

// sourceOf tells where in a request the field of an InvalidArgumentError stands.
func sourceOf(field string) *source {
	switch field {
	case "Metadata.Name", "name":
		return &source{Pointer: attributesAt + "/name"}
	case "Metadata.Scopes":
		return &source{Pointer: attributesAt + "/scopes"}
	case "Metadata.RateLimits", "RateLimits":
		return &source{Pointer: attributesAt + "/rate_limits"}
	case "Metadata.ExpiresAt":
		return &source{Pointer: attributesAt + "/expires_at"}
	case "Metadata.Custom":
		return &source{Pointer: attributesAt + "/custom"}
	case "OrganizationID":
		return &source{Pointer: relationshipsAt + "/organization"}
	case "ProjectID":
		return &source{Pointer: relationshipsAt + "/project"}
	case "ProductID":
		return &source{Pointer: relationshipsAt + "/product"}
	case "OwnerID":
		return &source{Pointer: relationshipsAt + "/user"}
	case "Scopes":
		return &source{Pointer: "/meta/scopes"}
	case "Reason":
		return &source{Pointer: "/meta/reason"}
	case "Cursor":
		return &source{Parameter: paramCursor}
	case "Status":
		return &source{Parameter: paramStatus}
	case "Query":
		return &source{Parameter: paramQuery}
	}
	return nil
}
