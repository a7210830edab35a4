package apikeys

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
)

// The records that a Store keeps. Times are UTC, cut to microseconds; the zero
// time means never or not. uuid.Nil means none.

// SettingsRecord is what all clients of one database share.
type SettingsRecord struct {
	// Version starts at 1; 0 means that nothing stands yet.
	Version int64
	// ShieldKeys tag new keys (the first) and are accepted on keys (all).
	ShieldKeys [][]byte
	// Canaries name the signing secrets in use, so that a wrong one is noticed.
	Canaries []Canary
	// Retired are the ids of signing secrets that were retired: none comes back.
	Retired []string
}

// Canary proves that a client has the signing secret of that id.
type Canary struct {
	SigningID string
	MAC       []byte
}

// Mutation is who does what, and the id under which it is done once.
type Mutation struct {
	ID     uuid.UUID
	At     time.Time
	Actor  string // may be empty
	Action string // "key.create", "organization.suspend", …
	// Detail is a JSON object for the event; nil is {}.
	Detail json.RawMessage
}

// EventRecord tells of one mutation that was applied.
type EventRecord struct {
	ID             uuid.UUID // the mutation's
	At             time.Time
	Actor, Action  string
	OrganizationID uuid.UUID // uuid.Nil: of no single one
	Kind           ResourceKind
	SubjectID      uuid.UUID // uuid.Nil: of no single one
	// Detail is the mutation's own, with what a store adds: "before" and "after" of an
	// update (what [KeyChange.Apply] made different; the hint of a rotated key; name or
	// suspended_at of a resource, only before when it was deleted), "keys" of a bulk
	// operation.
	Detail json.RawMessage
}

// ResourceRecord is an organization, a project or a product.
type ResourceRecord struct {
	Kind           ResourceKind
	ID             uuid.UUID
	OrganizationID uuid.UUID // of an organization: its own id
	Name           string
	CreatedAt      time.Time
	UpdatedAt      time.Time
	SuspendedAt    time.Time // organizations only
}

// ResourceRef names a resource within a scope (OwnerID plays no part).
type ResourceRef struct {
	Scope Scope
	Kind  ResourceKind
	ID    uuid.UUID
}

// ResourceChange is what UpdateResource does: exactly one of its fields is set.
type ResourceChange struct {
	Name        *string
	SuspendedAt *time.Time // the zero time resumes; a suspension that stands keeps its time
	Delete      bool
}

// ResourceQuery selects resources of one kind (OwnerID of the scope plays no part).
type ResourceQuery struct {
	Scope  Scope // an organization matches itself
	Kind   ResourceKind
	ID     uuid.UUID // uuid.Nil: any
	Name   *string   // nil: any
	LinkOf uuid.UUID // products linked to this project; uuid.Nil: any
	Before uuid.UUID // ids less than this; uuid.Nil: any
	Limit  int
}

// LinkRef names a product and a project of one organization within a scope.
type LinkRef struct {
	Scope     Scope
	ProjectID uuid.UUID
	ProductID uuid.UUID
}

// Binding tells whose a project and a product are.
type Binding struct {
	ProjectOrganizationID uuid.UUID
	ProductOrganizationID uuid.UUID
	Linked                bool
}

// Hash is the stored form of a key's text. It prints as the word "hash" in brackets.
type Hash [32]byte

// Format writes the word "hash" in brackets, whatever the verb.
func (Hash) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[hash]") }

// MarshalText returns the word "hash" in brackets.
func (Hash) MarshalText() ([]byte, error) { return []byte("[hash]"), nil }

// SecretRecord is one stored hash of one secret of a key. A secret that is
// known under several signing secrets has one record for each, with the same
// Number.
type SecretRecord struct {
	KeyID     uuid.UUID
	Number    int // 1 for the first secret of a key, then 2, …
	Hash      Hash
	SigningID string
	Hint      string
	CreatedAt time.Time
	EndsAt    time.Time // zero: as long as the key
}

// KeyRecord is a key as it is stored.
type KeyRecord struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	ProjectID      uuid.UUID
	ProductID      uuid.UUID
	OwnerID        string
	Environment    string
	Head           string // prefix, or prefix_environment, of its text
	Hint           string // of its newest secret

	Name       string
	Scopes     []string
	RateLimits []RateLimit
	ExpiresAt  time.Time
	Custom     json.RawMessage // a JSON object, byte for byte; nil is {}

	CreatedAt     time.Time
	UpdatedAt     time.Time
	DisabledAt    time.Time
	RevokedAt     time.Time
	RevokedReason string
	Version       int64

	UseCount   int64
	LastUsedAt time.Time

	// Secret is set by the client in CreateKeys and by the store in KeysByHash.
	Secret SecretRecord
	// SuspendedAt is the organization's. Linked says that ProjectID and ProductID
	// are linked. The store sets both in KeysByHash.
	SuspendedAt time.Time
	Linked      bool
}

// Status tells what the key is at now, as [Key.Status] does.
func (k *KeyRecord) Status(now time.Time) KeyStatus {
	return keyStatus(now, k.RevokedAt, k.ExpiresAt, k.DisabledAt)
}

// KeyRef names a key within a scope.
type KeyRef struct {
	Scope Scope
	ID    uuid.UUID
}

// KeyQuery selects keys. Zero fields select nothing away.
type KeyQuery struct {
	Scope     Scope
	ID        uuid.UUID
	ProjectID uuid.UUID
	ProductID uuid.UUID
	// Status is as [Key.Status] has it at Now; "" and StatusAll are the same.
	Status KeyStatus
	Now    time.Time
	// Search matches keys whose name or hint contains it, both in lower case
	// (strings.ToLower); nothing in it has a special meaning.
	Search        string
	CreatedBefore time.Time
	ExpiresBefore time.Time // keys that have an end, before this time
	// Expiring, if it is not nil, lists keys in the order of their ends, those that end at
	// the same time by their ids: beginning after this place. For ListKeys only.
	Expiring    *ExpiryMark
	EndedBefore time.Time // keys revoked before this time, or expired at it or before
	Before      uuid.UUID // ids less than this
	Limit       int
}

// ExpiryMark is a place in the order of keys' ends: the end of a key, and its id.
type ExpiryMark struct {
	At time.Time
	ID uuid.UUID
}

// KeyChange is what UpdateKey does to a key: nil leaves a field as it is.
type KeyChange struct {
	IfVersion  int64 // 0: whatever the version is
	Name       *string
	Scopes     *[]string
	RateLimits *[]RateLimit
	ExpiresAt  *time.Time
	Custom     *json.RawMessage
	DisabledAt *time.Time // the zero time enables; a key that is disabled keeps its time
	Revoke     *Revocation
}

// Revocation ends a key for good. The first one stands.
type Revocation struct {
	At     time.Time
	Reason string
}

// Rotation gives a key a new secret.
type Rotation struct {
	IfVersion int64        // 0: whatever the key's version is
	Secret    SecretRecord // its Number is the store's to set
	// OldEndsAt ends the secret that was the newest.
	OldEndsAt time.Time
}

// HashCount says how many keys can be used under one signing secret.
type HashCount struct {
	Keys int64 // with a hash made under it
	// Only counts those of them that are neither revoked nor expired, and have a
	// secret that has not ended and has no hash under any other: lost if it is retired.
	Only int64
}

// ChangeMark is a place in the history of changes: what a client has seen.
type ChangeMark struct {
	Revision int64
	Stamp    uuid.UUID
}

// Change says what a revision made stale.
type Change struct {
	Kind ChangeKind
	ID   uuid.UUID // uuid.Nil for ChangeAll
}

// ChangeKind says how far a change reaches.
type ChangeKind string

// The kinds of changes.
const (
	ChangeKey          ChangeKind = "key"          // one key
	ChangeOrganization ChangeKind = "organization" // an organization, its links and all of its keys
	ChangeAll          ChangeKind = "all"          // everything, the settings too
)

// ChangeSet is what happened since a mark.
type ChangeSet struct {
	Mark    ChangeMark // what stands now
	Changes []Change
	// Complete says that the mark asked about was found in the history and
	// nothing after it is missing. When false, everything may have changed.
	Complete bool
	// Now is the store's own clock.
	Now time.Time
}

// EventQuery selects events. Zero fields select nothing away.
type EventQuery struct {
	Scope     Scope // OwnerID plays no part
	ID        uuid.UUID
	SubjectID uuid.UUID
	Before    uuid.UUID // ids less than this
	Limit     int
}

// SweepParams says what is old enough to be removed. A zero time keeps all.
type SweepParams struct {
	WindowsBefore time.Time // windows that ended before
	ChangesBefore time.Time // changes made before; the newest one always stays
	EventsBefore  time.Time
	UsageBefore   time.Time // usage of hours before
	WritersBefore time.Time // writers last seen before
	Limit         int       // of each kind, in one call
}

// Apply makes the change to k, which the store holds locked, as of the
// mutation's time, and tells whether anything is different now: only then is k
// to be written, with its new Version and UpdatedAt. It returns ErrConflict
// when IfVersion is not k's version.
func (c KeyChange) Apply(k *KeyRecord, at time.Time) (changed bool, err error) {
	if c.IfVersion != 0 && c.IfVersion != k.Version {
		return false, ErrConflict
	}
	set(&changed, &k.Name, c.Name, func(a, b string) bool { return a == b })
	set(&changed, &k.Scopes, c.Scopes, slices.Equal[[]string])
	set(&changed, &k.RateLimits, c.RateLimits, slices.Equal[[]RateLimit])
	set(&changed, &k.ExpiresAt, c.ExpiresAt, time.Time.Equal)
	set(&changed, &k.Custom, c.Custom, func(a, b json.RawMessage) bool { return string(a) == string(b) })
	if c.DisabledAt != nil && c.DisabledAt.IsZero() != k.DisabledAt.IsZero() {
		k.DisabledAt, changed = *c.DisabledAt, true
	}
	if c.Revoke != nil && k.RevokedAt.IsZero() {
		k.RevokedAt, k.RevokedReason, changed = c.Revoke.At, c.Revoke.Reason, true
	}
	if changed {
		k.Version++
		k.UpdatedAt = at
	}
	return changed, nil
}

// set assigns to a field unless the value is absent or the same.
func set[T any](changed *bool, field *T, value *T, same func(a, b T) bool) {
	if value == nil || same(*field, *value) {
		return
	}
	*field, *changed = *value, true
}
