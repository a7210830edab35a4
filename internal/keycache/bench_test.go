package keycache_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

// record is as large as what is remembered of a key.
type record [400]byte

const benchKeys = 10_000

// freshLooker vouches for an hour.
func freshLooker(b *testing.B) *keycache.Looker {
	b.Helper()
	l := keycache.NewLooker(keycache.Options{
		Delay: time.Hour,
		Look: func(context.Context, keycache.Mark) (keycache.ChangeSet, error) {
			return keycache.ChangeSet{}, nil
		},
		Drop: func([]keycache.Change) {},
	})
	b.Cleanup(l.Close)
	if err := l.Ensure(b.Context(), keycache.Now()); err != nil {
		b.Fatal(err)
	}
	return l
}

func filled(b *testing.B, keys int) (*keycache.Cache[record], [][32]byte) {
	b.Helper()
	c := keycache.New[record](freshLooker(b), 100_000)
	hashes := make([][32]byte, keys)
	for i := range hashes {
		hashes[i] = hashOf(i)
		c.Put(c.Begin(), hashes[i], &keycache.Entry[record]{Key: idOf(i)})
	}
	return c, hashes
}

func hashOf(i int) [32]byte { return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))) }

func idOf(i int) [16]byte {
	h := hashOf(i)
	return [16]byte(h[:16])
}

// locked is what the cache is compared with.
type locked struct {
	mu sync.RWMutex
	m  map[[32]byte]*keycache.Entry[record]
}

func (l *locked) get(hash [32]byte) *keycache.Entry[record] {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.m[hash]
}

func filledMap(keys int) (*locked, [][32]byte) {
	l := &locked{m: make(map[[32]byte]*keycache.Entry[record])}
	hashes := make([][32]byte, keys)
	for i := range hashes {
		hashes[i] = hashOf(i)
		l.m[hashes[i]] = &keycache.Entry[record]{}
	}
	return l, hashes
}

// usable reads what was found, as every caller does.
func usable(e *keycache.Entry[record]) bool { return e != nil && e.Value[0] == 0 }

// each runs a lookup on one goroutine and on all, of a hot key and of many.
func each(b *testing.B, open func(b *testing.B, keys int) (get func(hash [32]byte) bool, hashes [][32]byte)) {
	for _, keys := range []int{1, benchKeys} {
		b.Run(fmt.Sprintf("keys=%d/g=1", keys), func(b *testing.B) {
			get, hashes := open(b, keys)
			b.ReportAllocs()
			i := uint32(0)
			for b.Loop() {
				i = i*1664525 + 1013904223
				if !get(hashes[int(i>>8)%keys]) {
					b.Fatal("missed")
				}
			}
		})
		b.Run(fmt.Sprintf("keys=%d/parallel", keys), func(b *testing.B) {
			get, hashes := open(b, keys)
			b.ReportAllocs()
			var seed atomic.Uint32
			b.RunParallel(func(pb *testing.PB) {
				i := seed.Add(7919)
				for pb.Next() {
					i = i*1664525 + 1013904223
					if !get(hashes[int(i>>8)%keys]) {
						b.Error("missed")
					}
				}
			})
		})
	}
}

func BenchmarkMapRWMutex(b *testing.B) {
	each(b, func(_ *testing.B, keys int) (func([32]byte) bool, [][32]byte) {
		m, hashes := filledMap(keys)
		return func(hash [32]byte) bool { return usable(m.get(hash)) }, hashes
	})
}

// BenchmarkGet is the table alone.
func BenchmarkGet(b *testing.B) {
	each(b, func(b *testing.B, keys int) (func([32]byte) bool, [][32]byte) {
		c, hashes := filled(b, keys)
		now := keycache.Now()
		return func(hash [32]byte) bool { return usable(c.Get(now, hash)) }, hashes
	})
}

// BenchmarkLookup is freshness, table and count, without the clock.
func BenchmarkLookup(b *testing.B) {
	each(b, func(b *testing.B, keys int) (func([32]byte) bool, [][32]byte) {
		c, hashes := filled(b, keys)
		var now atomic.Int64
		return func(hash [32]byte) bool {
			return usable(c.Lookup(keycache.Instant{Mono: now.Load()}, &hash))
		}, hashes
	})
}

// BenchmarkLookupNow reads the clock as well.
func BenchmarkLookupNow(b *testing.B) {
	each(b, func(b *testing.B, keys int) (func([32]byte) bool, [][32]byte) {
		c, hashes := filled(b, keys)
		return func(hash [32]byte) bool { return usable(c.Lookup(keycache.Now(), &hash)) }, hashes
	})
}

func BenchmarkFresh(b *testing.B) {
	l := freshLooker(b)
	now := keycache.Now()
	b.ReportAllocs()
	for b.Loop() {
		if !l.Fresh(now) {
			b.Fatal("stale")
		}
	}
}

func BenchmarkNow(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = keycache.Now()
	}
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("full=%d", size), func(b *testing.B) {
			c := keycache.New[record](freshLooker(b), size)
			i := 0
			put := func() {
				var hash [32]byte
				binary.LittleEndian.PutUint64(hash[8:], uint64(i)*0x9E3779B97F4A7C15)
				binary.LittleEndian.PutUint64(hash[24:], uint64(i)*0xD1342543DE82EF95)
				c.Put(c.Begin(), hash, &keycache.Entry[record]{Key: [16]byte(hash[8:24])})
				i++
			}
			for range 2 * size {
				put()
			}
			b.ReportAllocs()
			for b.Loop() {
				put()
			}
		})
	}
}

func BenchmarkDrop(b *testing.B) {
	c, _ := filled(b, 100_000)
	b.Run("key", func(b *testing.B) {
		for b.Loop() {
			c.DropKey([16]byte{1})
		}
	})
	b.Run("organization", func(b *testing.B) {
		for b.Loop() {
			c.DropOrganization([16]byte{1})
		}
	})
}

// BenchmarkRequest is the cached request path: what the map version does is the
// least there can be (a MAC, a map, a counter), and it never notices a change.
func BenchmarkRequest(b *testing.B) {
	macs := sync.Pool{New: func() any { return &mac{h: hmac.New(sha256.New, make([]byte, 32))} }}
	texts := make([][]byte, benchKeys)
	for i := range texts {
		texts[i] = fmt.Appendf(nil, "sk_%048d", i)
	}
	sum := func(text []byte) [32]byte {
		m := macs.Get().(*mac)
		defer macs.Put(m)
		m.h.Reset()
		m.h.Write(text)
		m.h.Sum(m.out[:0])
		return m.out
	}
	for _, keys := range []int{1, benchKeys} {
		uses := make([]struct {
			atomic.Int64
			_ [56]byte
		}, keys)
		use := func(i int) {
			n := uses[i].Load()
			for !uses[i].CompareAndSwap(n, n+1) {
				n = uses[i].Load()
			}
		}
		run := func(name string, get func(hash [32]byte) bool) {
			b.Run(fmt.Sprintf("keys=%d/%s", keys, name), func(b *testing.B) {
				b.ReportAllocs()
				n := uint32(0)
				for b.Loop() {
					n = n*1664525 + 1013904223
					i := int(n>>8) % keys
					if !get(sum(texts[i])) {
						b.Fatal("missed")
					}
					use(i)
				}
			})
		}
		m := &locked{m: make(map[[32]byte]*keycache.Entry[record])}
		c := keycache.New[record](freshLooker(b), 100_000)
		for i := range keys {
			h := sum(texts[i])
			m.m[h] = &keycache.Entry[record]{}
			c.Put(c.Begin(), h, &keycache.Entry[record]{Key: idOf(i)})
		}
		run("mac", func([32]byte) bool { return true })
		run("map", func(hash [32]byte) bool { return usable(m.get(hash)) })
		run("cache", func(hash [32]byte) bool { return usable(c.Lookup(keycache.Now(), &hash)) })
	}
}

type mac struct {
	h interface {
		Reset()
		Write([]byte) (int, error)
		Sum([]byte) []byte
	}
	out [32]byte
}
