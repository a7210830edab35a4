package keyhash

import "bytes"

// MinSecretLen is how many bytes a signing secret has at least.
const MinSecretLen = 32

// minDistinct is how many different bytes a signing secret has at least. 64 random hexadecimal characters have
// fewer once in 10^19 times.
const minDistinct = 8

// placeholders are what examples and templates put where a secret belongs; in any letter case.
//
// Random secrets are not refused by accident. Each word has letters that hexadecimal lacks. In base64, where a
// letter in either case is 2 of 64 characters, the likeliest word has six: 39 positions × 32^-6 is 4·10^-8 for 32
// bytes. base64url also has - and _, which makes "your-" and "your_" the likeliest: 10^-6 together. What it costs
// is to draw again.
var placeholders = [...]string{
	"change-me", "change-this", "change_me", "change_this", "changeme", "changethis",
	"example", "insecure", "password", "placeholder",
	"replace-me", "replace_me", "replaceme",
	"secret", "your-", "your_",
}

// A SecretError says why a signing secret was refused and what to do. It never holds any of the secret.
type SecretError struct {
	Reason string
}

// Error says why the secret was refused and what to do.
func (e *SecretError) Error() string { return "signing secret " + e.Reason }

// CheckSecret refuses what cannot be a good signing secret: fewer than MinSecretLen bytes, white space at either
// end, a placeholder, fewer than 8 different bytes, or a repetition. It cannot tell that a secret is good: only
// that it was drawn at random makes it so. Hexadecimal and base64 of 32 random bytes pass; raw bytes do if they
// neither start nor end with what reads as white space, which is a reason to encode them.
//
// The error is a *[SecretError].
func CheckSecret(secret []byte) error {
	switch {
	case len(secret) == 0:
		return refuse("is empty")
	case len(bytes.TrimSpace(secret)) != len(secret):
		return &SecretError{Reason: "starts or ends with white space: remove it, such as the newline at the end of a file"}
	case len(secret) < MinSecretLen:
		return refuse("is shorter than 32 bytes")
	case hasPlaceholder(secret):
		return refuse("contains a placeholder, such as changeme, example, password, secret or your-")
	case distinct(secret) < minDistinct:
		return refuse("has fewer than 8 different bytes")
	case repeats(secret):
		return refuse("repeats itself")
	}
	return nil
}

func refuse(fault string) error {
	return &SecretError{Reason: fault + ": make one with openssl rand -hex 32"}
}

func hasPlaceholder(secret []byte) bool {
	lower := bytes.ToLower(secret)
	for _, word := range placeholders {
		if bytes.Contains(lower, []byte(word)) {
			return true
		}
	}
	return false
}

func distinct(secret []byte) int {
	var seen [256]bool
	n := 0
	for _, b := range secret {
		if !seen[b] {
			seen[b] = true
			n++
		}
	}
	return n
}

// repeats reports whether secret is one unit written at least twice, the last time perhaps cut short: whether it
// equals itself shifted by half its length or less.
func repeats(secret []byte) bool {
	for period := 1; period <= len(secret)/2; period++ {
		if bytes.Equal(secret[period:], secret[:len(secret)-period]) {
			return true
		}
	}
	return false
}
