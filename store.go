package apikeys

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Store keeps what a [Client] knows. The packages under store implement it for
// SQLite, Postgres and MySQL/MariaDB; package storetest proves any other.
//
// These duties hold for every method:
//
//   - Each call is atomic: all of it happened or nothing did. It is safe for
//     concurrent use by any number of goroutines and processes.
//   - The context bounds it. A caller that gives up must not leave a lock behind.
//   - Ids, hashes, times and random values are made by the client and stored
//     exactly: bytes as bytes, times to the microsecond, text without folding
//     case, trimming or normalising. What is returned is the caller's to keep
//     and to change.
//   - A [Scope] in a reference or query is part of the statement's condition,
//     on every page. The zero Scope means: no boundary. What lies outside is
//     ErrNotFound, exactly as if it did not exist.
//   - ErrNotFound, ErrAlreadyExists, ErrConflict are returned where the comments
//     say so. ErrOutcomeUnknown says that the commit was sent and its answer
//     lost. Any other error says that the call did nothing; one that is
//     ErrUnavailable or context.DeadlineExceeded, that the database could not be
//     reached or did not answer in time. Errors never hold a hash, a setting, a
//     query argument or a DSN.
//   - Deadlocks, serialization failures and busy databases are retried by the
//     store, a few times, while the context allows it.
//
// Every method that takes a [Mutation] does, in the same transaction:
//
//   - apply the mutation once. When its id stands among the events, it was
//     applied before: change nothing and return what it returned then, or what
//     stands now. (What was created is reported as created, and a bulk operation
//     returns the same ids, which its event keeps under "keys" in the Detail.)
//   - write one [EventRecord] under the mutation's id. A call that had nothing
//     to change (a link that is there already) writes none.
//   - where its comment says "bumps": raise the revision by one, last of all its
//     locks, with the mutation's id as stamp, and record what changed.
//
// Embed [UnimplementedStore], so that a method added later does not break the build.
type Store interface {
	// EnsureSettings makes proposed stand if nothing stands, or if proposed
	// follows what stands (its Version is one greater; bumps "all"), and returns
	// what stands afterwards, read after the write was committed. Exactly one of
	// any number of concurrent proposals for the same version wins. A proposal of
	// version 0 proposes nothing: it only reads.
	EnsureSettings(ctx context.Context, proposed SettingsRecord) (SettingsRecord, error)

	// CreateResource adds an organization, a project or a product. When the name
	// is taken (byte for byte; within the organization for projects and products)
	// it returns the standing record and created false. ErrNotFound when the
	// organization does not exist.
	CreateResource(ctx context.Context, m Mutation, r ResourceRecord) (standing ResourceRecord, created bool, err error)
	// UpdateResource renames, suspends, resumes or deletes, and returns the record
	// as it is afterwards (as it was, when deleted). ErrNotFound; ErrAlreadyExists
	// when the new name is taken. Deleting takes links, and with an organization
	// its projects and products; ErrConflict while keys are bound to what would
	// go. Suspending, resuming and deleting bump the organization.
	UpdateResource(ctx context.Context, m Mutation, ref ResourceRef, change ResourceChange) (ResourceRecord, error)
	// ListResources returns what matches, the greatest id first.
	ListResources(ctx context.Context, q ResourceQuery) ([]ResourceRecord, error)
	// SetLink links a product to a project, or unlinks it. ErrNotFound unless both
	// exist in one organization, within the scope. Bumps that organization.
	SetLink(ctx context.Context, m Mutation, link LinkRef, linked bool) error
	// Binding tells whose a project and a product are and whether they are
	// linked. uuid.Nil asks nothing; what does not exist belongs to uuid.Nil.
	Binding(ctx context.Context, projectID, productID uuid.UUID) (Binding, error)

	// CreateKeys adds keys, each with its Secret. The slice holds one error for
	// each key, in order: nil, ErrAlreadyExists (its id or its hash is taken) or
	// ErrNotFound (no such organization, or its project or product is not of that
	// organization). Keys without an error are there. One event for all.
	CreateKeys(ctx context.Context, m Mutation, keys []KeyRecord) ([]error, error)
	// KeysByHash returns the keys that have these hashes, in any order, none for a
	// hash that is unknown, each with the Secret it was found by, ended or not.
	KeysByHash(ctx context.Context, hashes []Hash) ([]KeyRecord, error)
	// GetKey returns a key and all of its secrets, the newest first. ErrNotFound.
	GetKey(ctx context.Context, ref KeyRef) (KeyRecord, []SecretRecord, error)
	// ListKeys returns what matches, the greatest id first; with Expiring, the
	// earliest end first.
	ListKeys(ctx context.Context, q KeyQuery) ([]KeyRecord, error)
	// UpdateKey applies the change to the locked row by [KeyChange.Apply].
	// ErrNotFound, ErrConflict. Bumps the key, unless nothing changed.
	UpdateKey(ctx context.Context, m Mutation, ref KeyRef, change KeyChange) (KeyRecord, error)
	// RotateKey adds a secret to a locked key that is active at m.At and of the
	// rotation's version (else ErrConflict), numbered after the newest; ends that one at the rotation's
	// OldEndsAt or at its own end, whichever is earlier, and all older ones at m.At
	// at the latest. ErrNotFound; ErrAlreadyExists when the hash is taken. Bumps the key.
	RotateKey(ctx context.Context, m Mutation, ref KeyRef, rotation Rotation) (KeyRecord, error)
	// RevokeKeys revokes up to q.Limit of the matching keys that are not revoked,
	// and returns their ids; the caller repeats until there are none. Bumps the
	// keys, or the organization (or all) when they are more than 256.
	RevokeKeys(ctx context.Context, m Mutation, q KeyQuery, reason string) ([]uuid.UUID, error)
	// DeleteKeys removes up to q.Limit of the matching keys with their secrets and
	// usage, blanks the details of their events, and returns their ids. Bumps like
	// RevokeKeys.
	DeleteKeys(ctx context.Context, m Mutation, q KeyQuery) ([]uuid.UUID, error)

	// AddHash adds one more hash to a secret that a key has already (KeyID,
	// Number): what the same text hashes to under another signing secret. It takes
	// over that secret's hint, times and end. Adding it again changes nothing.
	// ErrNotFound when the key has no such secret (any more).
	AddHash(ctx context.Context, s SecretRecord) error
	// CountHashes tells for each signing secret how many keys use it, and how many
	// of them would be lost with it at a time.
	CountHashes(ctx context.Context, at time.Time) (map[string]HashCount, error)
	// DeleteHashes removes up to limit hashes made under a signing secret and
	// returns how many it removed; the caller repeats. Bumps "all" if any. With a
	// limit of 0 it removes none and writes its event all the same: that a secret
	// was retired which no hash was left of.
	DeleteHashes(ctx context.Context, m Mutation, signingID string, limit int) (int, error)

	// Changes returns what changed after the mark, by the revision and stamp that
	// were committed before the call. It must not answer from a replica.
	Changes(ctx context.Context, since ChangeMark) (ChangeSet, error)

	// TakeLeases charges rate limit windows and returns one grant for each
	// request, in order. A window is the one that the request's time (zero: the
	// store's own clock, that of the database) falls in. All of a request's parts
	// are decided on the same locked rows. Rows are locked in the order of
	// subject and window. A row of a later window is not touched and nothing is
	// granted (a clock went back), unless it lies a whole window or more ahead:
	// then it was a mistake and is overwritten. Used never goes down otherwise.
	// The commit is as durable as the database's.
	TakeLeases(ctx context.Context, requests []LeaseRequest) ([]LeaseGrant, error)
	// Admit charges windows as TakeLeases does, and notes a use at the time at for
	// each admission whose parts were all granted what they want: in the same
	// transaction, so that there is never one without the other, and it is waited for
	// once. Admissions are decided in their order. Uses that are noted are added up later,
	// see FoldUsage. Nothing repeats the call when its outcome is unknown: then all of it
	// was done, once, or nothing was. The commit is as durable as the database's.
	Admit(ctx context.Context, at time.Time, admissions []Admission) ([]LeaseGrant, error)
	// ReturnLeases gives back what was not used, if the row is still of that window
	// and has that much used; else nothing happens.
	ReturnLeases(ctx context.Context, unused []LeaseReturn) error

	// AddUsage applies a batch if its Seq is greater than the last of its Writer,
	// and else does nothing. Deltas of keys that do not exist are dropped.
	// Accepted deltas raise UseCount and LastUsedAt of the key; all are added to
	// its usage by hour.
	AddUsage(ctx context.Context, batch UsageBatch) error
	// FoldUsage adds the uses that Admit has noted, those of every process, to the keys'
	// UseCount and LastUsedAt and to their usage by hour, as AddUsage adds accepted ones,
	// and forgets the notes. Each use is added once, however often this is called at once
	// and whatever happens to who does it; a use of a key that does not exist (any more)
	// is dropped. Everything that was noted when the call began is added when it
	// returns nil. It may take several transactions: after an error some of it may be
	// done, and the rest is done by whoever comes next.
	//
	// GetKey, ListKeys and KeyUsage do it first, so that they tell every use that was
	// acknowledged before they were called, by whichever process. KeysByHash, on the path
	// of requests, and what changes keys do not: what they return may lack noted uses. A
	// store without Admit needs no FoldUsage.
	FoldUsage(ctx context.Context) error
	// KeyUsage returns a key's usage by hour, secret and outcome, in the order of
	// the hours. ErrNotFound.
	KeyUsage(ctx context.Context, q UsageQuery) ([]UsageDelta, error)
	// ListEvents returns what matches, the greatest id first.
	ListEvents(ctx context.Context, q EventQuery) ([]EventRecord, error)
	// Sweep removes up to p.Limit rows of each kind that are older than p says,
	// and returns how many it removed; the caller repeats.
	Sweep(ctx context.Context, p SweepParams) (int, error)
}

// PooledStore is a [Store] that tells how many connections it has. A store need not
// be one: then its calls are bounded by the number of processors alone.
type PooledStore interface {
	Store
	// PoolSize returns how many calls that read can run at once; 0: any number.
	PoolSize() int
}

// SerialStore is a [Store] that may write for one call at a time, as a database with a
// single writer does. A store need not be one: then two calls write at once for all who
// wait ([NewExactLimiter]), each for half of them.
type SerialStore interface {
	Store
	// Serial tells whether calls that write wait for each other, whatever they write.
	Serial() bool
}

// UnimplementedStore answers every method of [Store] with an error. Embed it in
// a store of your own, so that methods added to Store in a later release do not
// break your build.
type UnimplementedStore struct{}

var _ Store = UnimplementedStore{}

var errUnimplemented = errors.New("the store does not implement this method")

// EnsureSettings returns an error: it is not implemented.
func (UnimplementedStore) EnsureSettings(context.Context, SettingsRecord) (SettingsRecord, error) {
	return SettingsRecord{}, errUnimplemented
}

// CreateResource returns an error: it is not implemented.
func (UnimplementedStore) CreateResource(context.Context, Mutation, ResourceRecord) (ResourceRecord, bool, error) {
	return ResourceRecord{}, false, errUnimplemented
}

// UpdateResource returns an error: it is not implemented.
func (UnimplementedStore) UpdateResource(context.Context, Mutation, ResourceRef, ResourceChange) (ResourceRecord, error) {
	return ResourceRecord{}, errUnimplemented
}

// ListResources returns an error: it is not implemented.
func (UnimplementedStore) ListResources(context.Context, ResourceQuery) ([]ResourceRecord, error) {
	return nil, errUnimplemented
}

// SetLink returns an error: it is not implemented.
func (UnimplementedStore) SetLink(context.Context, Mutation, LinkRef, bool) error {
	return errUnimplemented
}

// Binding returns an error: it is not implemented.
func (UnimplementedStore) Binding(context.Context, uuid.UUID, uuid.UUID) (Binding, error) {
	return Binding{}, errUnimplemented
}

// CreateKeys returns an error: it is not implemented.
func (UnimplementedStore) CreateKeys(context.Context, Mutation, []KeyRecord) ([]error, error) {
	return nil, errUnimplemented
}

// KeysByHash returns an error: it is not implemented.
func (UnimplementedStore) KeysByHash(context.Context, []Hash) ([]KeyRecord, error) {
	return nil, errUnimplemented
}

// GetKey returns an error: it is not implemented.
func (UnimplementedStore) GetKey(context.Context, KeyRef) (KeyRecord, []SecretRecord, error) {
	return KeyRecord{}, nil, errUnimplemented
}

// ListKeys returns an error: it is not implemented.
func (UnimplementedStore) ListKeys(context.Context, KeyQuery) ([]KeyRecord, error) {
	return nil, errUnimplemented
}

// UpdateKey returns an error: it is not implemented.
func (UnimplementedStore) UpdateKey(context.Context, Mutation, KeyRef, KeyChange) (KeyRecord, error) {
	return KeyRecord{}, errUnimplemented
}

// RotateKey returns an error: it is not implemented.
func (UnimplementedStore) RotateKey(context.Context, Mutation, KeyRef, Rotation) (KeyRecord, error) {
	return KeyRecord{}, errUnimplemented
}

// RevokeKeys returns an error: it is not implemented.
func (UnimplementedStore) RevokeKeys(context.Context, Mutation, KeyQuery, string) ([]uuid.UUID, error) {
	return nil, errUnimplemented
}

// DeleteKeys returns an error: it is not implemented.
func (UnimplementedStore) DeleteKeys(context.Context, Mutation, KeyQuery) ([]uuid.UUID, error) {
	return nil, errUnimplemented
}

// AddHash returns an error: it is not implemented.
func (UnimplementedStore) AddHash(context.Context, SecretRecord) error { return errUnimplemented }

// CountHashes returns an error: it is not implemented.
func (UnimplementedStore) CountHashes(context.Context, time.Time) (map[string]HashCount, error) {
	return nil, errUnimplemented
}

// DeleteHashes returns an error: it is not implemented.
func (UnimplementedStore) DeleteHashes(context.Context, Mutation, string, int) (int, error) {
	return 0, errUnimplemented
}

// Changes returns an error: it is not implemented.
func (UnimplementedStore) Changes(context.Context, ChangeMark) (ChangeSet, error) {
	return ChangeSet{}, errUnimplemented
}

// TakeLeases returns an error: it is not implemented.
func (UnimplementedStore) TakeLeases(context.Context, []LeaseRequest) ([]LeaseGrant, error) {
	return nil, errUnimplemented
}

// Admit returns an error: it is not implemented.
func (UnimplementedStore) Admit(context.Context, time.Time, []Admission) ([]LeaseGrant, error) {
	return nil, errUnimplemented
}

// ReturnLeases returns an error: it is not implemented.
func (UnimplementedStore) ReturnLeases(context.Context, []LeaseReturn) error { return errUnimplemented }

// AddUsage returns an error: it is not implemented.
func (UnimplementedStore) AddUsage(context.Context, UsageBatch) error { return errUnimplemented }

// FoldUsage returns an error: it is not implemented.
func (UnimplementedStore) FoldUsage(context.Context) error { return errUnimplemented }

// KeyUsage returns an error: it is not implemented.
func (UnimplementedStore) KeyUsage(context.Context, UsageQuery) ([]UsageDelta, error) {
	return nil, errUnimplemented
}

// ListEvents returns an error: it is not implemented.
func (UnimplementedStore) ListEvents(context.Context, EventQuery) ([]EventRecord, error) {
	return nil, errUnimplemented
}

// Sweep returns an error: it is not implemented.
func (UnimplementedStore) Sweep(context.Context, SweepParams) (int, error) {
	return 0, errUnimplemented
}
