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
	l := start(b, newFakeStore(time.Now).options())
	subjects := make([]*leases.Subject, n)
	for i := range subjects {
		subjects[i] = l.Subject(subjectID(i), limits)
		for range 40 {
			charge(b, subjects[i], plenty>>20, time.Now())
		}
	}
	return subjects
}

var benchLimits = []struct {
	name   string
	limits []leases.Limit
}{
	{"1limit", []leases.Limit{perDay(plenty)}},
	{"2limits", []leases.Limit{perHour(plenty), perDay(plenty)}},
}

func BenchmarkCharge(b *testing.B) {
	for _, bc := range benchLimits {
		b.Run(bc.name, func(b *testing.B) {
			s := warm(b, 1, bc.limits...)[0]
			now, ctx := time.Now(), b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if d, err := s.Charge(ctx, 1, now); err != nil || !d.Allowed {
					b.Fatal(d.Allowed, err)
				}
			}
		})
		b.Run(bc.name+"/into", func(b *testing.B) {
			s := warm(b, 1, bc.limits...)[0]
			now := time.Now()
			var d leases.Decision
			b.ReportAllocs()
			for b.Loop() {
				if !s.TryInto(1, now, &d) || !d.Allowed {
					b.Fatal(d.Allowed)
				}
			}
		})
		b.Run(bc.name+"/parallel", func(b *testing.B) {
			s := warm(b, 1, bc.limits...)[0]
			now := time.Now()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var d leases.Decision
				for pb.Next() {
					if !s.TryInto(1, now, &d) || !d.Allowed {
						b.Error(d.Allowed)
					}
				}
			})
		})
	}
}

func BenchmarkCharge10kSubjects(b *testing.B) {
	subjects := warm(b, 10_000, perDay(plenty))
	now := time.Now()
	var d leases.Decision
	random := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		random = random*1664525 + 1013904223
		if !subjects[(random>>8)%10_000].TryInto(1, now, &d) || !d.Allowed {
			b.Fatal(d.Allowed)
		}
	}
}

// BenchmarkSubject is what it costs those who do not keep the handle.
func BenchmarkSubject(b *testing.B) {
	l := start(b, newFakeStore(time.Now).options())
	limits := []leases.Limit{perDay(plenty)}
	for i := range 10_000 {
		charge(b, l.Subject(subjectID(i), limits), 1, time.Now())
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		l.Subject(subjectID(i), limits)
		i = (i + 7919) % 10_000
	}
}

func BenchmarkRefuseFull(b *testing.B) {
	for name, limits := range map[string][]leases.Limit{
		"1limit":  {perDay(1)},
		"2limits": {perHour(1), perDay(plenty)},
	} {
		b.Run(name, func(b *testing.B) {
			s := start(b, newFakeStore(time.Now).options()).Subject(subjectID(1), limits)
			now := time.Now()
			drain(b, s, 1, now)
			var d leases.Decision
			b.ReportAllocs()
			for b.Loop() {
				if !s.TryInto(1, now, &d) || d.Allowed {
					b.Fatal(d.Allowed)
				}
			}
		})
	}
}

// BenchmarkAsk is a charge that needs a lease, of a store that answers at once.
func BenchmarkAsk(b *testing.B) {
	now := noon
	take := func(_ ctx, requests []leases.Request) ([]leases.Grant, error) {
		part := leases.Granted{Start: now, Granted: requests[0].Parts[0].Want, Used: 1}
		return []leases.Grant{{Now: now, Parts: []leases.Granted{part}}}, nil
	}
	s := start(b, leases.Options{Take: take, Injected: true}).Subject(subjectID(1), []leases.Limit{perSecond(5)})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		if d, err := s.Charge(ctx, 1, now); err != nil || !d.Allowed {
			b.Fatal(d.Allowed, err)
		}
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
