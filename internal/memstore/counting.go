package memstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

type windowID struct {
	subject apikeys.Subject
	span    apikeys.RateLimitWindow
}

type window struct {
	start time.Time
	used  int64
}

// TakeLeases implements [apikeys.Store].
func (s *Store) TakeLeases(ctx context.Context, requests []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	own := now()
	grants := make([]apikeys.LeaseGrant, len(requests))
	for i, r := range requests {
		if r.At.IsZero() {
			r.At = own
		}
		grants[i] = s.take(r)
	}
	return grants, nil
}

func (s *Store) take(r apikeys.LeaseRequest) apikeys.LeaseGrant {
	grant := apikeys.LeaseGrant{Now: r.At, Parts: make([]apikeys.GrantedPart, len(r.Parts))}
	refused := false
	for i, part := range r.Parts {
		start := part.Limit.Window.Start(r.At)
		used, open := s.used(windowID{r.Subject, part.Limit.Window}, start)
		granted := min(part.Want, max(0, part.Limit.Requests-used))
		if !open {
			granted, used = 0, part.Limit.Requests // nothing remains
		}
		refused = refused || granted < part.Want
		grant.Parts[i] = apikeys.GrantedPart{Start: start, Granted: granted, Used: used}
	}
	for i, part := range r.Parts {
		g := &grant.Parts[i]
		if r.AllOrNothing && refused {
			g.Granted = 0
		}
		if g.Granted > 0 {
			g.Used += g.Granted
			s.windows[windowID{r.Subject, part.Limit.Window}] = window{g.Start, g.Used}
		}
	}
	return grant
}

// used tells how much of the window is used, and whether it can be charged: not
// when the next window was charged already.
func (s *Store) used(id windowID, start time.Time) (used int64, open bool) {
	w := s.windows[id]
	switch {
	case w.start.Equal(start):
		return w.used, true
	case w.start.Equal(start.Add(id.span.Duration())):
		return 0, false
	default:
		return 0, true
	}
}

// ReturnLeases implements [apikeys.Store].
func (s *Store) ReturnLeases(ctx context.Context, unused []apikeys.LeaseReturn) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, r := range unused {
		id := windowID{r.Subject, r.Window}
		w := s.windows[id]
		if w.start.Equal(r.Start) && w.used >= r.Unused {
			w.used -= r.Unused
			s.windows[id] = w
		}
	}
	return nil
}

type writer struct {
	seq  int64
	seen time.Time
}

type hourID struct {
	key     uuid.UUID
	hour    int64 // Unix
	secret  int
	outcome string
}

// AddUsage implements [apikeys.Store].
func (s *Store) AddUsage(ctx context.Context, batch apikeys.UsageBatch) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if last, ok := s.writers[batch.Writer]; ok && batch.Seq <= last.seq {
		return nil
	}
	s.writers[batch.Writer] = writer{batch.Seq, batch.At}
	for _, d := range batch.Deltas {
		if k, ok := s.keys[d.KeyID]; ok {
			s.count(k, d)
		}
	}
	return nil
}

func (s *Store) count(k apikeys.KeyRecord, d apikeys.UsageDelta) {
	if d.Outcome == apikeys.OutcomeAccepted {
		k.UseCount += d.Count
		k.LastUsedAt = later(k.LastUsedAt, d.LastAt)
		s.keys[k.ID] = k
	}
	id := hourID{d.KeyID, d.Hour.Unix(), d.Secret, d.Outcome}
	if standing, ok := s.hours[id]; ok {
		d.Count += standing.Count
		d.LastAt = later(d.LastAt, standing.LastAt)
	}
	s.hours[id] = d
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// KeyUsage implements [apikeys.Store].
func (s *Store) KeyUsage(ctx context.Context, q apikeys.UsageQuery) ([]apikeys.UsageDelta, error) {
	unlock, err := s.lockFolded(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := s.key(q.Ref); err != nil {
		return nil, err
	}
	var found []apikeys.UsageDelta
	for id, d := range s.hours {
		if id.key == q.Ref.ID && !d.Hour.Before(q.From) && d.Hour.Before(q.To) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b apikeys.UsageDelta) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Secret, b.Secret), cmp.Compare(a.Outcome, b.Outcome))
	})
	return found, nil
}
