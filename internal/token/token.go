// Package token makes and recognises the text form of an API key: head, underscore, body, tag.
//
//	sk_4fTq0ZcVb1YmXhLUM0dKqAc9EoRskBkWPfvHtCoN2Xq7zTiTG
//
// Its parts, from the left:
//
//   - The head is the prefix, or prefix_environment: lower-case letters, digits and single underscores.
//   - The body is 43 base62 characters (0-9A-Za-z) from crypto/rand, each equally likely: 43 × log2(62) = 256 bits.
//   - The tag is 6 base62 characters of HMAC-SHA256(shield key, head_body): the first 8 bytes, big endian,
//     modulo 62^6, in fixed width.
//
// Everything is a letter, a digit or an underscore, so a double click selects the whole key and it needs no
// escaping in a URL, a header, a shell or a CSV file.
//
// The tag proves origin, not possession. It lets a service refuse what it never issued without asking its
// database, at one chance in 62^6 (2^-35.7) per guess; whoever knows the shield key can make tags, which
// makes no key valid.
//
// A key is read from the right, where all lengths are fixed; heads may therefore contain underscores, and one
// head may be the beginning of another. Comparison is byte for byte: nothing is trimmed, folded or normalised.
//
// Nothing here keeps state that callers can see; every function and method may be used concurrently.
package token

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Lengths in bytes of a key and its parts.
const (
	BodyLen   = 43
	TagLen    = 6
	SuffixLen = BodyLen + TagLen // all that follows the last underscore

	MaxPartLen = 32                         // of a prefix, and of an environment
	MaxHeadLen = MaxPartLen*2 + 1           // prefix_environment
	MaxLen     = MaxHeadLen + 1 + SuffixLen // of a whole key
)

const (
	alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base     = uint64(len(alphabet))

	hintLen  = 4
	ellipsis = "…"
)

// Parse reports whether s has the shape of a key with one of heads, and with which. It returns the element of
// heads, not a part of s, so that keeping it does not keep s alive.
//
// It says nothing about who made the key: that is what [Tagger.Check] is for. Input of a wrong length is refused
// without being read, whatever its size. Parse does not allocate.
func Parse(s string, heads []string) (head string, ok bool) {
	h, _, ok := split(s)
	if !ok {
		return "", false
	}
	i := slices.Index(heads, h)
	if i < 0 {
		return "", false
	}
	return heads[i], true
}

// Plausible reports whether s could have the shape of a key, by a look at its length and two of its bytes: what it
// refuses, [Parse] refuses too, whatever the heads.
func Plausible(s string) bool {
	n := len(s) - SuffixLen - 1
	return n >= 1 && n <= MaxHeadLen && s[n] == '_' && s[0] >= 'a' && s[0] <= 'z'
}

// Hint shortens a key for display: head_, the first 4 characters of the body, an ellipsis (U+2026) and the last 4
// of the tag. That gives away 24 of the body's 256 bits. Of anything that is not shaped like a key it shows
// nothing but the ellipsis. A hint is not unique and identifies nothing.
func Hint(s string) string {
	head, suffix, ok := split(s)
	if !ok || shapeFault(head, MaxHeadLen) != "" {
		return ellipsis
	}
	return head + "_" + suffix[:hintLen] + ellipsis + suffix[SuffixLen-hintLen:]
}

// Pattern returns a regular expression for secret scanners, in RE2 syntax, that finds keys with these heads in
// running text: whole words that [Parse] accepts. A regular expression cannot check tags. Without heads it
// matches nothing.
func Pattern(heads []string) string {
	if len(heads) == 0 {
		return `\b\B`
	}
	quoted := make([]string, len(heads))
	for i, head := range heads {
		quoted[i] = regexp.QuoteMeta(head)
	}
	return `\b(?:` + strings.Join(quoted, "|") + `)_[0-9A-Za-z]{` + strconv.Itoa(SuffixLen) + `}\b`
}

// split cuts s at the underscore before its last SuffixLen bytes. The suffix of what is ok is base62; the head is
// only known to have a possible length. The cost is bounded: lengths come first.
func split(s string) (head, suffix string, ok bool) {
	n := len(s) - SuffixLen - 1
	if n < 1 || n > MaxHeadLen || s[n] != '_' || !isBase62(s[n+1:]) {
		return "", "", false
	}
	return s[:n], s[n+1:], true
}

func isBase62(s string) bool {
	for i := range len(s) {
		c := s[i]
		// Setting bit 5 maps the upper-case letters on the lower-case ones, and nothing else on them.
		if c-'0' >= 10 && (c|0x20)-'a' >= 26 {
			return false
		}
	}
	return true
}
