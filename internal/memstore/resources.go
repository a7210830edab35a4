package memstore

import (
	"context"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

type link struct{ project, product uuid.UUID }

// CreateResource implements [apikeys.Store].
func (s *Store) CreateResource(ctx context.Context, m apikeys.Mutation, r apikeys.ResourceRecord) (apikeys.ResourceRecord, bool, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return apikeys.ResourceRecord{}, false, err
	}
	defer unlock()
	if s.applied(m) {
		standing, ok := s.resources[r.ID]
		if !ok || standing.Kind != r.Kind {
			return apikeys.ResourceRecord{}, false, notFound(r.Kind, r.ID)
		}
		return standing, true, nil
	}
	if r.Kind != apikeys.KindOrganization && !s.is(apikeys.KindOrganization, r.OrganizationID, r.OrganizationID) {
		return apikeys.ResourceRecord{}, false, notFound(apikeys.KindOrganization, r.OrganizationID)
	}
	if standing, ok := s.named(r); ok {
		return standing, false, nil
	}
	if _, ok := s.resources[r.ID]; ok {
		return apikeys.ResourceRecord{}, false, apikeys.ErrAlreadyExists
	}
	s.resources[r.ID] = r
	s.record(m, eventOf(r))
	return r, true, nil
}

func eventOf(r apikeys.ResourceRecord) apikeys.EventRecord {
	return apikeys.EventRecord{OrganizationID: r.OrganizationID, Kind: r.Kind, SubjectID: r.ID}
}

func notFound(kind apikeys.ResourceKind, id uuid.UUID) error {
	return &apikeys.NotFoundError{Kind: kind, ID: id}
}

// is tells whether there is such a resource in the organization.
func (s *Store) is(kind apikeys.ResourceKind, id, organization uuid.UUID) bool {
	r, ok := s.resources[id]
	return ok && r.Kind == kind && r.OrganizationID == organization
}

// named returns what has r's name where names of its kind are unique.
func (s *Store) named(r apikeys.ResourceRecord) (apikeys.ResourceRecord, bool) {
	for _, other := range s.resources {
		if other.Kind == r.Kind && other.Name == r.Name &&
			(r.Kind == apikeys.KindOrganization || other.OrganizationID == r.OrganizationID) {
			return other, true
		}
	}
	return apikeys.ResourceRecord{}, false
}

// UpdateResource implements [apikeys.Store].
func (s *Store) UpdateResource(ctx context.Context, m apikeys.Mutation, ref apikeys.ResourceRef, change apikeys.ResourceChange) (apikeys.ResourceRecord, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return apikeys.ResourceRecord{}, err
	}
	defer unlock()
	r, ok := s.resources[ref.ID]
	if s.applied(m) && (ok || change.Delete) {
		return r, nil
	}
	if !ok || r.Kind != ref.Kind || !asked(ref.Scope.OrganizationID, r.OrganizationID) {
		return apikeys.ResourceRecord{}, notFound(ref.Kind, ref.ID)
	}
	switch {
	case change.Delete:
		return s.deleteResource(m, r)
	case change.Name != nil:
		return s.rename(m, r, *change.Name)
	case change.SuspendedAt != nil && change.SuspendedAt.IsZero() != r.SuspendedAt.IsZero():
		e := eventOfChange(m, r, "suspended_at", orNull(r.SuspendedAt), orNull(*change.SuspendedAt))
		r.SuspendedAt, r.UpdatedAt = *change.SuspendedAt, m.At
		s.resources[r.ID] = r
		s.record(m, e, staleOrganization(r.OrganizationID))
	}
	return r, nil
}

func (s *Store) rename(m apikeys.Mutation, r apikeys.ResourceRecord, name string) (apikeys.ResourceRecord, error) {
	if r.Name == name {
		return r, nil
	}
	e := eventOfChange(m, r, "name", r.Name, name)
	r.Name, r.UpdatedAt = name, m.At
	if standing, ok := s.named(r); ok {
		return apikeys.ResourceRecord{}, &apikeys.AlreadyExistsError{Kind: r.Kind, ExistingID: standing.ID}
	}
	s.resources[r.ID] = r
	s.record(m, e)
	return r, nil
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// eventOfChange tells what a field was before and is after.
func eventOfChange(m apikeys.Mutation, r apikeys.ResourceRecord, field string, before, after any) apikeys.EventRecord {
	e := eventOf(r)
	e.Detail = detail(m, map[string]any{"before": map[string]any{field: before}, "after": map[string]any{field: after}})
	return e
}

func (s *Store) deleteResource(m apikeys.Mutation, r apikeys.ResourceRecord) (apikeys.ResourceRecord, error) {
	gone := map[uuid.UUID]bool{r.ID: true}
	for id, other := range s.resources {
		if other.OrganizationID == r.ID {
			gone[id] = true
		}
	}
	for _, k := range s.keys {
		if gone[k.OrganizationID] || gone[k.ProjectID] || gone[k.ProductID] {
			return apikeys.ResourceRecord{}, apikeys.ErrConflict
		}
	}
	maps.DeleteFunc(s.links, func(l link, _ bool) bool { return gone[l.project] || gone[l.product] })
	maps.DeleteFunc(s.resources, func(id uuid.UUID, _ apikeys.ResourceRecord) bool { return gone[id] })
	e := eventOf(r)
	e.Detail = detail(m, map[string]any{"before": map[string]any{"name": r.Name}})
	s.record(m, e, staleOrganization(r.OrganizationID))
	return r, nil
}

// ListResources implements [apikeys.Store].
func (s *Store) ListResources(ctx context.Context, q apikeys.ResourceQuery) ([]apikeys.ResourceRecord, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return pick(s.resources, q.Limit, func(r apikeys.ResourceRecord) bool {
		return asked(q.Scope.OrganizationID, r.OrganizationID) && r.Kind == q.Kind &&
			asked(q.ID, r.ID) && before(r.ID, q.Before) &&
			(q.Name == nil || *q.Name == r.Name) &&
			(q.LinkOf == uuid.Nil || s.links[link{q.LinkOf, r.ID}])
	}, func(r apikeys.ResourceRecord) apikeys.ResourceRecord { return r }), nil
}

// SetLink implements [apikeys.Store].
func (s *Store) SetLink(ctx context.Context, m apikeys.Mutation, ref apikeys.LinkRef, linked bool) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if s.applied(m) {
		return nil
	}
	organization := s.resources[ref.ProjectID].OrganizationID
	if !s.is(apikeys.KindProject, ref.ProjectID, organization) || !asked(ref.Scope.OrganizationID, organization) {
		return notFound(apikeys.KindProject, ref.ProjectID)
	}
	if !s.is(apikeys.KindProduct, ref.ProductID, organization) {
		return notFound(apikeys.KindProduct, ref.ProductID)
	}
	l := link{ref.ProjectID, ref.ProductID}
	if s.links[l] == linked {
		return nil
	}
	if linked {
		s.links[l] = true
	} else {
		delete(s.links, l)
	}
	s.record(m, eventOf(s.resources[ref.ProductID]), staleOrganization(organization))
	return nil
}

// Binding implements [apikeys.Store].
func (s *Store) Binding(ctx context.Context, projectID, productID uuid.UUID) (apikeys.Binding, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return apikeys.Binding{}, err
	}
	defer unlock()
	return apikeys.Binding{
		ProjectOrganizationID: s.owner(apikeys.KindProject, projectID),
		ProductOrganizationID: s.owner(apikeys.KindProduct, productID),
		Linked:                s.links[link{projectID, productID}],
	}, nil
}

func (s *Store) owner(kind apikeys.ResourceKind, id uuid.UUID) uuid.UUID {
	if r := s.resources[id]; r.Kind == kind {
		return r.OrganizationID
	}
	return uuid.Nil
}
