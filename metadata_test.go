package apikeys

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"a", "Acme", "ACME ", "  spaces kept  ", "<script>alert(1)</script>", `'); DROP TABLE apikeys_keys; --`, `%_\"'`, "Ünïcödé",
		"日本語", "नमस्ते", "שלום", "مرحبا", "e\u0301", "😀", "❤️", "👍🏽", "👩‍💻", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🏴‍☠️", "👩🏽‍⚕️", "👩‍❤️‍👨", "🙂‍↔️",
		"1️⃣ first", "#️⃣", "ℹ️", "‼️", "☎︎", "🇫🇷", "\uFFFD", "\uE000", strings.Repeat("é", 200),
	} {
		if err := checkName("F", name, true); err != nil {
			t.Errorf("%q: got %v, want it accepted", name, err)
		}
	}
	for why, name := range map[string]string{
		"empty":                     "",
		"201 characters":            strings.Repeat("x", 201),
		"invalid UTF-8":             "a\xffb",
		"cut UTF-8":                 "é"[:1],
		"a lone surrogate":          "\xed\xa0\x80",
		"NUL":                       "a\x00",
		"line end":                  "a\nb",
		"tab":                       "a\tb",
		"escape":                    "\x1b[31m",
		"delete":                    "a\x7f",
		"C1 control":                "a\u0085",
		"Arabic letter mark":        "a\u061c",
		"left-to-right mark":        "a\u200e",
		"right-to-left mark":        "a\u200f",
		"embedding":                 "a\u202a",
		"override":                  "a\u202egpj.exe",
		"isolate":                   "a\u2066",
		"pop isolate":               "a\u2069",
		"line separator":            "a\u2028",
		"paragraph separator":       "a\u2029",
		"zero width space":          "ad\u200bmin",
		"zero width non-joiner":     "ad\u200cmin",
		"zero width joiner":         "ad\u200dmin",
		"joiner at the end":         "👩\u200d",
		"joiner at the start":       "\u200d👩",
		"joiner before a letter":    "👩\u200da",
		"joiner after a letter":     "a\u200d👩",
		"joiner twice":              "👩\u200d\u200d👩",
		"joiner of ASCII symbols":   "a+\u200d+b",
		"word joiner":               "a\u2060b",
		"byte order mark":           "\ufeffa",
		"soft hyphen":               "ad\u00admin",
		"grapheme joiner":           "ad\u034fmin",
		"Hangul filler":             "\u3164",
		"selector after a letter":   "admin\ufe0f",
		"selector at the start":     "\ufe0f❤",
		"selector twice":            "❤\ufe0f\ufe0f",
		"rare selector":             "❤\U000e0100",
		"tag characters":            "a\U000e0061",
		"interlinear annotation":    "a\ufff9",
		"noncharacter U+FFFE":       "a\ufffe",
		"noncharacter U+FFFF":       "a\uffff",
		"noncharacter in plane 16":  "a\U0010ffff",
		"noncharacter in the block": "a\ufdd0",
	} {
		err := checkName("F", name, true)
		var bad *InvalidArgumentError
		if !errors.As(err, &bad) || bad.Field != "F" {
			t.Errorf("%s, %.40q: got %v, want an InvalidArgumentError for F", why, name, err)
		}
	}
	if err := checkName("F", "", false); err != nil {
		t.Errorf("empty, not required: got %v, want nil", err)
	}
}

func TestNormalizeExpiry(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("+14:00", 14*3600)
	for _, c := range []struct{ in, want time.Time }{
		{time.Time{}, time.Time{}},
		{time.Time{}.In(east), time.Time{}},
		{time.Unix(0, 0), time.Unix(0, 0).UTC()},
		{time.Date(2030, 1, 1, 3, 0, 0, 1999, east), time.Date(2029, 12, 31, 13, 0, 0, 1000, time.UTC)},
		{time.Date(1970, 1, 1, 14, 0, 0, 0, east), time.Unix(0, 0).UTC()},
		{time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)},
	} {
		got, err := normalizeExpiry("F", c.in)
		if !got.Equal(c.want) || got.Location() != time.UTC || err != nil {
			t.Errorf("%v: got %v, %v, want %v", c.in, got, err, c.want)
		}
	}
	now, err := normalizeExpiry("F", time.Now())
	if err != nil || strings.Contains(now.String(), "m=") {
		t.Errorf("now: got %v, %v, want no monotonic reading", now, err)
	}
	for _, bad := range []time.Time{
		time.Unix(-1, 0),
		time.Date(1970, 1, 1, 13, 0, 0, 0, east), // 1969 in UTC
		time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(-44, 3, 15, 0, 0, 0, 0, time.UTC),
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -12*3600)), // 10000 in UTC
		time.Date(999999, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Unix(math.MaxInt64, 0),
	} {
		var arg *InvalidArgumentError
		if got, err := normalizeExpiry("F", bad); !errors.As(err, &arg) || arg.Field != "F" || !got.IsZero() {
			t.Errorf("%v: got %v, %v, want an InvalidArgumentError for F", bad, got, err)
		}
	}
}

func TestNormalizeRateLimits(t *testing.T) {
	t.Parallel()
	in := []RateLimit{PerDay(1e15), PerSecond(0), PerHour(5), PerMinute(7)}
	got, err := normalizeRateLimits("F", in)
	want := []RateLimit{PerSecond(0), PerMinute(7), PerHour(5), PerDay(1e15)}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, want them sorted by window (-want +got):\n%s", err, diff)
	}
	if in[0] != PerDay(1e15) {
		t.Error("the argument was changed")
	}
	if got, err := normalizeRateLimits("F", []RateLimit{}); got != nil || err != nil {
		t.Errorf("none: got %#v, %v, want nil", got, err)
	}
	for name, limits := range map[string][]RateLimit{
		"zero value":      {{}},
		"negative":        {PerMinute(-1)},
		"MinInt64":        {PerMinute(math.MinInt64)},
		"too large":       {PerMinute(1e15 + 1)},
		"MaxInt64":        {PerMinute(math.MaxInt64)},
		"unknown window":  {{Requests: 1, Window: 7}},
		"negative window": {{Requests: 1, Window: -1}},
		"same window":     {PerMinute(1), PerHour(2), PerMinute(1)},
	} {
		var bad *InvalidArgumentError
		if got, err := normalizeRateLimits("F", limits); !errors.As(err, &bad) || bad.Field != "F" || got != nil {
			t.Errorf("%s: got %v, %v, want an InvalidArgumentError for F", name, got, err)
		}
	}
}

// nested returns an object that is depth objects deep, itself included.
func nested(depth int) map[string]any {
	m := map[string]any{}
	for range depth - 1 {
		m = map[string]any{"a": m}
	}
	return m
}

func keys(n int) map[string]any {
	m := map[string]any{}
	for i := range n {
		m[strings.Repeat("k", i+1)] = nil
	}
	return m
}

type custom = map[string]any

func TestCustomComesBack(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("x", maxCustomBytes-len(`{"a":""}`))
	for name, c := range map[string]struct {
		in   custom
		want string // as JSON
	}{
		"nil":                  {nil, `{}`},
		"empty":                {custom{}, `{}`},
		"plain":                {custom{"plan": "pro", "on": true, "none": nil, "n": 1.5}, `{"n":1.5,"none":null,"on":true,"plan":"pro"}`},
		"empty inside":         {custom{"a": custom{}, "b": []any{}}, `{"a":{},"b":[]}`},
		"2^53 + 1":             {custom{"n": 9007199254740993}, `{"n":9007199254740993}`},
		"number kept":          {custom{"n": json.Number("1.10")}, `{"n":1.10}`},
		"most uint64":          {custom{"n": uint64(math.MaxUint64)}, `{"n":18446744073709551615}`},
		"largest float":        {custom{"n": math.MaxFloat64}, `{"n":1.7976931348623157e+308}`},
		"smallest float":       {custom{"n": math.SmallestNonzeroFloat64}, `{"n":5e-324}`},
		"zeros":                {custom{"n": []any{0, json.Number("0.000")}}, `{"n":[0,0.000]}`},
		"not HTML":             {custom{"<a>": "<b>&'\""}, `{"<a>":"<b>&'\""}`},
		"control, emoji":       {custom{"s": "a\nb\t\x01👩‍💻"}, `{"s":"a\nb\t\u0001👩‍💻"}`},
		"real U+FFFD":          {custom{"s\uFFFD": "a\uFFFD"}, `{"s` + "\uFFFD" + `":"a` + "\uFFFD" + `"}`},
		"empty key":            {custom{"": 1}, `{"":1}`},
		"depth 8":              {nested(8), strings.Repeat(`{"a":`, 7) + `{}` + strings.Repeat(`}`, 7)},
		"depth 8, filled":      {custom{"a": []any{[]any{[]any{[]any{[]any{[]any{[]any{1}}}}}}}}, `{"a":[[[[[[[1]]]]]]]}`},
		"16 KiB":               {custom{"a": huge}, `{"a":"` + huge + `"}`},
		"typed":                {custom{"s": []string{"a"}, "m": map[string]int{"b": 1}}, `{"m":{"b":1},"s":["a"]}`},
		"struct":               {custom{"v": struct{ A, B int }{1, 2}}, `{"v":{"A":1,"B":2}}`},
		"time":                 {custom{"t": time.Unix(0, 0).UTC()}, `{"t":"1970-01-01T00:00:00Z"}`},
		"raw":                  {custom{"r": json.RawMessage(` { "b" : [ 1 , "\u00e9" ] } `)}, `{"r":{"b":[1,"\u00e9"]}}`},
		"pair of \\ud escapes": {custom{"r": json.RawMessage(`"\ud83d\ude00"`)}, `{"r":"\ud83d\ude00"}`},
		"secret":               {custom{"s": NewSecret(probeSecret)}, `{"s":"[redacted]"}`},
	} {
		raw, err := encodeCustom(c.in)
		if err != nil || string(raw) != c.want {
			t.Errorf("%s: got %.200s, %v, want %.200s", name, raw, err, c.want)
			continue
		}
		back, err := decodeCustom(raw)
		if err != nil || (len(c.in) == 0) != (back == nil) {
			t.Errorf("%s: decoded to %v, %v", name, back, err)
		}
		again, err := encodeCustom(back)
		var want, got any // as values: the escapes of raw JSON need not survive
		if json.Unmarshal(raw, &want) != nil || json.Unmarshal(again, &got) != nil || !cmp.Equal(want, got) || err != nil {
			t.Errorf("%s: encoded again as %.200s, %v, want %.200s", name, again, err, raw)
		}
	}
	if got, err := encodeCustom(keys(64)); err != nil {
		t.Errorf("64 keys: got %s, %v, want no error", got, err)
	}
	if got, err := encodeCustom(custom{"a": keys(64), "b": []any{keys(64)}}); err != nil {
		t.Errorf("64 keys in each of several objects: got %s, %v, want no error", got, err)
	}
}

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }

type lying string

func (l lying) MarshalJSON() ([]byte, error) { return []byte(l), nil }

func TestCustomRefuses(t *testing.T) {
	t.Parallel()
	cyclic := custom{}
	cyclic["a"] = custom{"b": []any{cyclic}}
	bush := custom{} // 2^30 values if it were written out
	for range 30 {
		bush = custom{"l": bush, "r": bush}
	}
	wide := []any{}
	for range 6 { // within the depth, and still 64^6 values
		next := make([]any, 64)
		for i := range next {
			next[i] = wide
		}
		wide = next
	}
	type node struct{ Next *node }
	ring := &node{}
	ring.Next = ring
	for name, c := range map[string]struct {
		in   custom
		want string // in the reason
	}{
		"depth 9":              {nested(9), "nested more than 8"},
		"depth 9 by arrays":    {custom{"a": []any{[]any{[]any{[]any{[]any{[]any{[]any{[]any{}}}}}}}}}, "nested more than 8"},
		"depth 9 in raw":       {custom{"a": json.RawMessage(strings.Repeat("[", 8) + strings.Repeat("]", 8))}, `at ["a"][0][0][0][0][0][0][0]: is nested`},
		"depth 9, typed":       {custom{"a": [][][][][][][][]int{{{{{{{{}}}}}}}}}, "nested more than 8"},
		"cycle":                {cyclic, "nested more than 8"},
		"cycle in a struct":    {custom{"a": ring}, `at ["a"]: a *apikeys.node has no JSON form`},
		"bush":                 {bush, "nested more than 8"},
		"wide":                 {custom{"a": wide}, "larger than 16 KiB"},
		"16 KiB + 1":           {custom{"a": strings.Repeat("x", maxCustomBytes+1-len(`{"a":""}`))}, "larger than 16 KiB"},
		"long key":             {custom{strings.Repeat("k", maxCustomBytes): 1}, "larger than 16 KiB"},
		"escapes count":        {custom{"a": strings.Repeat("\x01", maxCustomBytes/6)}, "larger than 16 KiB"},
		"65 keys":              {keys(65), "has more than 64 keys"},
		"65 keys inside":       {custom{"a": []any{1, keys(65)}}, `at ["a"][1]: has more than 64 keys`},
		"1e400":                {custom{"a": json.Number("1e400")}, `at ["a"]: has a number beyond`},
		"-1e400 in raw":        {custom{"a": json.RawMessage(`[1,-1e400]`)}, `at ["a"][1]: has a number beyond`},
		"1e-400":               {custom{"a": json.Number("1e-400")}, "has a number beyond"},
		"0e99999":              {custom{"a": json.Number("0e99999")}, "has a number beyond"},
		"no number":            {custom{"a": json.Number("1x")}, `at ["a"]: a json.Number has no JSON form`},
		"NaN":                  {custom{"a": custom{"b": math.NaN()}}, `at ["a"]["b"]: a float64 has no JSON form: NaN`},
		"infinity":             {custom{"a": []any{1, math.Inf(-1)}}, `at ["a"][1]: a float64 has no JSON form: -Inf`},
		"channel":              {custom{"a": make(chan int)}, `at ["a"]: a chan int has no JSON form`},
		"function":             {custom{"a": custom{"b": func() {}}}, `at ["a"]["b"]: a func() has no JSON form`},
		"failing marshaler":    {custom{"a": failing{}}, `at ["a"]: a apikeys.failing has no JSON form`},
		"marshaler of nothing": {custom{"a": lying("")}, "has no JSON form"},
		"marshaler of two":     {custom{"a": lying(`1,"b":2`)}, "has no JSON form"},
		"marshaler of twins":   {custom{"a": lying(`{"x":1,"x":2}`)}, `at ["a"]["x"]: is there twice`},
		"duplicate in raw":     {custom{"a": json.RawMessage(`[{"x":1,"y":{},"x":2}]`)}, `at ["a"][0]["x"]: is there twice`},
		"duplicate by escape":  {custom{"a": json.RawMessage(`{"x":1,"\u0078":2}`)}, `is there twice`},
		"broken raw":           {custom{"a": json.RawMessage(`{`)}, "has no JSON form"},
		"NUL":                  {custom{"a": "b\x00"}, `at ["a"]: has NUL`},
		"NUL in a key":         {custom{"a\x00": 1}, "has NUL"},
		"NUL in raw":           {custom{"a": json.RawMessage(`"\u0000"`)}, `at ["a"]: has NUL`},
		"NUL in a typed slice": {custom{"a": []string{"", "\x00"}}, `at ["a"][1]: has NUL`},
		"not UTF-8":            {custom{"a": "b\xff"}, `at ["a"]: has text that is not valid UTF-8`},
		"key not UTF-8":        {custom{"b\xff": 1}, "has text that is not valid UTF-8"},
		"typed not UTF-8":      {custom{"a": map[string][]string{"b": {"\xff"}}}, "has text that is not valid UTF-8"},
		"raw not UTF-8":        {custom{"a": json.RawMessage("\"\xff\"")}, "has text that is not valid UTF-8"},
		"U+FFFD, typed":        {custom{"a": []string{"\uFFFD"}}, `at ["a"]: has text that is not valid UTF-8`},
		"lone surrogate":       {custom{"a": json.RawMessage(`"\ud800"`)}, "has text that is not valid UTF-8"},
		"surrogate and U+FFFD": {custom{"a": json.RawMessage("\"\uFFFD\\udc00\"")}, "has text that is not valid UTF-8"},
	} {
		raw, err := encodeCustom(c.in)
		var bad *InvalidArgumentError
		switch {
		case !errors.As(err, &bad) || raw != nil:
			t.Errorf("%s: got %.100q, %v, want an InvalidArgumentError", name, raw, err)
		case bad.Field != "Metadata.Custom" || !strings.Contains(bad.Reason, c.want):
			t.Errorf("%s: got %q for %s, want %q for Metadata.Custom", name, bad.Reason, bad.Field, c.want)
		case len(bad.Reason) > 1000:
			t.Errorf("%s: the reason is %d bytes long", name, len(bad.Reason))
		}
	}
}

// counting counts how often it is asked for its JSON, a kilobyte each time.
type counting struct{ calls *int }

func (c counting) MarshalJSON() ([]byte, error) {
	*c.calls++
	return []byte(`"` + strings.Repeat("x", 1<<10) + `"`), nil
}

func TestCustomStopsAtItsSize(t *testing.T) {
	t.Parallel()
	calls := 0
	values, longKeys := make([]any, 10_000), make([]any, 10_000)
	for i := range values {
		values[i] = counting{&calls}
		longKeys[i] = custom{strings.Repeat("k", 3<<10): counting{&calls}}
	}
	for name, c := range map[string]struct {
		list []any
		most int
	}{
		"1 KiB values":                   {values, 17},
		"1 KiB values under 3 KiB names": {longKeys, 5},
	} {
		calls = 0
		if _, err := encodeCustom(custom{"a": c.list}); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%s: got %v, want an invalid argument", name, err)
		}
		if calls > c.most {
			t.Errorf("%s: %d were written before 16 KiB were refused, want at most %d", name, calls, c.most)
		}
	}
}

func TestDecodeCustomOfStoredJSON(t *testing.T) {
	t.Parallel()
	for _, none := range []string{"", "{}", " { } ", "null"} {
		if got, err := decodeCustom(json.RawMessage(none)); got != nil || err != nil {
			t.Errorf("%q: got %v, %v, want nil", none, got, err)
		}
	}
	// Written by hand, beyond our limits: still readable.
	long := `{"a":"` + strings.Repeat("x", 1<<20) + `"}`
	if got, err := decodeCustom(json.RawMessage(long)); len(got) != 1 || err != nil {
		t.Errorf("1 MiB: got %d keys, %v, want 1", len(got), err)
	}
	for _, bad := range []string{"[]", `"x"`, "1", "{", "{}{}", "{} x", "nonsense"} {
		if got, err := decodeCustom(json.RawMessage(bad)); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}

func TestCustomRoundTripsExactly(t *testing.T) {
	t.Parallel()
	leaf := rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Just[any](nil),
	)
	list := rapid.Map(rapid.SliceOfN(leaf, 0, 4), func(a []any) any { return a })
	object := rapid.MapOfN(rapid.String(), rapid.OneOf(leaf, list), 0, 6)
	rapid.Check(t, func(t *rapid.T) {
		m := object.Draw(t, "custom")
		raw, err := encodeCustom(m)
		if err != nil {
			if !errors.Is(err, ErrInvalidArgument) {
				t.Fatalf("got %v, want an invalid argument", err)
			}
			return
		}
		back, err := decodeCustom(raw)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := encodeCustom(back); err != nil || string(again) != string(raw) {
			t.Fatalf("got %s, %v, want %s", again, err, raw)
		}
	})
}

func sampleMetadata() KeyMetadata {
	return KeyMetadata{
		Name:       " Alice's key ",
		Scopes:     []string{"write", "read", "write"},
		RateLimits: []RateLimit{PerHour(1000), PerSecond(5)},
		ExpiresAt:  time.Date(2030, 1, 1, 0, 0, 0, 1500, time.FixedZone("", 3600)),
		Custom:     custom{"user": custom{"id": 9007199254740993}, "tags": []string{"a"}},
	}
}

func TestNormalizeMetadata(t *testing.T) {
	t.Parallel()
	in := sampleMetadata()
	got, err := in.normalize()
	if err != nil {
		t.Fatal(err)
	}
	want := KeyMetadata{
		Name:       " Alice's key ",
		Scopes:     []string{"write", "read"},
		RateLimits: []RateLimit{PerSecond(5), PerHour(1000)},
		ExpiresAt:  time.Date(2029, 12, 31, 23, 0, 0, 1000, time.UTC),
		Custom:     custom{"user": custom{"id": json.Number("9007199254740993")}, "tags": []any{"a"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again, err := got.normalize()
	if diff := cmp.Diff(got, again); diff != "" || err != nil {
		t.Errorf("normalizing twice: %v (-once +twice):\n%s", err, diff)
	}
	if zero, err := (KeyMetadata{}).normalize(); !cmp.Equal(zero, KeyMetadata{}) || err != nil {
		t.Errorf("zero value: got %+v, %v, want it unchanged", zero, err)
	}
}

func TestNormalizeMetadataCopiesDeeply(t *testing.T) {
	t.Parallel()
	in := sampleMetadata()
	got, err := in.normalize()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := sampleMetadata().normalize()
	in.Scopes[0], in.RateLimits[0] = "changed", PerDay(1)
	in.Custom["new"] = true
	in.Custom["user"].(custom)["id"] = "changed"
	in.Custom["tags"].([]string)[0] = "changed"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changing the argument changed the copy (-want +got):\n%s", diff)
	}
	if untouched := sampleMetadata(); !cmp.Equal(untouched.RateLimits[1:], in.RateLimits[1:]) || in.Name != untouched.Name {
		t.Error("normalize changed its receiver")
	}
}

func TestNormalizeMetadataNamesTheField(t *testing.T) {
	t.Parallel()
	for field, m := range map[string]KeyMetadata{
		"Metadata.Name":       {Name: "a\x00"},
		"Metadata.Scopes":     {Scopes: []string{"read write"}},
		"Metadata.RateLimits": {RateLimits: []RateLimit{PerDay(-1)}},
		"Metadata.ExpiresAt":  {ExpiresAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"Metadata.Custom":     {Custom: custom{"a": math.NaN()}},
	} {
		got, err := m.normalize()
		var bad *InvalidArgumentError
		if !errors.As(err, &bad) || bad.Field != field || !cmp.Equal(got, KeyMetadata{}) {
			t.Errorf("got %v, want an InvalidArgumentError for %s and no metadata", err, field)
		}
	}
}

func TestDecodeCustomIntoAStruct(t *testing.T) {
	t.Parallel()
	m, err := sampleMetadata().normalize()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		User struct{ ID int64 }
		Tags []string
		Rest any
	}
	if err := m.DecodeCustom(&got); err != nil || got.User.ID != 9007199254740993 || len(got.Tags) != 1 {
		t.Errorf("got %+v, %v, want all digits of the id and one tag", got, err)
	}
	var open struct{ User any }
	if err := m.DecodeCustom(&open); err != nil || !cmp.Equal(open.User, any(custom{"id": json.Number("9007199254740993")})) {
		t.Errorf("got %v, %v, want numbers as json.Number", open.User, err)
	}
	preset := struct{ Plan string }{"free"}
	if err := (KeyMetadata{}).DecodeCustom(&preset); err != nil || preset.Plan != "free" {
		t.Errorf("no custom: got %+v, %v, want it untouched", preset, err)
	}
	html := KeyMetadata{Custom: custom{"plan": "<b>&\u2028"}}
	if err := html.DecodeCustom(&preset); err != nil || preset.Plan != "<b>&\u2028" {
		t.Errorf("got %q, %v, want the text as it was", preset.Plan, err)
	}
	var wrong struct{ Tags int }
	var mismatch *json.UnmarshalTypeError
	if err := m.DecodeCustom(&wrong); !errors.As(err, &mismatch) {
		t.Errorf("wrong type: got %v, want json's own error", err)
	}
	if err := m.DecodeCustom(nil); err == nil {
		t.Error("into nil: got no error")
	}
	if err := m.DecodeCustom(wrong); err == nil {
		t.Error("into no pointer: got no error")
	}
	bad := KeyMetadata{Custom: custom{"a": make(chan int)}}
	if err := bad.DecodeCustom(&got); err == nil {
		t.Error("custom that has no JSON form: got no error")
	}
}
