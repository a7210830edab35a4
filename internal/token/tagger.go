package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
)

// ShieldLen is the length of a shield key in bytes: 32, all of them random.
const ShieldLen = 32

// tagSpace is 62^6, the number of different tags. 2^64 is no multiple of it; the bias that leaves is under 2^-28.
const tagSpace = base * base * base * base * base * base

// A Tagger makes keys and checks their tags. It is safe for concurrent use; the zero value is not usable. It
// prints nothing of the shield keys under any fmt verb.
type Tagger struct {
	states sync.Pool // of *state
}

// state is what one computation needs. The HMACs keep their inner and outer state precomputed from the first
// Reset on, which makes a tag three times as fast as one from a new HMAC, and free of allocations.
type state struct {
	macs []hash.Hash // in the order of the shield keys
	buf  [MaxLen]byte
	sum  [sha256.Size]byte
}

// NewTagger returns a Tagger that tags under the first shield key and accepts tags under any of them. It keeps
// no reference to shields. It refuses an empty list, and a shield key that is not ShieldLen bytes long: that
// would be a damaged one.
func NewTagger(shields [][]byte) (*Tagger, error) {
	if len(shields) == 0 {
		return nil, errors.New("token: no shield key")
	}
	keys := make([][]byte, len(shields))
	for i, shield := range shields {
		if len(shield) != ShieldLen {
			return nil, fmt.Errorf("token: shield key %d is %d bytes long, want %d", i, len(shield), ShieldLen)
		}
		keys[i] = slices.Clone(shield)
	}
	return &Tagger{states: sync.Pool{New: func() any { return newState(keys) }}}, nil
}

func newState(keys [][]byte) *state {
	st := &state{macs: make([]hash.Hash, len(keys))}
	for i, key := range keys {
		st.macs[i] = hmac.New(sha256.New, key)
	}
	return st
}

// New makes a key under head, which must come from [Head]. The randomness is crypto/rand's, which cannot fail:
// a process that gets none is ended by the runtime.
func (t *Tagger) New(head string) string {
	st := t.states.Get().(*state)
	defer t.states.Put(st)

	key := append(st.buf[:0], head...)
	key = append(key, '_')
	key = appendBody(key)
	tag := st.tag(st.macs[0], key)
	return string(append(key, tag[:]...))
}

// Check reports whether the tag of s was made under one of the shield keys. It looks at nothing else: whether s
// is shaped like a key is for [Parse] to say, and for the caller to ask first. Tags are compared in constant
// time, under every shield key. Check does not allocate.
func (t *Tagger) Check(s string) bool {
	n := len(s) - TagLen
	if n < 0 || len(s) > MaxLen {
		return false
	}
	st := t.states.Get().(*state)
	defer t.states.Put(st)

	key := st.buf[:copy(st.buf[:], s)]
	same := 0
	for _, mac := range st.macs {
		tag := st.tag(mac, key[:n])
		same |= subtle.ConstantTimeCompare(tag[:], key[n:])
	}
	return same == 1
}

func (st *state) tag(mac hash.Hash, msg []byte) (tag [TagLen]byte) {
	mac.Reset()
	mac.Write(msg)
	v := binary.BigEndian.Uint64(mac.Sum(st.sum[:0])) % tagSpace
	for i := range tag {
		tag[TagLen-1-i] = alphabet[v%base]
		v /= base
	}
	return tag
}

// appendBody appends BodyLen random base62 characters. A byte from 248 on is dropped: the 248 left are 4 × 62, so
// that every character is equally likely. 64 bytes are too few once in 10^16 keys.
func appendBody(dst []byte) []byte {
	var random [64]byte
	for end := len(dst) + BodyLen; len(dst) < end; {
		rand.Read(random[:])
		for _, b := range random {
			if b < 248 && len(dst) < end {
				dst = append(dst, alphabet[uint64(b)%base])
			}
		}
	}
	return dst
}
