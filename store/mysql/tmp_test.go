package mysql_test

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
)

func TestTmp(t *testing.T) {
	const callers = 32
	for n := range 12 {
		server := testdb.StartMySQL(t, dbserver.Options{}); dsn := server.DSN()
		db := openPool(t, dsn)
		db.SetMaxOpenConns(callers)
		db.SetMaxIdleConns(callers)
		s := withPool(t, db)
		s.Migrate(t.Context()); createOrganization(t, s)
		k := createKeys(t, s, 1)[0]
		batch := apikeys.UsageBatch{Writer: uuid.New(), Seq: 1, At: testTime, Deltas: []apikeys.UsageDelta{
			{KeyID: k.ID, Secret: 1, Hour: testTime.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: testTime},
		}}
		mon := openPool(t, dsn)
		t0 := time.Now()
		done := make(chan struct{})
		go func() {
			select {
			case <-done:
				return
			case <-time.After(1500 * time.Millisecond):
			}
			_ = mon
			buf := make([]byte, 1<<20)
			os.Stdout.Write(buf[:runtime.Stack(buf, true)])
			os.Exit(1)
			fmt.Println("pool", db.Stats())
		}()
		var running sync.WaitGroup
		for range callers {
			running.Go(func() {
				if err := s.AddUsage(t.Context(), batch); err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		close(done)
		fmt.Println(n, time.Since(t0))
	}
}
