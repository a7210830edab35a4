package httpmw

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// Codes of the answers that have no error in package apikeys, as
// [apikeys.Error] and [Problem] report them. They never change between releases.
const (
	CodeNoCredential        = "no_credential"
	CodeMultipleCredentials = "multiple_credentials"
	CodeTooManyFailures     = "too_many_failures"
	CodeInvalidRequest      = "invalid_request"
	CodeInvalidForwarded    = "invalid_forwarded"
	CodeUnknownAddress      = "unknown_address"
	CodeNoIdentity          = "no_identity"
	CodeInternal            = "internal_error"
)

// The errors of requests: compare with errors.Is. Each is an [apikeys.Error].
var (
	// ErrNoCredential: the request carries no key where one may stand.
	ErrNoCredential error = &sentinel{CodeNoCredential, "httpmw: no API key in the request"}
	// ErrMultipleCredentials: more than one header line may hold the key.
	ErrMultipleCredentials error = &sentinel{CodeMultipleCredentials, "httpmw: more than one credential in the request"}
	// ErrNoIdentity is what an identity function of [ByIdentity] returns for a
	// request of nobody in particular: it is then counted by its address.
	ErrNoIdentity error = &sentinel{CodeNoIdentity, "httpmw: the request has no identity"}
	// ErrNoAddress: the server's own idea of the client's address
	// (http.Request.RemoteAddr) is not an IP address.
	ErrNoAddress error = &sentinel{CodeUnknownAddress, "httpmw: the remote address is not an IP address"}
	// ErrForwardedHeader: a trusted proxy sent a forwarding header that does not
	// tell the client's address, or two that contradict each other.
	ErrForwardedHeader error = &sentinel{CodeInvalidForwarded, "httpmw: the forwarding headers do not tell the client's address"}
)

type sentinel struct{ code, text string }

func (e *sentinel) Error() string { return e.text }
func (e *sentinel) Code() string  { return e.code }

// TooManyFailuresError says that too many invalid keys came from an address; see
// Options.FailureLimit.
type TooManyFailuresError struct {
	RetryAfter time.Duration // until the window ends; never negative
}

// Error says when to come back.
func (e *TooManyFailuresError) Error() string {
	return fmt.Sprintf("httpmw: too many invalid keys from this address; retry after %s", e.RetryAfter.Round(time.Millisecond))
}

// Code returns [CodeTooManyFailures].
func (e *TooManyFailuresError) Code() string { return CodeTooManyFailures }

// requestError is an error of RequireFunc's function that is nobody's of ours:
// the request names something that is none.
type requestError struct{ cause error }

func (e *requestError) Error() string { return "httpmw: invalid request: " + e.cause.Error() }
func (e *requestError) Code() string  { return CodeInvalidRequest }
func (e *requestError) Unwrap() error { return e.cause }

// scopeError adds to the error what was required: RFC 6750 §3 tells the client
// the scopes that the resource needs, not only those that are missing.
type scopeError struct {
	*apikeys.InsufficientScopeError
	required []string
}

func (e *scopeError) Unwrap() error { return e.InsufficientScopeError }

// Status returns the HTTP status that answers err: 200 for nil, the table in the
// package's documentation for errors of apikeys and of this package, 503 for the
// end of a context, 500 for any other. Revoked keys are 403 here.
func Status(err error) int {
	if err == nil {
		return http.StatusOK
	}
	status, _ := outcome(codeOf(err))
	return status
}

// codeOf returns the stable name of an error.
func codeOf(err error) string {
	var ours apikeys.Error
	switch {
	case errors.As(err, &ours):
		return ours.Code()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return apikeys.CodeUnavailable
	}
	return CodeInternal
}

// outcome is the table: the status and the detail for each code.
func outcome(code string) (status int, detail string) {
	switch code {
	case CodeNoCredential:
		return http.StatusUnauthorized, "This needs an API key."
	case apikeys.CodeInvalidKey:
		return http.StatusUnauthorized, "The API key is not valid."
	case apikeys.CodeExpiredKey:
		return http.StatusUnauthorized, "The API key has expired."
	case apikeys.CodeRetiredSecret:
		return http.StatusUnauthorized, "This API key was replaced by a newer one."
	case apikeys.CodeRevokedKey:
		return http.StatusForbidden, "The API key was revoked."
	case apikeys.CodeDisabledKey:
		return http.StatusForbidden, "The API key is disabled."
	case apikeys.CodeSuspended:
		return http.StatusForbidden, "The organization of this API key is suspended."
	case apikeys.CodeInsufficientScope:
		return http.StatusForbidden, "The API key does not grant what this request needs."
	case apikeys.CodeBeyondGrant:
		return http.StatusForbidden, "The request asks for more than may be handed out."
	case apikeys.CodeQuotaExceeded:
		return http.StatusTooManyRequests, "The rate limit is used up."
	case CodeTooManyFailures:
		return http.StatusTooManyRequests, "Too many invalid API keys came from this address."
	}
	return otherOutcome(code)
}

// otherOutcome is the part of the table that does not speak of the key.
func otherOutcome(code string) (status int, detail string) {
	switch code {
	case CodeMultipleCredentials:
		return http.StatusBadRequest, "Send exactly one API key, in exactly one header line."
	case CodeInvalidRequest, apikeys.CodeInvalidArgument:
		return http.StatusBadRequest, "The request asks for something that is not possible."
	case CodeInvalidForwarded:
		return http.StatusBadRequest, "The forwarding headers of the request do not tell where it comes from."
	case apikeys.CodeNotFound:
		return http.StatusNotFound, "There is no such thing."
	case apikeys.CodeAlreadyExists:
		return http.StatusConflict, "It exists already."
	case apikeys.CodeConflict:
		return http.StatusConflict, "It was changed meanwhile."
	case apikeys.CodeUnavailable, apikeys.CodeOutcomeUnknown, apikeys.CodeClosed:
		return http.StatusServiceUnavailable, "The service cannot check this request at the moment."
	}
	return http.StatusInternalServerError, "The service failed to check this request."
}
