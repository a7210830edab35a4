package leases_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is far from the end of any day.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// manual is a clock that is set by hand.
type manual struct{ t time.Time }

func (m *manual) now() time.Time          { return m.t }
func (m *manual) advance(d time.Duration) { m.t = m.t.Add(d) }

// injected returns a limiter whose windows follow the clock.
func injected(t testing.TB, store *fakeStore, clock *manual) *leases.Limiter {
	opts := store.options()
	opts.Now, opts.Injected = clock.now, true
	return start(t, opts)
}

// start returns a limiter that is closed at the end of the test.
func start(t testing.TB, opts leases.Options) *leases.Limiter {
	l := leases.New(opts)
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Errorf("Close: got %v, want no error", err)
		}
	})
	return l
}

func charge(t testing.TB, s *leases.Subject, cost int64, now time.Time) leases.Decision {
	t.Helper()
	d, err := s.Charge(t.Context(), cost, now)
	if err != nil {
		t.Fatalf("Charge(%d): got error %v, want a decision", cost, err)
	}
	return d
}

// drain charges until it is refused and returns how much was admitted.
func drain(t testing.TB, s *leases.Subject, cost int64, now time.Time) (admitted int64) {
	t.Helper()
	for charge(t, s, cost, now).Allowed {
		admitted += cost
	}
	return admitted
}

type ctx = context.Context

// pause waits for d, or for the end of ctx.
func pause(ctx ctx, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
