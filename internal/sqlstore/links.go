package sqlstore

import (
	"context"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// SetLink implements [apikeys.Store].
func (s *Store) SetLink(ctx context.Context, m apikeys.Mutation, link apikeys.LinkRef, linked bool) error {
	_, err := s.mutate(ctx, m, func(w *work) error {
		both, err := s.share(ctx, w, link.ProjectID, link.ProductID)
		if err != nil {
			return err
		}
		organization := both[link.ProjectID].organization
		if !both.is(apikeys.KindProject, link.ProjectID, organization) || !both.is(apikeys.KindProduct, link.ProductID, organization) ||
			link.Scope.OrganizationID != uuid.Nil && link.Scope.OrganizationID != organization {
			return apikeys.ErrNotFound
		}
		w.about = apikeys.EventRecord{OrganizationID: organization, Kind: apikeys.KindProduct, SubjectID: link.ProductID}
		w.stale = []apikeys.Change{staleOrganization(organization)}
		return s.setLink(ctx, w, link, organization, linked)
	})
	return err
}

func (s *Store) setLink(ctx context.Context, w *work, link apikeys.LinkRef, organization uuid.UUID, linked bool) error {
	project, product := s.dialect.ID(link.ProjectID), s.dialect.ID(link.ProductID)
	var changed bool
	var err error
	if linked {
		changed, err = insert(ctx, w, s.st.InsertLink, project, product, s.dialect.ID(organization))
	} else {
		var deleted int64
		deleted, err = w.Exec(ctx, s.st.DeleteLink, project, product)
		changed = deleted > 0
	}
	if err == nil && !changed {
		return errNothing
	}
	return err
}

// Binding implements [apikeys.Store].
func (s *Store) Binding(ctx context.Context, projectID, productID uuid.UUID) (b apikeys.Binding, err error) {
	project, product := s.dialect.ID(projectID), s.dialect.ID(productID)
	err = s.read(ctx, func(c Conn) (err error) {
		b, err = one(ctx, c, func(scan row) (b apikeys.Binding, err error) {
			err = scan(s.dialect.ScanID(&b.ProjectOrganizationID), s.dialect.ScanID(&b.ProductOrganizationID), &b.Linked)
			return b, err
		}, s.st.Binding, project, product, project, product)
		return err
	})
	return b, err
}
