package coalesce_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys/internal/coalesce"
)

// Many callers, some of whom give up: every answer is the caller's own and of a call
// that began after the question, calls are never more than may be, and nothing is left
// behind.
func TestManyCallers(t *testing.T) {
	t.Parallel()
	const most, callers, rounds, kinds = 3, 64, 200, 40
	type answer struct{ query, begun int64 }
	var clock, running, calls atomic.Int64
	group := coalesce.New(coalesce.Options[int64, answer]{Max: most, Batch: 8, Do: func(ctx context.Context, queries []int64) ([]answer, error) {
		begun := clock.Add(1)
		if n := running.Add(1); n > most {
			t.Errorf("%d calls at once, want %d at most", n, most)
		}
		defer running.Add(-1)
		seen := map[int64]bool{}
		answers := make([]answer, len(queries))
		for i, q := range queries {
			if seen[q] {
				t.Errorf("query %d twice in one call", q)
			}
			seen[q] = true
			answers[i] = answer{q, begun}
		}
		if calls.Add(1)%5 == 0 && len(queries) > 1 {
			return nil, errBad
		}
		time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
		return answers, ctx.Err()
	}})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range rounds {
				ctx, cancel := context.WithCancel(t.Context())
				if rand.IntN(4) == 0 {
					time.AfterFunc(time.Duration(rand.IntN(200))*time.Microsecond, cancel)
				}
				query, asked := rand.Int64N(kinds), clock.Add(1)
				got, err := group.Do(ctx, query)
				switch {
				case err == nil && (got.query != query || got.begun < asked):
					t.Errorf("asked %d at %d, got %+v", query, asked, got)
				case err != nil && !errors.Is(err, context.Canceled) && ctx.Err() == nil:
					t.Errorf("got error %v, want none", err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	// All that may be under way at once still may.
	held, release := make(chan struct{}, most), make(chan struct{})
	idle := coalesce.New(coalesce.Options[int64, answer]{Max: most, Do: func(context.Context, []int64) ([]answer, error) {
		held <- struct{}{}
		<-release
		return make([]answer, 1), nil
	}})
	coalesce.Swap(group, idle)
	for i := range int64(most) {
		wg.Go(func() { _, _ = group.Do(t.Context(), i) })
	}
	for range most {
		<-held
	}
	close(release)
	wg.Wait()
}

func BenchmarkDo(b *testing.B) {
	group := coalesce.New(coalesce.Options[int, int]{Do: func(_ context.Context, queries []int) ([]int, error) { return queries, nil }})
	b.ReportAllocs()
	for b.Loop() {
		_, _ = group.Do(b.Context(), 1)
	}
}
