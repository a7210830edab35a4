package httpapi

import (
	"errors"
	"slices"

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
	// Grant is the most that this principal hands out, administrators as well: the
	// zero Grant allows only keys without scopes. See apikeys.Client.WithGrant.
	Grant apikeys.Grant
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
		Grant: apikeys.GrantOf(key),
	}
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
