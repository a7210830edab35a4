package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store/postgres"
)

// listen hears until the test ends; each telling is in the channel.
func listen(t *testing.T, s *postgres.Store) (told chan struct{}, ended chan error, stop context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	told, ended = make(chan struct{}, 100), make(chan error, 1)
	go func() { ended <- s.Listen(ctx, func() { told <- struct{}{} }) }()
	return told, ended, cancel
}

// within waits for something; what is told depends on no time limit, tests do.
func within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("still waiting for: %s", what)
		panic("unreachable")
	}
}

// Changes are told when they are committed, and what bumps nothing is not.
func TestListenHearsChanges(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	s := openMigrated(t, dsn)
	other := open(t, dsn)
	told, ended, stop := listen(t, other)
	within(t, "that it listens", told)
	key := newKey()
	createKeys(t, s, key) // bumps nothing
	for range 3 {
		if _, err := s.RevokeKeys(t.Context(), mutation(), apikeys.KeyQuery{ID: key.ID, Limit: 1}, ""); err != nil {
			t.Fatal(err)
		}
		enable := apikeys.ResourceChange{SuspendedAt: &time.Time{}}
		if _, err := s.UpdateResource(t.Context(), mutation(), apikeys.ResourceRef{Kind: apikeys.KindOrganization, ID: testOrganization.ID}, enable); err != nil {
			t.Fatal(err)
		}
	}
	set, err := s.Changes(t.Context(), apikeys.ChangeMark{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range set.Mark.Revision {
		within(t, "the changes", told)
		_ = n
	}
	select {
	case <-told:
		t.Error("told more often than something was changed")
	default:
	}
	stop()
	if err := within(t, "the end", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

// A listener whose connection is lost says so, and hears again when it is asked to.
func TestListenTellsThatItIsLost(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	s := openMigrated(t, dsn)
	for range 2 {
		told, ended, _ := listen(t, s)
		within(t, "that it listens", told)
		conn := connect(t, dsn)
		if _, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND query LIKE 'LISTEN%'`); err != nil {
			t.Fatal(err)
		}
		if err := within(t, "the end", ended); err == nil || errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("got error %v, want that of a lost connection", err)
		}
	}
}

// A client that is told refuses a key that another one has revoked long before it
// would have looked; on a pool of one connection that stays free.
func TestRevocationsAreTold(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	openMigrated(t, dsn)
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	newClient := func(s apikeys.Store) *apikeys.Client {
		client, err := apikeys.New(t.Context(), s, apikeys.Config{
			SigningSecret: apikeys.NewSecret("5f2c1a9e8b7d6c4f3e2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c"), RevocationDelay: time.Hour,
			OpTimeout: time.Minute, // the machine may be busy
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close(context.Background()) })
		return client
	}
	here, there := newClient(open(t, dsn)), newClient(postgres.New(pool))
	key, err := here.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: testOrganization.ID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.Verify(t.Context(), key.Plaintext.Reveal()); err != nil {
		t.Fatal(err)
	}
	if _, err := here.RevokeKey(t.Context(), key.Key.ID, apikeys.RevokeParams{}); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(30 * time.Second)
	for err = nil; err == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		_, err = there.Verify(t.Context(), key.Plaintext.Reveal())
	}
	if !errors.Is(err, apikeys.ErrRevokedKey) {
		t.Errorf("got error %v, want %v long before the next look is due", err, apikeys.ErrRevokedKey)
	}
	// A look or a batch of uses may be under way; a listener would never give its own back.
	for pool.Stat().AcquiredConns() != 0 && time.Now().Before(end) {
		time.Sleep(time.Millisecond)
	}
	if n := pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("got %d connections of the pool in use, want none", n)
	}
}

// pooler is a connection whose process number, in BackendKeyData, is made up.
type pooler struct{ net.Conn }

func (p pooler) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if at := bytes.Index(b[:n], []byte{'K', 0, 0, 0, 12}); at >= 0 && at+9 <= n {
		b[at+8] ^= 0x55
	}
	return n, err
}

// Behind a pooler nobody listens: the session may be somebody else's next.
func TestListenBehindAPooler(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(testdb.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return pooler{conn}, nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	told, ended, _ := listen(t, postgres.New(pool))
	if err := within(t, "its answer", ended); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got error %v, want %v", err, errors.ErrUnsupported)
	}
	if len(told) != 0 {
		t.Error("told of something, want nothing")
	}
}
