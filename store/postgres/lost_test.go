package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// An answer that is lost after the server did what it was asked leaves the outcome
// unknown, and repeating the call finds that it was done.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	direct := openMigrated(t, dsn)
	used := newKey()
	createKeys(t, direct, used)
	writer, create, k := uuid.New(), mutation(), newKey()
	lease := apikeys.LeaseRequest{Subject: apikeys.Subject{1}, At: testTime, Parts: []apikeys.LeasePart{{Limit: apikeys.PerDay(10), Want: 1}}}
	if _, err := direct.TakeLeases(t.Context(), []apikeys.LeaseRequest{lease}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		said   string // by the client, when the connection is cut after the answer
		call   func(s apikeys.Store) error
		repeat bool
	}{
		"to a commit": {"commit\x00", func(s apikeys.Store) error {
			faults, err := s.CreateKeys(t.Context(), create, []apikeys.KeyRecord{k})
			return errors.Join(append(faults, err)...)
		}, true},
		"to a batch of usage": {"INSERT INTO apikeys_writers", func(s apikeys.Store) error {
			return s.AddUsage(t.Context(), apikeys.UsageBatch{Writer: writer, Seq: 1, At: testTime, Deltas: []apikeys.UsageDelta{
				{KeyID: used.ID, Secret: 1, Hour: testTime.Truncate(time.Hour), Outcome: apikeys.OutcomeAccepted, Count: 1, LastAt: testTime},
			}})
		}, true},
		"to a lease": {"UPDATE apikeys_windows", func(s apikeys.Store) error {
			_, err := s.TakeLeases(t.Context(), []apikeys.LeaseRequest{lease})
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			cut := newCutter(t, dsn)
			s := open(t, with(t, cut.dsn, "default_query_exec_mode=exec")) // which sends the text of every statement
			cut.after(tc.said)
			if err := tc.call(s); !errors.Is(err, apikeys.ErrOutcomeUnknown) {
				t.Fatalf("got error %v, want ErrOutcomeUnknown", err)
			}
			if err := tc.call(s); tc.repeat && err != nil {
				t.Errorf("repeated: got error %v, want none", err)
			}
		})
	}
	got, _, err := direct.GetKey(t.Context(), apikeys.KeyRef{ID: used.ID})
	if err != nil || got.UseCount != 1 {
		t.Errorf("got %d uses, %v, want the one of a batch that was sent twice", got.UseCount, err)
	}
	events, err := direct.ListEvents(t.Context(), apikeys.EventQuery{ID: create.ID, Limit: 2})
	if err != nil || len(events) != 1 {
		t.Errorf("got %d events, %v, want one of a mutation that was repeated", len(events), err)
	}
}

// cutter stands between a client and the server, and cuts a connection when the
// server has answered to certain words.
type cutter struct {
	dsn    string
	server string
	mu     sync.Mutex
	words  []byte
}

func newCutter(t *testing.T, dsn string) *cutter {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	network, server := "tcp", net.JoinHostPort(config.Host, fmt.Sprint(config.Port))
	if config.TLSConfig != nil || config.Host[0] == '/' {
		t.Skip("left out: the connection to the server cannot be looked into")
	}
	l, err := net.Listen(network, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{server: server}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { c.serve(client) })
		}
	})
	user := url.User(config.User)
	if config.Password != "" {
		user = url.UserPassword(config.User, config.Password)
	}
	c.dsn = (&url.URL{Scheme: "postgres", User: user, Host: l.Addr().String(), Path: config.Database, RawQuery: "sslmode=disable"}).String()
	return c
}

// after arms the cutter, once.
func (c *cutter) after(words string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.words = []byte(words)
}

// said tells whether the client said the words.
func (c *cutter) said(message []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.words) == 0 || !bytes.Contains(message, c.words) {
		return false
	}
	c.words = nil
	return true
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	var answers sync.WaitGroup
	silent := make(chan struct{})
	answers.Go(func() {
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			select {
			case <-silent: // the server has answered, so it has done it
				_ = client.Close()
				return
			default:
			}
			if err != nil {
				_ = client.Close()
				return
			}
			_, _ = client.Write(buffer[:n])
		}
	})
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			break
		}
		if c.said(buffer[:n]) {
			close(silent)
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			break
		}
	}
	_ = server.Close()
	answers.Wait()
}
