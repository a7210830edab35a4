package pythonsdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// batch is how many keys are handed to the client at a time.
const batch = 1024

func (m *move) keys(ctx context.Context) error {
	var keys []apikeys.ImportKey
	flush := func() error {
		defer func() { keys = keys[:0] }()
		return m.importKeys(ctx, keys)
	}
	err := each(ctx, m, "api_keys", readKey, queryKeys, func(k keyRow) error {
		key, err := m.translate(k)
		if err == nil {
			err = m.linkBound(ctx, key)
		}
		if err != nil {
			return m.refuseKey(apikeys.ImportResult{ForeignID: k.id.String(), Outcome: apikeys.ImportRefused, Err: err})
		}
		if keys = append(keys, key); len(keys) < batch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// importKeys hands keys to the client and counts what becomes of them, so far as it
// got.
func (m *move) importKeys(ctx context.Context, keys []apikeys.ImportKey) error {
	results, err := m.client.ImportKeys(ctx, keys, apikeys.ImportParams{DryRun: m.opts.DryRun})
	for _, r := range results {
		r = m.asPlanned(r)
		switch r.Outcome {
		case apikeys.ImportCreated:
			m.report.Keys.Created++
		case apikeys.ImportExists:
			m.report.Keys.Exists++
		default:
			if err := m.refuseKey(r); err != nil {
				return err
			}
			continue
		}
		if m.opts.Key != nil {
			m.opts.Key(r)
		}
	}
	return err
}

func (m *move) refuseKey(r apikeys.ImportResult) error {
	if !aboutRow(r.Err) && !errors.Is(r.Err, apikeys.ErrConflict) {
		return r.Err
	}
	m.refuse(&m.report.Keys, "api_keys", r.ForeignID, r.Err)
	if m.opts.Key != nil {
		m.opts.Key(r)
	}
	return nil
}

// asPlanned takes a key that a dry run refused only because its organization, project
// or product would be made first for one that would be made.
func (m *move) asPlanned(r apikeys.ImportResult) apikeys.ImportResult {
	var missing *apikeys.NotFoundError
	if errors.As(r.Err, &missing) && m.planned[missing.ID] {
		r.Outcome, r.Err = apikeys.ImportCreated, nil
	}
	return r
}

// linkBound sees that the project and product of a key are linked, if it is bound to
// both.
func (m *move) linkBound(ctx context.Context, key apikeys.ImportKey) error {
	l := link{key.ProjectID, key.ProductID}
	switch {
	case l.project == uuid.Nil || l.product == uuid.Nil || m.links[l]:
		return nil
	case m.opts.LinkBound:
		return m.link(ctx, l)
	case m.planned[l.project] || m.planned[l.product]:
		return wrong("ProductID", "is not linked to the project, and would not be; see LinkBound")
	}
	return nil // the client asks
}

// translate makes of a row what the client imports.
func (m *move) translate(row keyRow) (apikeys.ImportKey, error) {
	key := apikeys.ImportKey{
		Scheme: apikeys.ImportPythonSDK, ForeignID: row.id.String(), Hint: row.prefix + "…",
		CreatedAt: row.created, LastUsedAt: row.lastUsed, RevokedAt: row.revoked, UseCount: row.uses,
	}
	if row.err != nil {
		return key, row.err
	}
	if row.created.Before(m.opts.PlainBefore) {
		key.Scheme = apikeys.ImportPythonSDK01
	}
	var err error
	if key.Digest, err = apikeys.ParseDigest(row.hash); err != nil {
		return key, err
	}
	for _, bound := range []struct {
		kind   apikeys.ResourceKind
		theirs uuid.UUID
		ours   *uuid.UUID
	}{
		{apikeys.KindOrganization, row.organization, &key.OrganizationID},
		{apikeys.KindProject, row.project, &key.ProjectID},
		{apikeys.KindProduct, row.product, &key.ProductID},
	} {
		if bound.theirs == uuid.Nil {
			continue
		}
		if *bound.ours = m.ids[bound.theirs]; *bound.ours == uuid.Nil {
			return key, &apikeys.NotFoundError{Kind: bound.kind, ID: bound.theirs}
		}
	}
	if key.Metadata, err = readMetadata(row.metadata); err != nil {
		return key, err
	}
	err = m.keepID(&key)
	return key, err
}

func (m *move) keepID(key *apikeys.ImportKey) error {
	if m.opts.IDField == "" {
		return nil
	}
	if _, taken := key.Metadata.Custom[m.opts.IDField]; taken {
		return wrong("Metadata.Custom", "has a field "+m.opts.IDField+" already, which the id was to be kept in")
	}
	if key.Metadata.Custom == nil {
		key.Metadata.Custom = map[string]any{}
	}
	key.Metadata.Custom[m.opts.IDField] = key.ForeignID
	return nil
}

// metadata is the JSON of the column of that name. Fields that are not here are
// refused: what they mean would be lost.
type metadata struct {
	Name      *string         `json:"name"`
	Scopes    []string        `json:"scopes"`
	RateLimit json.RawMessage `json:"rate_limit"`
	ExpiresAt *string         `json:"expires_at"`
	Custom    map[string]any  `json:"custom"`
}

func readMetadata(text string) (meta apikeys.KeyMetadata, err error) {
	var m metadata
	if err := decode(text, &m); err != nil {
		return meta, wrong("Metadata", "cannot be read: "+err.Error())
	}
	meta.Scopes, meta.Custom = m.Scopes, m.Custom
	if m.Name != nil {
		meta.Name = *m.Name
	}
	if m.ExpiresAt != nil {
		if meta.ExpiresAt, err = parseTime(*m.ExpiresAt); err != nil || meta.ExpiresAt.IsZero() {
			return meta, wrong("Metadata.ExpiresAt", "is not a time of ISO 8601")
		}
	}
	meta.RateLimits, err = readLimit(m.RateLimit)
	return meta, err
}

// readLimit reads the limit of either version: 0.1 had a number of requests a minute.
func readLimit(raw json.RawMessage) ([]apikeys.RateLimit, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var perMinute int64
	if decode(string(raw), &perMinute) == nil {
		return []apikeys.RateLimit{apikeys.PerMinute(perMinute)}, nil
	}
	var limit struct {
		Requests *int64 `json:"requests"`
		Window   string `json:"window"`
	}
	if err := decode(string(raw), &limit); err != nil || limit.Requests == nil {
		return nil, wrong("Metadata.RateLimits", "is neither a number nor requests and a window")
	}
	windows := map[string]apikeys.RateLimitWindow{
		"second": apikeys.WindowSecond, "minute": apikeys.WindowMinute, "hour": apikeys.WindowHour, "day": apikeys.WindowDay,
		"": apikeys.WindowMinute,
	}
	window, ok := windows[limit.Window]
	if !ok {
		return nil, wrong("Metadata.RateLimits", fmt.Sprintf("has the window %.40q: limits are by second, minute, hour or day", limit.Window))
	}
	return []apikeys.RateLimit{{Requests: *limit.Requests, Window: window}}, nil
}

// decode reads one JSON value and nothing after it, numbers with all of their digits.
func decode(text string, into any) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON value")
	}
	return nil
}

func wrong(field, reason string) error {
	return &apikeys.InvalidArgumentError{Field: field, Reason: reason}
}

// layouts are how times are written: SQLAlchemy's in SQLite, MySQL's, and those of ISO
// 8601 that Python writes. What has no zone is UTC.
var layouts = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02"}

func parseTime(text string) (time.Time, error) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("not a time")
}
