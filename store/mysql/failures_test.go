package mysql_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
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
		if time.Since(began) > 30*time.Second {
			t.Fatalf("got %d keys in 30s, want %d: the store does not recover", l.count()-want+n, n)
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

// proxy is the network between a client and a server, and what befalls it.
type proxy struct {
	net.Listener
	server string
	befall atomic.Value // of type mishap
}

// mishap is asked about each packet of a client's, and says whether it is passed on,
// and whether the answer is.
type mishap func(packet []byte) (request, answer bool)

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: listener, server: server}
	p.befall.Store(mishap(func([]byte) (bool, bool) { return true, true }))
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(t.Context(), client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return p
}

func (p *proxy) serve(ctx context.Context, client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	closeBoth := func() { _, _ = client.Close(), server.Close() }
	stop := context.AfterFunc(ctx, closeBoth)
	defer stop()
	var silent atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		defer closeBoth()
		_, _ = io.Copy(muted{client, &silent}, server)
	})
	defer running.Wait()
	defer closeBoth()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		request, answer := p.befall.Load().(mishap)(buffer[:n])
		if !answer {
			silent.Store(true)
		}
		if !request {
			continue
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// muted swallows what is written while it is silent.
type muted struct {
	io.Writer
	silent *atomic.Bool
}

func (m muted) Write(b []byte) (int, error) {
	if m.silent.Load() {
		return len(b), nil
	}
	return m.Writer.Write(b)
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
				config, err := driver.ParseDSN(dsn)
				if err != nil {
					t.Fatal(err)
				}
				p := newProxy(t, config.Addr)
				config.Addr = p.Addr().String()
				var s *mysql.Store
				if kind == "own" {
					s = open(t, config.FormatDSN())
				} else {
					s = withPool(t, openPool(t, config.FormatDSN()))
				}
				wantUnknown(t, s, direct, p, k, passes)
			})
		}
	}
}

func wantUnknown(t *testing.T, s, direct *mysql.Store, p *proxy, k apikeys.KeyRecord, passes bool) {
	t.Helper()
	if _, err := s.Changes(t.Context(), apikeys.ChangeMark{}); err != nil {
		t.Fatal(err)
	}
	p.befall.Store(mishap(func(packet []byte) (bool, bool) {
		commits := bytes.HasSuffix(packet, []byte("\x03COMMIT")) // a query
		return passes || !commits, !commits
	}))
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
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("took %v, want little more than the second that it was given", took)
	}
	p.befall.Store(mishap(func([]byte) (bool, bool) { return true, true }))
	// If the commit was lost, its transaction waits for more; the lock ends with it.
	for begun = time.Now(); ; {
		err := rename(s, 2*time.Second)
		if err == nil {
			break
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("repeating it: got error %v", err)
		}
	}
	events, err := direct.ListEvents(t.Context(), apikeys.EventQuery{ID: m.ID})
	got, _, errKey := direct.GetKey(t.Context(), apikeys.KeyRef{ID: k.ID})
	if err != nil || errKey != nil || len(events) != 1 || got.Name != name || got.Version != 2 {
		t.Errorf("got %d events, %v, and the name %q of version %d, %v; want it done once", len(events), err, got.Name, got.Version, errKey)
	}
}
