package leases_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

const plenty = 1 << 50

// warm returns subjects that hold leases for longer than a benchmark lasts.
func warm(b *testing.B, n int, limits ...leases.Limit) []*leases.Subject {
	store := newFakeStore(time.Now)
	l := leases.New(store.options())
	b.Cleanup(func() { _ = l.Close(b.Context()) })
	subjects := make([]*leases.Subject, n)
	for i := range subjects {
		subjects[i] = l.Subject(subjectID(i), limits)
		for range 40 {
			if _, err := subjects[i].Charge(b.Context(), plenty>>20, time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	}
	return subjects
}

func BenchmarkCharge(b *testing.B) {
	for name, limits := range map[string][]leases.Limit{
		"1limit":  {perDay(plenty)},
		"2limits": {perHour(plenty), perDay(plenty)},
	} {
		b.Run(name, func(b *testing.B) {
			s := warm(b, 1, limits...)[0]
			now, ctx := time.Now(), b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if d, err := s.Charge(ctx, 1, now); err != nil || !d.Allowed {
					b.Fatal(d.Allowed, err)
				}
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			s := warm(b, 1, limits...)[0]
			now, ctx := time.Now(), b.Context()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if d, err := s.Charge(ctx, 1, now); err != nil || !d.Allowed {
						b.Error(d.Allowed, err)
					}
				}
			})
		})
	}
}

func BenchmarkCharge10kSubjects(b *testing.B) {
	subjects := warm(b, 10_000, perDay(plenty))
	now, ctx := time.Now(), b.Context()
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i = i*1664525 + 1013904223
		if d, err := subjects[(i>>8)%10_000].Charge(ctx, 1, now); err != nil || !d.Allowed {
			b.Fatal(d.Allowed, err)
		}
	}
}

func BenchmarkRefuseFull(b *testing.B) {
	for name, limits := range map[string][]leases.Limit{
		"1limit":  {perDay(1)},
		"2limits": {perHour(1), perDay(plenty)},
	} {
		b.Run(name, func(b *testing.B) {
			l := leases.New(newFakeStore(time.Now).options())
			s := l.Subject(subjectID(1), limits)
			now, ctx := time.Now(), b.Context()
			for range 2 {
				if _, err := s.Charge(ctx, 1, now); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if d, err := s.Charge(ctx, 1, now); err != nil || d.Allowed {
					b.Fatal(d.Allowed, err)
				}
			}
		})
	}
}

// BenchmarkReference is what the others are to be compared with: an atomic load
// and a compare-and-swap.
func BenchmarkReference(b *testing.B) {
	var n atomic.Int64
	n.Store(plenty)
	b.ReportAllocs()
	for b.Loop() {
		if old := n.Load(); !n.CompareAndSwap(old, old-1) {
			b.Fatal("somebody else writes")
		}
	}
}
