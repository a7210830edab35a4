package apikeys_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/internal/memstore"
)

// gate is a store of one connection whose calls of the request path wait, once it is
// closed, until it is opened.
type gate struct {
	*memstore.Store
	closed, open chan struct{}
	calls        []int // how many hashes or requests each has had since it was closed
	mu           sync.Mutex
	fault        error // of calls for more than one
}

func newGate() *gate {
	return &gate{Store: memstore.New(), closed: make(chan struct{}), open: make(chan struct{})}
}

func (*gate) PoolSize() int { return 1 }

func (g *gate) pass(ctx context.Context, n int) error {
	select {
	case <-g.closed:
	default:
		return nil
	}
	g.mu.Lock()
	g.calls = append(g.calls, n)
	g.mu.Unlock()
	select {
	case <-g.open:
	case <-ctx.Done():
		return ctx.Err()
	}
	if n > 1 {
		return g.fault
	}
	return nil
}

func (g *gate) KeysByHash(ctx context.Context, h []apikeys.Hash) ([]apikeys.KeyRecord, error) {
	if err := g.pass(ctx, len(h)); err != nil {
		return nil, err
	}
	return g.Store.KeysByHash(ctx, h)
}

func (g *gate) TakeLeases(ctx context.Context, r []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	if err := g.pass(ctx, len(r)); err != nil {
		return nil, err
	}
	return g.Store.TakeLeases(ctx, r)
}

// gated runs a test with a client behind a gate, in a bubble, with the keys of one
// organization.
func gated(t *testing.T, keys int, test func(t *testing.T, client *apikeys.Client, g *gate, keys []*apikeys.IssuedKey)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		client := must(apikeys.New(t.Context(), g, apikeys.Config{
			SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), RevocationDelay: -1,
		}))(t)
		org := must(client.CreateOrganization(t.Context(), "Acme"))(t)
		issued := make([]*apikeys.IssuedKey, keys)
		for i := range issued {
			issued[i] = issue(t, client, apikeys.CreateKeyParams{OrganizationID: org.ID})
		}
		test(t, client, g, issued)
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// asked are validations under way, and how each has ended.
type asked struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs map[uuid.UUID][]error
}

func (a *asked) ask(t *testing.T, client *apikeys.Client, key *apikeys.IssuedKey) {
	a.wg.Go(func() {
		v, err := client.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{})
		if err == nil && v.KeyID() != key.Key.ID {
			t.Errorf("got key %v, want %v", v.KeyID(), key.Key.ID)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.errs[key.Key.ID] = append(a.errs[key.Key.ID], err)
	})
}

func (a *asked) want(t *testing.T, key *apikeys.IssuedKey, times int, want error) {
	t.Helper()
	got := a.errs[key.Key.ID]
	if len(got) != times {
		t.Errorf("got %d answers, want %d", len(got), times)
	}
	for _, err := range got {
		if !errors.Is(err, want) {
			t.Errorf("got error %v, want %v", err, want)
		}
	}
}

// A strict client that is asked by many at once reads the keys of those who wait
// together. It never joins a read that was sent: what was revoked after that is seen by
// whoever came after it.
func TestStrictReadsOfManyAreOne(t *testing.T) {
	gated(t, 3, func(t *testing.T, client *apikeys.Client, g *gate, keys []*apikeys.IssuedKey) {
		close(g.closed)
		a := &asked{errs: map[uuid.UUID][]error{}}
		a.ask(t, client, keys[0])
		synctest.Wait() // its read is sent
		if _, err := client.RevokeKey(t.Context(), keys[0].Key.ID, apikeys.RevokeParams{}); err != nil {
			t.Fatal(err)
		}
		b := &asked{errs: map[uuid.UUID][]error{}}
		for range 10 {
			for _, key := range keys {
				b.ask(t, client, key)
			}
		}
		synctest.Wait()
		close(g.open)
		a.wg.Wait()
		b.wg.Wait()
		if len(g.calls) != 2 || g.calls[0] != 1 || g.calls[1] != 3 {
			t.Errorf("got reads of %v hashes, want one of 1 and one of 3", g.calls)
		}
		b.want(t, keys[0], 10, apikeys.ErrRevokedKey)
		b.want(t, keys[1], 10, nil)
		b.want(t, keys[2], 10, nil)
	})
}

// A read for many that fails is tried for each alone.
func TestAReadThatOneSpoils(t *testing.T) {
	gated(t, 4, func(t *testing.T, client *apikeys.Client, g *gate, keys []*apikeys.IssuedKey) {
		a, calls := askAll(t, client, g, keys, errors.New("spoilt"))
		for _, key := range keys {
			a.want(t, key, 1, nil)
		}
		if len(calls) != 2+3 {
			t.Errorf("got reads of %v hashes, want 1, 3, and three times 1", calls)
		}
	})
}

// A store that is not there is not asked for each alone.
func TestAReadThatTheStoreDoesNotAnswer(t *testing.T) {
	gated(t, 4, func(t *testing.T, client *apikeys.Client, g *gate, keys []*apikeys.IssuedKey) {
		a, calls := askAll(t, client, g, keys, apikeys.ErrUnavailable)
		a.want(t, keys[0], 1, nil)
		for _, key := range keys[1:] {
			a.want(t, key, 1, apikeys.ErrUnavailable)
		}
		if len(calls) != 2 {
			t.Errorf("got reads of %v hashes, want 1 and 3", calls)
		}
	})
}

// askAll asks for all keys while the gate is closed; reads for several fail.
func askAll(t *testing.T, client *apikeys.Client, g *gate, keys []*apikeys.IssuedKey, fault error) (*asked, []int) {
	g.fault = fault
	close(g.closed)
	a := &asked{errs: map[uuid.UUID][]error{}}
	for _, key := range keys {
		a.ask(t, client, key)
		synctest.Wait()
	}
	close(g.open)
	a.wg.Wait()
	return a, g.calls
}

// The exact limiter decides for many in one write, and each for itself.
func TestExactChargesOfManyAreOneWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit, callers = 10, 15
		g := newGate()
		limiter := apikeys.NewExactLimiter(g)
		noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
		charge := func(subject byte, cost int64, limits ...apikeys.RateLimit) apikeys.RateDecision {
			return must(limiter.Charge(t.Context(), apikeys.RateCharge{
				Subject: apikeys.Subject{subject}, Limits: limits, Cost: cost, At: noon,
			}))(t)
		}
		var wg sync.WaitGroup
		var tight, wide atomic.Int64
		close(g.closed)
		wg.Go(func() { charge(9, 1, apikeys.PerMinute(1)) })
		synctest.Wait()
		for range callers {
			wg.Go(func() {
				if charge(1, 1, apikeys.PerMinute(limit), apikeys.PerHour(limit+5)).Allowed {
					tight.Add(1)
				}
			})
			wg.Go(func() {
				if charge(2, 1, apikeys.PerMinute(callers)).Allowed {
					wide.Add(1)
				}
			})
		}
		synctest.Wait()
		close(g.open)
		wg.Wait()
		if tight.Load() != limit || wide.Load() != callers {
			t.Errorf("got %d and %d allowed, want %d and %d", tight.Load(), wide.Load(), limit, callers)
		}
		if len(g.calls) != 2 || g.calls[1] != 2*callers {
			t.Errorf("got writes for %v charges, want 1 and %d", g.calls, 2*callers)
		}
		// What the minute refused was not charged to the hour.
		hour := charge(1, 0, apikeys.PerHour(limit+5))
		if left := hour.States[0].Remaining; left != 5 {
			t.Errorf("the hour: got %d left, want 5", left)
		}
	})
}
