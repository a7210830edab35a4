package clienttest_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// newKey issues a key in a new organization.
func newKey(t testing.TB, c *apikeys.Client, meta apikeys.KeyMetadata) *apikeys.IssuedKey {
	t.Helper()
	org := must(c.CreateOrganization(t.Context(), uuid.NewString()))(t).ID
	return must(c.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: org, Metadata: meta}))(t)
}

// Expired means now >= ExpiresAt: to the microsecond, however often it is asked, and
// nothing is removed by asking.
func TestExpiryIsExactAndStable(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		clock := apikeystest.NewClock(epoch)
		c, strict := client(t, d.store, fakeClock(clock)), client(t, d.store, fakeClock(clock), strictly)
		key := newKey(t, c, apikeys.KeyMetadata{ExpiresAt: epoch.Add(time.Hour)})
		clock.Advance(time.Hour - time.Microsecond)
		must(c.Verify(t.Context(), key.Plaintext.Reveal()))(t)
		clock.Advance(time.Microsecond)
		for range 20 {
			wantIs(t, "expired", second(c.Verify(t.Context(), key.Plaintext.Reveal())), apikeys.ErrExpiredKey)
			wantIs(t, "expired", second(strict.Verify(t.Context(), key.Plaintext.Reveal())), apikeys.ErrExpiredKey)
		}
		if got := must(c.GetKey(t.Context(), key.Key.ID))(t); got.UseCount != 1 || got.Version != 1 || got.Status(clock.Now()) != apikeys.StatusExpired {
			t.Errorf("got %+v, want the key as it was, used once", got)
		}
	})
}

func strictly(c *apikeys.Config) { c.RevocationDelay = -1 }

// Uses that were counted before a key was disabled are written after it, and write
// nothing else: it stays disabled, and so do its scopes.
func TestUseWritesNoStateBack(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		user, admin := client(t, d.store), client(t, d.store)
		key := newKey(t, admin, apikeys.KeyMetadata{Scopes: []string{"read"}})
		var accepted atomic.Int64
		var running sync.WaitGroup
		for range 4 {
			running.Go(func() {
				for range 100 {
					if _, err := user.Verify(context.Background(), key.Plaintext.Reveal()); err == nil {
						accepted.Add(1)
					}
				}
			})
		}
		must(admin.PatchKey(t.Context(), key.Key.ID, apikeys.KeyPatch{Scopes: &[]string{}}))(t)
		disabled := must(admin.DisableKey(t.Context(), key.Key.ID))(t)
		running.Wait()
		shut(t, user)
		got := must(admin.GetKey(t.Context(), key.Key.ID))(t)
		if !got.DisabledAt.Equal(disabled.DisabledAt) || got.Version != 3 || len(got.Metadata.Scopes) != 0 || got.UseCount != accepted.Load() {
			t.Errorf("got %+v, want it disabled at %s with %d uses", got, disabled.DisabledAt, accepted.Load())
		}
	})
}

// However many rotate a key at once, one text is left, and no text lives longer than it
// was said to.
func TestRotationsAtOnce(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		clock := apikeystest.NewClock(epoch)
		c := client(t, d.store, fakeClock(clock))
		key := newKey(t, c, apikeys.KeyMetadata{Name: "n", Scopes: []string{"read"}})
		texts := make([]string, 9)
		texts[8] = key.Plaintext.Reveal()
		var running sync.WaitGroup
		for i := range texts[:8] {
			running.Go(func() {
				issued, err := c.RotateKey(context.Background(), key.Key.ID, apikeys.RotateParams{Overlap: time.Duration(i%2) * time.Hour})
				if err != nil {
					t.Errorf("rotate: %v", err)
					return
				}
				texts[i] = issued.Plaintext.Reveal()
			})
		}
		running.Wait()
		if got := valid(t, c, texts); got < 1 || got > 2 {
			t.Errorf("got %d texts that are good, want the newest and perhaps the one before it", got)
		}
		must(c.RotateKey(t.Context(), key.Key.ID, apikeys.RotateParams{Overlap: 24 * time.Hour}))(t)
		clock.Advance(time.Hour)
		if got := valid(t, c, texts); got != 1 {
			t.Errorf("an hour later: got %d of the older texts that are good, want the newest of them", got)
		}
		got := must(c.GetKey(t.Context(), key.Key.ID))(t)
		if got.Version != 10 || got.Metadata.Name != "n" || !slices.Equal(got.Metadata.Scopes, []string{"read"}) || !got.CreatedAt.Equal(key.Key.CreatedAt) {
			t.Errorf("got %+v, want the key as it was, in version 10", got)
		}
	})
}

// valid counts the texts that are good.
func valid(t testing.TB, c *apikeys.Client, texts []string) (n int) {
	t.Helper()
	for _, text := range texts {
		if _, err := c.Verify(t.Context(), text); err == nil {
			n++
		}
	}
	return n
}

// What was deleted is unknown, in every client and for ever.
func TestDeletedKeysAreUnknown(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		c, other := client(t, d.store), client(t, d.store, config{secretB, []string{secretA}}.apply, strictly)
		key := newKey(t, c, apikeys.KeyMetadata{})
		must(other.Verify(t.Context(), key.Plaintext.Reveal()))(t) // adds a second hash
		if err := c.DeleteKey(t.Context(), key.Key.ID); err != nil {
			t.Fatal(err)
		}
		for _, judge := range []*apikeys.Client{c, other} {
			wantIs(t, "deleted", second(judge.Verify(t.Context(), key.Plaintext.Reveal())), apikeys.ErrInvalidKey)
			wantIs(t, "deleted", second(judge.RotateKey(t.Context(), key.Key.ID, apikeys.RotateParams{})), apikeys.ErrNotFound)
			wantIs(t, "deleted", second(judge.EnableKey(t.Context(), key.Key.ID)), apikeys.ErrNotFound)
			wantIs(t, "deleted", judge.DeleteKey(t.Context(), key.Key.ID), apikeys.ErrNotFound)
		}
	})
}

// An organization is erased with all it owns, however much that is, and with nothing
// of anybody else's.
func TestDeleteOrganizationErasesAll(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		c := client(t, d.store, func(c *apikeys.Config) { c.UsageFlushInterval = -1 })
		kept := newKey(t, c, apikeys.KeyMetadata{})
		before := d.rows(t)
		ctx, org := t.Context(), must(c.CreateOrganization(t.Context(), "Acme"))(t).ID
		project, product := must(c.CreateProject(ctx, org, "v1"))(t).ID, must(c.CreateProduct(ctx, org, "API"))(t).ID
		if err := c.AddProductToProject(ctx, product, project); err != nil {
			t.Fatal(err)
		}
		var text string
		for i := range 300 {
			p := apikeys.CreateKeyParams{OrganizationID: org}
			if i%2 == 0 {
				p.ProjectID, p.ProductID = project, product
			}
			text = must(c.CreateKey(ctx, p))(t).Plaintext.Reveal()
		}
		must(c.Verify(ctx, text))(t)
		if err := c.DeleteOrganization(ctx, org); err != nil {
			t.Fatal(err)
		}
		wantIs(t, "a key of it", second(c.Verify(ctx, text)), apikeys.ErrInvalidKey)
		wantIs(t, "again", c.DeleteOrganization(ctx, org), apikeys.ErrNotFound)
		must(c.Verify(ctx, kept.Plaintext.Reveal()))(t)
		after := d.rows(t)
		for _, table := range []string{"resources", "links", "keys", "secrets", "usage"} {
			if after[table] != before[table] {
				t.Errorf("table %s: got %d rows, want the %d of before", table, after[table], before[table])
			}
		}
	})
}

// Renaming, suspending and resuming reach every client; one that remembers, within its
// delay.
func TestSuspensionReachesEverybody(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		c, strict := client(t, d.store), client(t, d.store, strictly)
		elsewhere := client(t, d.store, func(c *apikeys.Config) { c.RevocationDelay = 50 * time.Millisecond })
		key := newKey(t, c, apikeys.KeyMetadata{})
		text, org := key.Plaintext.Reveal(), key.Key.OrganizationID
		must(elsewhere.Verify(t.Context(), text))(t)
		must(c.SuspendOrganization(t.Context(), org))(t)
		for _, judge := range []*apikeys.Client{c, strict} {
			wantIs(t, "suspended", second(judge.Verify(t.Context(), text)), apikeys.ErrSuspended)
		}
		wantIs(t, "suspended, elsewhere", eventually(func() (error, bool) {
			_, err := elsewhere.Verify(t.Context(), text)
			return err, err != nil
		}), apikeys.ErrSuspended)
		must(c.RenameOrganization(t.Context(), org, "renamed"))(t)
		must(c.ResumeOrganization(t.Context(), org))(t)
		for _, judge := range []*apikeys.Client{c, strict} {
			must(judge.Verify(t.Context(), text))(t)
		}
		if err := eventually(func() (error, bool) {
			_, err := elsewhere.Verify(t.Context(), text)
			return err, err == nil
		}); err != nil {
			t.Errorf("resumed, elsewhere: got error %v", err)
		}
	})
}

// eventually asks until it is so, or a minute is over.
func eventually(ask func() (err error, so bool)) error {
	for begin := time.Now(); ; {
		if err, so := ask(); so || time.Since(begin) > time.Minute {
			return err
		}
	}
}

// counted counts the calls that read keys.
type counted struct {
	apikeys.Store
	reads atomic.Int64
}

func (c *counted) KeysByHash(ctx context.Context, hashes []apikeys.Hash) ([]apikeys.KeyRecord, error) {
	c.reads.Add(1)
	return c.Store.KeysByHash(ctx, hashes)
}

// Keys outlive the renaming of a product; those of another environment are refused
// before anything is read; the environment of a key is what it was issued in.
func TestHeads(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		named := func(prefix, environment string, accepted ...string) func(*apikeys.Config) {
			return func(c *apikeys.Config) { c.KeyPrefix, c.Environment, c.AcceptedHeads = prefix, environment, accepted }
		}
		old := client(t, d.store, named("acme", "live"))
		key := newKey(t, old, apikeys.KeyMetadata{})
		renamed := client(t, d.store, named("globex", "live", "acme_live"))
		if got := must(renamed.Verify(t.Context(), key.Plaintext.Reveal()))(t); got.Environment != "live" || got.Hint != key.Key.Hint {
			t.Errorf("got %+v, want the key that was issued", got)
		}
		rotated := must(renamed.RotateKey(t.Context(), key.Key.ID, apikeys.RotateParams{Overlap: time.Hour}))(t)
		for _, text := range []string{key.Plaintext.Reveal(), rotated.Plaintext.Reveal()} {
			if head := text[:len("acme_live_")]; head != "acme_live_" {
				t.Errorf("got a text that begins with %s, want the head that the key had", head)
			}
			must(old.Verify(t.Context(), text))(t)
			must(renamed.Verify(t.Context(), text))(t)
		}
		next := must(renamed.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: key.Key.OrganizationID}))(t)
		wantIs(t, "a head that is not accepted", second(old.Verify(t.Context(), next.Plaintext.Reveal())), apikeys.ErrInvalidKey)

		store := &counted{Store: d.store}
		for _, prefix := range []string{"acme", "globex"} {
			test := client(t, store, named(prefix, "test"), strictly)
			for _, text := range []string{key.Plaintext.Reveal(), next.Plaintext.Reveal()} {
				wantIs(t, "another environment", second(test.Verify(t.Context(), text)), apikeys.ErrInvalidKey)
			}
		}
		if n := store.reads.Load(); n != 0 {
			t.Errorf("keys of another environment: got %d reads, want none", n)
		}
		// A client that accepts the head reads the environment from the key's row.
		both := client(t, d.store, named("acme", "test", "acme_live"), strictly)
		if got := must(both.Verify(t.Context(), key.Plaintext.Reveal()))(t); got.Environment != "live" {
			t.Errorf("got environment %q, want the one the key was issued in", got.Environment)
		}
	})
}

// Keys whose end is near are listed, and no others.
func TestExpiringKeys(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		clock := apikeystest.NewClock(epoch)
		c := client(t, d.store, fakeClock(clock))
		ctx, org := t.Context(), must(c.CreateOrganization(t.Context(), "Acme"))(t).ID
		issue := func(lives time.Duration) uuid.UUID {
			clock.Advance(time.Microsecond)
			p := apikeys.CreateKeyParams{OrganizationID: org}
			if lives != 0 {
				p.Metadata.ExpiresAt = clock.Now().Add(lives)
			}
			return must(c.CreateKey(ctx, p))(t).Key.ID
		}
		var want []uuid.UUID
		for range 210 { // more than a page
			want = append(want, issue(time.Hour))
		}
		issue(0)
		issue(48 * time.Hour)
		issue(-time.Hour)
		must(c.RevokeKey(ctx, issue(time.Hour), apikeys.RevokeParams{}))(t)
		foreign := newKey(t, c, apikeys.KeyMetadata{ExpiresAt: clock.Now().Add(time.Hour)})
		earliest := issue(time.Minute)
		want = append([]uuid.UUID{earliest}, want...)
		list := func(c *apikeys.Client) (ids []uuid.UUID) {
			for key, err := range c.ExpiringKeys(ctx, 24*time.Hour) {
				ids = append(ids, must(key, err)(t).ID)
			}
			return ids
		}
		if got := list(c.Scoped(apikeys.Scope{OrganizationID: org})); !slices.Equal(got, want) {
			t.Errorf("in a view: got %d keys, want the %d of the organization, the earliest end first", len(got), len(want))
		}
		if got := list(c); len(got) != len(want)+1 || !slices.Contains(got, foreign.Key.ID) {
			t.Errorf("got %d keys, want %d", len(got), len(want)+1)
		}
		for _, err := range c.ExpiringKeys(ctx, 0) {
			wantIs(t, "within nothing", err, apikeys.ErrInvalidArgument)
		}
	})
}

// A key whose life is bounded cannot be made to live longer, in any way.
func TestMaxKeyLifetimeHolds(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		clock := apikeystest.NewClock(epoch)
		c := client(t, d.store, fakeClock(clock), func(c *apikeys.Config) { c.MaxKeyLifetime = 24 * time.Hour })
		end := epoch.Add(24 * time.Hour)
		key := newKey(t, c, apikeys.KeyMetadata{ExpiresAt: end})
		clock.Advance(time.Hour)
		later := end.Add(time.Microsecond)
		wantIs(t, "patch", second(c.PatchKey(t.Context(), key.Key.ID, apikeys.KeyPatch{ExpiresAt: &later})), apikeys.ErrInvalidArgument)
		wantIs(t, "patch to never", second(c.PatchKey(t.Context(), key.Key.ID, apikeys.KeyPatch{ExpiresAt: &time.Time{}})), apikeys.ErrInvalidArgument)
		wantIs(t, "update", second(c.UpdateKey(t.Context(), key.Key.ID, apikeys.KeyMetadata{})), apikeys.ErrInvalidArgument)
		rotated := must(c.RotateKey(t.Context(), key.Key.ID, apikeys.RotateParams{Overlap: 1000 * time.Hour}))(t)
		clock.Set(end)
		for _, text := range []string{key.Plaintext.Reveal(), rotated.Plaintext.Reveal()} {
			wantIs(t, "at its end", second(c.Verify(t.Context(), text)), apikeys.ErrExpiredKey)
		}
	})
}
