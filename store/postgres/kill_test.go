package postgres_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
	"github.com/apikeys-platform/apikeys/store/postgres"
)

// The server dies under load and comes back. Whoever repeats what failed gets
// through, nothing that was acknowledged is lost, nothing is done twice, and a
// call that says it did nothing did nothing.
func TestServerIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	server := testdb.StartPostgres(t, dbserver.Options{Durable: true})
	s := openMigrated(t, server.DSN())
	stop, workers := make(chan struct{}), make([]*worker, 8)
	var working sync.WaitGroup
	for i := range workers {
		workers[i] = &worker{T: t, store: s, writer: uuid.New()}
		working.Go(func() { workers[i].work(stop) })
	}
	for range testdb.Dose(2, 10) {
		awaitWork(workers)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaitWork(workers)
	}
	close(stop)
	working.Wait()
	failed, unknown, keys := 0, 0, 0
	for _, w := range workers {
		w.check()
		failed, unknown, keys = failed+w.failed, unknown+w.unknown, keys+len(w.keys)
	}
	t.Logf("%d keys created and renamed; %d calls failed, %d of them with an unknown outcome", keys, failed, unknown)
	if failed == 0 {
		t.Error("got no failed call, want some: nothing was tested")
	}
}

// awaitWork returns when every worker has come through with something.
func awaitWork(workers []*worker) {
	for _, w := range workers {
		for before := w.done.Load(); w.done.Load() < before+10; {
			time.Sleep(time.Millisecond) // for work to be done, however long it takes
		}
	}
}

// worker does one thing after the other, each until it is acknowledged.
type worker struct {
	*testing.T
	store           *postgres.Store
	writer          uuid.UUID
	seq             int64
	keys            []apikeys.KeyRecord
	failed, unknown int
	done            atomic.Int64
}

func (w *worker) work(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		k, name := newKey(), "renamed"
		create, rename := mutation(), mutation()
		w.until(create.ID, func(ctx context.Context) error {
			faults, err := w.store.CreateKeys(ctx, create, []apikeys.KeyRecord{k})
			return errors.Join(append(faults, err)...)
		})
		w.keys = append(w.keys, k)
		w.until(rename.ID, func(ctx context.Context) error {
			_, err := w.store.UpdateKey(ctx, rename, apikeys.KeyRef{ID: k.ID}, apikeys.KeyChange{Name: &name})
			return err
		})
		w.seq++
		batch := apikeys.UsageBatch{Writer: w.writer, Seq: w.seq, At: testTime, Deltas: []apikeys.UsageDelta{
			{KeyID: w.keys[0].ID, Secret: 1, Hour: testTime.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: testTime},
		}}
		w.until(uuid.Nil, func(ctx context.Context) error { return w.store.AddUsage(ctx, batch) })
	}
}

// until repeats a call until it is acknowledged. Before it repeats one that says to
// have done nothing, it looks whether that is so.
func (w *worker) until(mutation uuid.UUID, call func(context.Context) error) {
	for unknown := false; ; {
		ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
		err := call(ctx)
		cancel()
		if err == nil {
			w.done.Add(1)
			return
		}
		w.failed++
		if errors.Is(err, apikeys.ErrOutcomeUnknown) {
			w.unknown++
			unknown = true
		} else if mutation != uuid.Nil && !unknown {
			w.wantNothing(mutation, err)
		}
		if w.Context().Err() != nil {
			return
		}
		time.Sleep(20 * time.Millisecond) // as a caller would
	}
}

func (w *worker) wantNothing(mutation uuid.UUID, err error) {
	for w.Context().Err() == nil {
		events, lookErr := w.store.ListEvents(w.Context(), apikeys.EventQuery{ID: mutation, Limit: 1})
		if lookErr != nil {
			time.Sleep(20 * time.Millisecond) // as a caller would
			continue
		}
		if len(events) != 0 {
			w.Errorf("a mutation was applied, and its error %v said that it was not", err)
		}
		return
	}
}

// check looks for what was acknowledged.
func (w *worker) check() {
	w.Helper()
	for _, k := range w.keys {
		got, _, err := w.store.GetKey(w.Context(), apikeys.KeyRef{ID: k.ID})
		if err != nil || got.Name != "renamed" || got.Version != 2 {
			w.Errorf("an acknowledged key: got %q in version %d, %v, want it renamed once", got.Name, got.Version, err)
		}
	}
	first, _, err := w.store.GetKey(w.Context(), apikeys.KeyRef{ID: w.keys[0].ID})
	if err != nil || first.UseCount != w.seq {
		w.Errorf("got %d uses, %v, want %d: batches were lost or counted twice", first.UseCount, err, w.seq)
	}
}

// A client goes on by itself when the server is back.
func TestClientRecovers(t *testing.T) {
	t.Parallel()
	server := testdb.StartPostgres(t, dbserver.Options{Durable: true})
	s := openMigrated(t, server.DSN())
	client, err := apikeys.New(t.Context(), s, apikeys.Config{
		SigningSecret: apikeys.NewSecret("8c1f0e7d5b3a49628f70d4c2b1a69e35c7d80f12e4a6b59d"), OpTimeout: time.Minute, // the machine may be busy
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.WithoutCancel(t.Context()))
	issued, err := client.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: testOrganization.ID})
	if err != nil {
		t.Fatal(err)
	}
	text := issued.Plaintext.Reveal()
	validate := func() error {
		_, err := client.Validate(t.Context(), text, apikeys.ValidateParams{})
		return err
	}
	if err := validate(); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	for err = validate(); err == nil; err = validate() {
		time.Sleep(10 * time.Millisecond) // until the client has to ask the server
	}
	if !errors.Is(err, apikeys.ErrUnavailable) {
		t.Errorf("without a server: got error %v, want ErrUnavailable", err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if err = validate(); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a minute after the restart: got error %v, want none", err)
		}
	}
}
