package mysql_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
	"github.com/apikeys-platform/apikeys/store/mysql"
)

// TestServerIsKilledUnderLoad: nothing that was acknowledged is lost, and the store
// goes on by itself when the server is back.
func TestServerIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	server := testdb.StartMySQL(t, dbserver.Options{Durable: true})
	s := open(t, server.DSN())
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	createOrganization(t, s)
	load := startLoad(t, s, 4)
	for range 2 {
		load.waitForMore(t, 50)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Changes(t.Context(), apikeys.ChangeMark{}); err == nil || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("while the server was away: got error %v, want one without an address", err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	load.waitForMore(t, 50)
	load.stop()
	for _, id := range load.acknowledged {
		k, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: id})
		if err != nil || k.RevokedAt.IsZero() {
			t.Errorf("an acknowledged key: got %v, revoked at %v", err, k.RevokedAt)
		}
	}
	events, err := s.ListEvents(t.Context(), apikeys.EventQuery{})
	if err != nil {
		t.Fatal(err)
	}
	of := map[uuid.UUID]int{}
	for _, e := range events {
		of[e.SubjectID]++
	}
	for _, id := range load.acknowledged {
		if of[id] != 2 {
			t.Errorf("got %d events of a key that was created and revoked, want 2", of[id])
		}
	}
}

// load creates keys and revokes them. What is not known, or failed, is repeated under
// the same id.
type load struct {
	ctx          context.Context
	cancel       context.CancelFunc
	running      sync.WaitGroup
	mu           sync.Mutex
	acknowledged []uuid.UUID
}

func startLoad(t *testing.T, s *mysql.Store, workers int) *load {
	t.Helper()
	l := &load{}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	t.Cleanup(l.stop)
	for range workers {
		l.running.Go(func() {
			for l.ctx.Err() == nil {
				k := newKeys(t, 1)
				create, revoke := newMutation(), newMutation()
				done := l.repeat(func(ctx context.Context) error {
					faults, err := s.CreateKeys(ctx, create, k)
					return errors.Join(append(faults, err)...)
				}) && l.repeat(func(ctx context.Context) error {
					_, err := s.UpdateKey(ctx, revoke, apikeys.KeyRef{ID: k[0].ID}, apikeys.KeyChange{Revoke: &apikeys.Revocation{At: testTime}})
					return err
				})
				if done {
					l.mu.Lock()
					l.acknowledged = append(l.acknowledged, k[0].ID)
					l.mu.Unlock()
				}
			}
		})
	}
	return l
}

func (l *load) repeat(do func(context.Context) error) bool {
	for l.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(l.ctx, 2*time.Second)
		err := do(ctx)
		cancel()
		if err == nil {
			return true
		}
		time.Sleep(20 * time.Millisecond) // as a caller would
	}
	return false
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

func (l *load) waitForMore(t *testing.T, n int) {
	t.Helper()
	began, want := time.Now(), l.count()+n
	for l.count() < want {
		if time.Since(began) > time.Minute {
			t.Fatalf("got %d keys in a minute, want %d: the store does not recover", l.count()-want+n, n)
		}
		time.Sleep(time.Millisecond)
	}
}

func (l *load) stop() {
	l.cancel()
	l.running.Wait()
}

// TestReplicaTellsNothing: what a server that only reads has seen is not all that
// was committed.
func TestReplicaTellsNothing(t *testing.T) {
	t.Parallel()
	server := testdb.StartMySQL(t, dbserver.Options{})
	s := open(t, server.DSN())
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	createOrganization(t, s)
	operator := openPool(t, server.DSN())
	for _, readOnly := range []string{"0", "1", "0"} {
		if _, err := operator.ExecContext(t.Context(), "SET GLOBAL read_only = "+readOnly); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Changes(t.Context(), apikeys.ChangeMark{}); (err != nil) != (readOnly == "1") {
			t.Errorf("read_only=%s: got error %v", readOnly, err)
		}
	}
	// A connection that the host switches autocommit off on.
	db := openPool(t, server.DSN())
	db.SetMaxOpenConns(1)
	borrowing := withPool(t, db)
	if _, err := borrowing.Changes(t.Context(), apikeys.ChangeMark{}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "SET autocommit = 0"); err != nil {
		t.Fatal(err)
	}
	if _, err := borrowing.Changes(t.Context(), apikeys.ChangeMark{}); err == nil {
		t.Error("with autocommit off: got no error")
	}
}

func TestStatementBinlogIsRefused(t *testing.T) {
	t.Parallel()
	server := testdb.StartMySQL(t, dbserver.Options{Settings: map[string]string{"log_bin": "1", "binlog_format": "STATEMENT", "server_id": "1"}})
	_, err := mysql.Open(t.Context(), server.DSN())
	if !errors.Is(err, apikeys.ErrInvalidArgument) || !strings.Contains(err.Error(), "binlog_format") {
		t.Errorf("got error %v, want one that says what to set", err)
	}
}

// TestCommitWithoutAnAnswer: the network swallows a commit, or the answer to it. The
// caller learns in time that nobody knows, and repeating it does it once.
func TestCommitWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, passes := range map[string]bool{"the commit is lost": false, "the answer is lost": true} {
		for _, kind := range []string{"own", "borrowed"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				direct, dsn := openNew(t)
				createOrganization(t, direct)
				k := createKeys(t, direct, 1)[0]
				p := testdb.ProxyMySQL(t, dsn)
				var s *mysql.Store
				if kind == "own" {
					s = open(t, p.DSN)
				} else {
					s = withPool(t, openPool(t, p.DSN))
				}
				wantUnknown(t, s, direct, p, k, passes)
			})
		}
	}
}

func wantUnknown(t *testing.T, s, direct *mysql.Store, p *testdb.Proxy, k apikeys.KeyRecord, passes bool) {
	t.Helper()
	if _, err := s.Changes(t.Context(), apikeys.ChangeMark{}); err != nil {
		t.Fatal(err)
	}
	p.Befall(func(packet []byte) testdb.Mishap {
		switch commits := bytes.HasSuffix(packet, []byte("\x03COMMIT")); { // a query
		case !commits:
			return testdb.Pass
		case passes:
			return testdb.Mute
		}
		return testdb.Swallow
	})
	m, name := newMutation(), "renamed"
	rename := func(s *mysql.Store, timeout time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		_, err := s.UpdateKey(ctx, m, apikeys.KeyRef{ID: k.ID}, apikeys.KeyChange{Name: &name})
		return err
	}
	begun := time.Now()
	if err := rename(s, time.Second); !errors.Is(err, apikeys.ErrOutcomeUnknown) {
		t.Errorf("got error %v, want %v", err, apikeys.ErrOutcomeUnknown)
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("took %v, want little more than the second that it was given", took)
	}
	p.Heal()
	// If the commit was lost, its transaction waits for more; the lock ends with it.
	for begun = time.Now(); ; {
		err := rename(s, 2*time.Second)
		if err == nil {
			break
		}
		if time.Since(begun) > time.Minute {
			t.Fatalf("repeating it: got error %v", err)
		}
	}
	events, err := direct.ListEvents(t.Context(), apikeys.EventQuery{ID: m.ID})
	got, _, errKey := direct.GetKey(t.Context(), apikeys.KeyRef{ID: k.ID})
	if err != nil || errKey != nil || len(events) != 1 || got.Name != name || got.Version != 2 {
		t.Errorf("got %d events, %v, and the name %q of version %d, %v; want it done once", len(events), err, got.Name, got.Version, errKey)
	}
}
