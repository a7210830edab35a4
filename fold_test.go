package apikeys_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/memstore"
)

// folding counts how often uses are added up, and may fail. What is read adds up nothing,
// so that it shows what the client did.
type folding struct {
	*memstore.Store
	calls  atomic.Int64
	broken atomic.Bool
}

func (s *folding) FoldUsage(ctx context.Context) error {
	s.calls.Add(1)
	if s.broken.Load() {
		return apikeys.ErrUnavailable
	}
	return s.Store.FoldUsage(ctx)
}

// uses is what the store tells of a key without adding up.
func (s *folding) uses(t *testing.T, hash *apikeys.Hash) int64 {
	t.Helper()
	return must(s.KeysByHash(t.Context(), []apikeys.Hash{*hash}))(t)[0].UseCount
}

// foldingClient is a strict client with a key that it uses.
func foldingClient(t *testing.T, s *folding) (c *apikeys.Client, use func(), hash *apikeys.Hash) {
	t.Helper()
	c = must(apikeys.New(t.Context(), s, apikeys.Config{
		SigningSecret: apikeys.NewSecret(secretOfTests), SweepInterval: -1,
		RevocationDelay: -1, UsageFlushInterval: -1, RateLimiter: apikeys.NewExactLimiter(s),
	}))(t)
	org := must(c.CreateOrganization(t.Context(), "Acme"))(t)
	k := issue(t, c, apikeys.CreateKeyParams{OrganizationID: org.ID, Metadata: apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerDay(1000)}}})
	hash = hashOf(t, s.Store, k.Key.ID)
	return c, func() {
		t.Helper()
		must(c.Validate(t.Context(), k.Plaintext.Reveal(), apikeys.ValidateParams{}))(t)
	}, hash
}

func hashOf(t *testing.T, s apikeys.Store, id uuid.UUID) *apikeys.Hash {
	t.Helper()
	_, secrets, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return &secrets[0].Hash
}

// A strict client adds up the uses that the store noted for it, soon, and not when there
// is nothing new; what failed is tried again.
func TestNotedUsesAreAddedUpInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &folding{Store: memstore.New()}
		c, use, hash := foldingClient(t, s)
		time.Sleep(time.Minute)
		if got := s.calls.Load(); got != 0 {
			t.Errorf("without uses: added up %d times, want never", got)
		}
		for range 3 {
			use()
		}
		if got := s.uses(t, hash); got != 0 {
			t.Fatalf("got %d uses at once: this test would prove nothing", got)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := s.uses(t, hash); got != 3 || s.calls.Load() != 1 {
			t.Errorf("after three seconds: got %d uses, added up %d times, want 3, once", got, s.calls.Load())
		}
		s.broken.Store(true)
		use()
		time.Sleep(10 * time.Second)
		s.broken.Store(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := s.uses(t, hash); got != 4 {
			t.Errorf("after an outage: got %d uses, want 4", got)
		}
		before := s.calls.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := s.calls.Load() - before; got != 0 {
			t.Errorf("without new uses: added up %d times, want never", got)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Close adds up what is noted, and so does a sweep: what a client noted that was killed.
func TestNotedUsesAreAddedUpByCloseAndSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &folding{Store: memstore.New()}
		c, use, hash := foldingClient(t, s)
		use()
		must(c.Sweep(t.Context()))(t)
		if got := s.uses(t, hash); got != 1 {
			t.Errorf("after a sweep: got %d uses, want 1", got)
		}
		use()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := s.uses(t, hash); got != 2 {
			t.Errorf("after Close: got %d uses, want 2", got)
		}
	})
}

// A sweep that cannot add up says so, and removes what is too old all the same.
func TestSweepThatCannotAddUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &folding{Store: memstore.New()}
		c, use, _ := foldingClient(t, s)
		use()
		time.Sleep(50 * time.Hour) // a window is kept for a day after its end
		s.broken.Store(true)
		if n, err := c.Sweep(t.Context()); n == 0 || !errors.Is(err, apikeys.ErrUnavailable) {
			t.Errorf("got %d rows, %v, want some, and ErrUnavailable", n, err)
		}
		s.broken.Store(false)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// What Close could not add up it says, and whoever reads next tells it.
func TestCloseThatCannotAddUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &folding{Store: memstore.New()}
		c, use, hash := foldingClient(t, s)
		use()
		s.broken.Store(true)
		if err := c.Close(t.Context()); !errors.Is(err, apikeys.ErrUnavailable) {
			t.Errorf("got error %v, want ErrUnavailable", err)
		}
		k := must(s.KeysByHash(t.Context(), []apikeys.Hash{*hash}))(t)[0]
		if got, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: k.ID}); err != nil || got.UseCount != 1 {
			t.Errorf("read afterwards: got %d uses, %v, want 1", got.UseCount, err)
		}
	})
}
