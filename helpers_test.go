package apikeys_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// must returns v and ends the test if there is an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected error: %v", err)
		}
		return v
	}
}

// wantErr checks that err is of the kind and returns it as the typed error E.
func wantErr[E error](t testing.TB, err, kind error) E {
	t.Helper()
	var typed E
	if !errors.Is(err, kind) || !errors.As(err, &typed) {
		t.Fatalf("got error %v (%T), want %v as %T", err, err, kind, typed)
	}
	return typed
}

func wantIs(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want %v", err, kind)
	}
}

// house is an organization with two projects and two products; only p1 and x1
// are linked.
type house struct {
	org    uuid.UUID
	p1, p2 uuid.UUID
	x1, x2 uuid.UUID
}

func build(t testing.TB, c *apikeys.Client, name string) house {
	t.Helper()
	ctx := t.Context()
	org, _, err := c.GetOrCreateOrganization(ctx, name)
	h := house{org: must(org, err)(t).ID}
	h.p1 = must(c.CreateProject(ctx, h.org, "p1"))(t).ID
	h.p2 = must(c.CreateProject(ctx, h.org, "p2"))(t).ID
	h.x1 = must(c.CreateProduct(ctx, h.org, "x1"))(t).ID
	h.x2 = must(c.CreateProduct(ctx, h.org, "x2"))(t).ID
	if err := c.AddProductToProject(ctx, h.x1, h.p1); err != nil {
		t.Fatal(err)
	}
	return h
}

func issue(t testing.TB, c *apikeys.Client, p apikeys.CreateKeyParams) *apikeys.IssuedKey {
	t.Helper()
	return must(c.CreateKey(t.Context(), p))(t)
}

// spy counts the calls of the request path and can fail or change them.
type spy struct {
	apikeys.Store
	reads, leases, usage atomic.Int64
	fault                atomic.Pointer[error]
	keysByHash           func([]apikeys.KeyRecord) []apikeys.KeyRecord
}

func (s *spy) fail(err error) { s.fault.Store(&err) }

func (s *spy) err() error {
	if p := s.fault.Load(); p != nil {
		return *p
	}
	return nil
}

func (s *spy) KeysByHash(ctx context.Context, h []apikeys.Hash) ([]apikeys.KeyRecord, error) {
	s.reads.Add(1)
	if err := s.err(); err != nil {
		return nil, err
	}
	found, err := s.Store.KeysByHash(ctx, h)
	if s.keysByHash != nil {
		found = s.keysByHash(found)
	}
	return found, err
}

func (s *spy) Binding(ctx context.Context, p, x uuid.UUID) (apikeys.Binding, error) {
	s.reads.Add(1)
	return s.Store.Binding(ctx, p, x)
}

func (s *spy) TakeLeases(ctx context.Context, r []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	s.leases.Add(1)
	return s.Store.TakeLeases(ctx, r)
}

func (s *spy) AddUsage(ctx context.Context, b apikeys.UsageBatch) error {
	s.usage.Add(1)
	return s.Store.AddUsage(ctx, b)
}

func (s *spy) calls() int64 { return s.reads.Load() + s.leases.Load() + s.usage.Load() }

// spied returns a client whose request path goes through a spy.
func spied(t testing.TB, configure ...func(*apikeys.Config)) (*apikeystest.Client, *apikeys.Client, *spy) {
	t.Helper()
	return spiedOn(t, apikeystest.New(t), configure...)
}

// spiedOn returns another client on the database of base.
func spiedOn(t testing.TB, base *apikeystest.Client, configure ...func(*apikeys.Config)) (*apikeystest.Client, *apikeys.Client, *spy) {
	t.Helper()
	s := &spy{Store: base.Store}
	config := apikeys.Config{
		SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), CacheSize: 1000, UsageFlushInterval: -1,
		OpTimeout: time.Minute, Now: base.Clock.Now,
	}
	for _, f := range configure {
		f(&config)
	}
	client := must(apikeys.New(t.Context(), s, config))(t)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return base, client, s
}

func ptr[T any](v T) *T { return &v }

const minute = time.Minute
