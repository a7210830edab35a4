package keyhash

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
)

// maxShort is the longest text that fits into two blocks with its padding (FIPS 180-4, section 5.1.1).
const maxShort = 2*sha256.BlockSize - 9

// Where the chaining value stands in what crypto/sha256 saves of its state: after 4 bytes that name the format.
const (
	chainAt  = 4
	chainEnd = chainAt + sha256.Size
)

// short computes HMAC-SHA256 (RFC 2104) of short texts, with the compressions of crypto/sha256 and little else: both
// hashes begin from states that were computed once, get their padding here, and are read off as the saved state. That
// takes two thirds of the time of a crypto/hmac that is reset and used again.
//
// It hangs on the form of saved states, which crypto/sha256 does not promise: [hasShort] looks whether it is as expected,
// and where it is not, crypto/hmac does all of the work.
type short struct {
	digest       hash.Hash
	load         encoding.BinaryUnmarshaler
	save         encoding.BinaryAppender
	inner, outer []byte // saved states: the keyed blocks have been hashed
	blocks       [2 * sha256.BlockSize]byte
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
	var loads, saves bool
	s.load, loads = s.digest.(encoding.BinaryUnmarshaler)
	s.save, saves = s.digest.(encoding.BinaryAppender)
	if !loads || !saves || len(key) > sha256.BlockSize {
		return nil
	}
	s.inner, s.outer = s.keyed(key, 0x36), s.keyed(key, 0x5c)
	if len(s.inner) < chainEnd || len(s.inner) > len(s.saved) {
		return nil
	}
	return s
}

// keyed is the state after the key, in a block of its own, was hashed.
func (s *short) keyed(key []byte, pad byte) []byte {
	block := make([]byte, sha256.BlockSize)
	copy(block, key)
	for i := range block {
		block[i] ^= pad
	}
	s.digest.Reset()
	s.digest.Write(block)
	state, err := s.save.AppendBinary(nil)
	if err != nil {
		return nil
	}
	return state
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
		if sum, ok := s.sum(string(text[:n])); !ok || Hash(mac.Sum(nil)) != sum {
			return false
		}
	}
	return true
}

// sum hashes a text of at most maxShort bytes.
func (s *short) sum(text string) (sum Hash, ok bool) {
	if len(text) > maxShort {
		return sum, false
	}
	if sum, ok = s.compress(s.inner, copy(s.blocks[:], text)); !ok {
		return sum, false
	}
	return s.compress(s.outer, copy(s.blocks[:], sum[:]))
}

// compress hashes the first n bytes of the blocks, padded, from a saved state on.
func (s *short) compress(from []byte, n int) (chain Hash, ok bool) {
	size := sha256.BlockSize
	if n+9 > size {
		size *= 2
	}
	s.blocks[n] = 0x80
	clear(s.blocks[n+1 : size-8])
	binary.BigEndian.PutUint64(s.blocks[size-8:size], uint64(sha256.BlockSize+n)*8)
	if s.load.UnmarshalBinary(from) != nil {
		return chain, false
	}
	s.digest.Write(s.blocks[:size])
	state, err := s.save.AppendBinary(s.saved[:0])
	if err != nil {
		return chain, false
	}
	copy(chain[:], state[chainAt:chainEnd])
	return chain, true
}
