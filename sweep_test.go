package apikeys_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/memstore"
)

const secretOfTests = "7d1f3c9be45a97288dd1f0a2c6b79e5436fa08e1d2c3b4957a6e8f10bc2d4e00"

// sweeping counts sweeps, and may fail or panic.
type sweeping struct {
	apikeys.Store
	calls atomic.Int64
	do    func(n int64) (int, error)
}

func (s *sweeping) Sweep(ctx context.Context, p apikeys.SweepParams) (int, error) {
	n := s.calls.Add(1)
	if s.do != nil {
		return s.do(n)
	}
	return s.Store.Sweep(ctx, p)
}

func sweepingClient(t *testing.T, s *sweeping, configure func(*apikeys.Config)) *apikeys.Client {
	t.Helper()
	s.Store = memstore.New()
	config := apikeys.Config{SigningSecret: apikeys.NewSecret(secretOfTests), UsageFlushInterval: 1000 * time.Hour}
	if configure != nil {
		configure(&config)
	}
	return must(apikeys.New(t.Context(), s, config))(t)
}

// A client sweeps about once an hour, at no fixed time, until it is closed.
func TestSweepsInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sweeping{}
		c := sweepingClient(t, s, nil)
		time.Sleep(29 * time.Minute)
		synctest.Wait()
		if got := s.calls.Load(); got != 0 {
			t.Errorf("in the first 29 minutes: got %d sweeps, want none", got)
		}
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		const kinds = 5
		if got := s.calls.Load() / kinds; got < 66 || got > 200 {
			t.Errorf("in 100 hours: got %d sweeps, want about 100", got)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := s.calls.Load()
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		if s.calls.Load() != before {
			t.Error("a closed client sweeps")
		}
	})
}

// What goes wrong in a sweep ends that sweep, and nothing else.
func TestSweepingSurvivesFaultsAndPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sweeping{do: func(n int64) (int, error) {
			if n%2 == 0 {
				panic("a store's")
			}
			return 0, apikeys.ErrUnavailable
		}}
		c := sweepingClient(t, s, nil)
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		if got := s.calls.Load(); got < 6 {
			t.Errorf("in 10 hours: got %d sweeps, want about 10", got)
		}
		must(c.CreateOrganization(t.Context(), "Acme"))(t)
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// Close ends a sweep that has much to do, and does not wait for the end of it.
func TestCloseEndsASweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sweeping{do: func(int64) (int, error) { return 1000, nil }}
		c := sweepingClient(t, s, nil)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if c.Stats().Swept != 0 || s.calls.Load() < 100 {
			t.Fatalf("got %d chunks, want a sweep that has not ended", s.calls.Load())
		}
		begin := time.Now()
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("Close took %s", took)
		}
	})
}

func TestSweepWhenToldTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sweeping{}
		c := sweepingClient(t, s, func(c *apikeys.Config) { c.SweepInterval, c.EventRetention, c.UsageRetention = -1, -1, -1 })
		must(c.CreateOrganization(t.Context(), "Acme"))(t)
		time.Sleep(1000 * 24 * time.Hour)
		synctest.Wait()
		if got := s.calls.Load(); got != 0 {
			t.Errorf("got %d sweeps, want none", got)
		}
		must(c.Sweep(t.Context()))(t)
		if got := s.calls.Load(); got != 3 {
			t.Errorf("got %d kinds swept, want windows, changes and writers", got)
		}
		if got := must(c.ListEvents(t.Context(), apikeys.EventFilter{}, apikeys.ListOptions{}))(t); len(got.Items) != 1 {
			t.Errorf("got %d events, want the one that is kept for ever", len(got.Items))
		}
		view := c.Scoped(apikeys.Scope{OrganizationID: must(c.CreateOrganization(t.Context(), "b"))(t).ID})
		_, err := view.Sweep(t.Context())
		wantIs(t, err, apikeys.ErrInvalidArgument)
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRetentionOfLessThanADayIsRefused(t *testing.T) {
	t.Parallel()
	for field, config := range map[string]apikeys.Config{
		"EventRetention": {EventRetention: 23 * time.Hour}, "UsageRetention": {UsageRetention: time.Nanosecond},
	} {
		config.SigningSecret = apikeys.NewSecret(secretOfTests)
		_, err := apikeys.New(t.Context(), memstore.New(), config)
		if fault := wantErr[*apikeys.InvalidArgumentError](t, err, apikeys.ErrInvalidArgument); fault.Field != field {
			t.Errorf("got field %s, want %s", fault.Field, field)
		}
	}
}

// A clock of this process that is ahead of the database's removes nothing early, and
// neither does one of the database's that is ahead of this process's.
func TestSweepGoesByTheClockThatIsBehind(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{1000 * 24 * time.Hour, -1000 * 24 * time.Hour, 0} {
		s := &recorder{Store: memstore.New(), ahead: ahead}
		c := must(apikeys.New(t.Context(), s, apikeys.Config{SigningSecret: apikeys.NewSecret(secretOfTests), SweepInterval: -1}))(t)
		must(c.Sweep(t.Context()))(t)
		if latest := time.Now().Add(min(ahead, 0) - 24*time.Hour); s.windows.After(latest) || s.windows.Before(latest.Add(-time.Minute)) {
			t.Errorf("a database that is %s ahead: got windows before %s swept, want %s", ahead, s.windows, latest)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// recorder is a store whose clock is ahead, and that notes what it is to sweep.
type recorder struct {
	apikeys.Store
	ahead   time.Duration
	windows time.Time
}

func (r *recorder) Changes(ctx context.Context, since apikeys.ChangeMark) (apikeys.ChangeSet, error) {
	set, err := r.Store.Changes(ctx, since)
	set.Now = set.Now.Add(r.ahead)
	return set, err
}

func (r *recorder) Sweep(_ context.Context, p apikeys.SweepParams) (int, error) {
	if !p.WindowsBefore.IsZero() {
		r.windows = p.WindowsBefore
	}
	return 0, nil
}

// ownStore is somebody's store that was written before there was Admit.
type ownStore struct {
	apikeys.UnimplementedStore
	s apikeys.Store
}

func (o ownStore) EnsureSettings(ctx context.Context, r apikeys.SettingsRecord) (apikeys.SettingsRecord, error) {
	return o.s.EnsureSettings(ctx, r)
}

func (o ownStore) Changes(ctx context.Context, since apikeys.ChangeMark) (apikeys.ChangeSet, error) {
	return o.s.Changes(ctx, since)
}

func (o ownStore) Sweep(ctx context.Context, p apikeys.SweepParams) (int, error) {
	return o.s.Sweep(ctx, p)
}

// A store that notes no uses has none that a sweep could fail to add up.
func TestSweepOfAStoreThatNotesNoUses(t *testing.T) {
	t.Parallel()
	c := must(apikeys.New(t.Context(), ownStore{s: memstore.New()}, apikeys.Config{
		SigningSecret: apikeys.NewSecret(secretOfTests), SweepInterval: -1,
	}))(t)
	if _, err := c.Sweep(t.Context()); err != nil {
		t.Errorf("got error %v, want none", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
