package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// CreateResource implements [apikeys.Store].
func (s *Store) CreateResource(ctx context.Context, m apikeys.Mutation, r apikeys.ResourceRecord) (standing apikeys.ResourceRecord, created bool, err error) {
	prior, err := s.mutate(ctx, m, func(w *work) (err error) {
		standing, err = s.createResource(ctx, w, r)
		created = err == nil
		return err
	})
	if err != nil {
		return apikeys.ResourceRecord{}, false, err
	}
	if prior != nil {
		standing, err = s.resource(ctx, apikeys.ResourceRef{Kind: r.Kind, ID: r.ID})
		created = err == nil
	}
	return standing, created, err
}

func (s *Store) createResource(ctx context.Context, w *work, r apikeys.ResourceRecord) (apikeys.ResourceRecord, error) {
	if r.Kind != apikeys.KindOrganization {
		owners, err := s.share(ctx, w, r.OrganizationID)
		if err != nil {
			return r, err
		}
		if !owners.is(apikeys.KindOrganization, r.OrganizationID, r.OrganizationID) {
			return r, apikeys.ErrNotFound
		}
	}
	inserted, err := insert(ctx, w, s.st.InsertResource, s.resourceArgs(r)...)
	if err != nil {
		return r, err
	}
	if !inserted {
		return s.named(ctx, w, r)
	}
	w.about = aboutResource(r)
	return r, nil
}

// named returns what has the name of r, which could not be inserted. If it is
// not the name that is taken, it is the id.
func (s *Store) named(ctx context.Context, c Conn, r apikeys.ResourceRecord) (apikeys.ResourceRecord, error) {
	q := apikeys.ResourceQuery{Kind: r.Kind, Name: &r.Name, Limit: 1}
	args := append([]any{s.dialect.ID(namespace(r.Kind, r.OrganizationID)), string(r.Kind), r.Name}, s.resourceFilter(q)...)
	standing, ok, err := first(ctx, c, s.scanResource, s.st.ResourcesByName, args...)
	switch {
	case err != nil:
		return r, err
	case !ok:
		return r, apikeys.ErrAlreadyExists
	}
	return standing, errNothing
}

func aboutResource(r apikeys.ResourceRecord) apikeys.EventRecord {
	return apikeys.EventRecord{OrganizationID: r.OrganizationID, Kind: r.Kind, SubjectID: r.ID}
}

// UpdateResource implements [apikeys.Store].
func (s *Store) UpdateResource(ctx context.Context, m apikeys.Mutation, ref apikeys.ResourceRef, change apikeys.ResourceChange) (r apikeys.ResourceRecord, err error) {
	prior, err := s.mutate(ctx, m, func(w *work) (err error) {
		r, err = one(ctx, w, s.scanResource, s.st.LockResource, s.resourceRefArgs(ref)...)
		if err != nil {
			return err
		}
		w.about, w.detail = aboutResource(r), resourceDifferences(r, change)
		r, err = s.changeResource(ctx, w, r, change)
		return err
	})
	if err != nil {
		return apikeys.ResourceRecord{}, err
	}
	if prior == nil {
		return r, nil
	}
	r, err = s.resource(ctx, ref)
	if errors.Is(err, apikeys.ErrNotFound) && change.Delete {
		return apikeys.ResourceRecord{Kind: prior.Kind, ID: prior.SubjectID, OrganizationID: prior.OrganizationID}, nil
	}
	return r, err
}

func (s *Store) changeResource(ctx context.Context, w *work, r apikeys.ResourceRecord, change apikeys.ResourceChange) (apikeys.ResourceRecord, error) {
	switch {
	case change.Delete:
		w.stale = []apikeys.Change{staleOrganization(r.OrganizationID)}
		return r, s.deleteResource(ctx, w, r)
	case change.Name != nil && *change.Name != r.Name:
		r.Name = *change.Name
	case change.SuspendedAt != nil && change.SuspendedAt.IsZero() != r.SuspendedAt.IsZero():
		if r.Kind != apikeys.KindOrganization {
			return r, errSuspend
		}
		r.SuspendedAt = *change.SuspendedAt
		w.stale = []apikeys.Change{staleOrganization(r.OrganizationID)}
	default:
		return r, errNothing
	}
	r.UpdatedAt = w.m.At
	_, err := w.Exec(ctx, s.st.UpdateResource, r.Name, s.dialect.NullTime(r.SuspendedAt), s.dialect.Time(r.UpdatedAt), s.dialect.ID(r.ID))
	if err != nil && s.dialect.Classify(err) == Duplicate {
		return r, apikeys.ErrAlreadyExists
	}
	return r, err
}

// resourceDifferences are what a change makes different, as it was before and is
// after.
func resourceDifferences(r apikeys.ResourceRecord, change apikeys.ResourceChange) map[string]any {
	switch {
	case change.Delete:
		return map[string]any{"before": map[string]any{"name": r.Name}}
	case change.Name != nil:
		return map[string]any{"before": map[string]any{"name": r.Name}, "after": map[string]any{"name": *change.Name}}
	case change.SuspendedAt != nil:
		return map[string]any{
			"before": map[string]any{"suspended_at": orNull(r.SuspendedAt)}, "after": map[string]any{"suspended_at": orNull(*change.SuspendedAt)},
		}
	}
	return nil
}

// deleteResource deletes a locked resource, and with an organization its projects
// and products. While it is locked, no key can be bound to it.
func (s *Store) deleteResource(ctx context.Context, w *work, r apikeys.ResourceRecord) error {
	id, organization := s.dialect.ID(r.ID), s.dialect.ID(r.OrganizationID)
	var bound, unlink func() error
	switch r.Kind {
	case apikeys.KindOrganization:
		bound = s.unbound(ctx, w, s.st.KeyOfOrganization, id)
		unlink = exec(ctx, w, s.st.DeleteLinksOrganization, id)
	case apikeys.KindProject:
		bound = s.unbound(ctx, w, s.st.KeyOfProject, organization, id)
		unlink = exec(ctx, w, s.st.DeleteLinksOfProject, organization, id)
	default:
		bound = s.unbound(ctx, w, s.st.KeyOfProduct, organization, id)
		unlink = exec(ctx, w, s.st.DeleteLinksOfProduct, organization, id)
	}
	parts := func() error { return nil }
	if r.Kind == apikeys.KindOrganization {
		parts = exec(ctx, w, s.st.DeleteOrganization, id, id)
	}
	return run(bound, unlink, parts, exec(ctx, w, s.st.DeleteResource, id))
}

// unbound is a step that fails if a query finds a key.
func (s *Store) unbound(ctx context.Context, w *work, query string, args ...any) func() error {
	return func() error {
		_, found, err := first(ctx, w, scanValue[int64], query, args...)
		if err == nil && found {
			return apikeys.ErrConflict
		}
		return err
	}
}

// ListResources implements [apikeys.Store].
func (s *Store) ListResources(ctx context.Context, q apikeys.ResourceQuery) (found []apikeys.ResourceRecord, err error) {
	query, args := s.resourcesBy(q)
	args = append(args, s.resourceFilter(q)...)
	err = s.read(ctx, func(c Conn) (err error) {
		found, err = all(ctx, c, s.scanResource, query, args...)
		return err
	})
	return found, err
}

// resourcesBy is the statement whose index selects most.
func (s *Store) resourcesBy(q apikeys.ResourceQuery) (query string, args []any) {
	id, kind, organization := s.dialect.ID, string(q.Kind), q.Scope.OrganizationID
	switch {
	case q.ID != uuid.Nil:
		return s.st.ResourceByID, []any{id(q.ID)}
	case q.Name != nil && (organization != uuid.Nil || q.Kind == apikeys.KindOrganization):
		return s.st.ResourcesByName, []any{id(namespace(q.Kind, organization)), kind, *q.Name}
	case q.LinkOf != uuid.Nil:
		return s.st.ResourcesByLink, []any{id(q.LinkOf)}
	case organization != uuid.Nil:
		return s.st.ResourcesByOrganization, []any{id(organization), kind}
	default:
		return s.st.ResourcesByKind, []any{kind}
	}
}

// resourceFilter is all that a query asks: what the statement is driven by is
// asked again, so that no combination can be forgotten.
func (s *Store) resourceFilter(q apikeys.ResourceQuery) []any {
	byName, name := 0, ""
	if q.Name != nil {
		byName, name = 1, *q.Name
	}
	d := s.dialect
	return []any{
		string(q.Kind), asked(q.Scope.OrganizationID), d.ID(q.Scope.OrganizationID), asked(q.ID), d.ID(q.ID), byName, name,
		asked(q.LinkOf), d.ID(q.LinkOf), s.before(q.Before), limitOf(q.Limit),
	}
}

func (s *Store) resource(ctx context.Context, ref apikeys.ResourceRef) (apikeys.ResourceRecord, error) {
	found, err := s.ListResources(ctx, apikeys.ResourceQuery{Scope: ref.Scope, Kind: ref.Kind, ID: ref.ID, Limit: 1})
	if err == nil && len(found) == 0 {
		return apikeys.ResourceRecord{}, apikeys.ErrNotFound
	}
	if err != nil {
		return apikeys.ResourceRecord{}, err
	}
	return found[0], nil
}

func (s *Store) resourceRefArgs(ref apikeys.ResourceRef) []any {
	return []any{s.dialect.ID(ref.ID), string(ref.Kind), asked(ref.Scope.OrganizationID), s.dialect.ID(ref.Scope.OrganizationID)}
}

// owner is a resource that may not be deleted before the transaction ends.
type owner struct {
	kind             apikeys.ResourceKind
	id, organization uuid.UUID
}

type owners map[uuid.UUID]owner

// is tells whether there is such a resource in the organization.
func (o owners) is(kind apikeys.ResourceKind, id, organization uuid.UUID) bool {
	return o[id] == owner{kind, id, organization}
}

// share keeps resources from being deleted, three at a time, in the order of
// their ids, and returns those that there are.
func (s *Store) share(ctx context.Context, c Conn, ids ...uuid.UUID) (owners, error) {
	slices.SortFunc(ids, compareIDs)
	found := owners{}
	for three := range slices.Chunk(slices.Compact(ids), 3) {
		args := []any{s.dialect.ID(uuid.Nil), s.dialect.ID(uuid.Nil), s.dialect.ID(uuid.Nil)}
		for i, id := range three {
			args[i] = s.dialect.ID(id)
		}
		some, err := all(ctx, c, s.scanOwner, s.st.ShareResources, args...)
		if err != nil {
			return nil, err
		}
		for _, o := range some {
			found[o.id] = o
		}
	}
	return found, nil
}

func (s *Store) scanOwner(scan row) (o owner, err error) {
	var kind string
	err = scan(&kind, s.dialect.ScanID(&o.id), s.dialect.ScanID(&o.organization))
	o.kind = apikeys.ResourceKind(kind)
	return o, err
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
