package httpapi

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// ErrUnauthenticated is what Options.Authenticate returns for a request of nobody.
var ErrUnauthenticated = errors.New("httpapi: the request is not authenticated")

// Principal is who sends a request and what that one may do. There are three
// kinds: an administrator, who manages everything; an organization's manager
// (OrganizationID alone), who manages its keys, projects and products; a user
// (OrganizationID and OwnerID), who manages the keys that are the user's own. The
// zero Principal may do nothing.
type Principal struct {
	// Actor names the principal in the audit events; see apikeys.ContextWithActor.
	Actor string
	// Admin sees and changes all organizations. It cannot be combined with OwnerID.
	Admin bool
	// OrganizationID is the organization that the principal acts in, and sees
	// nothing beyond. For administrators it is only where they create keys, projects
	// and products when the document does not say; uuid.Nil: it must say.
	OrganizationID uuid.UUID
	// OwnerID makes the principal a user: it sees and changes the keys of this owner
	// only, and what it creates is this owner's.
	OwnerID string
	// KeyID is the API key that the principal acts with; uuid.Nil: none. Such a
	// principal changes keys other than this one, and no organizations, projects or
	// products; see [KeyPrincipal].
	KeyID uuid.UUID
	// Grant is the most that the keys of this principal's making may do.
	Grant Grant
}

// Grant bounds what a principal hands out: a key that it creates, rotates,
// enables, or changes in scopes, rate limits or expiry, lies within the grant
// afterwards, or the request is refused. What others granted to a key is no
// reason: who holds less than a key cannot get hold of its new text.
type Grant struct {
	// Scopes are the scopes that may be granted, by the rules of the matcher:
	// "docs:*" allows "docs:read" and "docs:a:*". nil allows none at all, to
	// administrators as well: only keys without scopes. []string{"*"} allows all.
	Scopes []string
	// RateLimits are the loosest limits: a key must have a limit for each window
	// named here, of as many requests or fewer. nil: no bound.
	RateLimits []apikeys.RateLimit
	// ExpiresBy is when a key must have ended. Zero: no bound.
	ExpiresBy time.Time
}

// ManageScope is the scope that lets an API key manage keys.
const ManageScope = "apikeys:manage"

// KeyPrincipal returns the principal for a request that an API key authenticates,
// for use in Options.Authenticate with httpmw.Middleware.Check. It may do nothing
// unless the key has [ManageScope] by name (no wildcard stands for it) and is bound
// to no project or product. It then manages the keys of the key's organization, or
// of the key's owner if it has one, and grants no more than the key itself has:
// scopes, rate limits, end.
func KeyPrincipal(v apikeys.Validation) Principal {
	key := v.Key()
	if !slices.Contains(key.Metadata.Scopes, ManageScope) || key.ProjectID != uuid.Nil || key.ProductID != uuid.Nil {
		return Principal{}
	}
	return Principal{
		Actor: keyActor(key.ID), OrganizationID: key.OrganizationID, OwnerID: key.OwnerID, KeyID: key.ID,
		Grant: Grant{Scopes: key.Metadata.Scopes, RateLimits: key.Metadata.RateLimits, ExpiresBy: key.Metadata.ExpiresAt},
	}
}

// check refuses what is beyond the grant.
func (g Grant) check(m apikeys.KeyMetadata) error {
	if !apikeys.ScopesCover(g.Scopes, m.Scopes) {
		return beyond("scopes", "You cannot grant scopes that you do not hold.")
	}
	for _, bound := range g.RateLimits {
		if !hasWithin(m.RateLimits, bound) {
			return beyond("rate_limits", "You cannot grant more than "+bound.String()+": the key needs such a limit, or a tighter one.")
		}
	}
	if !g.ExpiresBy.IsZero() && (m.ExpiresAt.IsZero() || m.ExpiresAt.After(g.ExpiresBy)) {
		return beyond("expires_at", "You cannot grant a key that lives beyond "+g.ExpiresBy.UTC().Format(time.RFC3339)+".")
	}
	return nil
}

func hasWithin(limits []apikeys.RateLimit, bound apikeys.RateLimit) bool {
	for _, l := range limits {
		if l.Window == bound.Window && l.Requests <= bound.Requests {
			return true
		}
	}
	return false
}

func beyond(field, detail string) error {
	return errBeyondGrant.with(detail).at(attributesAt + "/" + field)
}

// valid refuses principals that are nobody, or two at once.
func (p Principal) valid() bool {
	if p.Admin {
		return p.OwnerID == ""
	}
	return p.OrganizationID != uuid.Nil
}

// view is the client as the principal sees it.
func (p Principal) view(c *apikeys.Client) *apikeys.Client {
	if p.Admin {
		return c
	}
	return c.Scoped(apikeys.Scope{OrganizationID: p.OrganizationID, OwnerID: p.OwnerID})
}

// isKey tells whether the principal acts with an API key.
func (p Principal) isKey() bool { return p.KeyID != uuid.Nil }

// isUser tells whether the principal is bound to its own keys.
func (p Principal) isUser() bool { return p.OwnerID != "" }
