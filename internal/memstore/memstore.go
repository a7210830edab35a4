// Package memstore is a [apikeys.Store] of one mutex and a few maps: the model
// that the real stores are compared with. It is written to be obviously
// right, not fast, it forgets everything when the process ends, and no other
// process sees it: it is not for production.
package memstore

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// Store is an apikeys.Store in memory. Make one with [New]; it is safe for
// concurrent use.
type Store struct {
	mu        sync.Mutex // held for the whole of every method: that is the isolation
	settings  apikeys.SettingsRecord
	resources map[uuid.UUID]apikeys.ResourceRecord
	links     map[link]bool
	keys      map[uuid.UUID]apikeys.KeyRecord
	secrets   map[apikeys.Hash]apikeys.SecretRecord
	events    map[uuid.UUID]apikeys.EventRecord
	mark      apikeys.ChangeMark
	changes   []change // in the order of revisions
	windows   map[windowID]window
	writers   map[uuid.UUID]writer
	hours     map[hourID]apikeys.UsageDelta
	log       []apikeys.UsageDelta // uses that Admit counted and that are in no count yet
}

var _ apikeys.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{
		resources: map[uuid.UUID]apikeys.ResourceRecord{},
		links:     map[link]bool{},
		keys:      map[uuid.UUID]apikeys.KeyRecord{},
		secrets:   map[apikeys.Hash]apikeys.SecretRecord{},
		events:    map[uuid.UUID]apikeys.EventRecord{},
		windows:   map[windowID]window{},
		writers:   map[uuid.UUID]writer{},
		hours:     map[hourID]apikeys.UsageDelta{},
	}
}

// lock begins a method. Nothing in here waits, so a context is asked once.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	s.mu.Lock()
	if err := ctx.Err(); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	return s.mu.Unlock, nil
}

// now is the store's own clock.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// applied tells whether the mutation was applied before.
func (s *Store) applied(m apikeys.Mutation) bool {
	_, ok := s.events[m.ID]
	return ok
}

// record ends a mutation that changed something: its event and, when there is
// something that it made stale, the next revision.
func (s *Store) record(m apikeys.Mutation, e apikeys.EventRecord, stale ...apikeys.Change) {
	e.ID, e.At, e.Actor, e.Action = m.ID, m.At, m.Actor, m.Action
	if e.Detail == nil {
		e.Detail = detail(m, nil)
	}
	s.events[m.ID] = e
	if len(stale) > 0 {
		s.bump(m.ID, m.At, stale...)
	}
}

// detail is the mutation's own, with what is added here.
func detail(m apikeys.Mutation, added map[string]any) json.RawMessage {
	merged := map[string]json.RawMessage{}
	if len(m.Detail) > 0 {
		_ = json.Unmarshal(m.Detail, &merged) // an object, by contract
	}
	for name, value := range added {
		merged[name], _ = json.Marshal(value)
	}
	text, _ := json.Marshal(merged)
	return text
}

// EnsureSettings implements [apikeys.Store].
func (s *Store) EnsureSettings(ctx context.Context, proposed apikeys.SettingsRecord) (apikeys.SettingsRecord, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return apikeys.SettingsRecord{}, err
	}
	defer unlock()
	switch {
	case proposed.Version < 1:
	case s.settings.Version == 0:
		s.settings = cloneSettings(proposed)
	case proposed.Version == s.settings.Version+1:
		s.settings = cloneSettings(proposed)
		s.bump(uuid.New(), now(), apikeys.Change{Kind: apikeys.ChangeAll})
	}
	return cloneSettings(s.settings), nil
}

func cloneSettings(r apikeys.SettingsRecord) apikeys.SettingsRecord {
	r.ShieldKeys = slices.Clone(r.ShieldKeys)
	for i := range r.ShieldKeys {
		r.ShieldKeys[i] = bytes.Clone(r.ShieldKeys[i])
	}
	r.Retired = slices.Clone(r.Retired)
	r.Canaries = slices.Clone(r.Canaries)
	for i := range r.Canaries {
		r.Canaries[i].MAC = bytes.Clone(r.Canaries[i].MAC)
	}
	return r
}

// ListEvents implements [apikeys.Store].
func (s *Store) ListEvents(ctx context.Context, q apikeys.EventQuery) ([]apikeys.EventRecord, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return pick(s.events, q.Limit, func(e apikeys.EventRecord) bool {
		return asked(q.Scope.OrganizationID, e.OrganizationID) &&
			asked(q.ID, e.ID) && asked(q.SubjectID, e.SubjectID) && before(e.ID, q.Before)
	}, cloneEvent), nil
}

func cloneEvent(e apikeys.EventRecord) apikeys.EventRecord {
	e.Detail = bytes.Clone(e.Detail)
	return e
}

// asked: what a query leaves out selects nothing away.
func asked[T comparable](want, got T) bool {
	var none T
	return want == none || want == got
}

func before(id, limit uuid.UUID) bool {
	return limit == uuid.Nil || bytes.Compare(id[:], limit[:]) < 0
}

// pick returns copies of the first rows that match, the greatest id first; a
// limit of 0 returns all of them.
func pick[T any](rows map[uuid.UUID]T, limit int, match func(T) bool, clone func(T) T) []T {
	var picked []T
	for _, id := range newestFirst(rows) {
		if match(rows[id]) && (limit <= 0 || len(picked) < limit) {
			picked = append(picked, clone(rows[id]))
		}
	}
	return picked
}

func newestFirst[T any](rows map[uuid.UUID]T) []uuid.UUID {
	return slices.SortedFunc(maps.Keys(rows), func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) })
}
