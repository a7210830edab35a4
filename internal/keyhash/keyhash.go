// Package keyhash turns the text of an API key into what a database may hold of it: HMAC-SHA256 of the whole
// key, under a subkey that HKDF-SHA256 (RFC 5869) derives from the operator's signing secret.
//
// A fast hash is right here. A key carries 256 random bits, so there is nothing to guess, and what a password
// hash buys for weak input it would cost on every request. The secret is what keeps a stolen database from
// being checked against keys found elsewhere, and a planted row from becoming a key.
//
// Each purpose has a subkey of its own, told apart by the info string of HKDF; to know one says nothing about
// another, or about the secret. The secret goes in as HKDF's input keying material, so all of its bytes count,
// however many there are; as the key of a bare HMAC, "k" and "k\x00" would be the same.
package keyhash

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
	"sync/atomic"
)

// The info strings of this package's own subkeys. They are part of the format: another string is another hash
// for every stored key. Callers of [Subkey] must not use them.
const (
	infoKeyHash  = "apikeys/v1 key hash"
	infoSecretID = "apikeys/v1 secret id"
	infoCanary   = "apikeys/v1 canary"
)

// SubkeyLen is the length of a subkey in bytes.
const SubkeyLen = sha256.Size

// Hash is what is stored of a key. Compare hashes with crypto/subtle.
type Hash = [sha256.Size]byte

// A Hasher hashes keys under one signing secret. It is safe for concurrent use; the zero value is not usable. It
// keeps subkeys, not the secret, and prints neither under any fmt verb.
type Hasher struct {
	id     string
	canary Hash
	states sync.Pool // of *state
}

// Lane is a small number that is mostly the same for the hashes made on one processor, and another on another: what a
// caller counts in a place for each lane, processors don't fight over.
type Lane uint8

// Lanes is how many there are.
const Lanes = 16

// state is what one computation needs. The HMAC keeps its inner and outer state precomputed from the first Reset
// on, which makes a hash three times as fast as one from a new HMAC, and free of allocations.
type state struct {
	short *short // nil: not to be had
	mac   hash.Hash
	buf   [128]byte // longer than any key that we make
	sum   Hash
	lane  Lane // a processor mostly gets the state again that it has used before (sync.Pool)
}

// New returns a Hasher for secret, and refuses what [CheckSecret] refuses. It keeps no reference to secret.
func New(secret []byte) (*Hasher, error) {
	if err := CheckSecret(secret); err != nil {
		return nil, err
	}
	key := Subkey(secret, infoKeyHash)
	return &Hasher{
		id:     ID(secret),
		canary: Hash(Subkey(secret, infoCanary)),
		states: sync.Pool{New: newState(key, hasShort(key))},
	}, nil
}

// newState makes states, with a faster way for short texts where there is one.
func newState(key []byte, shorts bool) func() any {
	var made atomic.Uint32
	return func() any {
		st := &state{mac: hmac.New(sha256.New, key), lane: Lane(made.Add(1) % Lanes)}
		if shorts {
			st.short = newShort(key)
		}
		return st
	}
}

// ID names a secret in 16 lower-case hexadecimal characters, and reveals nothing of one that [CheckSecret] passes. It is
// stored beside each hash, to find out which secrets are still in use.
func ID(secret []byte) string { return hex.EncodeToString(Subkey(secret, infoSecretID)[:8]) }

// ID is that of the Hasher's secret.
func (h *Hasher) ID() string { return h.id }

// Canary is what a database remembers a secret by: a process that was started with another one finds out before
// it refuses the first key. Compare canaries with crypto/subtle.
func (h *Hasher) Canary() Hash { return h.canary }

// Sum hashes the text of a key, byte for byte. It does not allocate.
func (h *Hasher) Sum(key string) Hash {
	var sum Hash
	h.SumInto(&sum, key)
	return sum
}

// SumInto is Sum, without a copy on the way, and tells the lane that the caller is in.
func (h *Hasher) SumInto(sum *Hash, key string) Lane {
	st := h.states.Get().(*state)
	if st.short == nil || !st.short.sum(sum, key) {
		*sum = st.long(key)
	}
	lane := st.lane
	h.states.Put(st)
	return lane
}

// long hashes a text of any length.
func (st *state) long(key string) Hash {
	st.mac.Reset()
	for len(key) > 0 {
		// A []byte handed to an interface escapes; copying through the state's own buffer keeps the key
		// off the heap.
		n := copy(st.buf[:], key)
		st.mac.Write(st.buf[:n])
		key = key[n:]
	}
	st.mac.Sum(st.sum[:0])
	return st.sum
}

// Subkey derives SubkeyLen bytes from secret for the purpose that info names, such as the MAC of a cursor: HKDF of
// RFC 5869 with SHA-256 and no salt. secret is a signing secret that has passed [CheckSecret], or a random key of
// 32 bytes or more.
func Subkey(secret []byte, info string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, info, SubkeyLen)
	if err != nil {
		// Only for a length over 255 × 32 bytes, or, in FIPS-only mode, a secret under 14.
		panic("keyhash: " + err.Error())
	}
	return key
}
