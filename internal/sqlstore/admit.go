package sqlstore

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// Admit implements [apikeys.Store]. The uses are logged, as one row, in the transaction
// that charges the windows: adding them up there would lock and write two more rows for
// each of them.
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
		uses := admitted(admissions, grants)
		if len(uses) == 0 {
			return nil
		}
		_, err := tx.Exec(ctx, s.st.LogUses, s.dialect.Time(at), logged(uses))
		return err
	})
	if err != nil {
		return nil, err
	}
	return grants, nil
}

// admitted are the uses of what was granted in full: a refused request counts none.
func admitted(admissions []apikeys.Admission, grants []apikeys.LeaseGrant) []loggedUses {
	type secret struct {
		key    uuid.UUID
		number int
	}
	uses := make([]loggedUses, 0, len(admissions))
	of := make(map[secret]int, len(admissions))
	for i, a := range admissions {
		if !a.Granted(grants[i]) {
			continue
		}
		n, known := of[secret{a.KeyID, a.Secret}]
		if !known {
			n = len(uses)
			of[secret{a.KeyID, a.Secret}] = n
			uses = append(uses, loggedUses{key: a.KeyID, secret: a.Secret})
		}
		uses[n].count++
	}
	return uses
}
