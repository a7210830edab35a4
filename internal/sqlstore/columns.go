package sqlstore

import (
	"encoding/json"
	"strings"
	"unique"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// Records as columns, in the order that Statements has them.

// row scans one row of a result.
type row func(dest ...any) error

func (s *Store) scanResource(scan row) (apikeys.ResourceRecord, error) {
	var r apikeys.ResourceRecord
	var kind string
	err := scan(&kind, s.dialect.ScanID(&r.ID), s.dialect.ScanID(&r.OrganizationID), &r.Name,
		s.dialect.ScanTime(&r.CreatedAt), s.dialect.ScanTime(&r.UpdatedAt), s.dialect.ScanTime(&r.SuspendedAt))
	r.Kind = apikeys.ResourceKind(kind)
	return r, err
}

func (s *Store) resourceArgs(r apikeys.ResourceRecord) []any {
	return []any{
		s.dialect.ID(r.ID), string(r.Kind), s.dialect.ID(r.OrganizationID), s.dialect.ID(namespace(r.Kind, r.OrganizationID)), r.Name,
		s.dialect.Time(r.CreatedAt), s.dialect.Time(r.UpdatedAt), s.dialect.NullTime(r.SuspendedAt),
	}
}

// namespace is where names of a kind are unique: in the organization, or, for
// organizations, everywhere.
func namespace(kind apikeys.ResourceKind, organization uuid.UUID) uuid.UUID {
	if kind == apikeys.KindOrganization {
		return uuid.Nil
	}
	return organization
}

// keyRow is a key while it is scanned.
type keyRow struct {
	apikeys.KeyRecord
	scopes, limits, custom []byte
}

// widest is how many columns the widest statement returns: a key and its secret,
// found by a hash.
const widest = 29

func (s *Store) keyTargets(k *keyRow) []any {
	d := s.dialect
	return append(make([]any, 0, widest),
		d.ScanID(&k.ID), d.ScanID(&k.OrganizationID), d.ScanID(&k.ProjectID), d.ScanID(&k.ProductID),
		&k.OwnerID, &k.Environment, &k.Head, &k.Hint, &k.Name, d.ScanJSON(&k.scopes),
		d.ScanJSON(&k.limits), d.ScanTime(&k.ExpiresAt), d.ScanJSON(&k.custom), d.ScanTime(&k.CreatedAt), d.ScanTime(&k.UpdatedAt),
		d.ScanTime(&k.DisabledAt), d.ScanTime(&k.RevokedAt), &k.RevokedReason, &k.Version,
		&k.UseCount, d.ScanTime(&k.LastUsedAt),
	)
}

// record decodes what was scanned as JSON.
func (k *keyRow) record() (apikeys.KeyRecord, error) {
	k.Custom = k.custom
	if err := json.Unmarshal(k.scopes, &k.Scopes); err != nil {
		return apikeys.KeyRecord{}, errBadColumn("scopes")
	}
	for i, scope := range k.Scopes {
		k.Scopes[i] = unique.Make(scope).Value() // many keys grant the same: they share its bytes
	}
	var err error
	k.RateLimits, err = decodeLimits(k.limits)
	return k.KeyRecord, err
}

func (s *Store) scanKey(scan row) (apikeys.KeyRecord, error) {
	var k keyRow
	if err := scan(s.keyTargets(&k)...); err != nil {
		return apikeys.KeyRecord{}, err
	}
	return k.record()
}

func (s *Store) secretTargets(r *apikeys.SecretRecord) []any {
	return []any{
		&r.Number, s.dialect.ScanHash((*[32]byte)(&r.Hash)), &r.SigningID, &r.Hint,
		s.dialect.ScanTime(&r.CreatedAt), s.dialect.ScanTime(&r.EndsAt),
	}
}

func (s *Store) scanSecret(scan row) (apikeys.SecretRecord, error) {
	var r apikeys.SecretRecord
	err := scan(s.secretTargets(&r)...)
	return r, err
}

// scanFound scans a key that was found by a hash.
func (s *Store) scanFound(scan row) (apikeys.KeyRecord, error) {
	var k keyRow
	targets := append(s.keyTargets(&k), s.secretTargets(&k.Secret)...)
	if err := scan(append(targets, s.dialect.ScanTime(&k.SuspendedAt), &k.Linked)...); err != nil {
		return apikeys.KeyRecord{}, err
	}
	k.Secret.KeyID = k.ID
	return k.record()
}

// keyArgs are a new key's, for InsertKey.
func (s *Store) keyArgs(k apikeys.KeyRecord) []any {
	d := s.dialect
	return []any{
		d.ID(k.ID), d.ID(k.OrganizationID), d.NullID(k.ProjectID), d.NullID(k.ProductID),
		k.OwnerID, k.Environment, k.Head, k.Hint, k.Name,
		strings.ToLower(k.Name), strings.ToLower(k.Hint), d.JSON(encodeScopes(k.Scopes)),
		d.JSON(encodeLimits(k.RateLimits)), d.NullTime(k.ExpiresAt), d.JSON(object(k.Custom)), d.Time(k.CreatedAt), d.Time(k.UpdatedAt),
		d.NullTime(k.DisabledAt), d.NullTime(k.RevokedAt), k.RevokedReason, k.Version,
	}
}

// changedKeyArgs are those of a key that stands, for UpdateKey.
func (s *Store) changedKeyArgs(k apikeys.KeyRecord) []any {
	d := s.dialect
	return []any{
		k.Hint, k.Name, strings.ToLower(k.Name), strings.ToLower(k.Hint), d.JSON(encodeScopes(k.Scopes)), d.JSON(encodeLimits(k.RateLimits)),
		d.NullTime(k.ExpiresAt), d.JSON(object(k.Custom)), d.Time(k.UpdatedAt),
		d.NullTime(k.DisabledAt), d.NullTime(k.RevokedAt), k.RevokedReason, k.Version, d.ID(k.ID),
	}
}

func (s *Store) secretArgs(r apikeys.SecretRecord) []any {
	d := s.dialect
	return []any{d.Hash(r.Hash), d.ID(r.KeyID), r.Number, r.SigningID, r.Hint, d.Time(r.CreatedAt), d.NullTime(r.EndsAt)}
}

func encodeScopes(scopes []string) json.RawMessage {
	if scopes == nil {
		scopes = []string{}
	}
	text, _ := json.Marshal(scopes) // strings: cannot fail
	return text
}

// limit is a rate limit as it is stored: the window in seconds.
type limit struct {
	Requests int64 `json:"requests"`
	Window   int64 `json:"window"`
}

func encodeLimits(limits []apikeys.RateLimit) json.RawMessage {
	list := make([]limit, len(limits))
	for i, l := range limits {
		list[i] = limit{l.Requests, int64(l.Window)}
	}
	text, _ := json.Marshal(list) // integers: cannot fail
	return text
}

func decodeLimits(text []byte) ([]apikeys.RateLimit, error) {
	var list []limit
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, errBadColumn("rate_limits")
	}
	limits := make([]apikeys.RateLimit, len(list))
	for i, l := range list {
		limits[i] = apikeys.RateLimit{Requests: l.Requests, Window: apikeys.RateLimitWindow(l.Window)}
	}
	return limits, nil
}

// object is the JSON object that text stands for.
func object(text json.RawMessage) json.RawMessage {
	if len(text) == 0 {
		return json.RawMessage("{}")
	}
	return text
}
