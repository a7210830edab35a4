package apikeys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// KeyMetadata is what the owner of a key decides about it. What a method
// returns is a copy of its own: changing it changes nothing but the copy.
type KeyMetadata struct {
	// Name is for people: up to 200 characters, none of them control,
	// invisible or text-direction characters; kept exactly otherwise, spaces at
	// the ends included. It may be empty and need not be unique.
	Name string
	// Scopes are what the key grants: up to 64, of up to 128 bytes, compared
	// byte by byte. They are made of the characters of RFC 6749 §3.3, in parts
	// separated by ":". "docs:*" grants "docs:read" and "docs:a:b" but not
	// "docs"; "*" grants everything. Duplicates are folded. None: the key may
	// do only what requires no scope.
	Scopes []string
	// RateLimits bound how often the key may be used: at most one for each
	// window, and all of them must allow a request. They are kept sorted, the
	// shortest window first. None: no limit.
	RateLimits []RateLimit
	// ExpiresAt is when the key ends: it is expired from that moment on. Kept
	// in UTC, cut to microseconds; between the years 1970 and 9999, also in the past.
	// Zero: never.
	ExpiresAt time.Time
	// Custom is the caller's own JSON object: anything that encoding/json can
	// write, up to 16 KiB as JSON, nested up to 8 deep (Custom itself is the
	// first), with up to 64 keys in each object. It comes back as JSON
	// decodes: objects as map[string]any, arrays as []any, numbers as
	// json.Number with all of their digits. Numbers beyond a float64, text
	// that is not UTF-8, and NUL are refused. An empty map is the same as nil.
	Custom map[string]any
}

// DecodeCustom stores Custom in the value that into points to, usually a
// struct, by the rules of [json.Unmarshal]. Numbers stay exact: an int64 gets all
// of its digits, an any gets a json.Number. Errors are those of encoding/json.
func (m KeyMetadata) DecodeCustom(into any) error {
	raw, err := marshalExact(m.Custom)
	if err == nil {
		err = exactDecoder(raw).Decode(into)
	}
	if err != nil {
		return fmt.Errorf("apikeys: decode custom metadata: %w", err)
	}
	return nil
}

// normalize checks every field and returns a deep copy in the one form that
// is stored and returned. Whether ExpiresAt lies in the past is the caller's
// question: this knows no clock.
func (m KeyMetadata) normalize() (KeyMetadata, error) {
	if err := checkName("Metadata.Name", m.Name, false); err != nil {
		return KeyMetadata{}, err
	}
	var err error
	if m.Scopes, err = normalizeScopes("Metadata.Scopes", m.Scopes); err != nil {
		return KeyMetadata{}, err
	}
	if m.RateLimits, err = normalizeRateLimits("Metadata.RateLimits", m.RateLimits); err != nil {
		return KeyMetadata{}, err
	}
	if m.ExpiresAt, err = normalizeExpiry("Metadata.ExpiresAt", m.ExpiresAt); err != nil {
		return KeyMetadata{}, err
	}
	raw, err := encodeCustom(m.Custom)
	if err != nil {
		return KeyMetadata{}, err
	}
	m.Custom, err = decodeCustom(raw)
	return m, err
}

// normalizeExpiry returns t in UTC, cut to microseconds; the zero time, which
// means never, stays zero.
func normalizeExpiry(field string, t time.Time) (time.Time, error) {
	if t.IsZero() {
		return time.Time{}, nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	if t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, invalid(field, "must be between the years 1970 and 9999; the zero time means never")
	}
	return t, nil
}

// checkName refuses names that would not look like what they are: empty ones
// when required, more than 200 characters, invalid UTF-8, control characters, and
// all that Unicode lets a display ignore (zero width, direction overrides, tags,
// fillers), so that no two names differ in what nobody sees. The rest is kept
// exactly. Some such characters make emoji and are allowed there alone, see
// [joinsEmoji]. That costs the joiners between letters of some Persian and Indic
// spellings, and the flags of England, Scotland and Wales, which are made of
// tags: inside a name these cannot be told from a disguise.
func checkName(field, s string, required bool) error {
	if !utf8.ValidString(s) {
		return invalid(field, "must be valid UTF-8")
	}
	if s == "" && required {
		return invalid(field, "must not be empty")
	}
	if n := utf8.RuneCountInString(s); n > maxNameRunes {
		return invalid(field, "has %d characters; at most %d", n, maxNameRunes)
	}
	runes := []rune(s)
	for i, r := range runes {
		if isHidden(r) && !joinsEmoji(runes, i) {
			return invalid(field, "must not contain %U: control, invisible and text-direction characters are refused", r)
		}
	}
	return nil
}

func isHidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
		unicode.Noncharacter_Code_Point)
}

// joinsEmoji reports whether the hidden character at i is part of an emoji: a
// variation selector (U+FE0E, U+FE0F) right after a pictograph or before the keycap
// mark, or a zero width joiner between two pictographs.
func joinsEmoji(runes []rune, i int) bool {
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return 0
		}
		return runes[i]
	}
	switch at(i) {
	case 0xFE0E, 0xFE0F:
		return isPictograph(at(i-1)) || at(i+1) == 0x20E3
	case 0x200D:
		return (isPictograph(at(i-1)) || at(i-1) == 0xFE0F) && isPictograph(at(i+1))
	}
	return false
}

// isPictograph: a symbol outside ASCII, or one of the four emoji that Unicode
// counts as letters or punctuation.
func isPictograph(r rune) bool {
	return r > unicode.MaxASCII && (unicode.IsSymbol(r) || strings.ContainsRune("ℹ‼⁉〰", r))
}

// quoteClipped quotes what a caller wrote for an error message, at most 40
// characters of it.
func quoteClipped(s string) string { return fmt.Sprintf("%.40q", s) }

// The bounds on names and on KeyMetadata.Custom.
const (
	maxNameRunes   = 200
	maxCustomBytes = 16 << 10
	maxCustomDepth = 8
	maxCustomKeys  = 64
)

// encodeCustom returns the JSON that custom is stored as, keys sorted; "{}" for
// none. The error is an InvalidArgumentError that says where in custom the
// fault is.
func encodeCustom(custom map[string]any) (json.RawMessage, error) {
	if len(custom) == 0 {
		return json.RawMessage("{}"), nil
	}
	left := maxCustomBytes
	if err := boundCustom("", custom, 0, &left); err != nil {
		return nil, err
	}
	raw, err := marshalExact(custom)
	if err != nil {
		return nil, invalidCustom("", "has no JSON form")
	}
	if len(raw) > maxCustomBytes {
		return nil, errCustomSize()
	}
	// What a value's own MarshalJSON or a json.RawMessage wrote is seen only now.
	w := customWalk{raw: raw, dec: exactDecoder(raw)}
	if err := w.value("", 0); err != nil {
		return nil, err
	}
	return raw, nil
}

// decodeCustom is the way back: fresh values each time, nil for an empty
// object. It does not judge size or depth: a database may write the same JSON
// longer than it got it.
func decodeCustom(raw json.RawMessage) (map[string]any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	dec := exactDecoder(raw)
	var custom map[string]any
	if err := dec.Decode(&custom); err != nil {
		return nil, fmt.Errorf("custom metadata is not a JSON object: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("custom metadata has more than one JSON value")
	}
	if len(custom) == 0 {
		custom = nil
	}
	return custom, nil
}

// marshalExact is json.Marshal without the escaping of HTML.
func marshalExact(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// exactDecoder decodes raw with numbers as json.Number where the type is open.
func exactDecoder(raw []byte) *json.Decoder {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec
}

func invalidCustom(path, format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	if path != "" {
		reason = "at " + path + ": " + reason
	}
	return &InvalidArgumentError{Field: "Metadata.Custom", Reason: reason}
}

func errCustomSize() error { return invalidCustom("", "is larger than 16 KiB as JSON") }

func errCustomDepth(path string) error { return invalidCustom(path, "is nested more than 8 deep") }

func errCustomText(path string) error {
	return invalidCustom(path, "has text that is not valid UTF-8")
}

func keyPath(path, key string) string     { return path + "[" + quoteClipped(key) + "]" }
func indexPath(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// boundCustom walks v before encoding/json does, which would follow a cycle
// 1,000 levels down, would write the same map any number of times, and does not
// say where a fault is. depth counts the objects and arrays around v; left, the bytes
// of JSON that may still follow, of which each value takes at least one.
func boundCustom(path string, v any, depth int, left *int) error {
	if depth > maxCustomDepth {
		return errCustomDepth(path)
	}
	if *left--; *left < 0 {
		return errCustomSize()
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if err := boundLeaf(path, k, left); err != nil {
				return err
			}
			if err := boundCustom(keyPath(path, k), v[k], depth+1, left); err != nil {
				return err
			}
		}
	case []any:
		for i, x := range v {
			if err := boundCustom(indexPath(path, i), x, depth+1, left); err != nil {
				return err
			}
		}
	default:
		return boundLeaf(path, v, left)
	}
	return nil
}

func boundLeaf(path string, v any, left *int) error {
	raw, err := marshalExact(v)
	if unsupported := (*json.UnsupportedValueError)(nil); errors.As(err, &unsupported) {
		return invalidCustom(path, "a %T has no JSON form: %s", v, unsupported.Str)
	}
	if err != nil {
		return invalidCustom(path, "a %T has no JSON form", v)
	}
	*left -= len(raw)
	// encoding/json replaces invalid UTF-8 without a word. Of text that is not
	// at hand, U+FFFD in the outcome has to do as evidence.
	text, ok := v.(string)
	if ok && !utf8.ValidString(text) || !ok && bytes.Contains(raw, []byte("\uFFFD")) {
		return errCustomText(path)
	}
	return nil
}

// customWalk holds JSON against the rules for Custom, token by token: decoding
// it into a map would hide a duplicate key.
type customWalk struct {
	raw []byte
	dec *json.Decoder
}

// value checks one value, inside of depth objects and arrays.
func (w *customWalk) value(path string, depth int) error {
	tok, err := w.token(path)
	open, nested := tok.(json.Delim)
	switch {
	case err != nil || !nested:
		return err
	case depth == maxCustomDepth:
		return errCustomDepth(path)
	case open == '{':
		err = w.object(path, depth+1)
	default:
		err = w.array(path, depth+1)
	}
	if err == nil {
		_, err = w.token(path) // the closing bracket
	}
	return err
}

func (w *customWalk) object(path string, depth int) error {
	seen := make(map[json.Token]bool)
	for w.dec.More() {
		key, err := w.token(path)
		if err != nil {
			return err
		}
		at := keyPath(path, fmt.Sprint(key))
		if seen[key] {
			return invalidCustom(at, "is there twice")
		}
		seen[key] = true
		if len(seen) > maxCustomKeys {
			return invalidCustom(path, "has more than %d keys", maxCustomKeys)
		}
		if err := w.value(at, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *customWalk) array(path string, depth int) error {
	for i := 0; w.dec.More(); i++ {
		if err := w.value(indexPath(path, i), depth); err != nil {
			return err
		}
	}
	return nil
}

// token reads the next token and checks it if it is text or a number.
func (w *customWalk) token(path string) (json.Token, error) {
	from := w.dec.InputOffset()
	tok, err := w.dec.Token()
	if err != nil {
		return nil, invalidCustom(path, "is not valid JSON")
	}
	switch t := tok.(type) {
	case string:
		err = checkCustomText(path, t, w.raw[from:w.dec.InputOffset()])
	case json.Number:
		err = checkCustomNumber(path, t.String())
	}
	return tok, err
}

// checkCustomText refuses what databases refuse (NUL) and what would come back
// changed: lone surrogates and invalid UTF-8 in JSON that others wrote decode
// to U+FFFD, so one in the text that is not in the source stands for them.
func checkCustomText(path, text string, source []byte) error {
	if strings.Contains(text, "\x00") {
		return invalidCustom(path, "has NUL in its text")
	}
	if strings.Count(text, "\uFFFD") != bytes.Count(source, []byte("\uFFFD")) {
		return errCustomText(path)
	}
	return nil
}

// checkCustomNumber refuses what a float64 holds only as infinity or rounds to
// zero: databases refuse such numbers or write them out in thousands of digits.
func checkCustomNumber(path, number string) error {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f == 0 && strings.ContainsAny(number, "123456789") {
		return invalidCustom(path, "has a number beyond the range of a float64")
	}
	return nil
}
