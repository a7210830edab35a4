package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("this is not a database. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		dsn  string
		want error
		says string
	}{
		"a directory that is not there": {filepath.Join(dir, "no", "app.db"), fs.ErrNotExist, "create it first"},
		"a directory":                   {dir, nil, "is a directory"},
		"a file that is not there":      {"file:" + filepath.Join(dir, "no.db") + "?mode=ro", fs.ErrNotExist, "mode=ro"},
		"a file of something else":      {garbage, sqlite.ErrNotDatabase, garbage},
		"an option of no sense":         {"file:" + filepath.Join(dir, "a.db") + "?_txlock=topsecret&_journal_mode=topsecret", apikeys.ErrInvalidArgument, "options"},
		"a pragma of no sense":          {"file:" + filepath.Join(dir, "b.db") + "?_pragma=no(topsecret", nil, "sqlite"},
		"nothing":                       {"", apikeys.ErrInvalidArgument, "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := sqlite.Open(t.Context(), tc.dsn)
			if err == nil {
				_ = s.Close()
				t.Fatal("got no error")
			}
			if tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "topsecret") {
				t.Errorf("got error %q, want %v that says %q", err, tc.want, tc.says)
			}
		})
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	s := open(t, path)
	createOrganization(t, s)
	if _, err := s.CreateKeys(t.Context(), mutation(), []apikeys.KeyRecord{newKey()}); err != nil {
		t.Fatal(err)
	}
	ro, err := sqlite.Open(t.Context(), "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	if keys, err := ro.ListKeys(t.Context(), apikeys.KeyQuery{}); err != nil || len(keys) != 1 {
		t.Errorf("reading: got %d keys, %v, want 1", len(keys), err)
	}
	if err := ro.Migrate(t.Context()); err != nil {
		t.Errorf("migrating what is migrated: got error %v", err)
	}
	_, err = ro.CreateKeys(t.Context(), mutation(), []apikeys.KeyRecord{newKey()})
	if err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("writing: got error %v, want one that says readonly", err)
	}
}

func TestUnmigrated(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{":memory:", filepath.Join(t.TempDir(), "app.db")} {
		s, err := sqlite.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		calls := map[string]func() error{
			"EnsureSettings": func() error {
				_, err := s.EnsureSettings(t.Context(), apikeys.SettingsRecord{Version: 1})
				return err
			},
			"CreateKeys": func() error {
				_, err := s.CreateKeys(t.Context(), mutation(), []apikeys.KeyRecord{newKey()})
				return err
			},
			"Changes":  func() error { _, err := s.Changes(t.Context(), apikeys.ChangeMark{}); return err },
			"AddUsage": func() error { return s.AddUsage(t.Context(), apikeys.UsageBatch{Seq: 1}) },
		}
		for name, call := range calls {
			if err := call(); err == nil || !strings.Contains(err.Error(), "call Migrate") {
				t.Errorf("%s: got error %v, want one that says what to do", name, err)
			}
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := calls["EnsureSettings"](); err != nil {
			t.Errorf("after Migrate: got error %v", err)
		}
	}
}

func TestAFileKeepsWhatWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b#c%41?.db") // one name, whatever is in it but a question mark
	path = strings.ReplaceAll(path, "?", "")
	s := open(t, path)
	createOrganization(t, s)
	k := newKey()
	if _, err := s.CreateKeys(t.Context(), mutation(), []apikeys.KeyRecord{k}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) != 1 || files[0] != path {
		t.Errorf("after Close: got files %q, %v, want the database only", files, err)
	}
	again := open(t, "sqlite:///"+path)
	if _, _, err := again.GetKey(t.Context(), apikeys.KeyRef{ID: k.ID}); err != nil {
		t.Errorf("after opening it again: got error %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: got error %v", err)
	}
	if _, err := s.ListKeys(t.Context(), apikeys.KeyQuery{}); err == nil {
		t.Error("reading a closed store: got no error")
	}
}

func TestMemoryIsOneDatabaseForAllGoroutines(t *testing.T) {
	t.Parallel()
	s, other := open(t, ":memory:"), open(t, ":memory:")
	createOrganization(t, s)
	var running sync.WaitGroup
	for range 50 {
		running.Go(func() {
			k := newKey()
			if faults, err := s.CreateKeys(t.Context(), mutation(), []apikeys.KeyRecord{k}); err != nil || faults[0] != nil {
				t.Errorf("creating: got %v, %v", faults, err)
			}
			if _, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: k.ID}); err != nil {
				t.Errorf("reading: got error %v", err)
			}
		})
	}
	running.Wait()
	if keys, err := s.ListKeys(t.Context(), apikeys.KeyQuery{}); err != nil || len(keys) != 50 {
		t.Errorf("got %d keys, %v, want 50", len(keys), err)
	}
	if keys, err := other.ListKeys(t.Context(), apikeys.KeyQuery{}); err != nil || len(keys) != 0 {
		t.Errorf("another memory: got %d keys, %v, want none", len(keys), err)
	}
}

// TestMemorySurvivesCallersThatGiveUp: a connection that was interrupted is given
// up, and a database in memory goes with its last one.
func TestMemorySurvivesCallersThatGiveUp(t *testing.T) {
	t.Parallel()
	s := open(t, ":memory:")
	createOrganization(t, s)
	many := newKeys(1000)
	if _, err := s.CreateKeys(t.Context(), mutation(), many); err != nil {
		t.Fatal(err)
	}
	interrupted := 0
	for i := range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*20*time.Microsecond)
		_, err := s.ListKeys(ctx, apikeys.KeyQuery{Search: "no such key"})
		cancel()
		if err != nil {
			interrupted++
		}
		if _, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: many[0].ID}); err != nil {
			t.Fatalf("after a caller that gave up: got error %v", err)
		}
	}
	if interrupted == 0 {
		t.Error("no caller gave up: the test is of no use on this machine")
	}
}

func TestReplacedFileIsNoticed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	s := open(t, path)
	if _, err := s.Changes(t.Context(), apikeys.ChangeMark{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"gone", "replaced"} {
		if what == "replaced" {
			open(t, path)
		}
		if _, err := s.Changes(t.Context(), apikeys.ChangeMark{}); !errors.Is(err, sqlite.ErrReplaced) {
			t.Errorf("%s: got error %v, want %v", what, err, sqlite.ErrReplaced)
		}
	}
}

// TestBusyIsWaitedForAsLongAsTheContextAllows has another process's lock in the way.
func TestBusyIsWaitedForAsLongAsTheContextAllows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	s := open(t, path)
	createOrganization(t, s)
	other, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	k := newKey()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := s.CreateKeys(ctx, mutation(), []apikeys.KeyRecord{k}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
	}
	if waited := time.Since(begun); waited > 20*time.Second { // it is for ever without the deadline
		t.Errorf("waited %v after a deadline of 300ms", waited)
	}
	if _, err := s.ListKeys(t.Context(), apikeys.KeyQuery{}); err != nil {
		t.Errorf("reading beside a writer: got error %v", err)
	}
	// Longer than the driver waits by itself.
	timer := time.AfterFunc(500*time.Millisecond, func() { _ = lock.Rollback() })
	defer timer.Stop()
	if _, err := s.CreateKeys(t.Context(), mutation(), []apikeys.KeyRecord{k}); err != nil {
		t.Errorf("when the lock is gone: got error %v", err)
	}
}

func TestCallersThatGiveUpLeaveNoLock(t *testing.T) {
	t.Parallel()
	s := openFile(t)
	createOrganization(t, s)
	created := 1
	for patience := 20 * time.Millisecond; ; patience /= 2 { // less on a fast machine
		many := newKeys(3000)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := s.CreateKeys(ctx, mutation(), many)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break
		} else if err != nil {
			t.Fatalf("got error %v, want %v", err, context.DeadlineExceeded)
		}
		created += len(many)
	}
	if faults, err := s.CreateKeys(t.Context(), mutation(), newKeys(1)); err != nil || faults[0] != nil {
		t.Errorf("the next call: got %v, %v", faults, err)
	}
	if keys, err := s.ListKeys(t.Context(), apikeys.KeyQuery{}); err != nil || len(keys) != created {
		t.Errorf("got %d keys, %v, want %d", len(keys), err, created)
	}
}

// TestLooksSeeWhatWasCommitted: a look must see what was committed before it.
func TestLooksSeeWhatWasCommitted(t *testing.T) {
	t.Parallel()
	s := openFile(t)
	createOrganization(t, s)
	var last apikeys.ChangeMark
	for range 100 {
		suspended := leaseAt
		for _, at := range []time.Time{suspended, {}} {
			m := mutation()
			if _, err := s.UpdateResource(t.Context(), m, apikeys.ResourceRef{Kind: apikeys.KindOrganization, ID: testOrganization.ID},
				apikeys.ResourceChange{SuspendedAt: &at}); err != nil {
				t.Fatal(err)
			}
			set, err := s.Changes(t.Context(), last)
			if err != nil {
				t.Fatal(err)
			}
			if !set.Complete || len(set.Changes) != 1 || set.Mark.Stamp != m.ID {
				t.Fatalf("got %+v, want the change just made", set)
			}
			last = set.Mark
		}
	}
	if set, err := s.Changes(t.Context(), apikeys.ChangeMark{Revision: last.Revision, Stamp: uuid.New()}); err != nil || set.Complete {
		t.Errorf("a mark of another history: got complete %t, %v", set.Complete, err)
	}
}
