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
		if k, ok := s.keys[a.KeyID]; ok && a.Granted(grants[i]) {
			s.count(k, apikeys.UsageDelta{
				KeyID: a.KeyID, Secret: a.Secret, Hour: at.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: at,
			})
		}
	}
	return grants, nil
}
