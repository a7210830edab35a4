package apikeys

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/apikeys-platform/apikeys/internal/keyhash"
)

// redacted is what a Secret prints as, everywhere.
const redacted = "[redacted]"

// maxSecretFile bounds what SecretFromFile reads: a wrong path (a device, a
// log) must not fill the memory.
const maxSecretFile = 64 << 10

// Secret is a signing secret that does not show itself: fmt, log/slog,
// encoding/json, encoding/xml and text templates print "[redacted]", also when it
// sits in another struct, exported or not; encoding/gob refuses it. It cannot be
// unmarshalled. The zero value is no secret. A Secret is immutable and safe
// for concurrent use.
//
// What it cannot do: the bytes are in the memory of the process, and in a core
// dump of it.
type Secret struct {
	// A closure, because printers and loggers walk unexported fields too, and
	// of a function they see no more than its address.
	read func() string
}

// NewSecret returns the secret that consists of all bytes of s, none trimmed.
// [New] judges whether it is good enough to sign with.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{read: func() string { return s }}
}

// howToMakeOne ends the error for a secret that is missing.
const howToMakeOne = "set it to 32 random bytes or more, such as the output of 'openssl rand -hex 32'"

// SecretFromEnv returns the secret in the environment variable of that name, or an
// [InvalidArgumentError] that says which variable is unset or empty.
func SecretFromEnv(name string) (Secret, error) {
	s, ok := os.LookupEnv(name)
	switch {
	case !ok:
		return Secret{}, invalid("Secret", "the environment variable %q is not set: "+howToMakeOne, name)
	case s == "":
		return Secret{}, invalid("Secret", "the environment variable %q is empty: "+howToMakeOne, name)
	}
	return NewSecret(s), nil
}

// SecretFromFile returns the secret in the file at path, such as a mounted
// Docker or Kubernetes secret. One newline at the end ("\n" or "\r\n"), as editors and
// echo leave it, is not part of the secret; everything else is. An empty file and
// one of more than 64 KiB are an [InvalidArgumentError]; a file that cannot be
// read is the operating system's error (fs.ErrNotExist, fs.ErrPermission).
func SecretFromFile(path string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, fmt.Errorf("apikeys: read secret: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return Secret{}, fmt.Errorf("apikeys: read secret: %w", err)
	}
	if len(b) > maxSecretFile {
		return Secret{}, invalid("Secret", "the file %q is larger than 64 KiB", path)
	}
	s := trimNewline(string(b))
	if s == "" {
		return Secret{}, invalid("Secret", "the file %q is empty", path)
	}
	return NewSecret(s), nil
}

func trimNewline(s string) string {
	rest, ok := strings.CutSuffix(s, "\n")
	if ok {
		rest = strings.TrimSuffix(rest, "\r")
	}
	return rest
}

// IsZero reports whether there is no secret: the zero value, or one made of
// the empty string.
func (s Secret) IsZero() bool { return s.read == nil }

// ID names the secret in 16 hexadecimal characters, always the same ones, and
// reveals nothing of it: what [Client.CountKeysBySecret] lists it by, and
// [Client.RetireSecret] takes. Empty for the zero value.
func (s Secret) ID() string {
	if s.IsZero() {
		return ""
	}
	return keyhash.ID(s.bytes())
}

// bytes returns a copy of the secret; nil for the zero value.
func (s Secret) bytes() []byte {
	if s.read == nil {
		return nil
	}
	return []byte(s.read())
}

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (s Secret) GoString() string { return redacted }

// Format writes "[redacted]" for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]". There is no way back.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]" as a JSON string. There is no way back.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Plaintext is the text of an issued key. It prints, logs and marshals as the
// key's hint ("sk_Ab3d…x9Qz"); only [Plaintext.Reveal] gives the text. The zero
// value holds nothing. A Plaintext is immutable and safe for concurrent use.
type Plaintext struct {
	hint   string
	reveal func() string // a closure for the reason given at Secret
}

// newPlaintext couples the text of a key with the hint it shows in its place.
func newPlaintext(text, hint string) Plaintext {
	return Plaintext{hint: hint, reveal: func() string { return text }}
}

// Reveal returns the text of the key: what its owner presents. Show it once;
// do not log or store it.
func (p Plaintext) Reveal() string {
	if p.reveal == nil {
		return ""
	}
	return p.reveal()
}

// String returns the hint.
func (p Plaintext) String() string { return p.hint }

// GoString returns the hint.
func (p Plaintext) GoString() string { return p.hint }

// Format writes the hint, whatever the verb and flags.
func (p Plaintext) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.hint) }

// LogValue returns the hint.
func (p Plaintext) LogValue() slog.Value { return slog.StringValue(p.hint) }

// MarshalText returns the hint. There is no way back.
func (p Plaintext) MarshalText() ([]byte, error) { return []byte(p.hint), nil }

// MarshalJSON returns the hint as a JSON string. There is no way back.
func (p Plaintext) MarshalJSON() ([]byte, error) { return json.Marshal(p.hint) }
