package apikeys

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Grant is the most that somebody may hand out in keys; see [Client.WithGrant].
// The zero Grant allows only keys without scopes, and bounds nothing else.
//
// Whatever a key within the grant may do, one that has exactly the grant's scopes,
// limits, end and bindings may do too: at any time, for any project and product, as
// often in any window. Limits are counted for each key: two keys within a grant of
// 100 a minute may be used 200 times a minute together.
type Grant struct {
	// Scopes are those that may be granted, by the rules of the matcher: "docs:*"
	// allows "docs:read", "docs:a:*" and itself, not "docs" and not "*". nil allows
	// none; []string{"*"} allows all.
	Scopes []string
	// RateLimits are the loosest limits: a key must have a limit for each window
	// named here, of as many requests or fewer. A limit for another window does not
	// do instead. nil: no bound.
	RateLimits []RateLimit
	// ExpiresBy is when a key must have ended. Zero: no bound.
	ExpiresBy time.Time
	// OrganizationID, ProjectID and ProductID are what a key must be bound to; it may
	// be bound to more. uuid.Nil: no bound.
	OrganizationID uuid.UUID
	ProjectID      uuid.UUID
	ProductID      uuid.UUID
	// OwnerID is the owner whose keys they must be; programs tell by the owner whom a
	// key speaks for. Empty: no bound.
	OwnerID string
	// Environments are those that a key may belong to. nil: any.
	Environments []string
}

// GrantOf returns what the holder of a key could hand out: no more than the key
// itself. It does not ask whether the key is still good: take the key from a
// [Validation]. A key that manages keys should be made to carry a scope for it, and
// the program should ask for that scope.
func GrantOf(key Key) Grant {
	return Grant{
		Scopes: key.Metadata.Scopes, RateLimits: key.Metadata.RateLimits, ExpiresBy: key.Metadata.ExpiresAt,
		OrganizationID: key.OrganizationID, ProjectID: key.ProjectID, ProductID: key.ProductID,
		OwnerID: key.OwnerID, Environments: []string{key.Environment},
	}
}

// WithGrant returns a view of the client that hands out nothing beyond the grant. A
// key that it creates, imports, rotates, enables, or changes in anything but its
// name is within the grant afterwards, or the call returns a [BeyondGrantError] and
// nothing was done; that holds at the moment of the write, whoever else changes the
// key. What was granted to a key before is no reason: who may hand out less than a
// key has cannot get a new text for it. Taking away (revoke, disable, delete) is
// always allowed.
//
// A grant says nothing about what is seen: see [Client.Scoped] for that. The two
// compose in any order, and several grants must all allow. Projects and products
// are not handed out: a view with a grant for one project or product changes none,
// and a view whose grant has any bound does not resume organizations, which would
// bring back all of their keys.
func (c *Client) WithGrant(g Grant) *Client {
	g.Scopes, g.RateLimits, g.Environments = slices.Clone(g.Scopes), slices.Clone(g.RateLimits), slices.Clone(g.Environments)
	view := *c
	view.grants = append(slices.Clip(c.grants), g)
	return &view
}

// checkGrants refuses a key that is, or would be, beyond one of the grants of this view.
func (c *Client) checkGrants(k *KeyRecord) error {
	for i := range c.grants {
		if err := c.grants[i].check(k); err != nil {
			return err
		}
	}
	return nil
}

func (g *Grant) check(k *KeyRecord) error {
	for _, check := range [...]func(*Grant, *KeyRecord) error{
		(*Grant).checkTenant, (*Grant).checkScopes, (*Grant).checkLimits, (*Grant).checkEnd,
	} {
		if err := check(g, k); err != nil {
			return err
		}
	}
	return nil
}

func (g *Grant) checkTenant(k *KeyRecord) error {
	for _, bound := range [...]struct {
		field     string
		want, got uuid.UUID
	}{
		{"OrganizationID", g.OrganizationID, k.OrganizationID},
		{"ProjectID", g.ProjectID, k.ProjectID},
		{"ProductID", g.ProductID, k.ProductID},
	} {
		if bound.want != uuid.Nil && bound.got != bound.want {
			return beyond(bound.field, "the key must be bound to "+bound.want.String())
		}
	}
	if g.OwnerID != "" && k.OwnerID != g.OwnerID {
		return beyond("OwnerID", "the key must be of the owner "+quoted([]string{g.OwnerID}, ""))
	}
	if g.Environments != nil && !slices.Contains(g.Environments, k.Environment) {
		return beyond("Environment", "the key must be of "+quoted(g.Environments, "no environment"))
	}
	return nil
}

func (g *Grant) checkScopes(k *KeyRecord) error {
	if ScopesCover(g.Scopes, k.Scopes) {
		return nil
	}
	return beyond("Metadata.Scopes", "what may be granted is "+quoted(g.Scopes, "nothing"))
}

func (g *Grant) checkLimits(k *KeyRecord) error {
	for _, bound := range g.RateLimits {
		within := func(l RateLimit) bool { return l.Window == bound.Window && l.Requests <= bound.Requests }
		if !slices.ContainsFunc(k.RateLimits, within) {
			return beyond("Metadata.RateLimits", "the key needs a limit of "+bound.String()+" or fewer")
		}
	}
	return nil
}

func (g *Grant) checkEnd(k *KeyRecord) error {
	if g.ExpiresBy.IsZero() || !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(g.ExpiresBy) {
		return nil
	}
	return beyond("Metadata.ExpiresAt", "the key must end by "+g.ExpiresBy.UTC().Format(time.RFC3339Nano))
}

func beyond(field, allowed string) error { return &BeyondGrantError{Field: field, Allowed: allowed} }

func quoted(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return `"` + strings.Join(list, `", "`) + `"`
}

// bounded tells whether a grant of this view has any bound.
func (c *Client) bounded() bool {
	return slices.ContainsFunc(c.grants, func(g Grant) bool {
		return !slices.Contains(g.Scopes, "*") || len(g.RateLimits) > 0 || !g.ExpiresBy.IsZero() ||
			g.OrganizationID != uuid.Nil || g.boundResource() || g.OwnerID != "" || g.Environments != nil
	})
}

func (g *Grant) boundResource() bool { return g.ProjectID != uuid.Nil || g.ProductID != uuid.Nil }

// handsOut tells of a change that can give power to the holder of the key. A name is
// for people; custom data may well decide what a program lets the key do.
func (c KeyChange) handsOut() bool {
	return c.Scopes != nil || c.RateLimits != nil || c.ExpiresAt != nil || c.Custom != nil ||
		c.DisabledAt != nil && c.DisabledAt.IsZero()
}

// grantRounds bounds how often a key is read again because somebody else changed it.
const grantRounds = 8

// withinGrants does something to a key that must be within the grants afterwards.
// The key is checked as after would make it, and written only if it is still that
// version: what was checked is what is changed. ifVersion is the caller's own
// condition, if there is one.
func (c *Client) withinGrants(ctx context.Context, id uuid.UUID, ifVersion int64, after func(*KeyRecord) error, write func(version int64) error) error {
	if len(c.grants) == 0 {
		return write(ifVersion)
	}
	for range grantRounds {
		record, err := c.getRecord(ctx, id)
		if err != nil {
			return err
		}
		if ifVersion != 0 && ifVersion != record.Version {
			return ErrConflict
		}
		version := record.Version
		if err := after(&record); err != nil {
			return err
		}
		if err := c.checkGrants(&record); err != nil {
			return err
		}
		if err := write(version); ifVersion != 0 || !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return ErrConflict
}
