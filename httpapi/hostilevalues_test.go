package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys"
)

// Values that keys cannot have are refused for what they are, also where whoever asks
// may grant everything.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	list := func(field, item string) string { return `{"` + field + `":[` + item + `]}` }
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf(`"s%d"`, i)
	}
	values := map[string]string{ // the attributes, and the field that is to blame
		list("scopes", strings.Join(many, ",")):                                        "scopes",
		`{"custom":` + strings.Repeat(`{"a":`, 9) + `1` + strings.Repeat(`}`, 9) + `}`: "custom",
		`{"custom":{"x":"` + strings.Repeat("x", 16<<10) + `"}}`:                       "custom",
		`{"custom":{` + strings.Join(many, `:1,`) + `:1}}`:                             "custom",
		`{"custom":{"a":1e400}}`:                                                       "custom",
		`{"custom":{"\u0000":1}}`:                                                      "custom",
		`{"custom":["a"]}`:                                                             "custom",
		`{"custom":"a"}`:                                                               "custom",
		`{"expires_at":"10000-01-01T00:00:00Z"}`:                                       "expires_at",
	}
	for _, scope := range []string{
		``, ` read`, `read `, `**`, `*:read`, `read:`, `:read`, `a::b`, `read write`, `read\nwrite`, `read\u0000`, `réad`, `a\"b`, strings.Repeat("a", 129),
	} {
		values[list("scopes", `"`+scope+`"`)] = "scopes"
	}
	for _, limit := range []string{"-1/minute", "9223372036854775807/day", "1.5/minute", "100", "1/0s", "1/-1s", "1/week", "1/", "/minute", "1e3/minute"} {
		values[list("rate_limits", `"`+limit+`"`)] = "rate_limits"
	}
	for _, name := range []string{strings.Repeat("x", 201), `\u0000`, `\ud800`, `\u202e`, `\u200b`, `\u2028`, `a\r\nb`, `\u001b[31m`} {
		values[`{"name":"`+name+`"}`] = "name"
	}
	key := w.issue("alice", apikeys.KeyMetadata{}).Key
	for attributes, field := range values {
		for _, got := range []*reply{
			w.send("admin", "POST", "/api-keys", strings.TrimSuffix(keyBody(attributes), "}}")+`,"relationships":{"organization":{"data":{"type":"organizations","id":"`+w.own.String()+`"}}}}}`),
			w.send("admin", "PATCH", "/api-keys/"+key.ID.String(), patchBody(key.ID.String(), attributes)),
		} {
			pointer := got.text("errors", 0, "source", "pointer")
			if got.status != http.StatusBadRequest || !strings.HasPrefix(pointer, "/data/attributes/"+field) {
				t.Errorf("%.100s: got %d %s, want a 400 that names %s", attributes, got.status, got.body, field)
			}
		}
	}
	now, err := w.GetKey(t.Context(), key.ID)
	check(t, err)
	if now.Version != 1 {
		t.Error("the key changed")
	}
}

// What keys can have comes back as it went in.
func TestOddValuesComeBackAsTheyWentIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.send("alice", "POST", "/api-keys", keyBody(`{"name":"'); DROP TABLE <script>%_\\ 🔑","scopes":["read","read","READ"],"expires_at":"2031-03-04T05:06:07.123456789+14:00","custom":{"n":9007199254740993,"x":"\u2028</script>"}}`))
	got.want(t, "READ is not read", http.StatusForbidden, "beyond_grant")
	got = w.send("alice", "POST", "/api-keys", keyBody(`{"name":"'); DROP TABLE <script>%_\\ 🔑","scopes":["read","read"],"expires_at":"2031-03-04T05:06:07.123456789+14:00","custom":{"n":9007199254740993,"x":"\u2028</script>"}}`))
	got.want(t, "odd values", http.StatusCreated, "")
	for _, at := range []struct {
		name string
		want any
	}{{"name", `'); DROP TABLE <script>%_\ 🔑`}, {"expires_at", "2031-03-03T15:06:07.123456Z"}, {"scopes", "[read]"}} {
		if v := fmt.Sprint(got.at("data", "attributes", at.name)); v != at.want {
			t.Errorf("%s: got %s, want %s", at.name, v, at.want)
		}
	}
	if !strings.Contains(got.body, `"n":9007199254740993`) || got.text("data", "attributes", "custom", "x") != "\u2028</script>" {
		t.Errorf("got %s", got.body)
	}
}

// Whatever is presented to verify is invalid, and its text comes back in no answer.
func TestHostileKeysAreNotVerified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.issue("alice", apikeys.KeyMetadata{}).Plaintext.Reveal()
	for _, text := range []string{
		"", " ", "sk", "sk_", "_", key[:len(key)-1], key + "A", key + key, strings.ToLower(key), strings.ToUpper(key), " " + key, key + `\n`, key + `\u0000`, `\ufeff` + key,
		`\uff53\uff4b` + key[2:], `\u0455k` + key[2:], key[:10] + `\u200b` + key[10:], strings.Replace(key, "_", "%5F", 1), `\"` + key + `\"`, "Bearer " + key, "pk" + key[2:],
		key[:len(key)-6] + "AAAAAA", strings.Repeat("A", 60<<10), `' OR '1'='1' --`, `\u00ff`, `<script>`,
	} {
		got := w.send("alice", "POST", "/verify", `{"meta":{"key":"`+text+`"}}`)
		got.want(t, text[:min(len(text), 60)], http.StatusOK, "")
		if got.at("meta", "valid") != false || got.text("meta", "code") != "invalid_key" || len(got.body) > 120 {
			t.Errorf("%.60q: got %s", text, got.body)
		}
	}
}
