package sqlstore

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// Admit implements [apikeys.Store]: leases first, uses then, as all who lock both do.
func (s *Store) Admit(ctx context.Context, at time.Time, admissions []apikeys.Admission) (grants []apikeys.LeaseGrant, err error) {
	if len(admissions) == 0 {
		return nil, nil
	}
	requests := make([]apikeys.LeaseRequest, len(admissions))
	for i := range admissions {
		requests[i] = admissions[i].Lease
	}
	wanted := wantedWindows(requests)
	err = s.transact(ctx, TxOptions{}, func(tx Tx) error {
		if grants, err = s.charge(ctx, tx, requests, wanted); err != nil {
			return err
		}
		uses := admitted(at, admissions, grants)
		there, err := s.addToKeys(ctx, tx, uses)
		if err != nil {
			return err
		}
		return s.addToHours(ctx, tx, uses, there)
	})
	if err != nil {
		return nil, err
	}
	return grants, nil
}

// admitted are the uses of what was granted in full: a refused request counts none.
func admitted(at time.Time, admissions []apikeys.Admission, grants []apikeys.LeaseGrant) []apikeys.UsageDelta {
	type secret struct {
		key    uuid.UUID
		number int
	}
	uses := make([]apikeys.UsageDelta, 0, len(admissions))
	of := make(map[secret]int, len(admissions))
	for i, a := range admissions {
		if !a.Granted(grants[i]) {
			continue
		}
		n, known := of[secret{a.KeyID, a.Secret}]
		if !known {
			n = len(uses)
			of[secret{a.KeyID, a.Secret}] = n
			uses = append(uses, apikeys.UsageDelta{
				KeyID: a.KeyID, Secret: a.Secret, Hour: at.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, LastAt: at,
			})
		}
		uses[n].Count++
	}
	return uses
}
