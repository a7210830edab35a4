package faulttest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// relaxed counts uses in memory until Close, so that a database that cannot be written
// keeps nobody out.
func relaxed() apikeys.Config {
	config := remembering()
	config.UsageFlushInterval = 1 << 40
	return config
}

// A disk that is full: what is to be written fails and says so, nothing is done by half,
// keys are judged as ever, and all goes on when there is room again.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 4<<20)
	s := stores.SQLite().Opened(t, filepath.Join(dir, "app.db"))
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, s, newClient(t, s, strict()))
	before := w.snapshot(t)
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	client := newClient(t, s, relaxed())
	failed := 0
	for i := range 200 { // the log has some room of its own
		_, err := client.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: w.org})
		if err == nil {
			continue
		}
		if !errors.Is(err, apikeys.ErrUnavailable) && !errors.Is(err, apikeys.ErrOutcomeUnknown) {
			t.Errorf("key %d: got error %v, want an unavailable store", i, err)
		}
		failed++
	}
	if failed == 0 {
		t.Fatal("got no error on a full disk")
	}
	w.wantAgreement(t, client, "full disk")
	if _, err := client.Verify(t.Context(), w.spare.Plaintext.Reveal()); err != nil {
		t.Errorf("full disk: a good key: got error %v, want none", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RevokeKey(t.Context(), w.key.Key.ID, apikeys.RevokeParams{}); err != nil {
		t.Errorf("with room again: got error %v, want none", err)
	}
	w.wantAgreement(t, client, "with room again")
	if after := w.snapshot(t); after == before {
		t.Error("with room again: nothing was revoked")
	}
	checkIntegrity(t, filepath.Join(dir, "app.db"))
}

// fill writes until there is no room left.
func fill(t *testing.T, path string) {
	t.Helper()
	f := must(os.Create(path))(t)
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for piece := make([]byte, size); ; {
			if _, err := f.Write(piece); err != nil {
				break
			}
		}
	}
}

// A database that may only be read judges keys, and refuses changes.
func TestDatabaseIsReadOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	s := stores.SQLite().Opened(t, path)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, s, newClient(t, s, strict()))
	before := w.snapshot(t)
	readOnly := stores.SQLite().Opened(t, "file:"+path+"?mode=ro")
	client := must(apikeys.New(t.Context(), readOnly, relaxed()))(t)
	w.wantAgreement(t, client, "read only")
	for _, op := range mutations() {
		if err := op.do(t.Context(), client, w); err == nil && op.name != "ResumeOrganization" || err != nil && !errors.Is(err, apikeys.ErrUnavailable) {
			t.Errorf("%s: got error %v, want an unavailable store", op.name, err)
		}
	}
	if after := w.snapshot(t); after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
	if err := client.Close(context.WithoutCancel(t.Context())); err != nil && !errors.Is(err, apikeys.ErrUnavailable) {
		t.Errorf("close: got error %v", err)
	}
}

// Pages of a database file are overwritten: no key passes that was revoked, deleted or
// switched off, nothing panics, and errors are ours.
func TestFileIsCorrupted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "whole.db")
	organization := prepare(t, stores.SQLite(), path)
	var good, bad []string
	look(t, stores.SQLite(), path, func(c *apikeys.Client) {
		for i := range 60 {
			k := must(c.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: organization}))(t)
			text := k.Plaintext.Reveal()
			var err error
			switch i % 4 {
			case 0:
				good = append(good, text)
				continue
			case 1:
				_, err = c.RevokeKey(t.Context(), k.Key.ID, apikeys.RevokeParams{})
			case 2:
				_, err = c.DisableKey(t.Context(), k.Key.ID)
			case 3:
				err = c.DeleteKey(t.Context(), k.Key.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
			bad = append(bad, text)
		}
	})
	whole := must(os.ReadFile(path))(t)
	rounds, noticed, passed := testdb.Dose(40, 3000), 0, 0
	for round := range rounds {
		damaged := filepath.Join(t.TempDir(), "damaged.db")
		if err := os.WriteFile(damaged, damage(whole, uint64(round)), 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := judgeDamaged(t, damaged, good, bad)
		passed += n
		if err != nil {
			noticed++
		}
		_ = os.Remove(damaged)
	}
	t.Logf("%d damaged files: %d were noticed, %d good keys passed", rounds, noticed, passed)
	if noticed == 0 {
		t.Error("no damage was noticed: nothing was tested")
	}
}

// damage overwrites one to three pages, or cuts the file.
func damage(whole []byte, seed uint64) []byte {
	const page = 4096
	random := rand.New(rand.NewPCG(seed, 1))
	file := append([]byte(nil), whole...)
	for range 1 + random.IntN(3) {
		at := random.IntN(len(file)/page) * page
		for i := range page {
			file[at+i] = byte(random.Uint32())
		}
	}
	if random.IntN(10) == 0 {
		file = file[:random.IntN(len(file))]
	}
	return file
}

// judgeDamaged returns how many good keys passed, and the first error.
func judgeDamaged(t *testing.T, path string, good, bad []string) (passed int, first error) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	c, err := apikeys.New(t.Context(), s, strict())
	if err != nil {
		return 0, ours(t, err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	judge := func(text string) error {
		_, err := c.Validate(t.Context(), text, apikeys.ValidateParams{})
		if err != nil && first == nil && !errors.Is(err, apikeys.ErrRevokedKey) {
			first = ours(t, err)
		}
		return err
	}
	for _, text := range good {
		if judge(text) == nil {
			passed++
		}
	}
	for i, text := range bad {
		if judge(text) == nil {
			t.Errorf("a bad key (%d) passed on a damaged file", i)
		}
	}
	_, err = c.CreateOrganization(t.Context(), "another")
	return passed, errors.Join(first, ours(t, err))
}

// ours sees that an error is one of this package's, and shows no more than that.
func ours(t *testing.T, err error) error {
	t.Helper()
	var typed apikeys.Error
	if err != nil && !errors.As(err, &typed) {
		t.Errorf("got an error of type %T, want one of ours: %v", err, err)
	}
	return err
}
