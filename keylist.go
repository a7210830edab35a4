package apikeys

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
)

// KeyFilter selects keys. Zero fields select nothing away.
type KeyFilter struct {
	OrganizationID uuid.UUID // a view fills in its own
	ProjectID      uuid.UUID // keys bound to this project
	ProductID      uuid.UUID // keys bound to this product
	OwnerID        string    // needs OrganizationID
	Status         KeyStatus // "" and StatusAll: any
	// Query matches keys whose name or hint contains it, in any case.
	Query string
	// CreatedBefore selects keys created before this time; zero: at any.
	CreatedBefore time.Time
}

// ListKeys returns a page of keys, the newest first. An organization, project or
// product that does not exist is a [NotFoundError].
func (c *Client) ListKeys(ctx context.Context, filter KeyFilter, opts ListOptions) (Page[Key], error) {
	q, err := c.query(ctx, filter)
	if err != nil {
		return Page[Key]{}, err
	}
	return c.listKeys(ctx, q, opts)
}

func (c *Client) listKeys(ctx context.Context, q KeyQuery, opts ListOptions) (Page[Key], error) {
	list := fmt.Sprintf("key %q", []any{q.Scope, q.ProjectID, q.ProductID, q.Status, q.Search, q.CreatedBefore})
	records, err := paginate(c, list, opts, func(before uuid.UUID, limit int) ([]KeyRecord, error) {
		q.Before, q.Limit = before, limit
		ctx, cancel := c.call(ctx)
		defer cancel()
		records, err := c.store.ListKeys(ctx, q)
		return records, storeError("list keys", err)
	}, func(r KeyRecord) uuid.UUID { return r.ID })
	if err != nil {
		return Page[Key]{}, err
	}
	keys, err := c.publicKeys(records.Items)
	if err != nil {
		return Page[Key]{}, err
	}
	return Page[Key]{Items: keys, NextCursor: records.NextCursor}, nil
}

func (c *Client) publicKeys(records []KeyRecord) ([]Key, error) {
	keys := make([]Key, 0, len(records))
	for _, r := range records {
		key, err := c.publicKey(r)
		if err != nil {
			return nil, err
		}
		keys = append(keys, *key)
	}
	return keys, nil
}

// Keys iterates over all keys that the filter selects, the newest first, reading a
// page at a time. It ends after the first error.
func (c *Client) Keys(ctx context.Context, filter KeyFilter) iter.Seq2[*Key, error] {
	return eachKey(func(opts ListOptions) (Page[Key], error) { return c.ListKeys(ctx, filter, opts) })
}

// ExpiringKeys iterates over the active keys that will expire within a time from now,
// the earliest end first: whose holders should be told. All organizations' keys, or
// those of the view. It ends after the first error.
func (c *Client) ExpiringKeys(ctx context.Context, within time.Duration) iter.Seq2[*Key, error] {
	q, err := c.query(ctx, KeyFilter{Status: StatusActive})
	if err == nil && within <= 0 {
		err = invalid("within", "must be positive: it says how soon a key must expire to be listed")
	}
	q.ExpiresBefore, q.Limit = q.Now.Add(within), maxPage
	q.Expiring = &ExpiryMark{At: q.Now, ID: uuid.Max} // what ends now has expired
	return func(yield func(*Key, error) bool) {
		for n := maxPage; n == maxPage && err == nil; {
			var page []Key
			page, err = c.expiringKeys(ctx, q)
			for i := range page {
				if !yield(&page[i], nil) {
					return
				}
			}
			if n = len(page); n > 0 {
				q.Expiring = &ExpiryMark{At: page[n-1].Metadata.ExpiresAt, ID: page[n-1].ID}
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// expiringKeys reads a page of keys in the order of their ends.
func (c *Client) expiringKeys(ctx context.Context, q KeyQuery) ([]Key, error) {
	ctx, cancel := c.call(ctx)
	defer cancel()
	records, err := c.store.ListKeys(ctx, q)
	if err != nil {
		return nil, storeError("list keys", err)
	}
	return c.publicKeys(records)
}

// eachKey iterates over a list, reading a page at a time.
func eachKey(list func(ListOptions) (Page[Key], error)) iter.Seq2[*Key, error] {
	return func(yield func(*Key, error) bool) {
		opts := ListOptions{Limit: maxPage}
		for {
			page, err := list(opts)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Items {
				if !yield(&page.Items[i], nil) {
					return
				}
			}
			if opts.Cursor = page.NextCursor; opts.Cursor == "" {
				return
			}
		}
	}
}

// query gives a filter the form that stores take, within this view.
func (c *Client) query(ctx context.Context, f KeyFilter) (KeyQuery, error) {
	if err := c.ready(); err != nil {
		return KeyQuery{}, err
	}
	if err := f.check(); err != nil {
		return KeyQuery{}, err
	}
	scope, err := c.scopeFor(ctx, f)
	if err != nil {
		return KeyQuery{}, err
	}
	if scope.OwnerID != "" && scope.OrganizationID == uuid.Nil {
		return KeyQuery{}, invalid("OwnerID", "needs OrganizationID: owners are named within an organization")
	}
	return KeyQuery{
		Scope: scope, ProjectID: f.ProjectID, ProductID: f.ProductID, Status: f.Status, Now: c.now(),
		Search: f.Query, CreatedBefore: f.CreatedBefore.UTC().Truncate(time.Microsecond),
	}, nil
}

func (f KeyFilter) check() error {
	switch f.Status {
	case "", StatusAll, StatusActive, StatusExpired, StatusRevoked, StatusDisabled:
	default:
		return invalid("Status", "%s is none of all, active, expired, revoked, disabled", quoteClipped(string(f.Status)))
	}
	if err := checkName("OwnerID", f.OwnerID, false); err != nil {
		return err
	}
	return checkName("Query", f.Query, false)
}

// scopeFor returns the organization and owner that a filter comes down to, and
// sees that what it names exists and lies within this view.
func (c *Client) scopeFor(ctx context.Context, f KeyFilter) (Scope, error) {
	scope := Scope{OrganizationID: f.OrganizationID, OwnerID: f.OwnerID}
	if c.view && scope.OrganizationID == uuid.Nil {
		scope.OrganizationID = c.scope.OrganizationID
	}
	if c.scope.OwnerID != "" && scope.OwnerID == "" {
		scope.OwnerID = c.scope.OwnerID
	}
	if c.scope.OwnerID != "" && scope.OwnerID != c.scope.OwnerID {
		return Scope{}, invalid("OwnerID", "is not the owner whose keys this view is for")
	}
	for _, bound := range []struct {
		kind ResourceKind
		id   uuid.UUID
	}{{KindOrganization, f.OrganizationID}, {KindProject, f.ProjectID}, {KindProduct, f.ProductID}} {
		if bound.id == uuid.Nil {
			continue
		}
		r, err := c.getResource(ctx, bound.kind, bound.id)
		if err != nil {
			return Scope{}, err
		}
		if scope.OrganizationID == uuid.Nil {
			scope.OrganizationID = r.OrganizationID
		}
		if r.OrganizationID != scope.OrganizationID {
			return Scope{}, &NotFoundError{Kind: bound.kind, ID: bound.id}
		}
	}
	return scope, nil
}
