package httpmw_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// hostileKeys are what strangers send in place of a key that they know nearly.
func hostileKeys(key, other string, changed bool) []string {
	keys := []string{
		"sk", "sk_", "_", key + "A", key + key, strings.ToLower(key), strings.ToUpper(key), " " + key, key + " ", key + "\n", key + "\r\n", key + "\x00",
		"\ufeff" + key, "\uff53\uff4b" + key[2:], "\u0455k" + key[2:], key[:10] + "\u200b" + key[10:], strings.Replace(key, "_", "%5F", 1), `"` + key + `"`,
		"Bearer " + key, "pk" + key[2:], key[:len(key)-6] + "AAAAAA", other, strings.Repeat("A", 100<<10), strings.Repeat("A", 1<<20), `"' OR '1'='1' --"`,
		strings.Repeat("\xff", 50), "sk_" + strings.Repeat("\xff", 49), key + ", " + key, "<script>alert(1)</script>",
	}
	for i := 1; i < len(key); i++ {
		keys = append(keys, key[:i])
	}
	for i := 0; changed && i < len(key); i++ {
		for _, bit := range []byte{1, 0x20, 0x80} { // the next, the other case, no ASCII
			near := []byte(key)
			near[i] ^= bit
			keys = append(keys, string(near))
		}
		if i > 3 && key[i] != key[i-1] {
			keys = append(keys, key[:i-1]+key[i:i+1]+key[i-1:i]+key[i+1:])
		}
	}
	return keys
}

// Whatever is presented as a key, in whichever header, the answer is the one for
// invalid keys, byte for byte, and the database is not asked.
func TestHostileKeysGetTheAnswerForInvalidKeys(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	client := onStore(t, c, broken{c.Store}) // whoever asks it is answered 503
	key, other := c.Issue().Plaintext.Reveal(), apikeystest.New(t).Issue().Plaintext.Reveal()
	want := dump(get(httpmw.New(client, httpmw.Options{}).Require()(&seen{}), apiKey("x")))
	for _, form := range forms {
		for _, hostile := range hostileKeys(key, other, form.name == forms[0].name) {
			res := get(httpmw.New(client, form.opts).Require()(&seen{}), func(h http.Header) { form.set(h, hostile) })
			got := dump(res)
			if form.opts.Header != "" { // it varies by another header
				got = strings.ReplaceAll(got, http.CanonicalHeaderKey(form.opts.Header), "X-Api-Key")
			}
			if got != want {
				t.Errorf("%s %.80q: got\n%s\nwant\n%s", form.name, hostile, got, want)
			}
		}
	}
	wantStatus(t, get(httpmw.New(c.Client, httpmw.Options{}).RequireParams(apikeys.ValidateParams{})(&seen{}), apiKey(key)), 200)
}
