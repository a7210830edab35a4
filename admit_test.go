package apikeys_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// admissionSpy counts admissions, and has some of them fail.
type admissionSpy struct {
	*spy
	calls atomic.Int64
	fault func(do func() ([]apikeys.LeaseGrant, error)) ([]apikeys.LeaseGrant, error)
}

func (s *admissionSpy) Admit(ctx context.Context, at time.Time, a []apikeys.Admission) ([]apikeys.LeaseGrant, error) {
	s.calls.Add(1)
	do := func() ([]apikeys.LeaseGrant, error) { return s.Store.Admit(ctx, at, a) }
	if s.fault != nil {
		return s.fault(do)
	}
	return do()
}

// exactClient returns a strict client with exact limits and durable uses, all by way of
// one store, unless configure says otherwise.
func exactClient(t *testing.T, configure ...func(*apikeys.Config)) (*apikeystest.Client, *apikeys.Client, *admissionSpy) {
	t.Helper()
	base := apikeystest.New(t)
	s := &admissionSpy{spy: &spy{Store: base.Store}}
	config := apikeys.Config{
		SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), Now: base.Clock.Now,
		RevocationDelay: -1, UsageFlushInterval: -1, RateLimiter: apikeys.NewExactLimiter(s),
	}
	for _, f := range configure {
		f(&config)
	}
	client := must(apikeys.New(t.Context(), s, config))(t)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return base, client, s
}

// A strict client charges exact limits and counts the use in one call, and a request that
// is refused is no use.
func TestExactLimitsAndUsesAreOneCall(t *testing.T) {
	t.Parallel()
	base, client, s := exactClient(t)
	org := base.Organization.ID
	k := issue(t, client, apikeys.CreateKeyParams{OrganizationID: org, Metadata: apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerMinute(3)}}})
	for i := range int64(3) {
		v := must(client.Validate(t.Context(), k.Plaintext.Reveal(), apikeys.ValidateParams{}))(t)
		if got := v.Limits()[0].Remaining; got != 2-i {
			t.Errorf("use %d: got %d remaining, want %d", i+1, got, 2-i)
		}
		if key := v.Key(); key.UseCount != i+1 || !key.LastUsedAt.Equal(base.Clock.Now()) {
			t.Errorf("use %d: got a count of %d at %v", i+1, key.UseCount, key.LastUsedAt)
		}
	}
	base.Clock.Advance(time.Second)
	if _, err := client.Validate(t.Context(), k.Plaintext.Reveal(), apikeys.ValidateParams{}); !errors.Is(err, apikeys.ErrQuotaExceeded) {
		t.Errorf("got error %v, want ErrQuotaExceeded", err)
	}
	if calls := s.calls.Load(); calls != 4 || s.leases.Load()+s.usage.Load() != 0 {
		t.Errorf("got %d admissions, %d leases and %d batches of usage, want 4 admissions alone", calls, s.leases.Load(), s.usage.Load())
	}
	if got := client.Stats().StoreCalls.Admissions; got != 4 {
		t.Errorf("Stats: got %d admissions, want 4", got)
	}
	got := must(base.GetKey(t.Context(), k.Key.ID))(t)
	if got.UseCount != 3 || !got.LastUsedAt.Equal(base.Clock.Now().Add(-time.Second)) {
		t.Errorf("in the store: got %d uses, the last at %v, want 3 from before the refusal", got.UseCount, got.LastUsedAt)
	}
}

// Where one call would not do, limits and uses are written by themselves.
func TestExactLimitsAndUsesApart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		configure func(*apikeys.Config)
		params    apikeys.ValidateParams
	}{
		"keys remembered for a while": {func(c *apikeys.Config) { c.RevocationDelay = time.Minute }, apikeys.ValidateParams{}},
		"uses in batches":             {func(c *apikeys.Config) { c.UsageFlushInterval = time.Hour }, apikeys.ValidateParams{}},
		"no use":                      {nil, apikeys.ValidateParams{SkipUsage: true}},
		"no limit":                    {nil, apikeys.ValidateParams{SkipRateLimit: true}},
		"limits in another store": {func(c *apikeys.Config) {
			c.RateLimiter = apikeys.NewExactLimiter(apikeystest.New(t).Store)
		}, apikeys.ValidateParams{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var configure []func(*apikeys.Config)
			if tc.configure != nil {
				configure = append(configure, tc.configure)
			}
			base, client, s := exactClient(t, configure...)
			k := issue(t, client, apikeys.CreateKeyParams{
				OrganizationID: base.Organization.ID, Metadata: apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerMinute(3)}},
			})
			must(client.Validate(t.Context(), k.Plaintext.Reveal(), tc.params))(t)
			if calls := s.calls.Load(); calls != 0 {
				t.Errorf("got %d admissions, want none", calls)
			}
		})
	}
}

// A fault of the store is never a yes; and when only its answer was lost, nothing is done
// a second time.
func TestAdmissionsThatFail(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault func(do func() ([]apikeys.LeaseGrant, error)) ([]apikeys.LeaseGrant, error)
		want  error
		uses  int64
	}{
		"before": {func(func() ([]apikeys.LeaseGrant, error)) ([]apikeys.LeaseGrant, error) {
			return nil, apikeys.ErrUnavailable
		}, apikeys.ErrUnavailable, 0},
		"after": {func(do func() ([]apikeys.LeaseGrant, error)) ([]apikeys.LeaseGrant, error) {
			_, err := do()
			return nil, errors.Join(err, apikeys.ErrOutcomeUnknown)
		}, apikeys.ErrOutcomeUnknown, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, client, s := exactClient(t)
			k := issue(t, client, apikeys.CreateKeyParams{
				OrganizationID: base.Organization.ID, Metadata: apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerMinute(3)}},
			})
			s.fault = tc.fault
			if _, err := client.Validate(t.Context(), k.Plaintext.Reveal(), apikeys.ValidateParams{}); !errors.Is(err, tc.want) {
				t.Errorf("got error %v, want %v", err, tc.want)
			}
			if calls := s.calls.Load(); calls != 1 {
				t.Errorf("got %d admissions, want 1: nothing is repeated", calls)
			}
			if err := client.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := must(base.GetKey(t.Context(), k.Key.ID))(t); got.UseCount != tc.uses {
				t.Errorf("got %d uses, want %d", got.UseCount, tc.uses)
			}
		})
	}
}

// What is remembered of a key is asked about in the call that charges its limits: a change
// made elsewhere is obeyed, and who is refused by it is charged nothing.
func TestAdmissionsObeyChangesMadeElsewhere(t *testing.T) {
	t.Parallel()
	base, client, s := exactClient(t)
	key := base.IssueLimited(apikeys.PerMinute(100))
	text := key.Plaintext.Reveal()
	validate := func() error {
		_, err := client.Validate(t.Context(), text, apikeys.ValidateParams{})
		return err
	}
	for range 5 {
		wantIs(t, validate(), nil)
	}
	if reads, looks := s.reads.Load(), client.Stats().StoreCalls.Changes; reads != 1 || looks != 1+4 {
		t.Errorf("got %d reads and %d looks, want one read, and a look at the start and for each request after the first", reads, looks)
	}
	if stats := client.Stats(); stats.Hits != 4 || stats.Misses != 1 {
		t.Errorf("got %d hits and %d misses, want 4 and 1", stats.Hits, stats.Misses)
	}
	must(base.DisableKey(t.Context(), key.Key.ID))(t)
	wantIs(t, validate(), apikeys.ErrDisabledKey)
	must(base.EnableKey(t.Context(), key.Key.ID))(t)
	wantIs(t, validate(), nil)
	must(base.UpdateKey(t.Context(), key.Key.ID, apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerMinute(6)}}))(t)
	wantIs(t, validate(), apikeys.ErrQuotaExceeded)
	must(base.UpdateKey(t.Context(), key.Key.ID, apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerMinute(3)}}))(t)
	wantIs(t, validate(), apikeys.ErrQuotaExceeded) // and remembers the limit of 3
	must(base.UpdateKey(t.Context(), key.Key.ID, apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerMinute(200)}}))(t)
	must(client.Validate(t.Context(), text, apikeys.ValidateParams{Cost: 4}))(t)
	must(base.RevokeKey(t.Context(), key.Key.ID, apikeys.RevokeParams{}))(t)
	wantIs(t, validate(), apikeys.ErrRevokedKey)
	if got := must(base.GetKey(t.Context(), key.Key.ID))(t).UseCount; got != 7 {
		t.Errorf("got %d uses, want the 7 that were accepted", got)
	}
}
