package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

func contextTests() []test {
	return []test{
		{"that are over do nothing", contextsOver},
		{"that end at any step leave all or nothing", contextsEndingAnywhere},
		{"that end on the way leave all or nothing, and no lock", contextsEnding},
		{"that end on the way leave leases and usage right", contextsEndingCounts},
	}
}

// everyCall is every method, with arguments that are good.
func (f *fixture) everyCall() map[string]func(ctx context.Context) error {
	f.Helper()
	calls := map[string]func(ctx context.Context) error{}
	for _, p := range operations() {
		op, m := p.prepare(f), f.mutation(p.name)
		calls[p.name] = func(ctx context.Context) error {
			_, err := op.do(ctx, m)
			return err
		}
	}
	k := f.key(f.organization())
	settings, hash, added, deltas := f.newSettings(1), f.hash(), f.hashFor(k, 1, "signing-2"), batch(f.id(), 1, used(k, 1, epoch))
	s := f.subject()
	f.take(lease(s, epoch, 5, apikeys.PerMinute(10)))
	drop := func(_ any, err error) error { return err }
	calls["EnsureSettings"] = func(ctx context.Context) error { return drop(f.store.EnsureSettings(ctx, settings)) }
	calls["ListResources"] = func(ctx context.Context) error {
		return drop(f.store.ListResources(ctx, apikeys.ResourceQuery{Kind: apikeys.KindProject, Limit: 10}))
	}
	calls["Binding"] = func(ctx context.Context) error { return drop(f.store.Binding(ctx, k.ID, k.ID)) }
	calls["KeysByHash"] = func(ctx context.Context) error {
		return drop(f.store.KeysByHash(ctx, []apikeys.Hash{k.Secret.Hash, hash}))
	}
	calls["GetKey"] = func(ctx context.Context) error {
		_, _, err := f.store.GetKey(ctx, keyRef(k.ID))
		return err
	}
	calls["ListKeys"] = func(ctx context.Context) error {
		return drop(f.store.ListKeys(ctx, apikeys.KeyQuery{Search: "a text to search for", Limit: 10}))
	}
	calls["AddHash"] = func(ctx context.Context) error { return f.store.AddHash(ctx, added) }
	calls["CountHashes"] = func(ctx context.Context) error { return drop(f.store.CountHashes(ctx, epoch)) }
	calls["Changes"] = func(ctx context.Context) error { return drop(f.store.Changes(ctx, apikeys.ChangeMark{})) }
	calls["TakeLeases"] = func(ctx context.Context) error {
		return drop(f.store.TakeLeases(ctx, []apikeys.LeaseRequest{lease(s, epoch, 1, apikeys.PerMinute(10))}))
	}
	calls["Admit"] = func(ctx context.Context) error {
		return drop(f.store.Admit(ctx, epoch, []apikeys.Admission{admission(k, epoch, apikeys.PerMinute(10))}))
	}
	calls["ReturnLeases"] = func(ctx context.Context) error {
		return f.store.ReturnLeases(ctx, []apikeys.LeaseReturn{giveBack(s, apikeys.WindowMinute, apikeys.WindowMinute.Start(epoch), 1)})
	}
	calls["AddUsage"] = func(ctx context.Context) error { return f.store.AddUsage(ctx, deltas) }
	calls["FoldUsage"] = f.store.FoldUsage
	calls["KeyUsage"] = func(ctx context.Context) error {
		return drop(f.store.KeyUsage(ctx, apikeys.UsageQuery{Ref: keyRef(k.ID), From: epoch, To: epoch.Add(time.Hour)}))
	}
	calls["ListEvents"] = func(ctx context.Context) error { return drop(f.store.ListEvents(ctx, apikeys.EventQuery{Limit: 10})) }
	calls["Sweep"] = func(ctx context.Context) error {
		return drop(f.store.Sweep(ctx, apikeys.SweepParams{EventsBefore: far, WindowsBefore: far, UsageBefore: far, WritersBefore: far, Limit: 100}))
	}
	return calls
}

// Catches: a context that is not passed on, or asked after the work was done; a
// connection that does not come back.
func contextsOver(f *fixture) {
	calls := f.everyCall()
	cancelled, cancel := context.WithCancel(f.Context())
	cancel()
	expired, cancelExpired := context.WithDeadline(f.Context(), time.Unix(0, 0))
	defer cancelExpired()
	f.unchanged("calls whose context was over", func() {
		for name, call := range calls {
			for _, ctx := range []context.Context{cancelled, expired} {
				began := time.Now()
				if err := call(ctx); err == nil {
					f.Errorf("%s with a context that is over: got no error, want one", name)
				}
				if took := time.Since(began); took > patience/3 {
					f.Errorf("%s with a context that is over: got an answer after %v, want one at once", name, took)
				}
			}
		}
	})
	for _, name := range []string{"EnsureSettings", "AddHash", "AddUsage", "TakeLeases", "Admit", "FoldUsage", "update a key", "Sweep"} {
		if err := calls[name](f.Context()); err != nil {
			f.Fatalf("%s afterwards: got %v, want no error", name, err)
		}
	}
}

// countdown is a context that is over once it was asked a number of times whether
// it is: it ends at any step of a call, as often as the test likes.
type countdown struct {
	context.Context
	left atomic.Int64
	over context.Context
	end  context.CancelFunc
}

func newCountdown(parent context.Context, left int) *countdown {
	c := &countdown{Context: parent}
	c.left.Store(int64(left))
	c.over, c.end = context.WithCancel(parent)
	return c
}

func (c *countdown) Done() <-chan struct{} {
	c.ask()
	return c.over.Done()
}

func (c *countdown) Err() error {
	c.ask()
	return c.over.Err()
}

func (c *countdown) ask() {
	if c.left.Add(-1) < 0 {
		c.end()
	}
}

// Catches: statements outside of the transaction; a commit that happened and is
// reported as nothing done; a cancelled transaction whose lock stays.
func contextsEndingAnywhere(f *fixture) {
	const steps = 100
	thorough := map[string]bool{"create keys": true, "update a key": true, "delete keys": true}
	for _, p := range operations() {
		stride := 11 // a sample; the others end at every step
		if thorough[p.name] {
			stride = 1
		}
		f.each(p.name, func(f *fixture) {
			op, m := p.prepare(f), f.mutation(p.name)
			before := f.start()
			unknown := false // a commit may be on its way, and be there later
			for step := 0; step < steps; step += stride {
				ctx := newCountdown(f.Context(), step)
				_, err := op.do(ctx, m)
				ctx.end()
				applied := len(f.events(apikeys.EventQuery{ID: m.ID}))
				unknown = unknown || errors.Is(err, apikeys.ErrOutcomeUnknown)
				if err == nil && applied != 1 || err != nil && applied != 0 && !unknown {
					f.Fatalf("a context that ended at step %d, a call that ended with %v: got %d events, want what it said", step, err, applied)
				}
				if err == nil {
					break
				}
			}
			_, err := op.do(f.Context(), m)
			f.must(err)
			if n := len(f.events(apikeys.EventQuery{ID: m.ID})); n != 1 {
				f.Fatalf("events: got %d, want 1", n)
			}
			f.wantChanges(before, op.stale...)
		})
	}
}

// Catches: a transaction that is left open when its caller gives up; a commit that
// happened and is reported as nothing done, which a caller would do again.
func contextsEnding(f *fixture) {
	const workers, each = 6, 15
	k := f.key(f.organization())
	mutations, errs := make([]apikeys.Mutation, workers*each), make([]error, workers*each)
	for i := range mutations {
		mutations[i] = f.mutation("key.update")
	}
	f.together(workers, func(w int) error {
		for j := range each {
			i := w*each + j
			// From hopeless to ample: some end before, some during, some after the work.
			ctx, cancel := context.WithTimeout(f.Context(), time.Duration(j*j*(w+1))*40*time.Microsecond)
			_, errs[i] = f.store.UpdateKey(ctx, mutations[i], keyRef(k.ID), apikeys.KeyChange{Name: ptr(fmt.Sprint("name ", i))})
			cancel()
		}
		return nil
	})
	f.update(k.ID, apikeys.KeyChange{Name: ptr("still in use")})
	done := 0
	for i, err := range errs {
		applied := len(f.events(apikeys.EventQuery{ID: mutations[i].ID}))
		if done += applied; errors.Is(err, apikeys.ErrOutcomeUnknown) {
			continue
		}
		if (err == nil) != (applied == 1) {
			f.Fatalf("a call that ended with %v: got %d events, want what it said", err, applied)
		}
	}
	if got := f.get(k.ID).Version; got != int64(done+2) {
		f.Fatalf("got version %d after %d changes, want %d", got, done+1, done+2)
	}
}

// Catches: an error that took: leases that nobody holds are only lost, but a batch
// that is sent again must count once.
func contextsEndingCounts(f *fixture) {
	const workers, each = 4, 12
	k, s, limit := f.key(f.organization()), f.subject(), apikeys.PerMinute(1000)
	writers := []uuid.UUID{f.id(), f.id(), f.id(), f.id()}
	var granted atomic.Int64
	f.together(workers, func(w int) error {
		for j := range each {
			ctx, cancel := context.WithTimeout(f.Context(), time.Duration(j*j*(w+1))*40*time.Microsecond)
			grants, err := f.store.TakeLeases(ctx, []apikeys.LeaseRequest{lease(s, epoch, 1, limit)})
			if err == nil {
				granted.Add(grants[0].Parts[0].Granted)
			}
			b := batch(writers[w], int64(j+1), used(k, 1, epoch))
			_ = f.store.AddUsage(ctx, b) // whatever came of it
			cancel()
			if err := f.store.AddUsage(f.Context(), b); err != nil {
				return err
			}
		}
		return nil
	})
	f.wantUse("batches that were sent again", k.ID, workers*each, epoch)
	if got := f.used(s, epoch, limit); got < granted.Load() || got > workers*each {
		f.Fatalf("used of the window: got %d, want at least the %d that were granted and at most %d", got, granted.Load(), workers*each)
	}
}
