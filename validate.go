package apikeys

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/google/uuid"
)

// ValidateParams says what a key must be good for. The zero value asks that it
// is valid and within its rate limits.
type ValidateParams struct {
	// OrganizationID, ProjectID and ProductID ask that the key works for these;
	// see the package's documentation. uuid.Nil asks nothing: whoever parses an
	// id from a request must check the error of parsing first.
	OrganizationID uuid.UUID
	ProjectID      uuid.UUID
	ProductID      uuid.UUID
	// Scopes must all be granted; with AnyScope, one of them is enough.
	Scopes   []string
	AnyScope bool
	// Cost is charged to the key's rate limits. 0 means 1. A cost greater than one
	// of the limits could never pass and is an invalid argument.
	Cost int64
	// SkipRateLimit charges no limit; SkipUsage counts no use, nor a refusal.
	SkipRateLimit bool
	SkipUsage     bool
}

// anywhere tells that a key need not be for any organization, project or product.
func (p *ValidateParams) anywhere() bool {
	return p.OrganizationID == uuid.Nil && p.ProjectID == uuid.Nil && p.ProductID == uuid.Nil
}

func (p *ValidateParams) check() error {
	if p.Cost < 0 {
		return invalid("Cost", "is negative; 0 means 1")
	}
	return checkRequired(p.Scopes)
}

// CheckParams tells what [Client.Validate] would say of the params whatever the key:
// nil, or that they can never be met (ErrInvalidArgument), or that the client is
// closed. For those who fix their params long before there is a key; it counts nothing
// and asks no store.
func (c *Client) CheckParams(params ValidateParams) error {
	if err := c.ready(); err != nil {
		return err
	}
	return params.check()
}

// Verify tells whose key this is, if it is good at all: neither scopes nor rate
// limits are asked. The use is counted.
func (c *Client) Verify(ctx context.Context, plaintext string) (*Key, error) {
	v, err := c.Validate(ctx, plaintext, ValidateParams{SkipRateLimit: true})
	if err != nil {
		return nil, err
	}
	key := v.Key()
	return &key, nil
}

// Validate judges a key: is it known, usable, for this organization, project and
// product, granted these scopes, and within its rate limits? Then it counts the
// use. The first question that fails is the error: see the package's
// documentation for the order, and [Client.Explain] for all of the answers. A
// request that is refused counts neither as a use nor against a limit; when the key
// is known, [Client.KeyUsage] tells why and how often.
func (c *Client) Validate(ctx context.Context, plaintext string, params ValidateParams) (v Validation, err error) {
	var m moment
	err = c.validate(ctx, plaintext, &params, &m, &v)
	c.tally(&m, v.limited())
	if err != nil {
		return Validation{}, c.refuse(&v, &params, err, m.now)
	}
	return v, nil
}

// validate fills in v: its key as soon as it is known, the rest when it was accepted.
// m is when that was.
func (c *Client) validate(ctx context.Context, plaintext string, params *ValidateParams, m *moment, v *Validation) (err error) {
	if err := c.ready(); err != nil {
		return err
	}
	if err := params.check(); err != nil {
		return err
	}
	c.read(m)
	atOnce := c.admitsAtOnce(params)
	if atOnce {
		if done, err := c.admitRemembered(ctx, plaintext, params, m, v); done {
			return err
		}
	}
	if v.key, err = c.judge(ctx, plaintext, params, m); err != nil {
		return err
	}
	limited := !params.SkipRateLimit && v.key.limited(c.core)
	if limited && atOnce {
		_, err := c.admit(ctx, v, applicant{}, v.key, max(params.Cost, 1), m.now)
		return err
	}
	if limited {
		waited, err := c.charge(ctx, v, max(params.Cost, 1), m.now)
		if err != nil {
			return err
		}
		// After anything that blocked the key is judged again, by a new reading of the
		// clock: it may have been revoked meanwhile. What was charged is lost then.
		if waited && c.trusting() {
			c.read(m)
			if k, err := c.judge(ctx, plaintext, params, m); err != nil {
				v.key = k
				return err
			}
		}
	}
	if !params.SkipUsage {
		if err := c.countUse(ctx, v.key, m.now); err != nil {
			return err
		}
		v.used = m.now
	}
	return nil
}

// judgements bounds how often a key is judged because something else was waited
// for meanwhile.
const judgements = 3

// judge asks everything but the rate limits. Where it has waited, m is a new
// reading of the clock; and where it has waited for anything but the key, it asks
// for that again.
func (c *Client) judge(ctx context.Context, text string, params *ValidateParams, m *moment) (*known, error) {
	for range judgements {
		k, err := c.identify(ctx, text, m)
		if err != nil {
			return nil, err
		}
		if k.plain(m.now) && params.anywhere() {
			return k, checkScopes(k, params) // the rest would pass
		}
		if err := usable(k.KeyRecord, m.now); err != nil {
			return k, err
		}
		waited, err := c.permits(ctx, k, params)
		if err != nil || !waited || !c.trusting() {
			return k, err
		}
		c.read(m)
	}
	return nil, &unavailableError{op: "read key", cause: ErrConflict}
}

// identify finds the key that a text belongs to.
func (c *Client) identify(ctx context.Context, text string, m *moment) (*known, error) {
	k, err := c.recall(ctx, text, m)
	if err != nil {
		return nil, err
	}
	if c.view && !c.inView(k.KeyRecord) {
		return nil, ErrInvalidKey
	}
	return k, nil
}

// hashes returns what a text hashes to, under the signing secret first.
func (c *core) hashes(text string, signed Hash) []Hash {
	hashes := make([]Hash, 0, 1+len(c.accepted))
	hashes = append(hashes, signed)
	for _, h := range c.accepted {
		hashes = append(hashes, h.Sum(text))
	}
	return hashes
}

// match picks the record whose stored hash is one of ours, compared here again,
// in constant time, whatever the store's idea of equality: a store that returns
// another row never authenticates anybody.
func match(hashes []Hash, found []KeyRecord) *KeyRecord {
	for _, h := range hashes {
		for i := range found {
			if subtle.ConstantTimeCompare(h[:], found[i].Secret.Hash[:]) == 1 {
				return &found[i]
			}
		}
	}
	return nil
}

// inView tells whether the key lies within this view of the client.
func (c *Client) inView(k *KeyRecord) bool {
	return !c.view || k.OrganizationID == c.scope.OrganizationID && (c.scope.OwnerID == "" || k.OwnerID == c.scope.OwnerID)
}

// rehash adds the hash under the signing secret to a key that was known only
// under an accepted one, so that the old secret can be retired one day. It is
// done in passing: if it fails, the next use tries again.
func (c *core) rehash(ctx context.Context, k *KeyRecord, hash Hash) {
	secret := k.Secret
	secret.KeyID, secret.Hash, secret.SigningID = k.ID, hash, c.signer.ID()
	ctx, cancel := c.call(ctx)
	defer cancel()
	err := c.mayIssue(ctx, "add hash")
	if err == nil {
		err = c.store.AddHash(ctx, secret)
	}
	if err != nil && !c.retired.Load() {
		c.log.WarnContext(ctx, "apikeys: hash under the new signing secret not stored; the next use tries again",
			"key", k.ID, "error", inert{err})
	}
}

// usable asks what the key itself is, in order.
func usable(k *KeyRecord, now time.Time) error {
	for i := range usableChecks {
		if err := usableChecks[i].check(k, now); err != nil {
			return err
		}
	}
	return nil
}

var usableChecks = [...]struct {
	name  string
	check func(k *KeyRecord, now time.Time) error
}{
	{"secret", checkSecret},
	{"revoked", checkRevoked},
	{"disabled", checkDisabled},
	{"suspended", checkSuspended},
	{"expired", checkExpired},
}

func checkSecret(k *KeyRecord, now time.Time) error {
	if ends := k.Secret.EndsAt; !ends.IsZero() && !now.Before(ends) {
		return &RetiredSecretError{KeyID: k.ID, RetiredAt: ends}
	}
	return nil
}

// checkRevoked does not ask the clock: revoked means that RevokedAt is set.
func checkRevoked(k *KeyRecord, _ time.Time) error {
	if !k.RevokedAt.IsZero() {
		return &RevokedKeyError{KeyID: k.ID, RevokedAt: k.RevokedAt, Reason: k.RevokedReason}
	}
	return nil
}

func checkDisabled(k *KeyRecord, _ time.Time) error {
	if !k.DisabledAt.IsZero() {
		return &DisabledKeyError{KeyID: k.ID, DisabledAt: k.DisabledAt}
	}
	return nil
}

func checkSuspended(k *KeyRecord, _ time.Time) error {
	if !k.SuspendedAt.IsZero() {
		return &SuspendedError{KeyID: k.ID, OrganizationID: k.OrganizationID}
	}
	return nil
}

func checkExpired(k *KeyRecord, now time.Time) error {
	if !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		return &ExpiredKeyError{KeyID: k.ID, ExpiredAt: k.ExpiresAt}
	}
	return nil
}

// permits asks what the key may be used for, in order. It tells whether it had to
// wait for the store.
func (c *Client) permits(ctx context.Context, k *known, p *ValidateParams) (waited bool, err error) {
	if err := checkOrganization(k.KeyRecord, p); err != nil {
		return false, err
	}
	if waited, err = c.checkResource(ctx, k.KeyRecord, p); err != nil {
		return waited, err
	}
	return waited, checkScopes(k, p)
}

func checkOrganization(k *KeyRecord, p *ValidateParams) error {
	if p.OrganizationID != uuid.Nil && p.OrganizationID != k.OrganizationID {
		return notFor(k, KindOrganization)
	}
	return nil
}

// checkResource asks whether the key works for the project and the product. What
// the key is bound to must be what is asked; what it leaves open must belong to
// its organization; and where a project and a product are both named, by the
// request or by the key, they must be linked.
func (c *Client) checkResource(ctx context.Context, k *KeyRecord, p *ValidateParams) (waited bool, err error) {
	if p.ProjectID == uuid.Nil && p.ProductID == uuid.Nil {
		return false, checkOwnLink(k)
	}
	project, ok := agree(p.ProjectID, k.ProjectID)
	if !ok {
		return false, notFor(k, KindProject)
	}
	product, ok := agree(p.ProductID, k.ProductID)
	if !ok {
		return false, notFor(k, KindProduct)
	}
	if project == k.ProjectID && product == k.ProductID {
		return false, checkOwnLink(k)
	}
	b, waited, err := c.recallBinding(ctx, project, product)
	if err != nil {
		return waited, err
	}
	return waited, checkAsked(k, p, project, product, b)
}

// agree returns which of the two is named, if they don't contradict each other.
func agree(asked, bound uuid.UUID) (uuid.UUID, bool) {
	if asked == uuid.Nil {
		return bound, true
	}
	return asked, bound == uuid.Nil || bound == asked
}

// checkOwnLink stops a key that is bound to a project and a product when these
// are no longer linked. The key's row says so; nothing else need be read.
func checkOwnLink(k *KeyRecord) error {
	if k.ProjectID != uuid.Nil && k.ProductID != uuid.Nil && !k.Linked {
		return notFor(k, KindProduct)
	}
	return nil
}

func checkAsked(k *KeyRecord, p *ValidateParams, project, product uuid.UUID, b Binding) error {
	if project != uuid.Nil && b.ProjectOrganizationID != k.OrganizationID {
		return notFor(k, KindProject)
	}
	if product != uuid.Nil && b.ProductOrganizationID != k.OrganizationID {
		return notFor(k, KindProduct)
	}
	if project != uuid.Nil && product != uuid.Nil && !b.Linked {
		if p.ProductID == uuid.Nil {
			return notFor(k, KindProject)
		}
		return notFor(k, KindProduct)
	}
	return nil
}

func notFor(k *KeyRecord, kind ResourceKind) error {
	return &InsufficientScopeError{KeyID: k.ID, Resource: string(kind)}
}

func checkScopes(k *known, p *ValidateParams) error {
	if p.AnyScope && (len(p.Scopes) == 0 || coversAny(k.scopes, p.Scopes)) {
		return nil
	}
	if missing := missingScopes(k.scopes, p.Scopes); len(missing) > 0 {
		return &InsufficientScopeError{KeyID: k.ID, Missing: missing}
	}
	return nil
}
