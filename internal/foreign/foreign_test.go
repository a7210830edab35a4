package foreign_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys/internal/foreign"
)

func scheme(t testing.TB, spec foreign.Spec) *foreign.Scheme {
	t.Helper()
	s, err := foreign.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	token   = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"
	entropy = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCd"
)

// A text leads to the form that its digest leads to, and to no other's.
func TestFormOfATextIsThatOfItsDigest(t *testing.T) {
	t.Parallel()
	sum := fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(entropy)))
	mac := hmac.New(sha256.New, []byte("k"))
	mac.Write([]byte("sk_" + token))
	seen := map[string]string{}
	for name, tc := range map[string]struct {
		spec     foreign.Spec
		id, text string
		digest   foreign.Digest
	}{
		"hmac":      {foreign.Spec{Name: "hmac", Kind: foreign.HMAC, Secret: []byte("k"), Prefixes: []string{"sk_"}}, "", "sk_" + token, foreign.Digest(mac.Sum(nil))},
		"token":     {foreign.Spec{Name: "token", Kind: foreign.Token, Prefixes: []string{"sk_"}}, "", "sk_" + token, sha256.Sum256([]byte("sk_" + token))},
		"letters":   {foreign.Spec{Name: "letters", Kind: foreign.Letters, Prefixes: []string{"x", ""}, Length: 20}, "", "abcdefghijklmnopqrst", sha256.Sum256([]byte("abcdefghijklmnopqrst"))},
		"plain":     {foreign.Spec{Name: "plain", Kind: foreign.Plain, Prefixes: []string{"sk_"}, Length: 43}, "", "sk_" + token, sha256.Sum256([]byte("sk_" + token))},
		"numbered":  {foreign.Spec{Name: "numbered", Kind: foreign.Numbered, Prefixes: []string{""}}, "7", "7|" + entropy, sha256.Sum256([]byte(entropy))},
		"numbered8": {foreign.Spec{Name: "numbered", Kind: foreign.Numbered, Prefixes: []string{""}}, "8", "8|" + entropy, sha256.Sum256([]byte(entropy))},
		"checked":   {foreign.Spec{Name: "numbered", Kind: foreign.Numbered, Prefixes: []string{"p_"}}, "7", "7|p_" + entropy + sum, sha256.Sum256([]byte("p_" + entropy + sum))},
	} {
		s := scheme(t, tc.spec)
		form, ok := s.Form(tc.text)
		if !ok || form != s.FormOf(tc.id, tc.digest) {
			t.Errorf("%s: got %t and another form than that of the digest", name, ok)
		}
		if other := seen[form]; other != "" {
			t.Errorf("%s and %s have one form", name, other)
		}
		seen[form] = name
		if form[0] != 0 || strings.Contains(form, tc.text) {
			t.Errorf("%s: the form could be a text, or holds it", name)
		}
		for _, wrong := range []string{"", tc.text[1:], tc.text + "A", tc.text[:len(tc.text)-1], form, " " + tc.text[1:], tc.text[:len(tc.text)-1] + "\n", "é" + tc.text} {
			if _, ok := s.Form(wrong); ok {
				t.Errorf("%s: %q has the shape", name, wrong)
			}
		}
	}
}

func TestSpecs(t *testing.T) {
	t.Parallel()
	for field, spec := range map[string]foreign.Spec{
		"Secret":   {Kind: foreign.HMAC, Prefixes: []string{""}},
		"Prefixes": {Kind: foreign.Token},
		"Length":   {Kind: foreign.Plain, Prefixes: []string{""}, Length: 19},
	} {
		_, err := foreign.New(spec)
		var fault *foreign.SpecError
		if !errors.As(err, &fault) || fault.Field != field {
			t.Errorf("got %v, want a fault of %s", err, field)
		}
	}
}

func TestCanBe(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		spec foreign.Spec
		head string
		want bool
	}{
		{foreign.Spec{Kind: foreign.Plain, Prefixes: []string{"sk_"}, Length: 49}, "sk_", true},
		{foreign.Spec{Kind: foreign.Plain, Prefixes: []string{"sk_"}, Length: 48}, "sk_", false},
		{foreign.Spec{Kind: foreign.Plain, Prefixes: []string{"s"}, Length: 51}, "sk_", true},
		{foreign.Spec{Kind: foreign.Plain, Prefixes: []string{"sk_ab"}, Length: 47}, "sk_", true},
		{foreign.Spec{Kind: foreign.Plain, Prefixes: []string{"xk_"}, Length: 49}, "sk_", false},
		{foreign.Spec{Kind: foreign.Letters, Prefixes: []string{""}, Length: 52}, "sk_", false},
		{foreign.Spec{Kind: foreign.Token, Prefixes: []string{"sk_"}}, "sk_", false},
		{foreign.Spec{Kind: foreign.Numbered, Prefixes: []string{""}}, "sk_", false},
	} {
		if got := scheme(t, tc.spec).CanBe(tc.head, 49); got != tc.want {
			t.Errorf("%+v and %s: got %t", tc.spec, tc.head, got)
		}
	}
}

func TestSchemePrintsNoSecret(t *testing.T) {
	t.Parallel()
	s := scheme(t, foreign.Spec{Name: "x", Kind: foreign.HMAC, Secret: []byte("hunter2"), Prefixes: []string{""}})
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		if text := fmt.Sprintf(verb, s); strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74657232") || strings.Contains(text, "104 117 110") {
			t.Errorf("%s prints the secret: %s", verb, text)
		}
	}
}

// Junk is refused without being hashed, whatever its size.
func BenchmarkJunk(b *testing.B) {
	s := scheme(b, foreign.Spec{Kind: foreign.Numbered, Prefixes: []string{""}})
	junk := "7|" + strings.Repeat("A", 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := s.Form(junk); ok {
			b.Fatal("has the shape")
		}
	}
}

// Whatever is presented, nothing panics, and what has the shape has the form of its digest.
func FuzzForm(f *testing.F) {
	schemes := []*foreign.Scheme{
		scheme(f, foreign.Spec{Name: "hmac", Kind: foreign.HMAC, Secret: []byte("k"), Prefixes: []string{"sk_"}}),
		scheme(f, foreign.Spec{Name: "letters", Kind: foreign.Letters, Prefixes: []string{"", "p"}, Length: 20}),
		scheme(f, foreign.Spec{Name: "plain", Kind: foreign.Plain, Prefixes: []string{"l."}, Length: 32}),
		scheme(f, foreign.Spec{Name: "numbered", Kind: foreign.Numbered, Prefixes: []string{"", "pat_"}}),
	}
	for _, text := range []string{"", "|", "7|" + entropy, "sk_" + token, strings.Repeat("a", 20), "l." + token[:32], "7|pat_" + entropy} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range schemes {
			form, ok := s.Form(text)
			if !ok {
				continue
			}
			id, hashed := "", text
			if s.NeedsID() {
				id, hashed, _ = strings.Cut(text, "|")
			}
			if s.Name() != "hmac" && form != s.FormOf(id, sha256.Sum256([]byte(hashed))) {
				t.Errorf("%s: %q has another form than its digest", s.Name(), text)
			}
			if again, ok := s.Form(form); ok {
				t.Errorf("%s: the form of %q is a text with the form %q", s.Name(), text, again)
			}
		}
	})
}
