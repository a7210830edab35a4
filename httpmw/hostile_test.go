package httpmw_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpmw"
)

// hostileHeaders are header lines as they come over the wire, T standing for a
// good key, U for another, and what Require answers to them.
var hostileHeaders = []struct {
	name   string
	lines  string // separated by |
	status int
	code   string
}{
	{"none", "", 401, "no_credential"},
	{"empty", "X-API-Key:", 401, "no_credential"},
	{"blank", "X-API-Key:  \t ", 401, "no_credential"},
	{"empty authorization", "Authorization:", 401, "no_credential"},
	{"scheme only", "Authorization: Bearer", 401, "no_credential"},
	{"scheme and space", "Authorization: Bearer ", 401, "no_credential"},
	{"two identical keys", "X-API-Key: T|X-API-Key: T", 400, "multiple_credentials"},
	{"two different keys", "X-API-Key: T|X-API-Key: U", 400, "multiple_credentials"},
	{"a good and a bad key", "X-API-Key: T|X-API-Key: x", 400, "multiple_credentials"},
	{"a key and an empty one", "X-API-Key: T|x-api-key:", 400, "multiple_credentials"},
	{"both headers", "X-API-Key: T|Authorization: Bearer T", 400, "multiple_credentials"},
	{"both headers, one empty", "X-API-Key: T|Authorization:", 400, "multiple_credentials"},
	{"both headers, one Basic", "X-API-Key: T|Authorization: Basic Zm9vOmJhcg==", 400, "multiple_credentials"},
	{"two authorizations", "Authorization: Bearer T|Authorization: Bearer T", 400, "multiple_credentials"},
	{"bearer and Basic", "Authorization: Basic Zm9vOmJhcg==|Authorization: Bearer T", 400, "multiple_credentials"},
	{"lower-case scheme", "Authorization: bearer T", 200, ""},
	{"upper-case scheme", "Authorization: BEARER T", 200, ""},
	{"mixed-case header", "aUTHORIZATION: bEaReR T", 200, ""},
	{"lower-case header", "x-api-key: T", 200, ""},
	{"white space around a header's value is not part of it", "X-API-Key:  \tT \t", 200, ""},
	{"two spaces", "Authorization: Bearer  T", 401, "invalid_key"},
	{"tab", "Authorization: Bearer\tT", 401, "invalid_key"},
	{"space and tab", "Authorization: Bearer \tT", 401, "invalid_key"},
	{"no space", "Authorization: BearerT", 401, "invalid_key"},
	{"colon", "Authorization: Bearer: T", 401, "invalid_key"},
	{"more after the key", "Authorization: Bearer T extra", 401, "invalid_key"},
	{"list of keys", "X-API-Key: T, T", 401, "invalid_key"},
	{"list of bearers", "Authorization: Bearer T, Bearer T", 401, "invalid_key"},
	{"parameters", "Authorization: Bearer T,realm=x", 401, "invalid_key"},
	{"quoted", `X-API-Key: "T"`, 401, "invalid_key"},
	{"bearer as a key", "X-API-Key: Bearer T", 401, "invalid_key"},
	{"full-width space", "Authorization: Bearer\u3000T", 401, "invalid_key"},
	{"Basic with the key", "Authorization: Basic T", 401, "no_credential"},
	{"key without scheme", "Authorization: T", 401, "no_credential"},
	{"other scheme", "Authorization: ApiKey T", 401, "no_credential"},
	{"Digest", `Authorization: Digest username="T"`, 401, "no_credential"},
	{"underscores", "X_API_KEY: T", 401, "no_credential"},
	{"other header", "Api-Key: T", 401, "no_credential"},
	{"proxy authorization", "Proxy-Authorization: Bearer T", 401, "no_credential"},
	{"cookie", "Cookie: X-API-Key=T; api_key=T; access_token=T", 401, "no_credential"},
	{"websocket protocol", "Sec-WebSocket-Protocol: X-API-Key, T", 401, "no_credential"},
	{"100 KiB", "X-API-Key: " + strings.Repeat("A", 100<<10), 401, "invalid_key"},
	{"0xFF", "X-API-Key: sk_" + strings.Repeat("\xff", 49), 401, "invalid_key"},
	{"SQL", "X-API-Key: ' OR '1'='1' --", 401, "invalid_key"},
}

func TestHostileHeadersOverTheWire(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	keys := strings.NewReplacer("T", c.Issue().Plaintext.Reveal(), "U", c.Issue().Plaintext.Reveal())
	mw := httpmw.New(c.Client, httpmw.Options{})
	server := httptest.NewServer(mw.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	t.Cleanup(server.Close)
	for _, tt := range hostileHeaders {
		t.Run(tt.name, func(t *testing.T) {
			var lines strings.Builder
			for line := range strings.SplitSeq(tt.lines, "|") {
				name, value, found := strings.Cut(line, ":")
				if found {
					lines.WriteString(name + ":" + keys.Replace(value) + "\r\n")
				}
			}
			res := raw(t, server, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+lines.String()+"\r\n")
			if tt.status == 200 {
				wantStatus(t, res, 200)
			} else {
				wantRefusal(t, res, tt.status, tt.code)
			}
		})
	}
}

// What is not in a header of its own is no credential.
func TestKeysElsewhereAreNotRead(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.Issue().Plaintext.Reveal()
	mw := httpmw.New(c.Client, httpmw.Options{})
	server := httptest.NewServer(mw.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	t.Cleanup(server.Close)
	form := "api_key=" + key + "&access_token=" + key
	for name, request := range map[string]string{
		"query":    "GET /?" + form + "&X-API-Key=" + key + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"path":     "GET /" + key + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"userinfo": "GET http://api:" + key + "@x/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"host":     "GET / HTTP/1.1\r\nHost: " + strings.ReplaceAll(key, "_", "-") + "\r\nConnection: close\r\n\r\n",
		"body": "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(form), form),
		"trailer": "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-API-Key\r\n\r\n" +
			"1\r\na\r\n0\r\nX-API-Key: " + key + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			res := raw(t, server, request)
			wantRefusal(t, res, 401, "no_credential")
			wantNoKey(t, res, key)
		})
	}
}

// Folded header lines and names with white space: net/http refuses or joins them;
// either way no key comes out.
func TestBrokenHeaderLinesAdmitNobody(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.Issue().Plaintext.Reveal()
	server := httptest.NewServer(httpmw.New(c.Client, httpmw.Options{}).Require()(&seen{}))
	t.Cleanup(server.Close)
	for _, line := range []string{
		"X-API-Key : " + key, "X-API-Key:" + key[:9] + "\r\n " + key[9:], "X-API-Key: " + key + "\r\n x", "X-API-Key\t: " + key,
		"Authorization: Bearer \r\n  " + key + "\r\n x", "X-API-Key: " + key + "\x00", "X-API-Key: \v" + key,
	} {
		res := raw(t, server, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+line+"\r\n\r\n")
		if res.StatusCode != 400 && res.StatusCode != 401 {
			t.Errorf("got status %d, want 400 or 401", res.StatusCode)
		}
	}
}

func TestKeysOverHTTP2(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	server := httptest.NewUnstartedServer(httpmw.New(c.Client, httpmw.Options{}).Require()(&seen{}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	key := c.Issue().Plaintext.Reveal()
	for status, keys := range map[int][]string{200: {key}, 400: {key, key}, 401: {key + "x"}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["X-Api-Key"] = keys
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.ProtoMajor != 2 || res.StatusCode != status {
			t.Errorf("got HTTP/%d status %d, want HTTP/2 status %d", res.ProtoMajor, res.StatusCode, status)
		}
	}
	server.Client().CloseIdleConnections()
}

// raw sends bytes and reads one answer.
func raw(t testing.TB, server *httptest.Server, request string) *answer {
	t.Helper()
	conn, err := net.DialTimeout("tcp", server.Listener.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &answer{res.StatusCode, res.Header, string(text)}
}
