package usage_test

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys/internal/usage"
)

// keyOf returns a key that differs in its last bytes, as random ones do.
func keyOf(n int) (key [16]byte) {
	binary.BigEndian.PutUint64(key[8:], uint64(n))
	return key
}

func discard(context.Context, usage.Batch) error { return nil }

func benchRecorder(b *testing.B, keys int) (*usage.Recorder, []*usage.Counter) {
	r := usage.New(usage.Options{Send: discard, MaxPending: 1 << 20, Outcomes: []string{"quota_exceeded"}})
	b.Cleanup(func() { _ = r.Close(context.Background()) })
	counters := make([]*usage.Counter, keys)
	for i := range counters {
		counters[i] = r.Counter(keyOf(i), 1)
	}
	return r, counters
}

func BenchmarkAccept(b *testing.B) {
	_, counters := benchRecorder(b, 1)
	c, at := counters[0], time.Now()
	b.ReportAllocs()
	for b.Loop() {
		c.Accept(at)
		at = at.Add(time.Microsecond)
	}
}

func BenchmarkAcceptParallelHot(b *testing.B) {
	_, counters := benchRecorder(b, 1)
	c := counters[0]
	b.ReportAllocs()
	b.SetParallelism(4) // 8 goroutines on two cores
	b.RunParallel(func(pb *testing.PB) {
		at := time.Now()
		for pb.Next() {
			c.Accept(at)
			at = at.Add(time.Microsecond)
		}
	})
}

func BenchmarkAcceptParallelSpread(b *testing.B) {
	_, counters := benchRecorder(b, 10_000)
	var start atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		at, i := time.Now(), int(start.Add(1))*1237
		for pb.Next() {
			counters[i%len(counters)].Accept(at)
			i++
		}
	})
}

func BenchmarkRefuse(b *testing.B) {
	_, counters := benchRecorder(b, 1)
	c, at := counters[0], time.Now()
	b.ReportAllocs()
	for b.Loop() {
		c.Refuse("quota_exceeded", at)
	}
}

// What one interval costs with 10,000 keys in use: the first use of each, and the
// flush.
func BenchmarkFlush10000(b *testing.B) {
	r, counters := benchRecorder(b, 10_000)
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range counters {
			c.Accept(at)
		}
		if err := r.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/counter")
}

// What a caller of AcceptNow pays beside the send.
func BenchmarkAcceptNow(b *testing.B) {
	_, counters := benchRecorder(b, 1)
	b.ReportAllocs()
	at := time.Now()
	for b.Loop() {
		if err := counters[0].AcceptNow(b.Context(), at); err != nil {
			b.Fatal(err)
		}
	}
}
