package apikeys

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"text/template"
	"time"
)

const (
	probeSecret = "Zq7vLw2XbT9cRk4mYh8sNd3fGj6pWu5e"
	probeHead   = "probe_live_"
	probeBody   = "k3Xw9TbQ7zLm2RfVh8YcNd5sGj4pUe6aKoBiZtCyEv1"
	probeHint   = probeHead + "k3Xw…yEv1"
)

// needles are all forms in which eight bytes in a row of text may show: as
// text, hex, base64, or a list of numbers or characters. Form by needle.
func needles(text string) map[string]string {
	all := map[string]string{}
	for i := 0; i+8 <= len(text); i++ {
		for form, needle := range formsOf(text[i : i+8]) {
			all[needle] = form
		}
	}
	return all
}

// leaks returns the form in which a needle is in output, if one is.
func leaks(output string, needles map[string]string) (form string, found bool) {
	for needle, form := range needles {
		if strings.Contains(output, needle) {
			return form, true
		}
	}
	return "", false
}

func formsOf(piece string) map[string]string {
	forms := map[string]string{
		"text": piece,
		"hex":  hex.EncodeToString([]byte(piece)),
		"HEX":  strings.ToUpper(hex.EncodeToString([]byte(piece))),
		// The first six bytes: whole groups, whatever follows them.
		"base64": base64.StdEncoding.EncodeToString([]byte(piece[:6])),
	}
	for _, verb := range []string{"%d", "%x", "%X", "%#x", "%#X", "%o", "%b", "%U", "%c", "%q"} {
		for _, sep := range []string{" ", ",", ", "} {
			parts := make([]string, len(piece))
			for i := range len(piece) {
				parts[i] = fmt.Sprintf(verb, piece[i])
			}
			forms[verb+sep] = strings.Join(parts, sep)
		}
	}
	return forms
}

type printer struct {
	name string
	show func(v any) string
}

// printers are the ways in which programs show values to people and machines.
func printers() []printer {
	var all []printer
	for _, format := range []string{
		"%v", "%+v", "%#v", "%s", "%q", "%#q", "%+q", "%d", "%+d", "%x", "%X", "%#x", "% x", "%T", "%p", "%c", "%U", "%#U",
		"%b", "%o", "%O", "%e", "%f", "%g", "%t", "%w", "%60v", "%-60s", "%060d", "%.40s", "%+.3v", "%[1]*[1]v", "%!", "%z",
	} {
		all = append(all, printer{"fmt " + format, func(v any) string { return fmt.Sprintf(format, v) }})
	}
	return append(all,
		printer{"Sprint", func(v any) string { return fmt.Sprint(v) }},
		printer{"Sprintln", func(v any) string { return fmt.Sprintln(v, v) }},
		printer{"Errorf", func(v any) string { return fmt.Errorf("wrap: %w", fmt.Errorf("%v %+v", v, v)).Error() }},
		printer{"log", func(v any) string { var b bytes.Buffer; log.New(&b, "", 0).Print(v); return b.String() }},
		printer{"slog text", func(v any) string { return logged(v, newTextHandler) }},
		printer{"slog json", func(v any) string { return logged(v, newJSONHandler) }},
		printer{"json", func(v any) string { return outcome(json.Marshal(v)) }},
		printer{"json indent", func(v any) string { return outcome(json.MarshalIndent(map[string]any{"v": v}, "", " ")) }},
		printer{"xml", func(v any) string { return outcome(xml.Marshal(v)) }},
		printer{"gob", encodeGob},
		printer{"text/template", func(v any) string {
			var b bytes.Buffer
			err := template.Must(template.New("").Parse(`{{.}} {{printf "%x" .}}`)).Execute(&b, v)
			return fmt.Sprint(b.String(), err)
		}},
		printer{"html/template", func(v any) string {
			var b bytes.Buffer
			err := htmltemplate.Must(htmltemplate.New("").Parse(`<a href="?{{.}}">{{.}}</a><script>{{.}}</script>`)).Execute(&b, v)
			return fmt.Sprint(b.String(), err)
		}},
		printer{"reflection", func(v any) string { return dump(reflect.ValueOf(v), 0) }},
	)
}

func newTextHandler(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) }
func newJSONHandler(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) }

func logged(v any, handler func(*bytes.Buffer) slog.Handler) string {
	var b bytes.Buffer
	l := slog.New(handler(&b)).With("with", v)
	l.Info("message", "arg", v, slog.Group("group", "inner", v), slog.Any("list", []any{v}))
	return b.String()
}

func outcome(b []byte, err error) string { return fmt.Sprint(string(b), err) }

func encodeGob(v any) string {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return fmt.Sprint(b.String(), err)
}

// dump prints what reflection reaches, unexported fields included, as the
// deeper sort of debug printers and loggers do.
func dump(v reflect.Value, depth int) string {
	var parts []string
	switch {
	case depth > 6 || !v.IsValid():
		return ""
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		parts = append(parts, dump(v.Elem(), depth+1))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			parts = append(parts, dump(v.Field(i), depth+1))
		}
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		for i := range v.Len() {
			parts = append(parts, dump(v.Index(i), depth+1))
		}
	case v.Kind() == reflect.Map:
		for _, k := range v.MapKeys() {
			parts = append(parts, dump(k, depth+1), dump(v.MapIndex(k), depth+1))
		}
	default:
		return fmt.Sprint(v)
	}
	return strings.Join(parts, " ")
}

// holder stands for anybody's struct; in the wrappers below the same value
// sits exported, unexported, behind pointers and in collections.
type holder[T any] struct {
	Exported T
	Pointer  *T
	hidden   T
	pointer  *T
	list     []T
	any      any
}

type configLike struct {
	SigningSecret   Secret
	AcceptedSecrets []Secret
	KeyPrefix       string
	RevocationDelay time.Duration
	Logger          *slog.Logger
	inner           struct{ secret Secret }
}

type probeError struct{ v any }

func (e probeError) Error() string { return fmt.Sprintf("failed with %v and %#v", e.v, e.v) }

// wrappings returns v as it may sit in a program.
func wrappings[T any](v T) map[string]any {
	h := holder[T]{v, &v, v, &v, []T{v}, v}
	return map[string]any{
		"value":               v,
		"pointer":             &v,
		"slice":               []T{v, v},
		"array":               [1]T{v},
		"slice of any":        []any{v, &v},
		"map":                 map[string]T{"k": v},
		"map of any":          map[string]any{"k": v},
		"map of pointers":     map[int]*T{1: &v},
		"struct":              h,
		"pointer to struct":   &h,
		"struct in a struct":  struct{ h holder[T] }{h},
		"exported field only": struct{ V T }{v},
		"hidden field only":   struct{ v T }{v},
		"embedded":            struct{ holder[T] }{h},
		"error":               probeError{v},
		"wrapped error":       fmt.Errorf("%w", probeError{&v}),
		"joined error":        errors.Join(probeError{v}, probeError{h}),
		"slog value":          slog.AnyValue(v),
	}
}

func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	secret := NewSecret(probeSecret)
	config := configLike{SigningSecret: secret, AcceptedSecrets: []Secret{secret}, KeyPrefix: "sk"}
	config.inner.secret = secret
	plaintext := newPlaintext(probeHead+probeBody, probeHint)
	for _, c := range []struct {
		name   string
		text   string
		values map[string]any
	}{
		{"Secret", probeSecret, wrappings(secret)},
		{"Config", probeSecret, wrappings(config)},
		{"Plaintext", probeBody, wrappings(plaintext)},
		{"IssuedKey", probeBody, wrappings(IssuedKey{Key: Key{Hint: probeHint}, Plaintext: plaintext})},
	} {
		probes, needles := 0, needles(c.text)
		for wrapping, v := range c.values {
			for _, p := range printers() {
				probes++
				// The output stays out of the message: it may hold a secret.
				if form, found := leaks(p.show(v), needles); found {
					t.Errorf("%s as %s shows through %s, form %s", c.name, wrapping, p.name, form)
				}
			}
		}
		if probes < 130 {
			t.Errorf("%s: %d probes, want at least 130", c.name, probes)
		}
	}
}

// careless is what a secret type usually looks like.
type careless []byte

func (careless) String() string               { return redacted }
func (careless) GoString() string             { return redacted }
func (careless) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (careless) MarshalJSON() ([]byte, error) { return []byte(`""`), nil }

// The probes are worth something only if they find what does leak.
func TestProbesFindLeaks(t *testing.T) {
	t.Parallel()
	found, needles := map[string]bool{}, needles(probeSecret)
	for wrapping, v := range wrappings(careless(probeSecret)) {
		for _, p := range printers() {
			if _, leaked := leaks(p.show(v), needles); leaked {
				found[wrapping], found[p.name] = true, true
			}
		}
	}
	for _, name := range []string{
		"fmt %d", "fmt %x", "fmt %X", "fmt %#x", "fmt % x", "fmt %c", "fmt %U", "fmt %b", "fmt %o", "fmt %v",
		"gob", "xml", "reflection", "hidden field only", "pointer to struct", "value", "error", "slog text",
	} {
		if !found[name] {
			t.Errorf("no leak found through %q, want one", name)
		}
	}
	for _, v := range []any{probeSecret, []byte(probeSecret), hex.EncodeToString([]byte(probeSecret))} {
		if _, leaked := leaks(outcome(json.Marshal(v)), needles); !leaked {
			t.Errorf("a bare %T in JSON was not found", v)
		}
	}
}

func TestSecretPrintsRedacted(t *testing.T) {
	t.Parallel()
	s := NewSecret(probeSecret)
	for name, got := range map[string]string{
		"%v":     fmt.Sprintf("%v", s),
		"%d":     fmt.Sprintf("%d", []Secret{s})[1:11],
		"String": s.String(),
		"%#v":    fmt.Sprintf("%#v", s),
		"zero":   fmt.Sprint(Secret{}),
		"Log":    s.LogValue().String(),
	} {
		if got != "[redacted]" {
			t.Errorf("%s: got %q, want [redacted]", name, got)
		}
	}
	got, err := json.Marshal(map[string]Secret{"a": s, "b": {}})
	if want := `{"a":"[redacted]","b":"[redacted]"}`; string(got) != want || err != nil {
		t.Errorf("JSON: got %s, %v, want %s", got, err, want)
	}
	if err := json.Unmarshal([]byte(`"anything"`), &s); err == nil { //nolint:staticcheck // that it cannot be unmarshalled is the point
		t.Error("a Secret was unmarshalled from JSON, want an error")
	}
	if err := gob.NewEncoder(new(bytes.Buffer)).Encode(s); err == nil {
		t.Error("gob encoded a Secret, want an error")
	}
}

func TestPlaintextPrintsItsHint(t *testing.T) {
	t.Parallel()
	p := newPlaintext(probeHead+probeBody, probeHint)
	for name, got := range map[string]string{
		"%v":     fmt.Sprintf("%v", p),
		"%x":     fmt.Sprintf("%x", p),
		"String": p.String(),
		"%#v":    fmt.Sprintf("%#v", &p),
		"Log":    p.LogValue().String(),
	} {
		if got != probeHint {
			t.Errorf("%s: got %q, want the hint", name, got)
		}
	}
	got, err := json.Marshal(p)
	if want := `"` + probeHint + `"`; string(got) != want || err != nil {
		t.Errorf("JSON: got %s, %v, want %s", got, err, want)
	}
	if p.Reveal() != probeHead+probeBody {
		t.Error("Reveal did not return the text")
	}
	var zero Plaintext
	if zero.Reveal() != "" || fmt.Sprint(zero) != "" {
		t.Error("the zero Plaintext is not empty")
	}
}

func TestSecretBytes(t *testing.T) {
	t.Parallel()
	s := NewSecret("k\x00\xff ")
	b := s.bytes()
	if string(b) != "k\x00\xff " {
		t.Errorf("got %d bytes, want all 4 as given", len(b))
	}
	clear(b)
	if string(s.bytes()) != "k\x00\xff " {
		t.Error("changing the copy changed the secret")
	}
	if s.IsZero() || !NewSecret("").IsZero() || !(Secret{}).IsZero() {
		t.Error("IsZero: want true for no bytes only")
	}
	if got := (Secret{}).bytes(); got != nil {
		t.Errorf("zero value: got %d bytes, want nil", len(got))
	}
}

func TestSecretFromEnv(t *testing.T) {
	t.Setenv("APIKEYS_TEST_SECRET", "value with a newline\n")
	s, err := SecretFromEnv("APIKEYS_TEST_SECRET")
	if err != nil || string(s.bytes()) != "value with a newline\n" {
		t.Errorf("got error %v, want the value untouched", err)
	}
	t.Setenv("APIKEYS_TEST_SECRET", "")
	for name, want := range map[string]string{
		"APIKEYS_TEST_SECRET": `"APIKEYS_TEST_SECRET" is empty`,
		"APIKEYS_TEST_UNSET":  `"APIKEYS_TEST_UNSET" is not set`,
		"":                    `"" is not set`,
	} {
		s, err := SecretFromEnv(name)
		if !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), want) || !s.IsZero() {
			t.Errorf("%q: got %v, want an invalid argument with %q", name, err, want)
		}
	}
}

func TestSecretFromFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	for content, want := range map[string]string{
		"plain":                  "plain",
		"unix\n":                 "unix",
		"windows\r\n":            "windows",
		"two\n\n":                "two\n",
		"two\r\n\r\n":            "two\r\n",
		"return\r":               "return\r",
		" spaces \n":             " spaces ",
		"in\nside":               "in\nside",
		strings.Repeat("x", 1e4): strings.Repeat("x", 1e4),
	} {
		writeFile(t, path, content)
		s, err := SecretFromFile(path)
		if err != nil || string(s.bytes()) != want {
			t.Errorf("%.20q: got %.20q, %v, want %.20q", content, s.bytes(), err, want)
		}
	}
	for _, content := range []string{"", "\n", "\r\n", strings.Repeat("x", maxSecretFile+1)} {
		writeFile(t, path, content)
		if s, err := SecretFromFile(path); !errors.Is(err, ErrInvalidArgument) || !s.IsZero() {
			t.Errorf("%d bytes: got error %v, want an invalid argument", len(content), err)
		}
	}
	if _, err := SecretFromFile(path + ".missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got %v, want fs.ErrNotExist", err)
	}
	if _, err := SecretFromFile(t.TempDir()); err == nil {
		t.Error("directory: got no error")
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
