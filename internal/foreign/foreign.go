// Package foreign knows keys that other systems issued: what their texts look like,
// and what those systems kept of a text. It makes none.
//
// All of these systems kept a plain or keyed SHA-256 of the text. What is kept here
// is made from that digest alone, so that it can be made without the text, when the
// key is imported, and with it, when the key is presented: see [Scheme.Form]. A form
// begins with a NUL byte. It is no text that anybody can present as a key of ours, and
// no digest or form can be presented in place of a text.
//
// Nothing here keeps state that callers can see; every function and method may be
// used concurrently.
package foreign

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"
)

// Digest is what another system kept of a key's text.
type Digest = [sha256.Size]byte

// Kind says how a system made its keys and what it kept of them.
type Kind int

// The kinds.
const (
	// HMAC: a prefix and 43 characters of base64url, of which HMAC-SHA256 was kept.
	HMAC Kind = iota + 1
	// Token: the same texts, of which SHA-256 was kept.
	Token
	// Letters: a prefix and Length ASCII letters; SHA-256.
	Letters
	// Plain: a prefix and Length characters of printable ASCII; SHA-256.
	Plain
	// Numbered: an id, "|", a prefix and 40 letters and digits, which their CRC-32 may
	// follow. SHA-256 of what follows the "|" was kept.
	Numbered
)

const (
	tokenLen   = 43 // 32 bytes in base64url, without padding
	entropyLen = 40
	maxIDLen   = 36

	minLength    = 20
	maxLength    = 512
	maxPrefixLen = 64
)

// Spec describes one scheme.
type Spec struct {
	Name     string // part of every form: another name is another key
	Kind     Kind
	Secret   []byte   // of HMAC
	Prefixes []string // what texts begin with, exactly; "" is one
	Length   int      // of Letters and Plain: how much follows the prefix
}

// SpecError says what is wrong with a Spec. It never holds the secret.
type SpecError struct {
	Field  string // of Spec
	Reason string
}

// Error names the field and says what is wrong with it.
func (e *SpecError) Error() string { return e.Field + ": " + e.Reason }

// Scheme recognises keys of one system. It prints nothing of its secret.
type Scheme struct {
	name     string
	kind     Kind
	prefixes []string
	length   int
	digest   func(text string) Digest
}

// New returns the scheme of a Spec. The error is a *[SpecError].
func New(spec Spec) (*Scheme, error) {
	s := &Scheme{name: spec.Name, kind: spec.Kind, prefixes: append([]string(nil), spec.Prefixes...), length: spec.Length, digest: plain}
	if spec.Kind == HMAC {
		s.digest = keyed(spec.Secret)
	}
	if s.kind == HMAC || s.kind == Token {
		s.length = tokenLen
	}
	return s, spec.check()
}

func (spec Spec) check() error {
	switch {
	case spec.Kind == HMAC && len(spec.Secret) == 0:
		return &SpecError{"Secret", "is missing: it is the secret that the other system signed with"}
	case spec.Kind != HMAC && len(spec.Secret) > 0:
		return &SpecError{"Secret", "is set, and the scheme has none"}
	case len(spec.Prefixes) == 0:
		return &SpecError{"Prefixes", "is missing: it says what texts begin with"}
	}
	for _, prefix := range spec.Prefixes {
		if len(prefix) > maxPrefixLen || !printable(prefix) {
			return &SpecError{"Prefixes", fmt.Sprintf("must be printable ASCII without space, at most %d bytes each", maxPrefixLen)}
		}
	}
	if spec.Kind != Letters && spec.Kind != Plain {
		if spec.Length != 0 {
			return &SpecError{"Length", "is set, and the scheme has one of its own"}
		}
		return nil
	}
	if spec.Length < minLength || spec.Length > maxLength {
		return &SpecError{"Length", fmt.Sprintf("must be between %d and %d: how many characters follow the prefix", minLength, maxLength)}
	}
	return nil
}

// Name returns the name of the scheme.
func (s *Scheme) Name() string { return s.name }

// NeedsID tells whether an id is part of the text.
func (s *Scheme) NeedsID() bool { return s.kind == Numbered }

// IsID tells whether a text of this scheme can have this id.
func (s *Scheme) IsID(id string) bool {
	return len(id) > 0 && len(id) <= maxIDLen && only(id, func(c byte) bool { return alphanumeric(c) || c == '-' })
}

// Form returns what a text is kept by, if it has the shape of a key of this scheme.
// Input of another length is refused without being read.
func (s *Scheme) Form(text string) (form string, ok bool) {
	id, hashed := "", text
	if s.kind == Numbered {
		n := strings.IndexByte(text[:min(len(text), maxIDLen+1)], '|')
		if n < 0 || !s.IsID(text[:n]) {
			return "", false
		}
		id, hashed = text[:n], text[n+1:]
	}
	if !s.hasShape(hashed) {
		return "", false
	}
	return s.FormOf(id, s.digest(hashed)), true
}

// FormOf returns what the text with this digest is kept by; the id counts where it
// is part of the text.
func (s *Scheme) FormOf(id string, digest Digest) string {
	if !s.NeedsID() {
		id = ""
	}
	return "\x00imported\x00" + s.name + "\x00" + id + "\x00" + string(digest[:])
}

func (s *Scheme) hasShape(text string) bool {
	for _, prefix := range s.prefixes {
		if rest, ok := strings.CutPrefix(text, prefix); ok && s.isBody(rest) {
			return true
		}
	}
	return false
}

func (s *Scheme) isBody(body string) bool {
	switch s.kind {
	case HMAC, Token:
		return len(body) == tokenLen && only(body, func(c byte) bool { return alphanumeric(c) || c == '-' || c == '_' })
	case Letters:
		return len(body) == s.length && only(body, letter)
	case Plain:
		return len(body) == s.length && printable(body)
	default:
		return isEntropy(body) || len(body) == entropyLen+8 && isEntropy(body[:entropyLen]) && body[entropyLen:] == checksum(body[:entropyLen])
	}
}

// CanBe tells whether some text of the scheme begins with head, which ends in "_",
// and goes on for just as long as tail.
func (s *Scheme) CanBe(head string, tail int) bool {
	if s.kind == Numbered {
		return false // "|" stands in no key of ours
	}
	for _, prefix := range s.prefixes {
		if len(prefix)+s.length != len(head)+tail {
			continue
		}
		if strings.HasPrefix(prefix, head) || s.kind != Letters && strings.HasPrefix(head, prefix) {
			return true
		}
	}
	return false
}

// ParseDigest reads a SHA-256 digest as databases have it: 64 hexadecimal digits, or
// base64, of the standard alphabet or that of URLs, padded or not.
func ParseDigest(s string) (d Digest, ok bool) {
	var b []byte
	var err error
	switch bare := strings.TrimSuffix(s, "="); {
	case len(s) == 2*len(d):
		b, err = hex.DecodeString(s)
	case len(bare) != base64.RawStdEncoding.EncodedLen(len(d)):
		return d, false
	case strings.ContainsAny(bare, "+/"):
		b, err = base64.RawStdEncoding.Strict().DecodeString(bare)
	default:
		b, err = base64.RawURLEncoding.Strict().DecodeString(bare)
	}
	if err != nil || len(b) != len(d) {
		return d, false
	}
	return Digest(b), true
}

func plain(text string) Digest { return sha256.Sum256([]byte(text)) }

func keyed(secret []byte) func(string) Digest {
	key := append([]byte(nil), secret...)
	return func(text string) (d Digest) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		mac.Sum(d[:0])
		return d
	}
}

func isEntropy(s string) bool { return len(s) == entropyLen && only(s, alphanumeric) }

func checksum(s string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(s))) }

func printable(s string) bool { return only(s, func(c byte) bool { return c > ' ' && c <= '~' }) }

func letter(c byte) bool { return (c|0x20)-'a' < 26 }

func alphanumeric(c byte) bool { return letter(c) || c-'0' < 10 }

func only(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}
