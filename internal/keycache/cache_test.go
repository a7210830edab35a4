package keycache_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

func TestLookupFindsWhatWasPut(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	key := idOf(1)
	r.mustLook()
	r.mustLookup(key, -1)
	r.mustFind(key, 0)
	r.mustLookup(key, 0)
	r.mustFind(key, 0)
	got := r.cache.Stats()
	want := keycache.Stats{Entries: 1, Hits: 1, Misses: 1, Loads: 1, Drops: got.Drops}
	if got != want {
		t.Errorf("Stats: got %+v, want %+v", got, want)
	}
}

func TestDropFindsEveryHashOfAKey(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		drop func(c *keycache.Cache[int])
		left []int
	}{
		"nothing":              {func(c *keycache.Cache[int]) { c.DropKey(idOf(99)) }, []int{0, 1, 2, 3, 4, 5}},
		"a key":                {func(c *keycache.Cache[int]) { c.DropKey(idOf(1)) }, []int{0, 2, 3, 4, 5}},
		"a key of two secrets": {func(c *keycache.Cache[int]) { c.DropKey(idOf(3)) }, []int{0, 1, 2, 5}},
		"an organization":      {func(c *keycache.Cache[int]) { c.DropOrganization(idOf(101)) }, []int{0, 2, 4}},
		"everything":           {func(c *keycache.Cache[int]) { c.DropAll() }, nil},
		"of an unknown kind":   {func(c *keycache.Cache[int]) { c.Drop(keycache.Change{Kind: 77}) }, nil},
		"no key's":             {func(c *keycache.Cache[int]) { c.DropKey([16]byte{}) }, []int{0, 1, 2, 3, 4, 5}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size := 10_000 // several stripes
			if name == "a key of two secrets" {
				size = 100 // one, for both
			}
			c := keycache.New[int](idle(), size)
			for i := range 6 {
				key := i
				if i == 4 {
					key = 3 // a second secret of that key
				}
				c.Put(c.Begin(), hashOf(i), &keycache.Entry[int]{Key: idOf(key), Organization: idOf(100 + i%2), Value: i})
			}
			test.drop(c)
			var left []int
			for i := range 6 {
				if c.Get(keycache.Instant{}, hashOf(i)) != nil {
					left = append(left, i)
				}
			}
			if fmt.Sprint(left) != fmt.Sprint(test.left) {
				t.Errorf("left: got %v, want %v", left, test.left)
			}
		})
	}
}

// An entry dies after 5 min ± 10 %, whatever the looks say, on either clock.
func TestEntriesDie(t *testing.T) {
	t.Parallel()
	const entries = 2000
	for name, mono := range map[string]bool{"on the monotonic clock": true, "on the wall clock": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			r := newRig(t, func(o *keycache.Options) { o.Now = clk.now })
			c := keycache.New[int](r.looker, 2*entries)
			for i := range entries {
				c.Put(c.Begin(), hashOf(i), &keycache.Entry[int]{Key: idOf(i)})
			}
			alive := func(after time.Duration) int {
				at := clk.now()
				if mono {
					at.Mono += int64(after)
				} else {
					at.Wall += int64(after)
				}
				n := 0
				for i := range entries {
					if c.Get(at, hashOf(i)) != nil {
						n++
					}
				}
				return n
			}
			all := alive(0)
			if got := alive(269 * time.Second); got != all {
				t.Errorf("after 269 s: got %d alive, want all %d", got, all)
			}
			if got := alive(300 * time.Second); got < all*4/10 || got > all*6/10 {
				t.Errorf("after 300 s: got %d alive of %d, want about half", got, all)
			}
			if got := alive(331 * time.Second); got != 0 {
				t.Errorf("after 331 s: got %d alive, want none", got)
			}
		})
	}
}

// What is dead is loaded again, once for all.
func TestDeadEntryIsLoadedAgain(t *testing.T) {
	t.Parallel()
	clk := newClock()
	r := newRig(t, func(o *keycache.Options) { o.Now = clk.now })
	key := idOf(1)
	r.mustFind(key, 0)
	r.db.set(func(d *database) { d.versions[key] = 1 }) // by hand: no change is written
	clk.pass(4 * time.Minute)
	r.mustFind(key, 0)
	clk.pass(2 * time.Minute)
	r.mustFind(key, 1)
	r.mustLookup(key, 1)
	if got := r.cache.Stats().Entries; got != 1 {
		t.Errorf("got %d entries, want 1", got)
	}
}

func TestSizeIsABound(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 7, 8, 100, 1024, 3000, 5001} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			c := keycache.New[int](idle(), size)
			for i := range 3*size + 10 {
				c.Put(c.Begin(), hashOf(i), &keycache.Entry[int]{Key: idOf(i), Value: i})
				if got := c.Get(keycache.Instant{}, hashOf(i)); got == nil || got.Value != i {
					t.Fatalf("entry %d is not there just after Put", i)
				}
			}
			s := c.Stats()
			if s.Entries > size || s.Entries < size*9/10 {
				t.Errorf("got %d entries, want at most %d and not many less", s.Entries, size)
			}
			if want := int64(3*size + 10 - s.Entries); s.Evicted != want {
				t.Errorf("got %d evicted, want %d", s.Evicted, want)
			}
		})
	}
}

// Whatever happens, an entry that is found is the one that was put last, and
// nothing that concerns it was dropped since.
func TestTableAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{1, 3, 20, 5000}).Draw(t, "size")
		c := keycache.New[int](idle(), size)
		type row struct{ key, org, value int }
		model := make(map[int]row)
		small := rapid.IntRange(0, 40)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				i := small.Draw(t, "hash")
				row := row{key: i % 6, org: i % 5, value: small.Draw(t, "value")}
				c.Put(c.Begin(), hashOf(i), &keycache.Entry[int]{Key: idOf(row.key), Organization: idOf(100 + row.org), Value: row.value})
				model[i] = row
			},
			"drop key": func(t *rapid.T) {
				key := small.Draw(t, "key") % 6
				c.DropKey(idOf(key))
				forget(model, func(r row) bool { return r.key == key })
			},
			"drop organization": func(t *rapid.T) {
				org := small.Draw(t, "organization") % 5
				c.DropOrganization(idOf(100 + org))
				forget(model, func(r row) bool { return r.org == org })
			},
			"": func(t *rapid.T) {
				found := 0
				for i := range 41 {
					e := c.Get(keycache.Instant{}, hashOf(i))
					if e == nil {
						continue
					}
					found++
					if row, ok := model[i]; !ok || row.value != e.Value {
						t.Fatalf("hash %d: got %d, want %v (there: %v)", i, e.Value, row.value, ok)
					}
				}
				if got := c.Stats().Entries; got != found || got > size {
					t.Fatalf("got %d entries counted, %d found, want the same, at most %d", got, found, size)
				}
				if size == 5000 && found != len(model) {
					t.Fatalf("got %d found, want %d", found, len(model))
				}
			},
		})
	})
}

func forget[K comparable, V any](m map[K]V, which func(V) bool) {
	for k, v := range m {
		if which(v) {
			delete(m, k)
		}
	}
}

func TestEntriesPrintNothing(t *testing.T) {
	t.Parallel()
	c := keycache.New[string](idle(), 1)
	c.Put(c.Begin(), hashOf(1), &keycache.Entry[string]{Value: "secret"})
	e := c.Get(keycache.Instant{}, hashOf(1))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, e); got != "[entry]" {
			t.Errorf("%s: got %d characters, want [entry]", verb, len(got))
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	r := newRig(t, nil)
	key := idOf(1)
	r.mustFind(key, 0)
	hash := hashFor(key)
	got := testing.AllocsPerRun(1000, func() {
		if r.cache.Lookup(keycache.Now(), &hash) == nil {
			r.mustFind(key, 0) // the machine is slow: a look was needed
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func TestMemory(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("fills the default size")
	}
	type value [500]byte
	before := heap()
	c := keycache.New[value](idle(), 0)
	for i := range 200_000 {
		var hash [32]byte
		binary.LittleEndian.PutUint64(hash[8:], uint64(i)*0x9E3779B97F4A7C15)
		binary.LittleEndian.PutUint64(hash[24:], uint64(i)*0xD1342543DE82EF95)
		c.Put(c.Begin(), hash, &keycache.Entry[value]{Key: [16]byte(hash[8:24])})
	}
	used, entries := heap()-before, c.Stats().Entries
	t.Logf("%d entries of 500 bytes: %.1f MB", entries, float64(used)/1e6)
	if entries < 95_000 || used > 90e6 {
		t.Errorf("got %d entries in %d bytes, want about 100,000 in less than 90 MB", entries, used)
	}
	runtime.KeepAlive(c)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
