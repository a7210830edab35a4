package mysql

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/sqlstore"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// counter is a Database that counts the round trips of its transactions.
type counter struct {
	database
	trips *int
}

func (c counter) Begin(ctx context.Context, o sqlstore.TxOptions) (sqlstore.Tx, error) {
	tx, err := c.database.Begin(ctx, o)
	if err != nil {
		return nil, err
	}
	*c.trips++
	t := tx.(*transaction)
	t.Tx = countedTx{t.Tx, c.trips}
	return t, nil
}

type countedTx struct {
	sqlstore.Tx
	trips *int
}

func (t countedTx) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	*t.trips++
	return t.Tx.Query(ctx, query, args...)
}

func (t countedTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	*t.trips++
	return t.Tx.Exec(ctx, query, args...)
}

func (t countedTx) ExecEach(ctx context.Context, query string, rows [][]any) ([]int64, error) {
	*t.trips += len(rows)
	return t.Tx.ExecEach(ctx, query, rows)
}

func (t countedTx) Commit(ctx context.Context) (bool, error) {
	*t.trips++
	return t.Tx.Commit(ctx)
}

// TestRoundTrips: what many requests share takes as many round trips as what few do.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), testdb.MySQL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	trips := 0
	counted := sqlstore.New(counter{newDatabase(s.pool), &trips}, dialect{}, statements())
	for i, n := range []int{1, 2, 3, 31, 32, 33, 64} {
		t.Run(fmt.Sprint(n, " requests"), func(t *testing.T) {
			requests, admissions := make([]apikeys.LeaseRequest, n), make([]apikeys.Admission, n)
			for j := range requests {
				requests[j] = apikeys.LeaseRequest{
					Subject: apikeys.Subject{byte(i), byte(j)}, Parts: []apikeys.LeasePart{{Limit: apikeys.PerDay(10), Want: 1}},
				}
				admissions[j] = apikeys.Admission{Lease: requests[j], KeyID: uuid.UUID{byte(i), byte(j)}, Secret: 1}
			}
			take := func() ([]apikeys.LeaseGrant, error) { return counted.TakeLeases(t.Context(), requests) }
			admit := func() ([]apikeys.LeaseGrant, error) {
				return counted.Admit(t.Context(), time.Now(), admissions)
			}
			for _, want := range []struct {
				what string
				do   func() ([]apikeys.LeaseGrant, error)
				most int
			}{
				{"leases of windows that are not there: begin, lock, insert, lock, update, commit", take, 6},
				{"leases of windows that are there: begin, lock, update, commit", take, 4},
				{"admissions: the same, and the log", admit, 5},
			} {
				trips = 0
				grants, err := want.do()
				if err != nil {
					t.Fatal(err)
				}
				for j, g := range grants {
					if g.Parts[0].Granted != 1 || g.Parts[0].Start != apikeys.WindowDay.Start(g.Now) {
						t.Errorf("%s: request %d: got %+v", want.what, j, g)
					}
				}
				if trips > want.most {
					t.Errorf("%s: got %d round trips, want at most %d", want.what, trips, want.most)
				}
			}
		})
	}
}
