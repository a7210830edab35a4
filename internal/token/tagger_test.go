package token_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/apikeys-platform/apikeys/internal/token"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// The tags were computed apart from this package:
//
//	python3 -c '
//	import hmac, hashlib, string
//	A = string.digits + string.ascii_uppercase + string.ascii_lowercase
//	for m in "sk_" + A[:43], "my_app_live_%043d" % 2846:
//	    d = hmac.new(bytes(range(32)), m.encode(), hashlib.sha256).digest()
//	    v, t = int.from_bytes(d[:8], "big") % 62**6, ""
//	    for _ in range(6): v, t = v // 62, A[v % 62] + t
//	    print(m, t)'
//
// The second one shows that small values keep their width.
func TestTagVectors(t *testing.T) {
	t.Parallel()
	key := make([]byte, token.ShieldLen)
	for i := range key {
		key[i] = byte(i)
	}
	tagger := newTagger(t, key)
	for name, s := range map[string]string{
		"sk":          "sk_" + alphabet[:43] + "ckpI3t",
		"my_app_live": "my_app_live_" + fmt.Sprintf("%043d", 2846) + "00fcQK",
	} {
		if !genuine(tagger, s, name) {
			t.Errorf("%s: refused", name)
		}
		if genuine(newTagger(t, shield(7)), s, name) {
			t.Errorf("%s: accepted under another shield key", name)
		}
	}
}

func TestAnyShieldKeyChecksAndTheFirstTags(t *testing.T) {
	t.Parallel()
	before, after := newTagger(t, shield(1)), newTagger(t, shield(2), shield(1))
	if old := before.New("sk"); !after.Check(old) {
		t.Error("key from before the shield key was replaced: refused")
	}
	if fresh := after.New("sk"); before.Check(fresh) || !newTagger(t, shield(2)).Check(fresh) {
		t.Error("new key: not tagged under the first shield key")
	}
	if newTagger(t, shield(3), shield(4)).Check(before.New("sk")) {
		t.Error("key under neither shield key: accepted")
	}
}

func TestCheckOfAnythingAtAll(t *testing.T) {
	t.Parallel()
	tagger := newTagger(t, shield(1), shield(2))
	for n := range 2 * token.MaxLen {
		if tagger.Check(strings.Repeat("0", n)) {
			t.Errorf("%d zeros: accepted", n)
		}
	}
}

func TestNewTaggerRefusesDamagedShieldKeys(t *testing.T) {
	t.Parallel()
	for name, shields := range map[string][][]byte{
		"none":      nil,
		"empty one": {{}},
		"short":     {shield(1), shield(2)[:31]},
		"long":      {append(shield(1), 0)},
	} {
		tagger, err := token.NewTagger(shields)
		if err == nil || tagger != nil {
			t.Errorf("%s: got %v, %v, want an error", name, tagger != nil, err)
		}
	}
}

func TestTaggerKeepsItsOwnShieldKeys(t *testing.T) {
	t.Parallel()
	key := shield(1)
	tagger := newTagger(t, key)
	clear(key)
	if !newTagger(t, shield(1)).Check(tagger.New("sk")) {
		t.Error("changing the caller's slice changed the tagger")
	}
}

func TestTaggerPrintsNoShieldKey(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdefghijklmnopqrstuv")
	tagger := newTagger(t, key)
	tagger.New("sk") // fill the pool
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		printed := fmt.Sprintf(verb, tagger)
		for _, form := range []string{"%s", "%x", "%X", "%d"} {
			if secret := strings.Trim(fmt.Sprintf(form, key[:8]), "[]"); strings.Contains(printed, secret) {
				t.Errorf("%s shows the shield key as %s", verb, form)
			}
		}
	}
}

func TestTaggerIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	tagger := newTagger(t, shield(1), shield(2))
	forged := newTagger(t, shield(3)).New("sk")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if !tagger.Check(tagger.New("sk")) {
					t.Error("a key: refused")
				}
				if tagger.Check(forged) {
					t.Error("a forged key: accepted")
				}
			}
		})
	}
	wg.Wait()
}

func TestParseAndCheckDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	tagger := newTagger(t, shield(1), shield(2))
	key, heads := tagger.New("my_app"), []string{"sk", "my_app"}
	if got := testing.AllocsPerRun(1000, func() { token.Parse(key, heads) }); got != 0 {
		t.Errorf("Parse: got %v allocations, want 0", got)
	}
	if got := testing.AllocsPerRun(1000, func() { tagger.Check(key) }); got != 0 {
		t.Errorf("Check: got %v allocations, want 0", got)
	}
	if got := testing.AllocsPerRun(1000, func() { tagger.New("my_app") }); got != 1 {
		t.Errorf("New: got %v allocations, want 1, the key itself", got)
	}
}

// With 61 degrees of freedom, χ² of uniform characters exceeds 150 once in 4·10^8 positions. Without rejection
// of the bytes from 248 on it would be about 660 for 10^5 bodies.
func TestBodyCharactersAreUniform(t *testing.T) {
	t.Parallel()
	bodies := 1_000_000
	if testing.Short() {
		bodies = 100_000
	}
	tagger := newTagger(t, shield(1))
	var counts [token.BodyLen][256]int
	for range bodies {
		key := tagger.New("sk")
		for i := range token.BodyLen {
			counts[i][key[len("sk_")+i]]++
		}
	}
	want := float64(bodies) / float64(len(alphabet))
	for i := range counts {
		chi2, seen := 0.0, 0
		for _, c := range []byte(alphabet) {
			d := float64(counts[i][c]) - want
			chi2 += d * d / want
			seen += counts[i][c]
		}
		if seen != bodies {
			t.Errorf("position %d: %d characters that are not base62", i, bodies-seen)
		}
		if chi2 > 150 {
			t.Errorf("position %d: χ² is %.0f, want at most 150", i, chi2)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	tagger := newTagger(b, shield(1))
	b.ReportAllocs()
	for b.Loop() {
		tagger.New("sk")
	}
}

func BenchmarkParse(b *testing.B) {
	tagger := newTagger(b, shield(1))
	heads := []string{"sk", "my_app"}
	for name, s := range map[string]string{
		"valid":        tagger.New("sk"),
		"other head":   tagger.New("theirs"),
		"1 MiB":        strings.Repeat("A", 1<<20),
		"not a letter": string(bytes.Replace([]byte(tagger.New("sk")), []byte("_"), []byte("-"), 1)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				token.Parse(s, heads)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	tagger := newTagger(b, shield(1))
	key := tagger.New("sk")
	b.ReportAllocs()
	for b.Loop() {
		tagger.Check(key)
	}
}

func BenchmarkCheckParallel(b *testing.B) {
	tagger := newTagger(b, shield(1))
	key := tagger.New("sk")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			tagger.Check(key)
		}
	})
}
