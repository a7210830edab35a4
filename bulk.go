package apikeys

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// DeleteKey erases a key with its secrets, its usage and what the audit events
// tell of it, as the law on personal data may ask. Its text is unknown from then
// on; its id is never used again. A [NotFoundError] when there is none.
func (c *Client) DeleteKey(ctx context.Context, id uuid.UUID) error {
	if err := c.ready(); err != nil {
		return err
	}
	if id == uuid.Nil {
		return &NotFoundError{Kind: KindKey, ID: id}
	}
	n, err := c.deleteSome(ctx, KeyQuery{Scope: c.scope, ID: id})
	if err == nil && n == 0 {
		return &NotFoundError{Kind: KindKey, ID: id}
	}
	return err
}

// RevokeKeys revokes all keys that the filter selects, and returns how many it
// revoked: an owner who left, a project that leaked. A filter without an
// organization is refused, except in a view, which has one. If it fails on the way,
// those that were revoked stay so; call it again.
func (c *Client) RevokeKeys(ctx context.Context, filter KeyFilter, params RevokeParams) (int, error) {
	if err := checkName("Reason", params.Reason, false); err != nil {
		return 0, err
	}
	q, err := c.query(ctx, filter)
	if err != nil {
		return 0, err
	}
	if q.Scope.OrganizationID == uuid.Nil {
		return 0, invalid("OrganizationID", "is missing: keys are revoked in bulk within one organization only")
	}
	q.Limit = chunk
	op := operation{kind: KindKey, verb: "revoke", id: q.Scope.OrganizationID, stale: q.stale()}
	return inChunks(func() (int, error) {
		return c.some(ctx, op, func(ctx context.Context, m Mutation) ([]uuid.UUID, error) {
			return c.store.RevokeKeys(ctx, m, q, params.Reason)
		})
	})
}

// PurgeParams says which keys are erased.
type PurgeParams struct {
	// EndedBefore selects keys that were revoked before this time, or had expired by
	// then. Required.
	EndedBefore time.Time
}

// PurgeKeys erases the keys that ended long ago, as [Client.DeleteKey] does, and
// returns how many it erased.
func (c *Client) PurgeKeys(ctx context.Context, params PurgeParams) (int, error) {
	if err := c.ready(); err != nil {
		return 0, err
	}
	if params.EndedBefore.IsZero() {
		return 0, invalid("EndedBefore", "is missing: it says how long ago a key must have ended")
	}
	before := params.EndedBefore.UTC().Truncate(time.Microsecond)
	return c.deleteKeys(ctx, KeyQuery{Scope: c.scope, EndedBefore: before})
}

// chunk is how many keys a bulk operation takes at a time: as many as the
// store names one by one in its changes.
const chunk = 256

// deleteKeys erases all that the query selects.
func (c *Client) deleteKeys(ctx context.Context, q KeyQuery) (int, error) {
	return inChunks(func() (int, error) { return c.deleteSome(ctx, q) })
}

func (c *Client) deleteSome(ctx context.Context, q KeyQuery) (int, error) {
	q.Limit = chunk
	op := operation{kind: KindKey, verb: "delete", id: q.ID, stale: q.stale()}
	return c.some(ctx, op, func(ctx context.Context, m Mutation) ([]uuid.UUID, error) {
		return c.store.DeleteKeys(ctx, m, q)
	})
}

// stale is what a change of all that a query selects makes stale.
func (q KeyQuery) stale() []Change {
	switch {
	case q.ID != uuid.Nil:
		return staleKey(q.ID)
	case q.Scope.OrganizationID != uuid.Nil:
		return staleOrganization(q.Scope.OrganizationID)
	}
	return []Change{{Kind: ChangeAll}}
}

func staleOrganization(id uuid.UUID) []Change {
	return []Change{{Kind: ChangeOrganization, ID: id}}
}

// inChunks repeats a bulk operation, each time as a new one, until it finds
// nothing more to do. A short chunk is not the end: keys may have stopped matching
// between their selection and their lock.
func inChunks(some func() (int, error)) (total int, err error) {
	for {
		n, err := some()
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// some runs one chunk of a bulk operation and returns how many keys it touched.
func (c *Client) some(ctx context.Context, op operation, do func(context.Context, Mutation) ([]uuid.UUID, error)) (int, error) {
	var ids []uuid.UUID
	err := c.mutate(ctx, op, func(ctx context.Context, m Mutation) (err error) {
		ids, err = do(ctx, m)
		return err
	})
	return len(ids), err
}
