package keyhash_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys/internal/keyhash"
)

const testSecret = "9f86d081884c7d659a2feaa0c55ad015"

// newHasher takes what *testing.T, *testing.B and *rapid.T have in common.
func newHasher(t rapid.TB, secret []byte) *keyhash.Hasher {
	t.Helper()
	h, err := keyhash.New(secret)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return h
}

// longSecret is longer than a block of SHA-256, and not text.
func longSecret() []byte {
	secret := make([]byte, 100)
	for i := range secret {
		secret[i] = byte(64 + i)
	}
	return secret
}

// The values were computed apart from this package, with HKDF written out:
//
//	python3 -c '
//	import hmac, hashlib
//	def mac(k, m): return hmac.new(k, m, hashlib.sha256)
//	def hkdf(s, info): return mac(mac(bytes(32), s).digest(), info.encode() + b"\x01").digest()
//	for s in b"9f86d081884c7d659a2feaa0c55ad015", bytes(range(64, 164)):
//	    print(hkdf(s, "apikeys/v1 secret id")[:8].hex(), hkdf(s, "apikeys/v1 canary").hex(), hkdf(s, "a purpose").hex())
//	    for m in b"", b"sk_" + b"0" * 49, b"A" * 1000:
//	        print(len(m), mac(hkdf(s, "apikeys/v1 key hash"), m).hexdigest())'
func TestVectors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		secret              []byte
		id, canary, subkey  string
		empty, token, large string
	}{
		"text": {
			secret: []byte(testSecret),
			id:     "a7115b353907c6dc",
			canary: "4ecc4efd830322c8fe2159efc25c8a1e1960625217740ad7b6fb818876dcaebb",
			subkey: "967aa81402f8ba6b6aafc4e62533673fc8ecf2a4b63814062023156b3a13497a",
			empty:  "cf78db0302f3b554e6594e3d675a3d93890b5d79f2be6dcce56c1a67b584a798",
			token:  "f6c7b12e62c32243435dbc665447ca7d29d3e1359b046a5fe5f7beab66892238",
			large:  "0600b6e86f330d857abdd72d1c91e88d4cb179a47d9600752f44e75209f867ae",
		},
		"long": {
			secret: longSecret(),
			id:     "64ae0adfe983cb5f",
			canary: "20affb73c29b6251983cece90d99f973f72f7c5a08c33425c465002cc8911bbb",
			subkey: "07cd2de2f3ec1fbb9d2eb8cb91f0d6d647d92f29302073f09e217ccf612ff587",
			empty:  "558bf9910a94779a105cde3c3ca4b2555eaeef50fe14e50d86ce227db5ea5c29",
			token:  "582026a78e213f944ce6dcd0fead1e7c5212e3aa624351d719870150988442fa",
			large:  "4cf01867d41ba96cd7302e403dc7d2b7d666f3b3c4132ece1a8341601a1426c2",
		},
	} {
		h := newHasher(t, tt.secret)
		hexSum := func(s string) string { sum := h.Sum(s); return hex.EncodeToString(sum[:]) }
		canary := h.Canary()
		for _, v := range []struct{ what, got, want string }{
			{"ID", h.ID(), tt.id},
			{"Canary", hex.EncodeToString(canary[:]), tt.canary},
			{"Subkey", hex.EncodeToString(keyhash.Subkey(tt.secret, "a purpose")), tt.subkey},
			{"Sum of nothing", hexSum(""), tt.empty},
			{"Sum of a key", hexSum("sk_" + strings.Repeat("0", 49)), tt.token},
			{"Sum of 1000 bytes", hexSum(strings.Repeat("A", 1000)), tt.large},
		} {
			if v.got != v.want {
				t.Errorf("%s secret, %s: got %s, want %s", name, v.what, v.got, v.want)
			}
		}
	}
}

// reference hashes with nothing shared between calls.
func reference(secret []byte, key string) keyhash.Hash {
	mac := hmac.New(sha256.New, keyhash.Subkey(secret, "apikeys/v1 key hash"))
	mac.Write([]byte(key))
	return keyhash.Hash(mac.Sum(nil))
}

func TestSumIsTheSameForEveryLength(t *testing.T) {
	t.Parallel()
	h := newHasher(t, []byte(testSecret))
	long := strings.Repeat("0123456789abcdef", 30)
	for n := range len(long) {
		if h.Sum(long[:n]) != reference([]byte(testSecret), long[:n]) {
			t.Errorf("%d bytes: another hash than from a new HMAC", n)
		}
	}
}

func TestSumDependsOnEveryBit(t *testing.T) {
	t.Parallel()
	h := newHasher(t, []byte(testSecret))
	key := []byte("sk_" + strings.Repeat("0", 49))
	seen := map[keyhash.Hash]bool{h.Sum(string(key)): true}
	for i := range key {
		for bit := range 8 {
			key[i] ^= 1 << bit
			if sum := h.Sum(string(key)); seen[sum] {
				t.Errorf("byte %d, bit %d: no other hash", i, bit)
			} else {
				seen[sum] = true
			}
			key[i] ^= 1 << bit
		}
	}
}

func TestAllBytesOfTheSecretCount(t *testing.T) {
	t.Parallel()
	var base [0x7f - '!']byte // every printable ASCII character but the blank, once
	for i := range base {
		base[i] = byte('!' + i)
	}
	type what struct {
		id          string
		sum, canary keyhash.Hash
	}
	seen := map[what]string{}
	add := func(name, secret string) {
		t.Helper()
		h := newHasher(t, []byte(secret))
		w := what{h.ID(), h.Sum("sk"), h.Canary()}
		for other, otherName := range seen {
			if other.id == w.id || other.sum == w.sum || other.canary == w.canary {
				t.Errorf("%s and %s: the same hash, id or canary", name, otherName)
			}
		}
		seen[w] = name
	}
	text := string(base[:])
	add("32 bytes", text[:32])
	add("32 bytes and NUL", text[:32]+"\x00")
	add("33 bytes", text[:33])
	add("64 bytes", text[:64])
	add("64 bytes and NUL", text[:64]+"\x00")
	add("65 bytes", text[:65])
	hashed := sha256.Sum256(base[:65]) // what a bare HMAC makes of the key of 65 bytes
	add("the hash of the 65", string(hashed[:]))
	for i := range 33 {
		add(fmt.Sprintf("33 bytes, byte %d changed", i), text[:i]+"\x80"+text[i+1:33])
	}
}

func TestIDNamesASecretAndShowsNothingOfIt(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^[0-9a-f]{16}$`)
	rapid.Check(t, func(t *rapid.T) {
		var random [32]byte
		rand.Read(random[:])
		secret := hex.AppendEncode(nil, random[:])
		h := newHasher(t, secret)
		if !shape.MatchString(h.ID()) {
			t.Fatalf("got %q, want 16 hexadecimal characters", h.ID())
		}
		if again := newHasher(t, secret); again.ID() != h.ID() || again.Canary() != h.Canary() {
			t.Fatal("another id or canary on the second time")
		}
		if strings.Contains(string(secret), h.ID()) {
			t.Fatal("the id is a part of the secret")
		}
	})
}

func TestPurposesDoNotMeet(t *testing.T) {
	t.Parallel()
	h := newHasher(t, []byte(testSecret))
	canary := h.Canary()
	seen := map[string]string{"": "", string(canary[:]): "canary"}
	for _, info := range []string{"apikeys/v1 key hash", "apikeys/v1 secret id", "cursor", "cursor ", ""} {
		key := string(keyhash.Subkey([]byte(testSecret), info))
		if other, ok := seen[key]; ok || len(key) != keyhash.SubkeyLen {
			t.Errorf("%q: %d bytes, the same as for %q", info, len(key), other)
		}
		seen[key] = info
	}
}

func TestHasherKeepsAndPrintsNoSecret(t *testing.T) {
	t.Parallel()
	secret := []byte(testSecret)
	h := newHasher(t, secret)
	want := h.Sum("sk")
	clear(secret)
	if h.Sum("sk") != want {
		t.Error("changing the caller's slice changed the hasher")
	}
	for _, value := range []string{testSecret, string(keyhash.Subkey([]byte(testSecret), "apikeys/v1 key hash"))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			printed := fmt.Sprintf(verb, h)
			for _, form := range []string{"%s", "%x", "%X", "%d"} {
				if piece := strings.Trim(fmt.Sprintf(form, []byte(value[:8])), "[]"); strings.Contains(printed, piece) {
					t.Errorf("%s shows it as %s", verb, form)
				}
			}
		}
	}
}

func TestSumIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	h := newHasher(t, []byte(testSecret))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				key := strings.Repeat("k", g*37+i%5)
				if h.Sum(key) != reference([]byte(testSecret), key) {
					t.Errorf("goroutine %d: another hash than from a new HMAC", g)
				}
			}
		})
	}
	wg.Wait()
}

func TestSumDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	h := newHasher(t, []byte(testSecret))
	for _, n := range []int{52, 115, 1000} {
		key := strings.Repeat("k", n)
		if got := testing.AllocsPerRun(1000, func() { h.Sum(key) }); got != 0 {
			t.Errorf("%d bytes: got %v allocations, want 0", n, got)
		}
	}
}

var benchKey = "sk_" + strings.Repeat("0", 49)

func BenchmarkSum(b *testing.B) {
	h := newHasher(b, []byte(testSecret))
	b.ReportAllocs()
	for b.Loop() {
		h.Sum(benchKey)
	}
}

func BenchmarkSumParallel(b *testing.B) {
	h := newHasher(b, []byte(testSecret))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.Sum(benchKey)
		}
	})
}

func BenchmarkFloorNewEachTime(b *testing.B) {
	key := keyhash.Subkey([]byte(testSecret), "apikeys/v1 key hash")
	b.ReportAllocs()
	for b.Loop() {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(benchKey))
		mac.Sum(nil)
	}
}

func TestLanes(t *testing.T) {
	t.Parallel()
	h := newHasher(t, []byte(testSecret))
	for range 100 {
		var sum keyhash.Hash
		if lane := h.SumInto(&sum, "sk"); sum != h.Sum("sk") || lane >= keyhash.Lanes {
			t.Fatalf("lane %d, or another hash than Sum's", lane)
		}
	}
}
