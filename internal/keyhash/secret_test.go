package keyhash_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys/internal/keyhash"
)

func TestCheckSecretRefuses(t *testing.T) {
	t.Parallel()
	const good = "c0ffee5eed1e55f00dba5eba11ab1e42" // 32 bytes
	for name, tt := range map[string]struct{ secret, reason string }{
		"empty":                   {"", "empty"},
		"blank":                   {strings.Repeat(" ", 40), "white space"},
		"31 bytes":                {good[:31], "shorter"},
		"leading blank":           {" " + good, "white space"},
		"trailing blank":          {good + " ", "white space"},
		"trailing newline":        {good + "\n", "white space"},
		"trailing CR LF":          {good + "\r\n", "white space"},
		"leading tab":             {"\t" + good, "white space"},
		"trailing no-break space": {good + "\u00a0", "white space"},
		"31 bytes and newline":    {good[:31] + "\n", "white space"},

		"changeme":            {"changeme-" + good, "placeholder"},
		"change-me":           {good + "-change-me-please", "placeholder"},
		"CHANGE_ME":           {good + "_CHANGE_ME", "placeholder"},
		"secret":              {"my-super-secret-signing-key-0123456789", "placeholder"},
		"SeCrEt":              {good + "SeCrEt", "placeholder"},
		"password":            {"Password" + good, "placeholder"},
		"example":             {good[:16] + "EXAMPLE" + good[16:], "placeholder"},
		"your-":               {"your-long-random-value-goes-in-here", "placeholder"},
		"your_":               {"YOUR_32_BYTE_RANDOM_KEY_GOES_HERE", "placeholder"},
		"the reference SDK's": {"your-long-random-secret", "shorter"},
		"the same, padded":    {"your-long-random-secret-0123456789", "placeholder"},
		"replace-me":          {good + "replace-me", "placeholder"},

		"one byte":       {strings.Repeat("x", 64), "different"},
		"zeros":          {strings.Repeat("\x00", 32), "different"},
		"seven bytes":    {"abcdefgfedcbabcdggfedacbbacdefgabcdefgefg", "different"},
		"unit twice":     {"0123456789abcdef0123456789abcdef", "repeats"},
		"unit often":     {strings.Repeat("01234567", 4), "repeats"},
		"unit cut short": {strings.Repeat("0123456789abc", 3)[:35], "repeats"},
		"whole twice":    {good + good, "repeats"},
	} {
		err := keyhash.CheckSecret([]byte(tt.secret))
		var fault *keyhash.SecretError
		if !errors.As(err, &fault) || !strings.Contains(fault.Reason, tt.reason) {
			t.Errorf("%s: got %v, want a *SecretError with %q", name, err, tt.reason)
		}
		if h, err := keyhash.New([]byte(tt.secret)); err == nil || h != nil {
			t.Errorf("%s: New made a hasher", name)
		}
	}
}

func TestCheckSecretAccepts(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]string{
		"openssl rand -hex 32":     "4a1f8b0c7d2e93556f1a0be4c8d7723915ce60fb8a41d2e7390b5c6d8e9fa012",
		"openssl rand -hex 16":     "9f86d081884c7d659a2feaa0c55ad015",
		"openssl rand -base64 32":  "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
		"base64url":                "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg",
		"exactly eight characters": "abcdefghhgfedcbaaabbccddeeffgghh",
		"period over half":         "0123456789abcdefghij0123456789ab",
		"blank inside":             "correct horse battery staple 8Q!",
		"NUL at the end":           "9f86d081884c7d659a2feaa0c55ad01\x00",
		"not UTF-8":                "\xff\xfe9f86d081884c7d659a2feaa0c55ad0\xc3",
	} {
		if err := keyhash.CheckSecret([]byte(secret)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The same random bytes on every run: the odds of a placeholder in base64url would make this test fail by chance.
func TestCheckSecretAcceptsEncodedRandomBytes(t *testing.T) {
	t.Parallel()
	source := rand.NewChaCha8([32]byte{})
	var random [32]byte
	for range 10_000 {
		source.Read(random[:])
		for name, secret := range map[string]string{
			"hex":       hex.EncodeToString(random[:]),
			"HEX":       strings.ToUpper(hex.EncodeToString(random[:])),
			"base64":    base64.StdEncoding.EncodeToString(random[:]),
			"base64url": base64.RawURLEncoding.EncodeToString(random[:]),
		} {
			if err := keyhash.CheckSecret([]byte(secret)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Errors end up in logs: none of the secret may be in them, and they say what to do.
func TestSecretErrorHoldsNoneOfTheSecret(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string][]byte{
		"short":       []byte("Xq7Zw"),
		"white space": []byte("Xq7Zw" + strings.Repeat("k", 40) + " "),
		"placeholder": []byte("Xq7Zw-changeme-0123456789abcdefghij"),
		"few bytes":   bytes.Repeat([]byte("Xq7Zw"), 8),
		"repetition":  bytes.Repeat([]byte("Xq7Zw0123456789"), 4),
	} {
		err := keyhash.CheckSecret(secret)
		if err == nil || strings.Contains(err.Error(), "Xq7Zw") {
			t.Errorf("%s: no error, or one that holds a part of the secret", name)
			continue
		}
		if msg := err.Error(); !strings.Contains(msg, "openssl rand -hex 32") && !strings.Contains(msg, "remove it") {
			t.Errorf("%s: %q does not say what to do", name, msg)
		}
	}
}

func TestCheckSecretLeavesTheSecretAlone(t *testing.T) {
	t.Parallel()
	secret := []byte("CHANGEME-0123456789-ABCDEFGHIJKLMNOP")
	before := bytes.Clone(secret)
	_ = keyhash.CheckSecret(secret)
	if !bytes.Equal(secret, before) {
		t.Error("the caller's bytes were changed")
	}
}
