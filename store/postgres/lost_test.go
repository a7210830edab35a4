package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// An answer that is lost after the server did what it was asked leaves the outcome
// unknown, and repeating the call finds that it was done.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	direct := openMigrated(t, dsn)
	used, admitted := newKey(), newKey()
	createKeys(t, direct, used, admitted)
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
		"to a lease": {"INSERT INTO apikeys_windows AS w", func(s apikeys.Store) error {
			_, err := s.TakeLeases(t.Context(), []apikeys.LeaseRequest{lease})
			return err
		}, false},
		"to an admission": {"INSERT INTO apikeys_usage_log", func(s apikeys.Store) error {
			_, err := s.Admit(t.Context(), testTime, []apikeys.Admission{{Lease: lease, KeyID: admitted.ID, Secret: 1}})
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := testdb.ProxyPostgres(t, dsn)
			s := open(t, with(t, p.DSN, "default_query_exec_mode=exec")) // which sends the text of every statement
			var once atomic.Bool
			p.Befall(func(packet []byte) testdb.Mishap {
				if bytes.Contains(packet, []byte(tc.said)) && !once.Swap(true) {
					return testdb.Cut
				}
				return testdb.Pass
			})
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
	if got, _, err = direct.GetKey(t.Context(), apikeys.KeyRef{ID: admitted.ID}); err != nil || got.UseCount != 2 {
		t.Errorf("got %d uses, %v, want those of two admissions, the first of which nobody was told of", got.UseCount, err)
	}
	events, err := direct.ListEvents(t.Context(), apikeys.EventQuery{ID: create.ID, Limit: 2})
	if err != nil || len(events) != 1 {
		t.Errorf("got %d events, %v, want one of a mutation that was repeated", len(events), err)
	}
}

// A commit is on its way, or its answer is, when the context ends: nobody knows what came
// of it, however the connection sends its statements. Repeating it does it once.
func TestCommitWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	dsn := testdb.Postgres(t)
	direct := openMigrated(t, dsn)
	createOrganization(t, direct)
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		for name, mishap := range map[string]testdb.Mishap{"the commit is lost": testdb.Swallow, "the answer is lost": testdb.Mute} {
			t.Run(mode+", "+name, func(t *testing.T) {
				t.Parallel()
				p := testdb.ProxyPostgres(t, dsn)
				s := open(t, with(t, p.DSN, "default_query_exec_mode="+mode))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				p.Befall(func(packet []byte) testdb.Mishap {
					if !bytes.Contains(packet, []byte("commit\x00")) {
						return testdb.Pass
					}
					cancel()
					return mishap
				})
				m, keys := mutation(), []apikeys.KeyRecord{newKey(), newKey(), newKey()}
				if _, err := s.CreateKeys(ctx, m, keys); !errors.Is(err, apikeys.ErrOutcomeUnknown) {
					t.Errorf("got error %v, want ErrOutcomeUnknown", err)
				}
				p.Heal()
				p.ResetAll() // or the driver goes on waiting for the end of what it gave up
				faults, err := s.CreateKeys(t.Context(), m, keys)
				if err := errors.Join(append(faults, err)...); err != nil {
					t.Errorf("repeated: got error %v, want none", err)
				}
				if events, err := direct.ListEvents(t.Context(), apikeys.EventQuery{ID: m.ID, Limit: 2}); err != nil || len(events) != 1 {
					t.Errorf("got %d events, %v, want 1", len(events), err)
				}
			})
		}
	}
}
