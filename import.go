package apikeys

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/foreign"
)

// ImportKey is a key that another system issued: what that system kept of its text,
// and what the key is to be here.
type ImportKey struct {
	// Scheme is one of those in Config.Imported: without it the key would be there and
	// never be accepted.
	Scheme ImportScheme
	// Digest is what the other system kept of the key's text; see [ParseDigest].
	Digest Hash
	// ForeignID is what the key is called where it comes from. It comes back in the
	// result and is not stored, but for ImportSanctum, where it is the row's id and so
	// part of the key's text.
	ForeignID string

	// OrganizationID, ProjectID, ProductID and OwnerID are as in [CreateKeyParams].
	OrganizationID uuid.UUID
	ProjectID      uuid.UUID
	ProductID      uuid.UUID
	OwnerID        string
	// Hint is what people recognise the key by, at most 40 characters, if the other
	// system kept anything of the kind. Empty: "…".
	Hint     string
	Metadata KeyMetadata

	// CreatedAt is when the other system issued the key; it decides the key's place in
	// lists. Zero: now.
	CreatedAt     time.Time
	LastUsedAt    time.Time // zero: never
	RevokedAt     time.Time // zero: not revoked
	RevokedReason string
	DisabledAt    time.Time // zero: not disabled
	UseCount      int64
}

// ParseDigest reads a SHA-256 digest as databases have it: 64 hexadecimal digits, or
// base64 in the standard alphabet or that of URLs, padded or not.
func ParseDigest(text string) (Hash, error) {
	d, ok := foreign.ParseDigest(text)
	if !ok {
		return Hash{}, invalid("Digest", "is not a SHA-256 digest in hexadecimal or base64")
	}
	return d, nil
}

// ImportParams says how keys are imported.
type ImportParams struct {
	// DryRun writes nothing and tells what would happen.
	DryRun bool
}

// ImportOutcome is what became of one key.
type ImportOutcome string

// The outcomes.
const (
	ImportCreated ImportOutcome = "created" // it is here now (a dry run: it would be)
	ImportExists  ImportOutcome = "exists"  // it was here before; nothing was changed
	ImportRefused ImportOutcome = "refused" // it is not here: see Err
)

// ImportResult tells what became of one key.
type ImportResult struct {
	ForeignID string
	KeyID     uuid.UUID // of the key here; uuid.Nil when it is not, or in a dry run not yet
	Outcome   ImportOutcome
	// Err says why the key was refused: an [InvalidArgumentError] names the field, a
	// [NotFoundError] the organization, project or product, a [BeyondGrantError] what
	// the view may not hand out. nil otherwise.
	Err error
}

// ImportKeys takes over keys that another system issued. Their texts go on working
// unchanged, as far as Config.Imported names their scheme; status, use, expiry and
// metadata come with them. Of the digests only a keyed hash is stored. The results
// are in the order of the keys, one for each: what cannot be kept exactly is refused,
// never left out.
//
// Importing again changes nothing: a key that is here, whatever has become of it since,
// is left as it is, and one that was refused gets another chance. A key that was
// deleted here is unknown, and would be imported again: revoke keys instead, or leave
// them out.
//
// Whoever imports chooses the texts, and a text that was not drawn at random can be
// guessed: this is for operators, not for tenants.
//
// Keys are written in chunks. If one fails, the error comes with the results so far;
// call it again. Keys get new ids, made from CreatedAt, and this client's environment;
// views bound them as in [Client.CreateKey].
func (c *Client) ImportKeys(ctx context.Context, keys []ImportKey, params ImportParams) ([]ImportResult, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	im := importer{Client: c, params: params, seen: map[string]bool{}, tenants: map[tenant]error{}, now: c.now()}
	results := make([]ImportResult, 0, len(keys))
	for from := 0; from < len(keys); from += chunk {
		some, err := im.chunk(ctx, keys[from:min(from+chunk, len(keys))])
		if err != nil {
			return results, err
		}
		results = append(results, some...)
	}
	return results, nil
}

// importer is one call of ImportKeys.
type importer struct {
	*Client
	params  ImportParams
	now     time.Time
	seen    map[string]bool // the forms of this call
	tenants map[tenant]error
}

// tenant is what a key is to be bound to.
type tenant struct{ organization, project, product uuid.UUID }

// importRow is a key on its way.
type importRow struct {
	form   string // what its text will be known by
	record KeyRecord
	result ImportResult
}

// chunk imports some keys with a few calls of the store.
func (im *importer) chunk(ctx context.Context, keys []ImportKey) ([]ImportResult, error) {
	rows := make([]importRow, len(keys))
	for i := range keys {
		if err := im.prepare(ctx, &rows[i], &keys[i]); err != nil {
			return nil, err
		}
	}
	if err := im.findStanding(ctx, rows); err != nil {
		return nil, err
	}
	if err := im.create(ctx, rows); err != nil {
		return nil, err
	}
	results := make([]ImportResult, len(rows))
	for i := range rows {
		results[i] = rows[i].result
	}
	return results, nil
}

// prepare fills a row, or its refusal. Its own error is for when that could not be
// judged.
func (im *importer) prepare(ctx context.Context, row *importRow, key *ImportKey) error {
	row.result = ImportResult{ForeignID: key.ForeignID}
	err := im.fill(row, key)
	if err == nil {
		err = im.checkTenant(ctx, &row.record)
	}
	if err != nil {
		return row.refuse(err)
	}
	return nil
}

// refuse ends a row with an error that is about the row, and returns any other.
func (row *importRow) refuse(err error) error {
	if !errors.Is(err, ErrInvalidArgument) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBeyondGrant) && !errors.Is(err, ErrConflict) {
		return err
	}
	row.result.Outcome, row.result.Err = ImportRefused, err
	return nil
}

func (im *importer) fill(row *importRow, key *ImportKey) (err error) {
	if row.form, err = im.form(key); err != nil {
		return err
	}
	if im.seen[row.form] {
		return invalid("Digest", "is that of an earlier key of this import")
	}
	im.seen[row.form] = true
	if row.record, err = im.record(key); err != nil {
		return err
	}
	r := &row.record
	r.Secret = SecretRecord{
		KeyID: r.ID, Number: 1, Hash: im.signer.Sum(row.form), SigningID: im.signer.ID(), Hint: r.Hint, CreatedAt: r.CreatedAt,
	}
	return im.checkGrants(r)
}

// form returns what the key's text will be known by.
func (im *importer) form(key *ImportKey) (string, error) {
	if key.Digest == (Hash{}) {
		return "", invalid("Digest", "is missing: it is what the other system kept of the key's text")
	}
	for _, scheme := range im.imported {
		if scheme.Name() != string(key.Scheme) {
			continue
		}
		if scheme.NeedsID() && !scheme.IsID(key.ForeignID) {
			return "", invalid("ForeignID", "must be the id in the key's text: up to 36 letters, digits and hyphens")
		}
		return scheme.FormOf(key.ForeignID, key.Digest), nil
	}
	return "", invalid("Scheme", "%s is not in Config.Imported, so the key could not be used", quoteClipped(string(key.Scheme)))
}

// maxHintRunes bounds the hint of an imported key.
const maxHintRunes = 40

// record checks what the key is to be and gives it its stored form, the secret aside.
func (im *importer) record(key *ImportKey) (KeyRecord, error) {
	r := KeyRecord{
		OrganizationID: key.OrganizationID, ProjectID: key.ProjectID, ProductID: key.ProductID,
		Environment: im.environment, Head: im.heads[0], Hint: key.Hint,
		UpdatedAt: im.now, RevokedReason: key.RevokedReason, UseCount: key.UseCount, Version: 1,
	}
	if im.view && r.OrganizationID == uuid.Nil {
		r.OrganizationID = im.scope.OrganizationID
	}
	var err error
	if r.OwnerID, err = im.ownerFor(key.OwnerID); err != nil {
		return r, err
	}
	meta, err := patchAll(key.Metadata).change()
	if err != nil {
		return r, err
	}
	r.Name, r.Scopes, r.RateLimits, r.ExpiresAt, r.Custom = *meta.Name, *meta.Scopes, *meta.RateLimits, *meta.ExpiresAt, *meta.Custom
	if err := im.checkHistory(&r, key); err != nil {
		return r, err
	}
	r.ID = newID(r.CreatedAt)
	return r, im.checkLifetime(r.CreatedAt, r.ExpiresAt)
}

// checkHistory takes over what has become of the key so far.
func (im *importer) checkHistory(r *KeyRecord, key *ImportKey) (err error) {
	for _, t := range []struct {
		field    string
		from, to *time.Time
	}{
		{"CreatedAt", &key.CreatedAt, &r.CreatedAt},
		{"LastUsedAt", &key.LastUsedAt, &r.LastUsedAt},
		{"RevokedAt", &key.RevokedAt, &r.RevokedAt},
		{"DisabledAt", &key.DisabledAt, &r.DisabledAt},
	} {
		if *t.to, err = normalizeExpiry(t.field, *t.from); err != nil {
			return err
		}
	}
	if r.CreatedAt.IsZero() {
		r.CreatedAt = im.now
	}
	if r.CreatedAt.After(im.now.Add(24 * time.Hour)) {
		return invalid("CreatedAt", "lies in the future")
	}
	if r.UseCount < 0 {
		return invalid("UseCount", "is negative")
	}
	if r.RevokedReason != "" && r.RevokedAt.IsZero() {
		return invalid("RevokedReason", "is set, and RevokedAt is not")
	}
	if len([]rune(r.Hint)) > maxHintRunes {
		return invalid("Hint", "has more than %d characters", maxHintRunes)
	}
	if r.Hint == "" {
		r.Hint = "…"
	}
	return errors.Join(checkName("Hint", r.Hint, true), checkName("RevokedReason", r.RevokedReason, false))
}

// checkTenant sees that the organization exists, and that the project and product are
// its own; it asks the store once for all keys of one kind.
func (im *importer) checkTenant(ctx context.Context, r *KeyRecord) error {
	t := tenant{r.OrganizationID, r.ProjectID, r.ProductID}
	err, asked := im.tenants[t]
	if !asked {
		if err = im.sees(t.organization); err == nil {
			_, err = im.getResource(ctx, KindOrganization, t.organization)
		}
		if err == nil {
			err = im.checkBinding(ctx, CreateKeyParams{OrganizationID: t.organization, ProjectID: t.project, ProductID: t.product})
		}
		im.tenants[t] = err
	}
	return err
}

// findStanding settles the rows whose keys are here, under whichever signing secret.
func (im *importer) findStanding(ctx context.Context, rows []importRow) error {
	of := map[Hash]*importRow{}
	var hashes []Hash
	for i := range rows {
		if rows[i].result.Outcome != "" {
			continue
		}
		for _, h := range im.hashes(rows[i].form, rows[i].record.Secret.Hash) {
			of[h] = &rows[i]
			hashes = append(hashes, h)
		}
	}
	if len(hashes) == 0 {
		return nil
	}
	ctx, cancel := im.call(ctx)
	defer cancel()
	found, err := im.store.KeysByHash(ctx, hashes)
	if err != nil {
		return storeError("read keys", err)
	}
	for i := range found {
		if row := of[found[i].Secret.Hash]; row != nil {
			im.stands(row, &found[i])
		}
	}
	return nil
}

// stands settles a row whose key is here. Of one that lies outside this view nothing
// more is told.
func (im *importer) stands(row *importRow, k *KeyRecord) {
	if im.inView(k) {
		row.result.Outcome, row.result.KeyID = ImportExists, k.ID
		return
	}
	_ = row.refuse(invalid("Digest", "cannot be imported here"))
}

// create writes the rows that are left.
func (im *importer) create(ctx context.Context, rows []importRow) error {
	var records []KeyRecord
	var left []*importRow
	for i := range rows {
		switch {
		case rows[i].result.Outcome != "":
		case im.params.DryRun:
			rows[i].result.Outcome = ImportCreated
		default:
			records, left = append(records, rows[i].record), append(left, &rows[i])
		}
	}
	if len(records) == 0 {
		return nil
	}
	if err := im.mayIssue(ctx, "import keys"); err != nil {
		return err
	}
	var faults []error
	op := operation{kind: KindKey, verb: "import", id: records[0].OrganizationID}
	err := im.mutate(ctx, op, func(ctx context.Context, m Mutation) (err error) {
		faults, err = im.store.CreateKeys(ctx, m, records)
		return err
	})
	if err != nil {
		return err
	}
	return im.settle(ctx, rows, left, faults)
}

// settle gives the rows that were written their outcome. Those that another import
// has written meanwhile are here, and found.
func (im *importer) settle(ctx context.Context, rows []importRow, left []*importRow, faults []error) error {
	again := false
	for i, row := range left {
		switch {
		case faults[i] == nil:
			row.result.Outcome, row.result.KeyID = ImportCreated, row.record.ID
		case errors.Is(faults[i], ErrAlreadyExists):
			again = true
		default:
			if err := row.refuse(notFound(faults[i], KindOrganization, row.record.OrganizationID)); err != nil {
				return err
			}
		}
	}
	if !again {
		return nil
	}
	if err := im.findStanding(ctx, rows); err != nil {
		return err
	}
	for _, row := range left {
		if row.result.Outcome == "" { // it is gone again
			_ = row.refuse(ErrConflict)
		}
	}
	return nil
}
