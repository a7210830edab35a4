// Package apikeys issues and validates scoped API keys inside your own
// service, on the database it already has.
//
// A [Client] wraps a [Store] (SQLite, Postgres, MySQL/MariaDB: see the store
// folders), the signing secret under which keys are hashed, and a rate limiter:
//
//	db, err := sqlite.Open(ctx, "app.db")
//	err = db.Migrate(ctx) // safe on every start
//	secret, err := apikeys.SecretFromEnv("APIKEYS_SECRET") // openssl rand -hex 32
//	client, err := apikeys.New(ctx, db, apikeys.Config{SigningSecret: secret})
//	defer client.Close(context.Background()) // writes the last uses
//
//	acme, err := client.CreateOrganization(ctx, "Acme Inc")
//	key, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID})
//	v, err := client.Validate(ctx, key.Plaintext.Reveal(), apikeys.ValidateParams{})
//
// Organizations own projects, products and keys. A key is as wide as what it
// leaves out: bound to an organization only, it works for all of that
// organization's projects and products, and never for another's.
//
// # How a request is judged
//
// [Client.Validate] asks these questions in this order and answers with the
// first one that fails, as a typed error:
//
//	is it shaped like a key of ours?       ErrInvalidKey, from memory
//	is its tag genuine?                    ErrInvalidKey, from memory
//	is its HMAC-SHA256 known?              ErrInvalidKey, one indexed read
//	is the secret still in use?            RetiredSecretError
//	revoked? disabled? suspended?          RevokedKeyError, DisabledKeyError, SuspendedError
//	expired?                               ExpiredKeyError
//	organization, project, product?        InsufficientScopeError, Resource set
//	scopes?                                InsufficientScopeError, Missing set
//	rate limits?                           QuotaError
//
// Only then is the use counted. A request that is refused counts neither as a
// use nor against a limit. When the store cannot answer, the error is
// [ErrUnavailable]: never "invalid", never "allowed".
//
// # Errors
//
// Every error of this package is an [Error] with a stable code; errors.Is takes the
// sentinels, errors.As the types that carry data. Any method of Client may return,
// beside what its own comment says:
//
//	InvalidArgumentError    an argument is wrong; nothing was done
//	NotFoundError           what an id names is not there, or not for this view
//	BeyondGrantError        the view may not hand this out; nothing was done
//	ErrUnavailable          the store did not answer within Config.OpTimeout, or the
//	                        context ended before it did
//	OutcomeUnknownError     a change was sent and its commit was not confirmed
//	ErrClosed               the client was closed
//
// All methods of Client are safe for concurrent use. All times are UTC, cut to
// microseconds. What is answered from memory is answered also when the context has
// ended.
//
// # What it does not do
//
// It knows no HTTP (packages httpmw and httpapi do), no users and no sessions: who may
// call the methods that manage keys is the program's to decide, best by a view
// ([Client.Scoped], [Client.WithGrant]). It encrypts nothing: names, owners and custom
// data are stored in clear, and the connection to the database is the program's. Rate
// limits are counted in fixed windows, not sliding ones.
//
// # Stores of your own
//
// [Store] and what it takes and gives ([KeyRecord], [KeyQuery], [Mutation],
// [LeaseRequest], …) are for those who write a store or decorate one. Programs that use
// one need none of these types.
package apikeys

import (
	"time"

	"github.com/google/uuid"
)

// ResourceKind says what an id names, in errors, events and stores.
type ResourceKind string

// The kinds of things that have ids.
const (
	KindOrganization ResourceKind = "organization"
	KindProject      ResourceKind = "project"
	KindProduct      ResourceKind = "product"
	KindKey          ResourceKind = "key"
	KindSecret       ResourceKind = "secret" // a signing secret, in events
)

// Organization is the top-level tenant: a customer, or your own company.
type Organization struct {
	ID          uuid.UUID
	Name        string // unique
	CreatedAt   time.Time
	UpdatedAt   time.Time
	SuspendedAt time.Time // zero: not suspended
}

// Project groups keys within an organization.
type Project struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	Name           string // unique within the organization
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Product is a named API surface of an organization. It is linked to the
// projects that may use it.
type Product struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	Name           string // unique within the organization
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Key is everything about an API key but its secret.
type Key struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	ProjectID      uuid.UUID // uuid.Nil: not bound to one
	ProductID      uuid.UUID // uuid.Nil: not bound to one
	// OwnerID is the caller's own name for who the key belongs to; may be empty.
	OwnerID string
	// Environment is the client's at the time of issue: "", "live", "test", …
	Environment string
	// Hint shows enough of the key to recognise it: "sk_Ab3d…x9Qz".
	Hint     string
	Metadata KeyMetadata

	CreatedAt  time.Time
	UpdatedAt  time.Time
	LastUsedAt time.Time // zero: never used
	RevokedAt  time.Time // zero: not revoked
	DisabledAt time.Time // zero: not disabled
	// RevokedReason is what RevokeKey was given; may be empty.
	RevokedReason string
	// UseCount counts accepted validations.
	UseCount int64
	// Version starts at 1 and grows by 1 with every change (not with use); see
	// KeyPatch.IfVersion.
	Version int64
}

// KeyStatus is what a key is at a given time.
type KeyStatus string

// The statuses. A key that is several at once has the first of revoked,
// expired, disabled.
const (
	// StatusAll is for filters and matches every key, as the zero value does.
	StatusAll      KeyStatus = "all"
	StatusActive   KeyStatus = "active"
	StatusExpired  KeyStatus = "expired"
	StatusRevoked  KeyStatus = "revoked"
	StatusDisabled KeyStatus = "disabled"
)

// Status tells what the key is at now. Expired means now >= ExpiresAt.
func (k *Key) Status(now time.Time) KeyStatus {
	return keyStatus(now, k.RevokedAt, k.Metadata.ExpiresAt, k.DisabledAt)
}

func keyStatus(now, revoked, expires, disabled time.Time) KeyStatus {
	switch {
	case !revoked.IsZero():
		return StatusRevoked
	case !expires.IsZero() && !now.Before(expires):
		return StatusExpired
	case !disabled.IsZero():
		return StatusDisabled
	default:
		return StatusActive
	}
}

// IssuedKey is a new key together with its text, which exists nowhere else:
// show it to its owner now, it cannot be read again.
type IssuedKey struct {
	Key       Key
	Plaintext Plaintext
}

// Page is one page of a list, the newest first.
type Page[T any] struct {
	Items []T
	// NextCursor fetches the next page; empty at the end. It is opaque, holds
	// no secrets, and works only for the list it came from.
	NextCursor string
}

// ListOptions says how much of a list to return.
type ListOptions struct {
	// Limit is the most items on a page. 0 means 50; the maximum is 200.
	Limit int
	// Cursor is the NextCursor of the page before; empty for the first page.
	Cursor string
}

// Scope narrows a client to one organization, or to one owner's keys in it;
// see [Client.Scoped].
type Scope struct {
	OrganizationID uuid.UUID // required
	OwnerID        string    // empty: all of the organization
}
