package keyhash

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

// With this version of Go there is a faster way for short texts. If this fails after an
// update, hashes are right and slower: crypto/sha256 saves its states in another form.
func TestShortTextsHaveAFasterWay(t *testing.T) {
	t.Parallel()
	if !hasShort(bytes.Repeat([]byte{7}, SubkeyLen)) {
		t.Error("got none: every hash is made by crypto/hmac")
	}
}

// Texts of all lengths have the same hash with and without the faster way, in any
// order: nothing of one is left in the next.
func TestBothWaysAgree(t *testing.T) {
	t.Parallel()
	key := Subkey(bytes.Repeat([]byte("k"), 40), "test")
	fast, slow := newState(key, true)().(*state), newState(key, false)().(*state)
	text := make([]byte, 3*maxShort)
	for i := range text {
		text[i] = byte(251 * i)
	}
	for i := range text {
		for _, n := range []int{i, len(text) - i} {
			mac := hmac.New(sha256.New, key)
			mac.Write(text[:n])
			want := Hash(mac.Sum(nil))
			var got Hash
			if ok := fast.short.sum(&got, string(text[:n])); ok != (n <= maxShort) || ok && got != want {
				t.Fatalf("%d bytes, the faster way: another hash than crypto/hmac's", n)
			}
			if got := slow.long(string(text[:n])); got != want {
				t.Fatalf("%d bytes: another hash than crypto/hmac's", n)
			}
		}
	}
}

func TestStatesThatDoNotAgreeAreNotUsed(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, SubkeyLen)
	s := newShort(key)
	s.outer = s.inner // not the state that it should be
	if s.agrees(key) {
		t.Error("got agreement with a state that is none")
	}
	if newShort(make([]byte, sha256.BlockSize+1)) != nil {
		t.Error("got a way for a key that HMAC would hash first")
	}
}
