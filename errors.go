package apikeys

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Error is implemented by every error that this package defines: the
// catch-all. errors.As finds it in what any method returns, unless the error
// is not ours (a context's, for example).
type Error interface {
	error
	// Code returns a stable name, such as "expired_key": what logs, metrics
	// and HTTP bodies may show. It never changes between releases.
	Code() string
}

// Codes of the errors in this package, as [Error] reports them.
const (
	CodeInvalidKey        = "invalid_key"
	CodeExpiredKey        = "expired_key"
	CodeRetiredSecret     = "retired_secret"
	CodeRevokedKey        = "revoked_key"
	CodeDisabledKey       = "disabled_key"
	CodeSuspended         = "suspended"
	CodeInsufficientScope = "insufficient_scope"
	CodeQuotaExceeded     = "quota_exceeded"
	CodeAlreadyExists     = "already_exists"
	CodeNotFound          = "not_found"
	CodeConflict          = "conflict"
	CodeBeyondGrant       = "beyond_grant"
	CodeInvalidArgument   = "invalid_argument"
	CodeUnavailable       = "unavailable"
	CodeOutcomeUnknown    = "outcome_unknown"
	CodeClosed            = "closed"
)

// The sentinels: compare with errors.Is. The typed errors below carry data
// and answer to the sentinel that each of them names.
var (
	// ErrInvalidKey: not a key of ours, unknown, deleted, or of another
	// environment. Nothing more is said, so that nobody can probe for keys.
	ErrInvalidKey error = &sentinel{CodeInvalidKey, "apikeys: invalid key"}
	// ErrExpiredKey: the key's end has passed; see [ExpiredKeyError].
	ErrExpiredKey error = &sentinel{CodeExpiredKey, "apikeys: key expired"}
	// ErrRevokedKey: the key was revoked for good; see [RevokedKeyError].
	ErrRevokedKey error = &sentinel{CodeRevokedKey, "apikeys: key revoked"}
	// ErrDisabledKey: the key is switched off and may be switched on again.
	ErrDisabledKey error = &sentinel{CodeDisabledKey, "apikeys: key disabled"}
	// ErrSuspended: the key's organization is suspended.
	ErrSuspended error = &sentinel{CodeSuspended, "apikeys: organization suspended"}
	// ErrInsufficientScope: the key is good but not for this; see
	// [InsufficientScopeError].
	ErrInsufficientScope error = &sentinel{CodeInsufficientScope, "apikeys: insufficient scope"}
	// ErrQuotaExceeded: a rate limit is used up; see [QuotaError].
	ErrQuotaExceeded error = &sentinel{CodeQuotaExceeded, "apikeys: rate limit exceeded"}
	// ErrAlreadyExists: the name is taken; see [AlreadyExistsError].
	ErrAlreadyExists error = &sentinel{CodeAlreadyExists, "apikeys: already exists"}
	// ErrNotFound: no such organization, project, product or key, or not one
	// that this view of the client may see; see [NotFoundError].
	ErrNotFound error = &sentinel{CodeNotFound, "apikeys: not found"}
	// ErrConflict: somebody else changed it meanwhile; read it again, decide
	// again.
	ErrConflict error = &sentinel{CodeConflict, "apikeys: changed meanwhile; read it again and retry"}
	// ErrInvalidArgument: the call was wrong and nothing was done; see
	// [InvalidArgumentError].
	ErrInvalidArgument error = &sentinel{CodeInvalidArgument, "apikeys: invalid argument"}
	// ErrBeyondGrant: the call would hand out more than may be handed out, and
	// nothing was done; see [BeyondGrantError].
	ErrBeyondGrant error = &sentinel{CodeBeyondGrant, "apikeys: beyond the grant"}
	// ErrUnavailable: the store did not answer, or not in time. It says
	// nothing about the key: answer 503, not 401.
	ErrUnavailable error = &sentinel{CodeUnavailable, "apikeys: store unavailable"}
	// ErrOutcomeUnknown: the connection to the store died around the commit
	// and repeating the operation did not clear it up; see
	// [OutcomeUnknownError].
	ErrOutcomeUnknown error = &sentinel{CodeOutcomeUnknown, "apikeys: outcome unknown"}
	// ErrClosed: the client was closed.
	ErrClosed error = &sentinel{CodeClosed, "apikeys: client is closed"}
)

type sentinel struct{ code, text string }

func (e *sentinel) Error() string { return e.text }
func (e *sentinel) Code() string  { return e.code }

// ExpiredKeyError says when a key ended. It is [ErrExpiredKey].
type ExpiredKeyError struct {
	KeyID     uuid.UUID
	ExpiredAt time.Time // UTC
}

// Error names the key and says when it ended.
func (e *ExpiredKeyError) Error() string {
	return fmt.Sprintf("apikeys: key %s expired at %s", e.KeyID, e.ExpiredAt.Format(time.RFC3339))
}

// Code returns [CodeExpiredKey].
func (e *ExpiredKeyError) Code() string { return CodeExpiredKey }

// Is reports whether target is [ErrExpiredKey].
func (e *ExpiredKeyError) Is(target error) bool { return target == ErrExpiredKey }

// RetiredSecretError says that a key was presented with a secret that was
// replaced by [Client.RotateKey] and whose overlap has ended. The key itself
// lives on under its newer secret. It is [ErrExpiredKey], with its own code.
type RetiredSecretError struct {
	KeyID     uuid.UUID
	RetiredAt time.Time // UTC
}

// Error names the key and says when this secret of it ended.
func (e *RetiredSecretError) Error() string {
	return fmt.Sprintf("apikeys: this secret of key %s was replaced and ended at %s; use the newer one",
		e.KeyID, e.RetiredAt.Format(time.RFC3339))
}

// Code returns [CodeRetiredSecret].
func (e *RetiredSecretError) Code() string { return CodeRetiredSecret }

// Is reports whether target is [ErrExpiredKey].
func (e *RetiredSecretError) Is(target error) bool { return target == ErrExpiredKey }

// RevokedKeyError says when a key was revoked, and why. It is [ErrRevokedKey].
type RevokedKeyError struct {
	KeyID     uuid.UUID
	RevokedAt time.Time // UTC
	Reason    string    // as given to RevokeKey; may be empty
}

// Error names the key and says when it was revoked, not why.
func (e *RevokedKeyError) Error() string {
	return fmt.Sprintf("apikeys: key %s was revoked at %s", e.KeyID, e.RevokedAt.Format(time.RFC3339))
}

// Code returns [CodeRevokedKey].
func (e *RevokedKeyError) Code() string { return CodeRevokedKey }

// Is reports whether target is [ErrRevokedKey].
func (e *RevokedKeyError) Is(target error) bool { return target == ErrRevokedKey }

// DisabledKeyError says since when a key is switched off. It is
// [ErrDisabledKey].
type DisabledKeyError struct {
	KeyID      uuid.UUID
	DisabledAt time.Time // UTC
}

// Error names the key and says since when it is switched off.
func (e *DisabledKeyError) Error() string {
	return fmt.Sprintf("apikeys: key %s is disabled since %s", e.KeyID, e.DisabledAt.Format(time.RFC3339))
}

// Code returns [CodeDisabledKey].
func (e *DisabledKeyError) Code() string { return CodeDisabledKey }

// Is reports whether target is [ErrDisabledKey].
func (e *DisabledKeyError) Is(target error) bool { return target == ErrDisabledKey }

// SuspendedError says that the key's organization is suspended: all of its
// keys are refused until it is resumed. It is [ErrSuspended].
type SuspendedError struct {
	KeyID          uuid.UUID
	OrganizationID uuid.UUID
}

// Error names the organization and the key.
func (e *SuspendedError) Error() string {
	return fmt.Sprintf("apikeys: organization %s of key %s is suspended", e.OrganizationID, e.KeyID)
}

// Code returns [CodeSuspended].
func (e *SuspendedError) Code() string { return CodeSuspended }

// Is reports whether target is [ErrSuspended].
func (e *SuspendedError) Is(target error) bool { return target == ErrSuspended }

// InsufficientScopeError says what a good key lacks. It is
// [ErrInsufficientScope].
type InsufficientScopeError struct {
	KeyID uuid.UUID
	// Missing lists the required scopes that the key does not grant, in the
	// order they were asked. Empty when Resource is the reason.
	Missing []string
	// Resource is "organization", "project" or "product" when the key is not
	// for the one that was asked; empty when scopes are the reason.
	Resource string
}

// Error names the key and what it lacks: scopes, or the kind of resource it is not for.
func (e *InsufficientScopeError) Error() string {
	if e.Resource != "" {
		return fmt.Sprintf("apikeys: key %s is not for this %s", e.KeyID, e.Resource)
	}
	return fmt.Sprintf("apikeys: key %s lacks scope %q", e.KeyID, e.Missing)
}

// Code returns [CodeInsufficientScope].
func (e *InsufficientScopeError) Code() string { return CodeInsufficientScope }

// Is reports whether target is [ErrInsufficientScope].
func (e *InsufficientScopeError) Is(target error) bool { return target == ErrInsufficientScope }

// QuotaError says which rate limit is used up and when to come back. It is
// [ErrQuotaExceeded]. Requests that are refused at about the same time may be given the
// same one: do not change it.
type QuotaError struct {
	KeyID uuid.UUID // uuid.Nil when the limit was not a key's (Allow)
	Limit RateLimit
	// RetryAfter is the time until the window ends, or up to a millisecond more; never
	// negative. HTTP's Retry-After counts whole seconds: round up, and to 1 at least.
	RetryAfter time.Duration
	ResetAt    time.Time // the window's end, UTC
}

// Error names the limit and says when to come back.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("apikeys: rate limit %s exceeded; retry after %s", e.Limit, e.RetryAfter.Round(time.Millisecond))
}

// Code returns [CodeQuotaExceeded].
func (e *QuotaError) Code() string { return CodeQuotaExceeded }

// Is reports whether target is [ErrQuotaExceeded].
func (e *QuotaError) Is(target error) bool { return target == ErrQuotaExceeded }

// AlreadyExistsError names what stands in the way. It is [ErrAlreadyExists].
type AlreadyExistsError struct {
	Kind       ResourceKind
	ExistingID uuid.UUID
}

// Error says of what kind it is and which id it has.
func (e *AlreadyExistsError) Error() string {
	return fmt.Sprintf("apikeys: %s with this name already exists: %s", e.Kind, e.ExistingID)
}

// Code returns [CodeAlreadyExists].
func (e *AlreadyExistsError) Code() string { return CodeAlreadyExists }

// Is reports whether target is [ErrAlreadyExists].
func (e *AlreadyExistsError) Is(target error) bool { return target == ErrAlreadyExists }

// NotFoundError names what was looked for; without an id if it was looked for by
// name. What exists but belongs to an organization or owner that a scoped client
// does not see is not found either. It is [ErrNotFound].
type NotFoundError struct {
	Kind ResourceKind
	ID   uuid.UUID

	byName bool
}

// Error names the kind and, if there is one, the id.
func (e *NotFoundError) Error() string {
	switch {
	case e.byName:
		return fmt.Sprintf("apikeys: no %s has this name", e.Kind)
	case e.ID == uuid.Nil:
		return fmt.Sprintf("apikeys: %s not found: its id is missing", e.Kind)
	}
	return fmt.Sprintf("apikeys: %s %s not found", e.Kind, e.ID)
}

// Code returns [CodeNotFound].
func (e *NotFoundError) Code() string { return CodeNotFound }

// Is reports whether target is [ErrNotFound].
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

// InvalidArgumentError names the argument that was wrong and says what would
// be right. It is [ErrInvalidArgument].
type InvalidArgumentError struct {
	Field  string // as the caller wrote it: "Metadata.Scopes", "SigningSecret"
	Reason string
}

// Error names the argument and says what is wrong with it.
func (e *InvalidArgumentError) Error() string {
	return "apikeys: " + e.Field + ": " + e.Reason
}

// Code returns [CodeInvalidArgument].
func (e *InvalidArgumentError) Code() string { return CodeInvalidArgument }

// Is reports whether target is [ErrInvalidArgument].
func (e *InvalidArgumentError) Is(target error) bool { return target == ErrInvalidArgument }

// BeyondGrantError says in what a key would be beyond the grant of the view that
// was to create, import, change or rotate it, and what would be allowed. It is
// [ErrBeyondGrant]; see [Client.WithGrant].
type BeyondGrantError struct {
	Field   string // as in [InvalidArgumentError]: "Metadata.Scopes", "ProjectID"
	Allowed string // for people
}

// Error names the argument and says what would be allowed.
func (e *BeyondGrantError) Error() string {
	return "apikeys: " + e.Field + ": beyond the grant: " + e.Allowed
}

// Code returns [CodeBeyondGrant].
func (e *BeyondGrantError) Code() string { return CodeBeyondGrant }

// Is reports whether target is [ErrBeyondGrant].
func (e *BeyondGrantError) Is(target error) bool { return target == ErrBeyondGrant }

// OutcomeUnknownError names what a write was about whose commit was neither
// confirmed nor refused. Read it, or repeat the call: every operation here can
// be repeated. It is [ErrOutcomeUnknown].
type OutcomeUnknownError struct {
	Op    string // "create key", "revoke key", …
	ID    uuid.UUID
	cause error
}

// Error names the operation and what it was about.
func (e *OutcomeUnknownError) Error() string {
	return fmt.Sprintf("apikeys: %s %s: the store did not say whether it was done; look before repeating", e.Op, e.ID)
}

// Code returns [CodeOutcomeUnknown].
func (e *OutcomeUnknownError) Code() string { return CodeOutcomeUnknown }

// Is reports whether target is [ErrOutcomeUnknown].
func (e *OutcomeUnknownError) Is(target error) bool { return target == ErrOutcomeUnknown }

// Unwrap returns the store's own error.
func (e *OutcomeUnknownError) Unwrap() error { return e.cause }

// unavailableError is a fault of the store during op. It is ErrUnavailable.
type unavailableError struct {
	op    string
	cause error
}

func (e *unavailableError) Error() string {
	return "apikeys: " + e.op + ": store unavailable: " + e.cause.Error()
}
func (e *unavailableError) Code() string         { return CodeUnavailable }
func (e *unavailableError) Is(target error) bool { return target == ErrUnavailable }
func (e *unavailableError) Unwrap() error        { return e.cause }

// invalid makes an InvalidArgumentError.
func invalid(field, format string, args ...any) error {
	return &InvalidArgumentError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// storeError gives a store's error its public form: ours stay, anything else
// is a fault of the store.
func storeError(op string, err error) error {
	var ours Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	return &unavailableError{op: op, cause: err}
}
