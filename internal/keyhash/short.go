package keyhash

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
	"reflect"
)

// maxShort is the longest text that fits into two blocks with its padding (FIPS 180-4, section 5.1.1).
const maxShort = 2*sha256.BlockSize - 9

// Where the chaining value stands in what crypto/sha256 saves of its state: after 4 bytes that name the format.
const (
	chainAt  = 4
	chainEnd = chainAt + sha256.Size
)

// short computes HMAC-SHA256 (RFC 2104) of short texts, with the compressions of crypto/sha256 and little else: both
// hashes begin as copies of digests that have hashed the keyed blocks, get their padding here, and are read off as the
// saved state. That takes two thirds of the time of a crypto/hmac that is reset and used again.
//
// It hangs on the form of saved states, which crypto/sha256 does not promise: [hasShort] looks whether it is as expected,
// and where it is not, crypto/hmac does all of the work.
type short struct {
	digest       hash.Hash
	at           reflect.Value // where digest points to
	save         encoding.BinaryAppender
	inner, outer reflect.Value // to be copied there
	text         [2 * sha256.BlockSize]byte
	padded, size int // text is padded for this length, and then so long
	last         [sha256.BlockSize]byte
	saved        [128]byte
}

// hasShort tells whether the results are those of crypto/hmac.
func hasShort(key []byte) bool {
	s := newShort(key)
	return s != nil && s.agrees(key)
}

// newShort returns what [hasShort] has tried; nil if crypto/sha256 saves no states that could be used.
func newShort(key []byte) *short {
	s := &short{digest: sha256.New()}
	var saves bool
	s.save, saves = s.digest.(encoding.BinaryAppender)
	s.at = reflect.ValueOf(s.digest)
	if !saves || s.at.Kind() != reflect.Pointer || len(key) > sha256.BlockSize {
		return nil
	}
	s.at, s.inner, s.outer = s.at.Elem(), keyed(key, 0x36), keyed(key, 0x5c)
	if state, err := s.save.AppendBinary(nil); err != nil || len(state) < chainEnd || len(state) > len(s.saved) {
		return nil
	}
	s.size = pad(s.text[:], 0)
	pad(s.last[:], sha256.Size)
	return s
}

// keyed is a digest that has hashed the key, in a block of its own.
func keyed(key []byte, with byte) reflect.Value {
	block := make([]byte, sha256.BlockSize)
	copy(block, key)
	for i := range block {
		block[i] ^= with
	}
	digest := sha256.New()
	digest.Write(block)
	return reflect.ValueOf(digest).Elem()
}

// pad puts behind the first n bytes what ends a hash of the keyed block and of them, and returns where that ends.
func pad(text []byte, n int) (size int) {
	size = sha256.BlockSize
	if n+9 > size {
		size *= 2
	}
	text[n] = 0x80
	clear(text[n+1 : size-8])
	binary.BigEndian.PutUint64(text[size-8:size], uint64(sha256.BlockSize+n)*8)
	return size
}

// agrees compares the results for all lengths with those of crypto/hmac.
func (s *short) agrees(key []byte) bool {
	text := make([]byte, maxShort)
	for i := range text {
		text[i] = byte(i + 1)
	}
	mac := hmac.New(sha256.New, key)
	for n := range maxShort + 1 {
		mac.Reset()
		mac.Write(text[:n])
		var sum Hash
		if ok := s.sum(&sum, string(text[:n])); !ok || Hash(mac.Sum(nil)) != sum {
			return false
		}
	}
	return true
}

// sum hashes a text of at most maxShort bytes.
func (s *short) sum(sum *Hash, text string) (ok bool) {
	if len(text) > maxShort {
		return false
	}
	copy(s.text[:], text)
	if s.padded != len(text) { // most keys are of one length
		s.padded, s.size = len(text), pad(s.text[:], len(text))
	}
	if !s.compress(s.inner, s.text[:s.size]) {
		return false
	}
	copy(s.last[:], s.saved[chainAt:chainEnd])
	ok = s.compress(s.outer, s.last[:])
	copy(sum[:], s.saved[chainAt:chainEnd])
	return ok
}

// compress hashes whole blocks from a state on, and saves what that results in.
func (s *short) compress(from reflect.Value, blocks []byte) bool {
	s.at.Set(from)
	s.digest.Write(blocks)
	_, err := s.save.AppendBinary(s.saved[:0])
	return err == nil
}
