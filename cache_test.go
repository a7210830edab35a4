package apikeys_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/internal/memstore"
)

// A thousand validations of one key cost the store one read, one look or two and a
// few leases.
func TestValidationsCostTheStoreNothing(t *testing.T) {
	t.Parallel()
	base, client, s := spied(t, func(c *apikeys.Config) { c.UsageFlushInterval = time.Hour })
	text := base.IssueLimited(apikeys.PerDay(1_000_000)).Plaintext.Reveal()
	for range 1000 {
		must(client.Validate(t.Context(), text, apikeys.ValidateParams{}))(t)
	}
	if got := s.reads.Load(); got != 1 {
		t.Errorf("got %d reads, want 1", got)
	}
	if got := s.leases.Load(); got > 20 {
		t.Errorf("got %d leases, want at most 20", got)
	}
	stats := client.Stats()
	if stats.Hits < 990 || stats.StoreCalls.Keys != 1 || stats.StoreCalls.Changes > 10 || stats.UsagePending == 0 {
		t.Errorf("got %+v, want about 1000 hits, 1 read and uses that wait", stats)
	}
}

// What this process changes acts at once, on all that it remembers.
func TestChangesActAtOnceInTheSameProcess(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	h := build(t, c.Client, "Acme")
	params := apikeys.CreateKeyParams{OrganizationID: h.org, ProjectID: h.p1, ProductID: h.x1, Metadata: apikeys.KeyMetadata{Scopes: []string{"read"}}}
	ask := apikeys.ValidateParams{Scopes: []string{"read"}, ProjectID: h.p1, ProductID: h.x1}
	wide := issue(t, c.Client, apikeys.CreateKeyParams{OrganizationID: h.org, Metadata: apikeys.KeyMetadata{Scopes: []string{"*"}}}).Plaintext.Reveal()
	for name, tt := range map[string]struct {
		do   func(id uuid.UUID) error
		undo func(id uuid.UUID) error
		want error
	}{
		"revoke":  {do: func(id uuid.UUID) error { return second(c.RevokeKey(ctx, id, apikeys.RevokeParams{})) }, want: apikeys.ErrRevokedKey},
		"delete":  {do: func(id uuid.UUID) error { return c.DeleteKey(ctx, id) }, want: apikeys.ErrInvalidKey},
		"disable": {do: func(id uuid.UUID) error { return second(c.DisableKey(ctx, id)) }, undo: func(id uuid.UUID) error { return second(c.EnableKey(ctx, id)) }, want: apikeys.ErrDisabledKey},
		"scopes":  {do: func(id uuid.UUID) error { return second(c.UpdateKey(ctx, id, apikeys.KeyMetadata{})) }, want: apikeys.ErrInsufficientScope},
		"rotate":  {do: func(id uuid.UUID) error { return second(c.RotateKey(ctx, id, apikeys.RotateParams{})) }, want: apikeys.ErrExpiredKey},
		"suspend": {
			do:   func(uuid.UUID) error { return second(c.SuspendOrganization(ctx, h.org)) },
			undo: func(uuid.UUID) error { return second(c.ResumeOrganization(ctx, h.org)) }, want: apikeys.ErrSuspended,
		},
		"unlink": {
			do:   func(uuid.UUID) error { return c.RemoveProductFromProject(ctx, h.x1, h.p1) },
			undo: func(uuid.UUID) error { return c.AddProductToProject(ctx, h.x1, h.p1) }, want: apikeys.ErrInsufficientScope,
		},
	} {
		key := issue(t, c.Client, params)
		text := key.Plaintext.Reveal()
		must(c.Validate(ctx, text, ask))(t)
		must(c.Validate(ctx, wide, ask))(t)
		if err := tt.do(key.Key.ID); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := c.Validate(ctx, text, ask); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
		if name == "unlink" {
			wantIs(t, second(c.Validate(ctx, wide, ask)), apikeys.ErrInsufficientScope)
		}
		if tt.undo != nil {
			if err := tt.undo(key.Key.ID); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			must(c.Validate(ctx, text, ask))(t)
		}
	}
}

// What another process changes acts within RevocationDelay of its acknowledgement.
func TestChangesActElsewhereWithinTheDelay(t *testing.T) {
	t.Parallel()
	const delay = 100 * time.Millisecond
	base, ctx := apikeystest.New(t), t.Context()
	_, other, _ := spiedOn(t, base, func(c *apikeys.Config) { c.RevocationDelay = delay })
	for range 20 {
		key := base.Issue()
		text := key.Plaintext.Reveal()
		must(other.Verify(ctx, text))(t)
		must(base.RevokeKey(ctx, key.Key.ID, apikeys.RevokeParams{}))(t)
		acknowledged := time.Now()
		for {
			began := time.Now()
			if _, err := other.Verify(ctx, text); errors.Is(err, apikeys.ErrRevokedKey) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if late := began.Sub(acknowledged); late > delay {
				t.Fatalf("accepted %s after the revocation was acknowledged, want at most %s", late, delay)
			}
		}
	}
}

// Without the store, remembered keys are accepted for the delay, with a grace for
// that much longer, and then refused as unavailable.
func TestOutage(t *testing.T) {
	t.Parallel()
	const delay, grace = 100 * time.Millisecond, 400 * time.Millisecond
	for _, tt := range []struct {
		name   string
		grace  time.Duration
		limits []apikeys.RateLimit
	}{
		{"without grace", 0, nil},
		{"with grace", grace, nil},
		{"with grace and a limit", grace, []apikeys.RateLimit{apikeys.PerDay(1e12)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				down := &outage{Store: memstore.New()}
				client := must(apikeys.New(t.Context(), down, apikeys.Config{
					SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), RevocationDelay: delay, OutageGrace: tt.grace,
				}))(t)
				org := must(client.CreateOrganization(t.Context(), "Acme"))(t).ID
				text := issue(t, client, apikeys.CreateKeyParams{OrganizationID: org, Metadata: apikeys.KeyMetadata{RateLimits: tt.limits}}).Plaintext.Reveal()
				must(client.Validate(t.Context(), text, apikeys.ValidateParams{}))(t)
				served := servedDuring(t, down, client, text)
				if least, most := tt.grace+delay/2, tt.grace+delay; served < least || served > most {
					t.Errorf("served for %s, want %s to %s", served, least, most)
				}
				down.end()
				must(client.Validate(t.Context(), text, apikeys.ValidateParams{}))(t)
				if err := client.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// servedDuring returns how long after the beginning of an outage a key was accepted for the last time.
func servedDuring(t *testing.T, down *outage, client *apikeys.Client, text string) time.Duration {
	t.Helper()
	down.begin()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		if _, err := client.Validate(t.Context(), text, apikeys.ValidateParams{}); err != nil {
			wantIs(t, err, apikeys.ErrUnavailable)
			return time.Since(began) - time.Millisecond
		}
	}
}

// outage is a store that can be cut off.
type outage struct {
	apikeys.Store
	mu   sync.Mutex
	down bool
}

func (o *outage) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = true
}

func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = false
}

func (o *outage) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		return apikeys.ErrUnavailable
	}
	return nil
}

func (o *outage) Changes(ctx context.Context, since apikeys.ChangeMark) (apikeys.ChangeSet, error) {
	if err := o.err(); err != nil {
		return apikeys.ChangeSet{}, err
	}
	return o.Store.Changes(ctx, since)
}

func (o *outage) KeysByHash(ctx context.Context, h []apikeys.Hash) ([]apikeys.KeyRecord, error) {
	if err := o.err(); err != nil {
		return nil, err
	}
	return o.Store.KeysByHash(ctx, h)
}

func (o *outage) TakeLeases(ctx context.Context, r []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	if err := o.err(); err != nil {
		return nil, err
	}
	return o.Store.TakeLeases(ctx, r)
}

// Four clients on one database admit exactly the limit together, and one alone
// all of it.
func TestLeasesAdmitTheLimit(t *testing.T) {
	t.Parallel()
	base := apikeystest.New(t)
	for _, clients := range []int{1, 4} {
		const limit = 1000
		text := base.IssueLimited(apikeys.PerDay(limit)).Plaintext.Reveal()
		var wg sync.WaitGroup
		var mu sync.Mutex
		admitted := 0
		for range clients {
			_, client, _ := spiedOn(t, base)
			for range 4 {
				wg.Go(func() {
					n := 0
					for range 2 * limit / clients / 4 {
						if _, err := client.Validate(t.Context(), text, apikeys.ValidateParams{SkipUsage: true}); err == nil {
							n++
						} else if !errors.Is(err, apikeys.ErrQuotaExceeded) {
							t.Error(err)
						}
					}
					mu.Lock()
					defer mu.Unlock()
					admitted += n
				})
			}
		}
		wg.Wait()
		if least := limit - (clients-1)*limit/8; admitted > limit || admitted < least {
			t.Errorf("%d clients admitted %d, want %d to %d", clients, admitted, least, limit)
		}
	}
}

func TestMemoryLimiter(t *testing.T) {
	t.Parallel()
	base := apikeystest.New(t)
	_, client, s := spiedOn(t, base, func(c *apikeys.Config) { c.RateLimiter = apikeys.NewMemoryLimiter() })
	text := base.IssueLimited(apikeys.PerMinute(2), apikeys.PerHour(3)).Plaintext.Reveal()
	for _, want := range []int64{1, 0} {
		if got := must(client.Validate(t.Context(), text, apikeys.ValidateParams{}))(t).Limits()[0].Remaining; got != want {
			t.Errorf("got %d remaining, want %d", got, want)
		}
	}
	e := wantErr[*apikeys.QuotaError](t, second(client.Validate(t.Context(), text, apikeys.ValidateParams{})), apikeys.ErrQuotaExceeded)
	if e.Limit != apikeys.PerMinute(2) || e.RetryAfter != time.Minute {
		t.Errorf("got %s after %s, want 2/minute after 1m", e.Limit, e.RetryAfter)
	}
	if got := s.leases.Load(); got != 0 {
		t.Errorf("got %d leases from the store, want none", got)
	}
}

// A strict client asks for every request whether anything has changed, and reads a key
// again only when it has.
func TestStrictClientsAskWhatChanged(t *testing.T) {
	t.Parallel()
	base, strict, s := spied(t, func(c *apikeys.Config) { c.RevocationDelay = -1 })
	key := base.Issue()
	ask := func() error {
		_, err := strict.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{})
		return err
	}
	before := strict.Stats().StoreCalls.Changes
	for range 100 {
		wantIs(t, ask(), nil)
	}
	if reads, looks := s.reads.Load(), strict.Stats().StoreCalls.Changes-before; reads != 1 || looks != 99 {
		t.Errorf("got %d reads and %d looks for 100 requests, want one read and then a look for each", reads, looks)
	}
	must(base.DisableKey(t.Context(), key.Key.ID))(t)
	wantIs(t, ask(), apikeys.ErrDisabledKey)
	must(base.EnableKey(t.Context(), key.Key.ID))(t)
	wantIs(t, ask(), nil)
	must(base.RevokeKey(t.Context(), key.Key.ID, apikeys.RevokeParams{}))(t)
	wantIs(t, ask(), apikeys.ErrRevokedKey)
}

// A client that remembers nothing reads the key for every request, and obeys what no
// client has told of.
func TestNothingIsRememberedWithoutACache(t *testing.T) {
	t.Parallel()
	base, client, s := spied(t, func(c *apikeys.Config) { c.CacheSize = -1 })
	text := base.Issue().Plaintext.Reveal()
	for range 10 {
		must(client.Validate(t.Context(), text, apikeys.ValidateParams{}))(t)
	}
	if reads, stats := s.reads.Load(), client.Stats(); reads != 10 || stats.StoreCalls.Changes != 0 || stats.Cached != 0 {
		t.Errorf("got %d reads, %d looks and %d remembered keys, want a read for each of 10 requests", reads, stats.StoreCalls.Changes, stats.Cached)
	}
	s.keysByHash = func(found []apikeys.KeyRecord) []apikeys.KeyRecord {
		for i := range found {
			found[i].DisabledAt = time.Now() // by hand
		}
		return found
	}
	_, err := client.Validate(t.Context(), text, apikeys.ValidateParams{})
	wantIs(t, err, apikeys.ErrDisabledKey)
}
