package difftest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// texts are names that a collation, a filter or an encoding would change, or take
// for each other. 200 runes is what the client allows at most.
func texts() []string {
	return []string{
		"AbC", "abc", "AbC ", "ABC", " abc", "", `it's a "name"`, `%_\`, `\`, `\'; --`, "[a-c]*?",
		"café", "cafe\u0301", "CAFÉ", "straße", "strasse", "İstanbul", "ſ", "\u212a", "Ω", "ώ",
		"👩‍👩‍👧 🇸🇪", "\U0010fffd", "a\u00a0b", "\u202fx", strings.Repeat("𝔘", 200), strings.Repeat("é", 200),
	}
}

// names are texts that are not empty.
func names() []string {
	var list []string
	for _, text := range texts() {
		if text != "" {
			list = append(list, text)
		}
	}
	return list
}

// noon is in the middle of everything.
var noon = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

// times are close to each other, to the microsecond, and as far away as can be.
func times() []time.Time {
	list := []time.Time{noon}
	for _, d := range []time.Duration{
		time.Microsecond, -time.Microsecond, 999 * time.Millisecond, 123456 * time.Microsecond,
		time.Second, time.Hour, -time.Hour, 36 * time.Hour, -36 * time.Hour,
	} {
		list = append(list, noon.Add(d))
	}
	return append(list, time.Unix(0, 0).UTC(), time.UnixMicro(1).UTC(), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC))
}

// timesOrNever are times and the zero time.
func timesOrNever() []time.Time { return append([]time.Time{{}}, times()...) }

// documents are JSON objects that a database would like to write in another way.
func documents() []json.RawMessage {
	list := []json.RawMessage{nil}
	for _, text := range []string{
		`{}`, `{"n":9007199254740993}`, `{"a":1e2,"b":1.0,"c":-0,"d":0.1e-7,"e":1E400,"f":12345678901234567890.123456789}`,
		`{ "b" : 1,` + "\n\t" + `"a" : [ ] }`, `{"a":1,"A":2,"a ":3}`, `{"a":1,"a":2}`,
		`{"é":"\u00e9\ud83d\ude00 \"\\\/","<&>":"<&>` + "\u2028" + `"}`,
		`{"":null,"t":true,"deep":[[[[[[{"x":[]}]]]]]]}`,
		`{"big":"` + strings.Repeat("😀 ", (16<<10-10)/5) + `"}`,
	} {
		list = append(list, json.RawMessage(text))
	}
	return list
}

// filled are documents that hold something. A change to an empty one is left out: nil
// stands for {}, but [apikeys.KeyChange.Apply] takes one for a change of the other.
func filled() []json.RawMessage { return documents()[2:] }

func owners() []string { return []string{"alice", "Alice", "alice ", "ålice", "%"} }

func scopeLists() [][]string {
	many := make([]string, 64)
	for i := range many {
		many[i] = fmt.Sprintf("docs:%0123d", i)
	}
	return [][]string{nil, {"read"}, {"read", "Read"}, {"*"}, {`!#$%&'()+,-./:;<=>?@[]^_{|}~`}, many}
}

func limitLists() [][]apikeys.RateLimit {
	return [][]apikeys.RateLimit{
		nil, {apikeys.PerSecond(0)}, {apikeys.PerMinute(10), apikeys.PerDay(9007199254740993)},
		{apikeys.PerSecond(1), apikeys.PerMinute(2), apikeys.PerHour(3), apikeys.PerDay(1<<63 - 1)},
	}
}

// statuses are all, and one that no key has.
func statuses() []apikeys.KeyStatus {
	return []apikeys.KeyStatus{
		apikeys.StatusActive, apikeys.StatusExpired, apikeys.StatusRevoked, apikeys.StatusDisabled, apikeys.StatusAll,
	}
}
