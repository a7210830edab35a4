package apikeys

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// CreateKeyParams says what key to issue.
type CreateKeyParams struct {
	// OrganizationID owns the key. Required; a scoped client fills in its own.
	OrganizationID uuid.UUID
	// ProjectID and ProductID bind the key to one; uuid.Nil leaves it wide. A key
	// bound to both needs the product to be linked to the project.
	ProjectID uuid.UUID
	ProductID uuid.UUID
	// OwnerID is your name for the user or service the key belongs to; may be empty.
	OwnerID  string
	Metadata KeyMetadata
}

// CreateKey issues a key. Its text is in the result and nowhere else: the store
// keeps a keyed hash. An organization, project or product that does not exist, or
// is another organization's, is a [NotFoundError].
func (c *Client) CreateKey(ctx context.Context, params CreateKeyParams) (*IssuedKey, error) {
	record, err := c.newRecord(ctx, params)
	if err != nil {
		return nil, err
	}
	text, secret, err := c.newSecret(ctx, record, record.CreatedAt)
	if err != nil {
		return nil, err
	}
	record.Hint, record.Secret = secret.Hint, secret
	op := operation{kind: KindKey, verb: "create", id: record.ID, detail: map[string]any{"after": describe(record)}}
	err = c.mutate(ctx, op, func(ctx context.Context, m Mutation) error {
		faults, err := c.store.CreateKeys(ctx, m, []KeyRecord{record})
		if err != nil {
			return err
		}
		return notFound(faults[0], KindOrganization, record.OrganizationID)
	})
	if err != nil {
		return nil, err
	}
	key, err := keyOf(record)
	if err != nil {
		return nil, err
	}
	return &IssuedKey{Key: key, Plaintext: newPlaintext(text, record.Hint)}, nil
}

// newRecord checks what the caller asks for and fills in the rest, the secret aside.
func (c *Client) newRecord(ctx context.Context, params CreateKeyParams) (KeyRecord, error) {
	if err := c.ready(); err != nil {
		return KeyRecord{}, err
	}
	if c.view && params.OrganizationID == uuid.Nil {
		params.OrganizationID = c.scope.OrganizationID
	}
	if err := c.sees(params.OrganizationID); err != nil {
		return KeyRecord{}, err
	}
	owner, err := c.ownerFor(params.OwnerID)
	if err != nil {
		return KeyRecord{}, err
	}
	meta, err := patchAll(params.Metadata).change()
	if err != nil {
		return KeyRecord{}, err
	}
	now := c.now()
	if err := c.checkLifetime(now, *meta.ExpiresAt); err != nil {
		return KeyRecord{}, err
	}
	record := KeyRecord{
		ID: newID(now), OrganizationID: params.OrganizationID, ProjectID: params.ProjectID, ProductID: params.ProductID,
		OwnerID: owner, Environment: c.environment, Head: c.heads[0],
		Name: *meta.Name, Scopes: *meta.Scopes, RateLimits: *meta.RateLimits, ExpiresAt: *meta.ExpiresAt, Custom: *meta.Custom,
		CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	if err := c.checkGrants(&record); err != nil {
		return KeyRecord{}, err
	}
	return record, c.checkBinding(ctx, params)
}

// patchAll replaces all of a key's metadata.
func patchAll(meta KeyMetadata) KeyPatch {
	return KeyPatch{
		Name: &meta.Name, Scopes: &meta.Scopes, RateLimits: &meta.RateLimits, ExpiresAt: &meta.ExpiresAt, Custom: &meta.Custom,
	}
}

// ownerFor returns the owner of a new key: in the view of one owner, that one.
func (c *Client) ownerFor(owner string) (string, error) {
	if c.scope.OwnerID != "" {
		if owner != "" && owner != c.scope.OwnerID {
			return "", invalid("OwnerID", "is not the owner whose keys this view is for")
		}
		return c.scope.OwnerID, nil
	}
	return owner, checkName("OwnerID", owner, false)
}

func (c *Client) checkLifetime(created, expires time.Time) error {
	if c.maxLife == 0 {
		return nil
	}
	if expires.IsZero() || expires.Sub(created) > c.maxLife {
		return invalid("Metadata.ExpiresAt", "must be at most %s after the key's creation (Config.MaxKeyLifetime)", c.maxLife)
	}
	return nil
}

// checkBinding sees that the project and the product of a new key are the
// organization's, and linked if there are both.
func (c *Client) checkBinding(ctx context.Context, params CreateKeyParams) error {
	if params.ProjectID == uuid.Nil && params.ProductID == uuid.Nil {
		return nil
	}
	b, err := c.binding(ctx, params.ProjectID, params.ProductID)
	switch {
	case err != nil:
		return err
	case params.ProjectID != uuid.Nil && b.ProjectOrganizationID != params.OrganizationID:
		return &NotFoundError{Kind: KindProject, ID: params.ProjectID}
	case params.ProductID != uuid.Nil && b.ProductOrganizationID != params.OrganizationID:
		return &NotFoundError{Kind: KindProduct, ID: params.ProductID}
	case params.ProjectID != uuid.Nil && params.ProductID != uuid.Nil && !b.Linked:
		return invalid("ProductID", "is not linked to the project; call AddProductToProject first")
	}
	return nil
}

func (c *core) binding(ctx context.Context, projectID, productID uuid.UUID) (Binding, error) {
	ctx, cancel := c.call(ctx)
	defer cancel()
	c.calls.bindings.Add(1)
	b, err := c.store.Binding(ctx, projectID, productID)
	return b, storeError("read project and product", err)
}

// describe tells the event of a new key what it is.
func describe(k KeyRecord) map[string]any {
	d := map[string]any{"hint": k.Hint, "name": k.Name, "owner": k.OwnerID, "scopes": k.Scopes}
	for name, id := range map[string]uuid.UUID{"project": k.ProjectID, "product": k.ProductID} {
		if id != uuid.Nil {
			d[name] = id
		}
	}
	if len(k.RateLimits) > 0 {
		limits := make([]string, len(k.RateLimits))
		for i, l := range k.RateLimits {
			limits[i] = l.String()
		}
		d["rate_limits"] = limits
	}
	if !k.ExpiresAt.IsZero() {
		d["expires_at"] = k.ExpiresAt
	}
	return d
}

// GetKey returns a key, or a [NotFoundError]. Uses that this process has counted
// are in it, written to the store or not.
func (c *Client) GetKey(ctx context.Context, id uuid.UUID) (*Key, error) {
	var record KeyRecord
	pending, last, err := c.usage.Read(ctx, id, func() (err error) {
		record, err = c.getRecord(ctx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	record.UseCount += pending
	record.LastUsedAt = latest(record.LastUsedAt, last)
	return keyPointer(keyOf(record))
}

func (c *Client) getRecord(ctx context.Context, id uuid.UUID) (KeyRecord, error) {
	if err := c.ready(); err != nil {
		return KeyRecord{}, err
	}
	ctx, cancel := c.call(ctx)
	defer cancel()
	record, _, err := c.store.GetKey(ctx, KeyRef{Scope: c.scope, ID: id})
	return record, storeError("read key", notFound(err, KindKey, id))
}

// publicKey gives a record its public form, with the uses that this process has
// not sent yet.
func (c *core) publicKey(r KeyRecord) (*Key, error) {
	r.UseCount, r.LastUsedAt = c.withPending(r.ID, r.UseCount, r.LastUsedAt)
	return keyPointer(keyOf(r))
}

func keyPointer(key Key, err error) (*Key, error) {
	if err != nil {
		return nil, err
	}
	return &key, nil
}

// KeyPatch changes what is set and leaves the rest.
type KeyPatch struct {
	// IfVersion makes the change only if the key's Version is still this one, and
	// returns ErrConflict if not. 0: whatever it is.
	IfVersion  int64
	Name       *string
	Scopes     *[]string       // empty: none
	RateLimits *[]RateLimit    // empty: none
	ExpiresAt  *time.Time      // the zero time: never
	Custom     *map[string]any // replaces all of it
}

// UpdateKey replaces all of a key's metadata: what the new one leaves out is
// gone (no ExpiresAt: the key never expires). The key's text stays valid.
// [Client.PatchKey] changes single fields.
func (c *Client) UpdateKey(ctx context.Context, id uuid.UUID, meta KeyMetadata) (*Key, error) {
	return c.PatchKey(ctx, id, patchAll(meta))
}

// PatchKey changes the fields of a key that the patch sets, and returns the key as it
// is then. Everything is as it was if one of them is wrong. [ErrConflict] when the
// key's version is not KeyPatch.IfVersion.
func (c *Client) PatchKey(ctx context.Context, id uuid.UUID, patch KeyPatch) (*Key, error) {
	change, err := patch.change()
	if err != nil {
		return nil, err
	}
	if change.ExpiresAt != nil && c.maxLife != 0 {
		record, err := c.getRecord(ctx, id)
		if err != nil {
			return nil, err
		}
		if err := c.checkLifetime(record.CreatedAt, *change.ExpiresAt); err != nil {
			return nil, err
		}
	}
	return c.changeKey(ctx, "update", id, change)
}

// change checks each field that is set and gives it its stored form.
func (p KeyPatch) change() (change KeyChange, err error) {
	change.IfVersion = p.IfVersion
	if err := checkVersion(p.IfVersion); err != nil {
		return change, err
	}
	if p.Name != nil {
		change.Name, err = p.Name, checkName("Metadata.Name", *p.Name, false)
	}
	if p.Scopes != nil && err == nil {
		change.Scopes, err = normalized("Metadata.Scopes", *p.Scopes, normalizeScopes)
	}
	if p.RateLimits != nil && err == nil {
		change.RateLimits, err = normalized("Metadata.RateLimits", *p.RateLimits, normalizeRateLimits)
	}
	if p.ExpiresAt != nil && err == nil {
		change.ExpiresAt, err = normalized("Metadata.ExpiresAt", *p.ExpiresAt, normalizeExpiry)
	}
	if p.Custom != nil && err == nil {
		custom, fault := encodeCustom(*p.Custom)
		change.Custom, err = &custom, fault
	}
	return change, err
}

func checkVersion(version int64) error {
	if version < 0 {
		return invalid("IfVersion", "is negative; it is the Version of the key as you read it")
	}
	return nil
}

func normalized[T, S any](field string, value T, normalize func(string, T) (S, error)) (*S, error) {
	s, err := normalize(field, value)
	return &s, err
}

func staleKey(id uuid.UUID) []Change { return []Change{{Kind: ChangeKey, ID: id}} }

// RevokeParams says why a key is revoked.
type RevokeParams struct {
	Reason string // for the key's holder and the audit; may be empty
	// IfVersion is as in [KeyPatch]: of several who revoke a key at once, it tells
	// the one who did.
	IfVersion int64
}

// RevokeKey ends a key for good and keeps its record. It returns once the
// change is committed: this process refuses the key from then on, others within
// Config.RevocationDelay. Revoking again changes nothing: the first time and reason
// stand.
func (c *Client) RevokeKey(ctx context.Context, id uuid.UUID, params RevokeParams) (*Key, error) {
	if err := checkName("Reason", params.Reason, false); err != nil {
		return nil, err
	}
	if err := checkVersion(params.IfVersion); err != nil {
		return nil, err
	}
	revocation := &Revocation{At: c.now(), Reason: params.Reason}
	return c.changeKey(ctx, "revoke", id, KeyChange{IfVersion: params.IfVersion, Revoke: revocation})
}

// DisableKey switches a key off until EnableKey: it is refused with a
// [DisabledKeyError], as soon as a revoked one is. Disabling again keeps the first time.
func (c *Client) DisableKey(ctx context.Context, id uuid.UUID) (*Key, error) {
	now := c.now()
	return c.changeKey(ctx, "disable", id, KeyChange{DisabledAt: &now})
}

// EnableKey switches a disabled key on again. It does not bring back one that is
// revoked or expired. Enabling one that is not disabled changes nothing.
func (c *Client) EnableKey(ctx context.Context, id uuid.UUID) (*Key, error) {
	return c.changeKey(ctx, "enable", id, KeyChange{DisabledAt: &time.Time{}})
}

func (c *Client) changeKey(ctx context.Context, verb string, id uuid.UUID, change KeyChange) (*Key, error) {
	if !change.handsOut() {
		return c.sendChange(ctx, verb, id, change)
	}
	var key *Key
	err := c.withinGrants(ctx, id, change.IfVersion, func(k *KeyRecord) error {
		_, err := change.Apply(k, k.UpdatedAt)
		return err
	}, func(version int64) (err error) {
		checked := change
		checked.IfVersion = version
		key, err = c.sendChange(ctx, verb, id, checked)
		return err
	})
	return key, err
}

func (c *Client) sendChange(ctx context.Context, verb string, id uuid.UUID, change KeyChange) (*Key, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	var record KeyRecord
	op := operation{kind: KindKey, verb: verb, id: id, stale: staleKey(id)}
	err := c.mutate(ctx, op, func(ctx context.Context, m Mutation) (err error) {
		record, err = c.store.UpdateKey(ctx, m, KeyRef{Scope: c.scope, ID: id}, change)
		return notFound(err, KindKey, id)
	})
	if err != nil {
		return nil, err
	}
	return c.publicKey(record)
}

// keyOf gives a record its public form: a copy that shares nothing with it.
func keyOf(r KeyRecord) (Key, error) {
	custom, err := decodeCustom(r.Custom)
	if err != nil {
		return Key{}, storeError("read key", errors.New("its custom data is not the JSON that was stored"))
	}
	return Key{
		ID: r.ID, OrganizationID: r.OrganizationID, ProjectID: r.ProjectID, ProductID: r.ProductID,
		OwnerID: r.OwnerID, Environment: r.Environment, Hint: r.Hint,
		Metadata: KeyMetadata{
			Name: r.Name, Scopes: append([]string(nil), r.Scopes...), RateLimits: append([]RateLimit(nil), r.RateLimits...),
			ExpiresAt: r.ExpiresAt, Custom: custom,
		},
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, LastUsedAt: r.LastUsedAt, RevokedAt: r.RevokedAt, DisabledAt: r.DisabledAt,
		RevokedReason: r.RevokedReason, UseCount: r.UseCount, Version: r.Version,
	}, nil
}
