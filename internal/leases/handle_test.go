package leases_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

func handleOf(s *leases.Subject) *leases.Handle {
	h := &leases.Handle{}
	h.Init(s)
	return h
}

// Those with a handle and those without count the same, while leases are replaced all
// the time.
func TestHandlesAndSubjectsAdmitExactlyTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 3001
	l := start(t, fixed().options())
	var admitted, held atomic.Int64
	var wg sync.WaitGroup
	shared := handleOf(l.Subject(subjectID(7), []leases.Limit{perDay(limit)}))
	for g := range 12 {
		wg.Go(func() {
			charge := []func(ctx, int64, time.Time) (leases.Decision, error){
				shared.Charge, handleOf(shared.Subject()).Charge, shared.Subject().Charge,
			}[g%3]
			for {
				d, err := charge(t.Context(), 1, time.Now())
				if err != nil {
					t.Error(err)
				}
				if !d.Allowed {
					if d.Held {
						held.Add(1)
					}
					return
				}
				admitted.Add(1)
			}
		})
	}
	wg.Wait()
	if got := admitted.Load(); got != limit {
		t.Errorf("admitted: got %d, want %d", got, limit)
	}
	if refused := l.Stats().Refused; refused+held.Load() != 12 {
		t.Errorf("refused from memory: got %d counted and %d for others to count, want 12", refused, held.Load())
	}
}

// A handle that has a lease at hand is of no more use after Close than any other way,
// and what it had was given back.
func TestCloseTakesWhatAHandleHas(t *testing.T) {
	t.Parallel()
	store := fixed()
	l := leases.New(store.options())
	h := handleOf(l.Subject(subjectID(1), []leases.Limit{perDay(100_000)}))
	for range 10 {
		if _, err := h.Charge(t.Context(), 1, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	var d leases.Decision
	if !h.TryInto(1, time.Now(), &d) || !d.Allowed {
		t.Fatal("nothing at hand")
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Charge(t.Context(), 1, time.Now()); !errors.Is(err, leases.ErrClosed) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
	if got := store.used(subjectID(1), 24*time.Hour); got != 11 {
		t.Errorf("used: got %d, want the 11 that were charged", got)
	}
}

// A window that is over is over for handles, too.
func TestAHandleDoesNotOutliveItsWindow(t *testing.T) {
	t.Parallel()
	store := fixed()
	l := start(t, store.options())
	h := handleOf(l.Subject(subjectID(1), []leases.Limit{perDay(100_000)}))
	now := time.Now()
	for range 10 {
		if _, err := h.Charge(t.Context(), 1, now); err != nil {
			t.Fatal(err)
		}
	}
	var d leases.Decision
	if !h.TryInto(1, now, &d) || h.TryInto(1, now.Add(12*time.Hour), &d) || h.TryInto(1, setWall(now, 13*3600), &d) {
		t.Error("want a decision from memory only before the end of the day")
	}
}
