package token_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys/internal/token"
)

// shield gives a shield key that is as good as random for a test, and the same on every run.
func shield(b byte) []byte { return bytes.Repeat([]byte{b}, token.ShieldLen) }

func newTagger(tb testing.TB, shields ...[]byte) *token.Tagger {
	tb.Helper()
	tagger, err := token.NewTagger(shields)
	if err != nil {
		tb.Fatalf("NewTagger: %v", err)
	}
	return tagger
}

// genuine is what a service does with a key: the shape first, then the tag.
func genuine(tagger *token.Tagger, s string, heads ...string) bool {
	_, ok := token.Parse(s, heads)
	return ok && tagger.Check(s)
}

// aHead draws heads of every shape that CheckHead accepts.
func aHead() *rapid.Generator[string] {
	return rapid.StringMatching(`[a-z][a-z0-9]{0,15}(_[a-z0-9]{1,15}){0,3}`)
}

func TestKeyIsRecognisedUnderItsHead(t *testing.T) {
	t.Parallel()
	tagger := newTagger(t, shield(1))
	rapid.Check(t, func(t *rapid.T) {
		head := aHead().Draw(t, "head")
		others := rapid.SliceOf(aHead()).Draw(t, "others")
		heads := append(slices.Clone(others), head)

		key := tagger.New(head)
		if got, want := len(key), len(head)+1+token.SuffixLen; got != want {
			t.Fatalf("length: got %d, want %d", got, want)
		}
		if got, ok := token.Parse(key, heads); !ok || got != head {
			t.Fatalf("Parse: got %q, %v, want %q, true", got, ok, head)
		}
		if !tagger.Check(key) {
			t.Fatal("Check: got false, want true")
		}
		if key == tagger.New(head) {
			t.Fatal("two keys are the same")
		}
		if _, ok := token.Parse(key, slices.DeleteFunc(others, func(h string) bool { return h == head })); ok {
			t.Fatal("Parse without its head: got true, want false")
		}
	})
}

func TestKeyUnderAnotherHeadFailsTheTag(t *testing.T) {
	t.Parallel()
	tagger := newTagger(t, shield(1))
	rapid.Check(t, func(t *rapid.T) {
		head, other := aHead().Draw(t, "head"), aHead().Draw(t, "other")
		if head == other {
			t.Skip("the same head")
		}
		moved := other + tagger.New(head)[len(head):]
		if _, ok := token.Parse(moved, []string{head, other}); !ok {
			t.Fatal("Parse: got false, want true")
		}
		if tagger.Check(moved) {
			t.Fatal("Check: got true, want false")
		}
	})
}

func TestHeadThatBeginsAnother(t *testing.T) {
	t.Parallel()
	tagger := newTagger(t, shield(1))
	for _, heads := range [][]string{{"my", "my_app"}, {"my_app", "my"}} {
		for _, want := range heads {
			if got, ok := token.Parse(tagger.New(want), heads); !ok || got != want {
				t.Errorf("Parse with %q: got %q, %v, want %q, true", heads, got, ok, want)
			}
		}
	}
}

func TestMangledKeysAreRefused(t *testing.T) {
	t.Parallel()
	tagger := newTagger(t, shield(1))
	const head = "my_app"
	key := tagger.New(head)
	refused := func(what string, at int, s string) {
		t.Helper()
		if genuine(tagger, s, "my", head, "my_app_x") {
			t.Errorf("%s at %d: accepted", what, at)
		}
	}
	for i := range key {
		refused("prefix that ends", i, key[:i])
		refused("suffix that starts", i+1, key[i+1:])
		refused("byte removed", i, key[:i]+key[i+1:])
		refused("byte doubled", i, key[:i]+key[i:i+1]+key[i:])
		if i > 0 && key[i-1] != key[i] {
			refused("neighbours swapped", i, key[:i-1]+key[i:i+1]+key[i-1:i]+key[i+1:])
		}
		for b := range 256 {
			if byte(b) != key[i] {
				refused("byte changed", i, key[:i]+string([]byte{byte(b)})+key[i+1:])
			}
		}
	}
	if !genuine(tagger, key, head) {
		t.Error("the key itself: refused")
	}
}

// Parse alone, without the tag that would catch the rest: all bytes at all positions.
func TestParseReadsEveryByte(t *testing.T) {
	t.Parallel()
	heads := []string{"my", "my_app"}
	key := []byte(newTagger(t, shield(1)).New("my_app"))
	for i, was := range key {
		for b := range 256 {
			key[i] = byte(b)
			want := key[i] == was || i > len("my_app") && strings.IndexByte(alphabet, key[i]) >= 0
			if _, got := token.Parse(string(key), heads); got != want {
				t.Errorf("byte %#02x at %d: got %v, want %v", b, i, got, want)
			}
		}
		key[i] = was
	}
}

func TestParseKnowsNoHeadThatIsTooLong(t *testing.T) {
	t.Parallel()
	suffix := newTagger(t, shield(1)).New("sk")[len("sk"):]
	for n, want := range map[int]bool{0: false, 1: true, token.MaxHeadLen: true, token.MaxHeadLen + 1: false, 1 << 20: false} {
		head := strings.Repeat("a", n)
		if _, got := token.Parse(head+suffix, []string{head}); got != want {
			t.Errorf("head of %d bytes: got %v, want %v", n, got, want)
		}
	}
}

func TestHostileKeysAreRefused(t *testing.T) {
	t.Parallel()
	tagger := newTagger(t, shield(1))
	heads := []string{"sk", "my_app", "sk_eu"}
	key := tagger.New("sk")
	suffix := strings.TrimPrefix(key, "sk")
	tests := map[string]string{
		"empty":                    "",
		"blank":                    " ",
		"head":                     "sk",
		"head and underscore":      "sk_",
		"underscore":               "_",
		"no head":                  suffix,
		"byte more":                key + "A",
		"twice":                    key + key,
		"lower case":               strings.ToLower(key),
		"upper case":               strings.ToUpper(key),
		"upper-case head":          "SK" + suffix,
		"leading blank":            " " + key,
		"trailing newline":         key + "\n",
		"trailing NUL":             key + "\x00",
		"newline for the last":     key[:len(key)-1] + "\n",
		"byte order mark":          "\uFEFF" + key,
		"full-width head":          "ｓｋ" + suffix,
		"Cyrillic head":            "ѕк" + suffix,
		"zero width space in head": "s\u200Bk" + suffix,
		"zero width space in body": key[:10] + "\u200B" + key[10:],
		"zero width, same length":  key[:10] + "\u200B" + key[13:],
		"escaped underscore":       "sk%5F" + key[3:],
		"hyphen":                   "sk-" + key[3:],
		"quoted":                   `"` + key + `"`,
		"Bearer":                   "Bearer " + key,
		"another product's head":   "ghp" + suffix,
		"head of a longer one":     "my" + suffix,
		"longer head":              "sk_eu_" + suffix,
		"zero tag":                 key[:len(key)-token.TagLen] + "000000",
		"100 KiB of A":             strings.Repeat("A", 100<<10),
		"1 MiB of A":               strings.Repeat("A", 1<<20),
		"1 MiB and a key":          strings.Repeat("A", 1<<20) + key,
		"SQL":                      `"' OR '1'='1' --"`,
		"50 bytes of 0xFF":         strings.Repeat("\xff", 50),
		"key-length 0xFF":          strings.Repeat("\xff", len(key)),
		"body of underscores":      "sk_" + strings.Repeat("_", token.SuffixLen),
	}
	for name, s := range tests {
		if genuine(tagger, s, heads...) {
			t.Errorf("%s: accepted", name)
		}
		if hint := token.Hint(s); len(s) > token.MaxLen && hint != "…" {
			t.Errorf("%s: Hint shows %d bytes of it", name, len(hint))
		}
	}
	if !genuine(tagger, key, heads...) {
		t.Error("the key itself: refused")
	}
}

func TestParseRefusesSizeBeforeReading(t *testing.T) {
	heads := []string{"sk", "my_app"}
	for _, size := range []int{100 << 10, 1 << 20} {
		big := strings.Repeat("A", size)
		best := time.Hour
		for range 20 { // the best of several: others share the machine
			start := time.Now()
			for range 1000 {
				token.Parse(big, heads)
			}
			best = min(best, time.Since(start)/1000)
		}
		if best >= time.Microsecond {
			t.Errorf("%d bytes: got %v, want less than 1µs", size, best)
		}
	}
}

func TestHint(t *testing.T) {
	t.Parallel()
	body := "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG" // 43 characters
	tests := map[string]struct{ in, want string }{
		"default head":     {"sk_" + body + "uvwxyz", "sk_abcd…wxyz"},
		"with environment": {"my_app_live_" + body + "uvwxyz", "my_app_live_abcd…wxyz"},
		"longest head":     {strings.Repeat("a", token.MaxHeadLen) + "_" + body + "uvwxyz", strings.Repeat("a", token.MaxHeadLen) + "_abcd…wxyz"},
		"head too long":    {strings.Repeat("a", token.MaxHeadLen+1) + "_" + body + "uvwxyz", "…"},
		"empty":            {"", "…"},
		"no head":          {"_" + body + "uvwxyz", "…"},
		"not a head":       {"my password: x_" + body + "uvwxyz", "…"},
		"not base62":       {"sk_" + body + "uvwxy-", "…"},
		"too short":        {"sk_" + body + "uvwxy", "…"},
	}
	for name, tt := range tests {
		if got := token.Hint(tt.in); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestPatternAcceptsWhatParseAccepts(t *testing.T) {
	t.Parallel()
	tagger := newTagger(t, shield(1))
	rapid.Check(t, func(t *rapid.T) {
		heads := rapid.SliceOfN(aHead(), 1, 4).Draw(t, "heads")
		key := []byte(tagger.New(rapid.SampledFrom(heads).Draw(t, "head")))
		if rapid.Bool().Draw(t, "mangle") {
			i := rapid.IntRange(0, len(key)-1).Draw(t, "at")
			key[i] = rapid.SampledFrom([]byte("_-aZ09 \n\xff")).Draw(t, "byte")
		}
		_, want := token.Parse(string(key), heads)
		whole := regexp.MustCompile("^" + token.Pattern(heads) + "$")
		if got := whole.Match(key); got != want {
			t.Fatalf("got %v, want %v as Parse", got, want)
		}
	})
}

func TestPatternFindsWholeKeysInText(t *testing.T) {
	t.Parallel()
	tagger := newTagger(t, shield(1))
	pattern := regexp.MustCompile(token.Pattern([]string{"my", "my_app"}))
	for _, head := range []string{"my", "my_app"} {
		key := tagger.New(head)
		tests := map[string]struct {
			text  string
			found bool
		}{
			"alone":            {key, true},
			"in quotes":        {`api_key = "` + key + `"`, true},
			"in a URL":         {"https://example.com/?k=" + key + "&x=1", true},
			"after a hyphen":   {"-" + key, true},
			"in a sentence":    {"It is " + key + ".", true},
			"longer":           {key + "A", false},
			"followed by _":    {key + "_", false},
			"after a letter":   {"x" + key, false},
			"after another _":  {"_" + key, false},
			"shorter":          {key[:len(key)-1], false},
			"twice, no break":  {key + key, false},
			"split by a blank": {key[:20] + " " + key[20:], false},
		}
		for name, tt := range tests {
			if got := pattern.FindString(tt.text) == key; got != tt.found {
				t.Errorf("%s, %s: found %v, want %v", head, name, got, tt.found)
			}
		}
	}
}

func TestPatternWithoutHeadsMatchesNothing(t *testing.T) {
	t.Parallel()
	key := newTagger(t, shield(1)).New("sk")
	pattern := regexp.MustCompile(token.Pattern(nil))
	for _, s := range []string{"", "a", key, key[2:], " " + key} {
		if pattern.MatchString(s) {
			t.Errorf("text of %d bytes: matched", len(s))
		}
	}
}

func FuzzParse(f *testing.F) {
	heads := []string{"sk", "my", "my_app", "my_app_live"}
	tagger := newTagger(f, shield(1))
	pattern := regexp.MustCompile("^" + token.Pattern(heads) + "$")
	for _, head := range heads {
		key := tagger.New(head)
		for _, s := range []string{key, key[1:], key[:len(key)-1], key + "A", key + key, " " + key, strings.ToUpper(key), key[len(head):]} {
			f.Add(s)
		}
	}
	for _, s := range []string{"", "_", "sk_", "\xff", "Bearer ", strings.Repeat("A", 50), strings.Repeat("_", 52), strings.Repeat("\u200B", 20)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		head, ok := token.Parse(s, heads)
		if ok && (!slices.Contains(heads, head) || !strings.HasPrefix(s, head+"_") || len(s) != len(head)+1+token.SuffixLen) {
			t.Error("Parse accepted a text that does not have the shape of a key")
		}
		if !ok && head != "" {
			t.Error("Parse refused, and named a head")
		}
		if got := pattern.MatchString(s); got != ok {
			t.Errorf("Pattern: got %v, want %v as Parse", got, ok)
		}
		if ok && token.Hint(s) == "…" {
			t.Error("Hint shows nothing of a key")
		}
		if hint := token.Hint(s); len(hint) > token.MaxHeadLen+1+4+len("…")+4 {
			t.Errorf("Hint shows %d bytes", len(hint))
		}
		tagger.Check(s)
	})
}

// What is refused at a glance would be refused by Parse, whatever the heads; and what
// begins as no head can is refused at a glance.
func TestPlausible(t *testing.T) {
	t.Parallel()
	suffix := "_" + strings.Repeat("a", token.SuffixLen)
	for s, want := range map[string]bool{
		"sk" + suffix: true, "a" + suffix: true, strings.Repeat("a", token.MaxHeadLen) + suffix: true,
		"": false, "sk": false, suffix: false, "sk" + suffix[1:]: false, "\x00k" + suffix: false, "Sk" + suffix: false,
		strings.Repeat("a", token.MaxHeadLen+1) + suffix: false, strings.Repeat("A", 1<<20): false,
	} {
		if got := token.Plausible(s); got != want {
			t.Errorf("%.80q: got %t, want %t", s, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9_A]{0,70}_[0-9A-Za-z_]{48,50}`)).Draw(t, "text")
		if len(s) <= token.SuffixLen || token.Plausible(s) {
			return
		}
		head := s[:len(s)-token.SuffixLen-1]
		if token.CheckHead(head) != nil {
			return // no client has it
		}
		if _, ok := token.Parse(s, []string{head}); ok {
			t.Fatalf("%q is a key with the head %q, and was refused at a glance", s, head)
		}
	})
}
