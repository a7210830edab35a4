package httpapi

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func keyRoutes() []route {
	list := []string{paramSize, paramCursor, paramStatus, paramProject, paramProduct, paramQuery, paramOrganization}
	return []route{
		{pattern: "POST /api-keys", do: (*call).createKey},
		{pattern: "GET /api-keys", do: (*call).listKeys, params: append(slices.Clone(list), paramOwner)},
		{pattern: "GET /api-keys/{id}", do: (*call).getKey},
		{pattern: "PATCH /api-keys/{id}", do: (*call).patchKey},
		{pattern: "DELETE /api-keys/{id}", do: (*call).deleteKey},
		{pattern: "POST /api-keys/{id}/rotate", do: (*call).rotateKey},
		{pattern: "POST /api-keys/{id}/revoke", do: (*call).revokeKey},
		{pattern: "POST /api-keys/{id}/disable", do: (*call).disableKey},
		{pattern: "POST /api-keys/{id}/enable", do: (*call).enableKey},
		{pattern: "GET /api-keys/{id}/relationships/user", do: (*call).userOfKey},
		{pattern: "POST /users/{id}/api-keys", do: (*call).createKeyOf},
		{pattern: "GET /users/{id}/api-keys", do: (*call).listKeysOfUser, params: list},
	}
}

func (c *call) createKey() (answer, error) {
	data, err := c.data(typeKeys, "")
	if err != nil {
		return answer{}, err
	}
	params, err := keyParams(data)
	if err != nil {
		return answer{}, err
	}
	return c.issue(params)
}

// issue creates a key within what the principal may: its organization and its owner;
// the grant is the client's to keep.
func (c *call) issue(params apikeys.CreateKeyParams) (answer, error) {
	if c.who.isUser() {
		if params.OwnerID != "" && params.OwnerID != c.who.OwnerID {
			return answer{}, errForbidden.with("Your keys are your own.").at(relationshipsAt + "/user")
		}
		params.OwnerID = c.who.OwnerID
	}
	if params.OrganizationID = c.organization(params.OrganizationID); params.OrganizationID == uuid.Nil {
		return answer{}, errBadRequest.with("This is missing.").at(relationshipsAt + "/organization")
	}
	key, err := c.client.CreateKey(c.ctx(), params)
	if err != nil {
		return answer{}, err
	}
	return c.api.issued(key), nil
}

func (c *call) listKeys() (answer, error) {
	owner, err := c.query.owner()
	if err != nil {
		return answer{}, err
	}
	return c.listKeysOf(owner)
}

func (c *call) listKeysOf(owner string) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	filter := apikeys.KeyFilter{
		OwnerID: owner, Status: apikeys.KeyStatus(c.query.get(paramStatus)), Query: c.query.get(paramQuery),
	}
	if err := c.query.bounds(&filter); err != nil {
		return answer{}, err
	}
	opts, err := c.query.page()
	if err != nil {
		return answer{}, err
	}
	if err := c.ownerWithin(&filter); err != nil {
		return answer{}, err
	}
	page, err := c.client.ListKeys(c.ctx(), filter, opts)
	if err != nil {
		return answer{}, err
	}
	return c.list(page.NextCursor, resources(page.Items, c.api.keyResource)), nil
}

// ownerWithin gives the owner that is asked for an organization: owners are named
// within one. To a user, nobody else exists.
func (c *call) ownerWithin(filter *apikeys.KeyFilter) error {
	switch {
	case filter.OwnerID == "":
		return nil
	case c.who.isUser() && filter.OwnerID != c.who.OwnerID:
		return errNotFound
	}
	if filter.OrganizationID = c.organization(filter.OrganizationID); filter.OrganizationID == uuid.Nil {
		return errBadRequest.with("This is missing: owners are named within an organization.").in(paramOrganization)
	}
	return nil
}

func (c *call) getKey() (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	return c.onKey(c.client.GetKey)
}

// onKey answers with the key of the path after something was done with it.
func (c *call) onKey(do func(context.Context, uuid.UUID) (*apikeys.Key, error)) (answer, error) {
	return after(c, do, c.api.keyResource)
}

// after does something with what the path names, and answers with what it is then.
func after[T, R any](c *call, do func(context.Context, uuid.UUID) (*T, error), as func(*T) R) (answer, error) {
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	it, err := do(c.ctx(), id)
	if err != nil {
		return answer{}, err
	}
	return answer{doc: &document{Data: as(it)}}, nil
}

func (c *call) patchKey() (answer, error) {
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	// Who may not see it learns nothing from what is said of the body.
	if _, err := c.client.GetKey(c.ctx(), id); err != nil {
		return answer{}, err
	}
	patch, err := c.readPatch(id)
	if err != nil {
		return answer{}, err
	}
	return c.onKey(func(ctx context.Context, id uuid.UUID) (*apikeys.Key, error) {
		return c.client.PatchKey(ctx, id, patch)
	})
}

// readPatch reads a change. The version, if it is there, is the one that the change
// was made for.
func (c *call) readPatch(id uuid.UUID) (apikeys.KeyPatch, error) {
	data, err := c.data(typeKeys, id.String())
	if err != nil {
		return apikeys.KeyPatch{}, err
	}
	if data.has("relationships") {
		return apikeys.KeyPatch{}, errImmutable.at(relationshipsAt)
	}
	attributes, err := data.object("attributes")
	if err != nil {
		return apikeys.KeyPatch{}, err
	}
	if err := attributes.changeable(); err != nil {
		return apikeys.KeyPatch{}, err
	}
	patch, err := keyPatch(attributes)
	if err != nil {
		return apikeys.KeyPatch{}, err
	}
	version, err := attributes.number("version", math.MaxInt64)
	if version != nil && *version == 0 {
		err = attributes.wrong("version", "This must be the version of the key as you read it, 1 or more.")
	}
	set(&patch.IfVersion, version)
	return patch, err
}

// changeable tells the attributes that are never changed from those that do not exist.
func (o object) changeable() error {
	err := o.fixed("hint", "key", "environment", "status", "created_at", "updated_at", "last_used_at", "disabled_at",
		"revoked_at", "revoked_reason", "use_count")
	if err != nil {
		return err
	}
	return o.only(append(slices.Clone(keySettable), "version")...)
}

func (c *call) deleteKey() (answer, error) {
	return c.remove(c.client.DeleteKey)
}

// maxOverlap bounds overlap_seconds: a year.
const maxOverlap = 366 * 24 * 60 * 60

func (c *call) rotateKey() (answer, error) {
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	if _, err := c.client.GetKey(c.ctx(), id); err != nil {
		return answer{}, err
	}
	meta, err := c.meta("overlap_seconds")
	if err != nil {
		return answer{}, err
	}
	overlap, err := meta.number("overlap_seconds", maxOverlap)
	if err != nil {
		return answer{}, err
	}
	var params apikeys.RotateParams
	if overlap != nil {
		params.Overlap = time.Duration(*overlap) * time.Second
	}
	issued, err := c.client.RotateKey(c.ctx(), id, params)
	if err != nil {
		return answer{}, err
	}
	return c.api.issued(issued), nil
}

// revokeKey refuses a second time, which the client would take for the same.
func (c *call) revokeKey() (answer, error) {
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	key, err := c.client.GetKey(c.ctx(), id)
	if err != nil {
		return answer{}, err
	}
	meta, err := c.meta("reason")
	if err != nil {
		return answer{}, err
	}
	reason, err := meta.text("reason")
	if err != nil {
		return answer{}, err
	}
	var params apikeys.RevokeParams
	set(&params.Reason, reason)
	if key, err = c.revokeOnce(key, params); err != nil {
		return answer{}, err
	}
	return answer{doc: &document{Data: c.api.keyResource(key)}}, nil
}

// maxRevokeAttempts bounds how often a revocation begins again because the key was
// changed in between.
const maxRevokeAttempts = 5

// revokeOnce revokes the version of the key that was read, so that of two requests
// at once one is told that it came second.
func (c *call) revokeOnce(key *apikeys.Key, params apikeys.RevokeParams) (*apikeys.Key, error) {
	for range maxRevokeAttempts {
		if !key.RevokedAt.IsZero() {
			return nil, errRevokedTwice
		}
		params.IfVersion = key.Version
		revoked, err := c.client.RevokeKey(c.ctx(), key.ID, params)
		if !errors.Is(err, apikeys.ErrConflict) {
			return revoked, err
		}
		if key, err = c.client.GetKey(c.ctx(), key.ID); err != nil {
			return nil, err
		}
	}
	return nil, apikeys.ErrConflict
}

func (c *call) disableKey() (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	return c.onKey(c.client.DisableKey)
}

func (c *call) enableKey() (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	return c.onKey(c.client.EnableKey)
}
