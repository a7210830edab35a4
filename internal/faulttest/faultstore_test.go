package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// errFault is what a store says that did nothing, and cannot say why.
var errFault = errors.New("a fault of the test's")

// fault is how a call fails.
type fault struct {
	name   string
	err    error
	after  bool // the call was done all the same
	onward bool // and all later calls fail too, with nothing done
}

func faultsOfCalls() []fault {
	return []fault{
		{name: "nothing done", err: errFault},
		{name: "unreachable", err: fmt.Errorf("dial: %w", apikeys.ErrUnavailable)},
		{name: "no answer in time", err: context.DeadlineExceeded},
		{name: "unknown, not done", err: apikeys.ErrOutcomeUnknown},
		{name: "unknown, done", err: apikeys.ErrOutcomeUnknown, after: true},
		{name: "done, then gone", err: apikeys.ErrOutcomeUnknown, after: true, onward: true},
		{name: "gone", err: fmt.Errorf("dial: %w", apikeys.ErrUnavailable), onward: true},
	}
}

// faultStore fails at its k-th call.
type faultStore struct {
	apikeys.Store
	mu    sync.Mutex
	k     int // 0: never
	fault fault
	fired bool
	calls []string

	random int // one of so many calls fails, in some way; 0: none
}

// arm lets the k-th call from now on fail.
func (s *faultStore) arm(k int, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.k, s.fault, s.fired, s.calls = k, f, false, nil
}

// heal lets no call fail, and tells whether one did and which it was.
func (s *faultStore) heal() (fired bool, call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fired {
		call = s.calls[s.k-1]
	}
	s.k = 0
	return s.fired, call
}

// next tells what befalls a call.
func (s *faultStore) next(name string) (now fault, fails bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.random > 0 && rand.IntN(s.random) == 0 {
		return faultsOfCalls()[rand.IntN(5)], true // of those that pass
	}
	if s.k == 0 {
		return fault{}, false
	}
	s.calls = append(s.calls, name)
	if len(s.calls) == s.k {
		s.fired = true
		return s.fault, true
	}
	if s.fired && s.fault.onward {
		return fault{err: fmt.Errorf("dial: %w", apikeys.ErrUnavailable)}, true
	}
	return fault{}, false
}

// pass makes a call, unless it is to fail. What only reads has no unknown outcome:
// it fails plainly instead.
func pass[T any](s *faultStore, name string, reads bool, call func() (T, error)) (T, error) {
	var none T
	f, fails := s.next(name)
	if !fails {
		return call()
	}
	if reads && errors.Is(f.err, apikeys.ErrOutcomeUnknown) {
		return none, errFault
	}
	if f.after {
		if _, err := call(); err != nil {
			return none, err
		}
	}
	return none, f.err
}

const (
	reads  = true
	writes = false
)

type two[A, B any] struct {
	a A
	b B
}

func (s *faultStore) EnsureSettings(ctx context.Context, p apikeys.SettingsRecord) (apikeys.SettingsRecord, error) {
	return pass(s, "EnsureSettings", reads, func() (apikeys.SettingsRecord, error) { return s.Store.EnsureSettings(ctx, p) })
}

func (s *faultStore) CreateResource(ctx context.Context, m apikeys.Mutation, r apikeys.ResourceRecord) (apikeys.ResourceRecord, bool, error) {
	got, err := pass(s, "CreateResource", writes, func() (got two[apikeys.ResourceRecord, bool], err error) {
		got.a, got.b, err = s.Store.CreateResource(ctx, m, r)
		return got, err
	})
	return got.a, got.b, err
}

func (s *faultStore) UpdateResource(ctx context.Context, m apikeys.Mutation, ref apikeys.ResourceRef, change apikeys.ResourceChange) (apikeys.ResourceRecord, error) {
	return pass(s, "UpdateResource", writes, func() (apikeys.ResourceRecord, error) { return s.Store.UpdateResource(ctx, m, ref, change) })
}

func (s *faultStore) ListResources(ctx context.Context, q apikeys.ResourceQuery) ([]apikeys.ResourceRecord, error) {
	return pass(s, "ListResources", reads, func() ([]apikeys.ResourceRecord, error) { return s.Store.ListResources(ctx, q) })
}

func (s *faultStore) SetLink(ctx context.Context, m apikeys.Mutation, link apikeys.LinkRef, linked bool) error {
	_, err := pass(s, "SetLink", writes, func() (struct{}, error) { return struct{}{}, s.Store.SetLink(ctx, m, link, linked) })
	return err
}

func (s *faultStore) Binding(ctx context.Context, projectID, productID uuid.UUID) (apikeys.Binding, error) {
	return pass(s, "Binding", reads, func() (apikeys.Binding, error) { return s.Store.Binding(ctx, projectID, productID) })
}

func (s *faultStore) CreateKeys(ctx context.Context, m apikeys.Mutation, keys []apikeys.KeyRecord) ([]error, error) {
	return pass(s, "CreateKeys", writes, func() ([]error, error) { return s.Store.CreateKeys(ctx, m, keys) })
}

func (s *faultStore) KeysByHash(ctx context.Context, hashes []apikeys.Hash) ([]apikeys.KeyRecord, error) {
	return pass(s, "KeysByHash", reads, func() ([]apikeys.KeyRecord, error) { return s.Store.KeysByHash(ctx, hashes) })
}

func (s *faultStore) GetKey(ctx context.Context, ref apikeys.KeyRef) (apikeys.KeyRecord, []apikeys.SecretRecord, error) {
	got, err := pass(s, "GetKey", reads, func() (got two[apikeys.KeyRecord, []apikeys.SecretRecord], err error) {
		got.a, got.b, err = s.Store.GetKey(ctx, ref)
		return got, err
	})
	return got.a, got.b, err
}

func (s *faultStore) ListKeys(ctx context.Context, q apikeys.KeyQuery) ([]apikeys.KeyRecord, error) {
	return pass(s, "ListKeys", reads, func() ([]apikeys.KeyRecord, error) { return s.Store.ListKeys(ctx, q) })
}

func (s *faultStore) UpdateKey(ctx context.Context, m apikeys.Mutation, ref apikeys.KeyRef, change apikeys.KeyChange) (apikeys.KeyRecord, error) {
	return pass(s, "UpdateKey", writes, func() (apikeys.KeyRecord, error) { return s.Store.UpdateKey(ctx, m, ref, change) })
}

func (s *faultStore) RotateKey(ctx context.Context, m apikeys.Mutation, ref apikeys.KeyRef, r apikeys.Rotation) (apikeys.KeyRecord, error) {
	return pass(s, "RotateKey", writes, func() (apikeys.KeyRecord, error) { return s.Store.RotateKey(ctx, m, ref, r) })
}

func (s *faultStore) RevokeKeys(ctx context.Context, m apikeys.Mutation, q apikeys.KeyQuery, reason string) ([]uuid.UUID, error) {
	return pass(s, "RevokeKeys", writes, func() ([]uuid.UUID, error) { return s.Store.RevokeKeys(ctx, m, q, reason) })
}

func (s *faultStore) DeleteKeys(ctx context.Context, m apikeys.Mutation, q apikeys.KeyQuery) ([]uuid.UUID, error) {
	return pass(s, "DeleteKeys", writes, func() ([]uuid.UUID, error) { return s.Store.DeleteKeys(ctx, m, q) })
}

func (s *faultStore) Changes(ctx context.Context, since apikeys.ChangeMark) (apikeys.ChangeSet, error) {
	return pass(s, "Changes", reads, func() (apikeys.ChangeSet, error) { return s.Store.Changes(ctx, since) })
}

func (s *faultStore) TakeLeases(ctx context.Context, requests []apikeys.LeaseRequest) ([]apikeys.LeaseGrant, error) {
	return pass(s, "TakeLeases", writes, func() ([]apikeys.LeaseGrant, error) { return s.Store.TakeLeases(ctx, requests) })
}

func (s *faultStore) Admit(ctx context.Context, at time.Time, admissions []apikeys.Admission) ([]apikeys.LeaseGrant, error) {
	return pass(s, "Admit", writes, func() ([]apikeys.LeaseGrant, error) { return s.Store.Admit(ctx, at, admissions) })
}

func (s *faultStore) AddUsage(ctx context.Context, b apikeys.UsageBatch) error {
	_, err := pass(s, "AddUsage", writes, func() (struct{}, error) { return struct{}{}, s.Store.AddUsage(ctx, b) })
	return err
}

func (s *faultStore) FoldUsage(ctx context.Context) error {
	_, err := pass(s, "FoldUsage", writes, func() (struct{}, error) { return struct{}{}, s.Store.FoldUsage(ctx) })
	return err
}

func (s *faultStore) KeyUsage(ctx context.Context, q apikeys.UsageQuery) ([]apikeys.UsageDelta, error) {
	return pass(s, "KeyUsage", reads, func() ([]apikeys.UsageDelta, error) { return s.Store.KeyUsage(ctx, q) })
}

func (s *faultStore) CountHashes(ctx context.Context, now time.Time) (map[string]apikeys.HashCount, error) {
	return pass(s, "CountHashes", reads, func() (map[string]apikeys.HashCount, error) { return s.Store.CountHashes(ctx, now) })
}

func (s *faultStore) ListEvents(ctx context.Context, q apikeys.EventQuery) ([]apikeys.EventRecord, error) {
	return pass(s, "ListEvents", reads, func() ([]apikeys.EventRecord, error) { return s.Store.ListEvents(ctx, q) })
}

func (s *faultStore) Sweep(ctx context.Context, p apikeys.SweepParams) (int, error) {
	return pass(s, "Sweep", reads, func() (int, error) { return s.Store.Sweep(ctx, p) })
}
