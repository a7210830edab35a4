package sqlstore

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// ListEvents implements [apikeys.Store].
func (s *Store) ListEvents(ctx context.Context, q apikeys.EventQuery) (found []apikeys.EventRecord, err error) {
	query, args := s.eventsBy(q)
	d := s.dialect
	args = append(args, asked(q.Scope.OrganizationID), d.ID(q.Scope.OrganizationID), asked(q.SubjectID), d.ID(q.SubjectID),
		s.before(q.Before), limitOf(q.Limit))
	err = s.read(ctx, func(c Conn) (err error) {
		found, err = all(ctx, c, s.scanEvent, query, args...)
		return err
	})
	return found, err
}

// eventsBy is the statement whose index selects most.
func (s *Store) eventsBy(q apikeys.EventQuery) (query string, args []any) {
	switch {
	case q.ID != uuid.Nil:
		return s.st.EventsByID, []any{s.dialect.ID(q.ID)}
	case q.SubjectID != uuid.Nil:
		return s.st.EventsBySubject, []any{s.dialect.ID(q.SubjectID)}
	case q.Scope.OrganizationID != uuid.Nil:
		return s.st.EventsByOrganization, []any{s.dialect.ID(q.Scope.OrganizationID)}
	default:
		return s.st.EventsAll, nil
	}
}

// event returns the event of a mutation; nil if there is none.
func (s *Store) event(ctx context.Context, c Conn, id uuid.UUID) (*apikeys.EventRecord, error) {
	e, ok, err := first(ctx, c, s.scanEvent, s.st.Event, s.dialect.ID(id))
	if err != nil || !ok {
		return nil, err
	}
	return &e, nil
}

func (s *Store) scanEvent(scan row) (apikeys.EventRecord, error) {
	var e apikeys.EventRecord
	var kind string
	err := scan(s.dialect.ScanID(&e.ID), s.dialect.ScanTime(&e.At), &e.Actor, &e.Action,
		s.dialect.ScanID(&e.OrganizationID), &kind, s.dialect.ScanID(&e.SubjectID), s.dialect.ScanJSON((*[]byte)(&e.Detail)))
	e.Kind = apikeys.ResourceKind(kind)
	return e, err
}

func (s *Store) eventArgs(e apikeys.EventRecord) []any {
	d := s.dialect
	return []any{d.ID(e.ID), d.Time(e.At), e.Actor, e.Action, d.ID(e.OrganizationID), string(e.Kind), d.ID(e.SubjectID), d.JSON(e.Detail)}
}

// mergeDetail adds fields to the JSON object of a mutation, whose own fields stay
// as they were written.
func mergeDetail(own json.RawMessage, added map[string]any) (json.RawMessage, error) {
	own = object(own)
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(own, &fields); err != nil || fields == nil {
		return nil, errDetail
	}
	if len(added) == 0 {
		return own, nil
	}
	for name, value := range added {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, errDetail
		}
		fields[name] = text
	}
	return json.Marshal(fields)
}

// differences are the fields of a key that a change made different, as they were
// before and are after. Custom data is the caller's own and may be personal: an
// event tells only that it changed.
func differences(old, k apikeys.KeyRecord) map[string]any {
	before, after := map[string]any{}, map[string]any{}
	note := func(differ bool, name string, was, is any) {
		if differ {
			before[name], after[name] = was, is
		}
	}
	note(old.Name != k.Name, "name", old.Name, k.Name)
	note(!slices.Equal(old.Scopes, k.Scopes), "scopes", old.Scopes, k.Scopes)
	note(!slices.Equal(old.RateLimits, k.RateLimits), "rate_limits", limitTexts(old.RateLimits), limitTexts(k.RateLimits))
	note(!old.ExpiresAt.Equal(k.ExpiresAt), "expires_at", orNull(old.ExpiresAt), orNull(k.ExpiresAt))
	note(!old.DisabledAt.Equal(k.DisabledAt), "disabled_at", orNull(old.DisabledAt), orNull(k.DisabledAt))
	note(!old.RevokedAt.Equal(k.RevokedAt), "revoked_at", orNull(old.RevokedAt), orNull(k.RevokedAt))
	note(old.RevokedReason != k.RevokedReason, "revoked_reason", old.RevokedReason, k.RevokedReason)
	if string(object(old.Custom)) != string(object(k.Custom)) {
		after["custom"] = "changed"
	}
	return map[string]any{"before": before, "after": after}
}

func limitTexts(limits []apikeys.RateLimit) []string {
	texts := make([]string, len(limits))
	for i, l := range limits {
		texts[i] = l.String()
	}
	return texts
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// bulkDetail is what the event of a bulk operation tells, and what a repetition of
// the operation reads.
type bulkDetail struct {
	Keys   []uuid.UUID `json:"keys"`
	Hashes int         `json:"hashes"`
}

func readBulk(e *apikeys.EventRecord) bulkDetail {
	var d bulkDetail
	_ = json.Unmarshal(e.Detail, &d) // an object, as mergeDetail wrote it
	return d
}
