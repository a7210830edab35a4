package memstore

import (
	"context"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// Admit implements [apikeys.Store].
func (s *Store) Admit(ctx context.Context, at time.Time, admissions []apikeys.Admission) ([]apikeys.LeaseGrant, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	own := now()
	grants := make([]apikeys.LeaseGrant, len(admissions))
	for i, a := range admissions {
		if a.Lease.At.IsZero() {
			a.Lease.At = own
		}
		grants[i] = s.take(a.Lease)
		if a.Granted(grants[i]) {
			s.log = append(s.log, apikeys.UsageDelta{
				KeyID: a.KeyID, Secret: a.Secret, Hour: at.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: at,
			})
		}
	}
	return grants, nil
}

// FoldUsage implements [apikeys.Store].
func (s *Store) FoldUsage(ctx context.Context) error {
	unlock, err := s.lockFolded(ctx)
	if err != nil {
		return err
	}
	unlock()
	return nil
}

// lockFolded begins a method that tells counts: what Admit noted is added to them first.
func (s *Store) lockFolded(ctx context.Context) (unlock func(), err error) {
	unlock, err = s.lock(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range s.log {
		if k, ok := s.keys[d.KeyID]; ok {
			s.count(k, d)
		}
	}
	s.log = nil
	return unlock, nil
}
