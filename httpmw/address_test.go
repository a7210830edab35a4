package httpmw_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys/httpmw"
)

func prefixes(texts ...string) (p []netip.Prefix) {
	for _, text := range texts {
		p = append(p, netip.MustParsePrefix(text))
	}
	return p
}

var (
	noAddress = httpmw.ErrNoAddress
	badHeader = httpmw.ErrForwardedHeader
)

func TestByAddressWithoutProxiesBelievesTheConnectionOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		remote, want string
		err          error
	}{
		{remote: "192.0.2.1:1234", want: "192.0.2.1"},
		{remote: "192.0.2.1", want: "192.0.2.1"},
		{remote: "[2001:db8:1:2:3:4:5:6]:80", want: "2001:db8:1:2::/64"},
		{remote: "2001:db8:1:2::", want: "2001:db8:1:2::/64"},
		{remote: "[::ffff:192.0.2.1]:80", want: "192.0.2.1"},
		{remote: "[fe80::1%eth0]:80", want: "fe80::/64"},
		{remote: "fe80::2%eth1", want: "fe80::/64"},
		{remote: "[::1]:80", want: "::/64"},
		{remote: "", err: noAddress},
		{remote: "@", err: noAddress},
		{remote: "localhost:80", err: noAddress},
		{remote: "192.0.2.1:http", err: noAddress},
		{remote: "192.0.2.256:80", err: noAddress},
		{remote: "192.0.2.1, 192.0.2.2", err: noAddress},
		{remote: "010.0.0.1:80", err: noAddress},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tt.remote
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		r.Header.Set("Forwarded", "for=198.51.100.1")
		got, err := httpmw.ByAddress()(r)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %q, %v, want %q, %v", tt.remote, got, err, tt.want, tt.err)
		}
	}
}

func TestByAddressBehindProxies(t *testing.T) {
	t.Parallel()
	address := httpmw.ByAddress(prefixes("10.0.0.0/8", "2001:db8:ffff::/48", "fe80::/10", "::ffff:172.16.0.0/108")...)
	for _, tt := range []struct {
		name, remote   string
		xff, forwarded []string
		want           string
		err            error
	}{
		// Who is believed.
		{"a stranger", "192.0.2.1:1", []string{"198.51.100.1"}, []string{"for=198.51.100.1"}, "192.0.2.1", nil},
		{"the proxy itself", "10.0.0.1:1", nil, nil, "10.0.0.1", nil},
		{"one proxy", "10.0.0.1:1", []string{"192.0.2.1"}, nil, "192.0.2.1", nil},
		{"mapped remote", "[::ffff:10.0.0.1]:1", []string{"192.0.2.1"}, nil, "192.0.2.1", nil},
		{"mapped prefix", "172.16.0.9:1", []string{"192.0.2.1"}, nil, "192.0.2.1", nil},
		{"IPv6 proxy", "[2001:db8:ffff::1]:1", []string{"2001:db8::1"}, nil, "2001:db8::/64", nil},
		{"proxy with a zone", "[fe80::1%eth0]:1", []string{"192.0.2.1"}, nil, "192.0.2.1", nil},
		{"two proxies", "10.0.0.1:1", []string{"192.0.2.1, 10.2.2.2"}, nil, "192.0.2.1", nil},
		{"two proxies, two lines", "10.0.0.1:1", []string{"192.0.2.1", "10.2.2.2"}, nil, "192.0.2.1", nil},
		{"nobody but proxies", "10.0.0.1:1", []string{"10.3.3.3, 10.2.2.2"}, nil, "10.3.3.3", nil},
		// Spoofed: what the client sends stands on the left.
		{"spoofed", "10.0.0.1:1", []string{"198.51.100.1, 192.0.2.1"}, nil, "192.0.2.1", nil},
		{"spoofed in a line before", "10.0.0.1:1", []string{"198.51.100.1", "192.0.2.1"}, nil, "192.0.2.1", nil},
		{"spoofed as a proxy", "10.0.0.1:1", []string{"198.51.100.1, 10.9.9.9, 192.0.2.1, 10.2.2.2"}, nil, "192.0.2.1", nil},
		{"rubbish on the left", "10.0.0.1:1", []string{"<script>, ,,\x00, 192.0.2.1"}, nil, "192.0.2.1", nil},
		{"spoofed Forwarded", "10.0.0.1:1", []string{"192.0.2.1"}, []string{"for=198.51.100.1"}, "", badHeader},
		{"spoofed XFF", "10.0.0.1:1", []string{"198.51.100.1"}, []string{"for=192.0.2.1"}, "", badHeader},
		{"both agree", "10.0.0.1:1", []string{"192.0.2.1"}, []string{"for=192.0.2.1:99"}, "192.0.2.1", nil},
		{"both, one broken", "10.0.0.1:1", []string{"192.0.2.1"}, []string{"for"}, "", badHeader},
		// What cannot be read is an error, never somebody's address.
		{"empty", "10.0.0.1:1", []string{""}, nil, "", badHeader},
		{"ends empty", "10.0.0.1:1", []string{"192.0.2.1,"}, nil, "", badHeader},
		{"ends in an empty line", "10.0.0.1:1", []string{"192.0.2.1", ""}, nil, "", badHeader},
		{"unknown", "10.0.0.1:1", []string{"unknown"}, nil, "", badHeader},
		{"a name", "10.0.0.1:1", []string{"example.com"}, nil, "", badHeader},
		{"rubbish before a proxy", "10.0.0.1:1", []string{"x, 10.2.2.2"}, nil, "", badHeader},
		{"too many", "10.0.0.1:1", []string{strings.Repeat("10.1.1.1,", 64) + "192.0.2.1"}, nil, "", badHeader},
		{"remote unreadable", "@", []string{"192.0.2.1"}, nil, "", noAddress},
		// Forms.
		{"port", "10.0.0.1:1", []string{"192.0.2.1:4711"}, nil, "192.0.2.1", nil},
		{"brackets", "10.0.0.1:1", []string{"[2001:db8::1]"}, nil, "2001:db8::/64", nil},
		{"brackets and port", "10.0.0.1:1", []string{" [2001:db8::1]:4711\t"}, nil, "2001:db8::/64", nil},
		{"mapped", "10.0.0.1:1", []string{"::ffff:192.0.2.1"}, nil, "192.0.2.1", nil},
		{"mapped proxy in the list", "10.0.0.1:1", []string{"192.0.2.1, ::ffff:10.1.1.1"}, nil, "192.0.2.1", nil},
		{"zone", "10.0.0.1:1", []string{"2001:db8::1%25eth0"}, nil, "2001:db8::/64", nil},
		// RFC 7239.
		{"Forwarded", "10.0.0.1:1", nil, []string{"for=192.0.2.1"}, "192.0.2.1", nil},
		{"Forwarded, in full", "10.0.0.1:1", nil, []string{`for=198.51.100.1;proto=http, By=10.0.0.1; FOR="[2001:db8::1]:4711" ;host="a,b;\"c"`}, "2001:db8::/64", nil},
		{"Forwarded, quoted port", "10.0.0.1:1", nil, []string{`for="192.0.2.1:4711"`}, "192.0.2.1", nil},
		{"Forwarded, two proxies", "10.0.0.1:1", nil, []string{"for=192.0.2.1, for=10.2.2.2"}, "192.0.2.1", nil},
		{"Forwarded, spoofed", "10.0.0.1:1", nil, []string{"for=198.51.100.1,for=192.0.2.1"}, "192.0.2.1", nil},
		{"Forwarded, spoofed line", "10.0.0.1:1", nil, []string{"for=198.51.100.1", "for=192.0.2.1"}, "192.0.2.1", nil},
		{"Forwarded, open quote", "10.0.0.1:1", nil, []string{`for=198.51.100.1;x=", for=192.0.2.1`}, "", badHeader},
		{"Forwarded, quote over lines", "10.0.0.1:1", nil, []string{`for=198.51.100.1;x="`, `for=192.0.2.1;by="y"`}, "", badHeader},
		{"Forwarded, quote closed by the proxy's", "10.0.0.1:1", nil, []string{`for=198.51.100.1;x=", for="[2001:db8::1]"`}, "", badHeader},
		{"Forwarded, two for", "10.0.0.1:1", nil, []string{"for=192.0.2.1;for=198.51.100.1"}, "", badHeader},
		{"Forwarded without for", "10.0.0.1:1", nil, []string{"for=198.51.100.1, proto=https"}, "", badHeader},
		{"Forwarded, unknown", "10.0.0.1:1", nil, []string{"for=unknown"}, "", badHeader},
		{"Forwarded, obfuscated", "10.0.0.1:1", nil, []string{"for=_hidden"}, "", badHeader},
		{"Forwarded, empty", "10.0.0.1:1", nil, []string{""}, "", badHeader},
		{"Forwarded, no value", "10.0.0.1:1", nil, []string{"for="}, "", badHeader},
		{"Forwarded, backslash at the end", "10.0.0.1:1", nil, []string{`for="192.0.2.1\`}, "", badHeader},
		{"Forwarded, space in the name", "10.0.0.1:1", nil, []string{"f or=192.0.2.1"}, "", badHeader},
		{"Forwarded, trailing comma", "10.0.0.1:1", nil, []string{"for=192.0.2.1,"}, "", badHeader},
		{"Forwarded, nobody on the left", "10.0.0.1:1", nil, []string{"proto=https, for=192.0.2.1"}, "192.0.2.1", nil},
		{"Forwarded, nobody before a proxy", "10.0.0.1:1", nil, []string{"proto=https, for=10.2.2.2"}, "", badHeader},
		{"Forwarded, no pair", "10.0.0.1:1", nil, []string{"x,for=192.0.2.1"}, "", badHeader},
		{"Forwarded, a name of two words", "10.0.0.1:1", nil, []string{"x y=z;for=192.0.2.1"}, "", badHeader},
		{"Forwarded, a value of two words", "10.0.0.1:1", nil, []string{"x=y z;for=192.0.2.1"}, "", badHeader},
		{"Forwarded, a quote in a value", "10.0.0.1:1", nil, []string{`x=y";for=192.0.2.1`}, "", badHeader},
		{"Forwarded, no separator", "10.0.0.1:1", nil, []string{`for="192.0.2.1"xby=y`}, "", badHeader},
		{"Forwarded, after the value", "10.0.0.1:1", nil, []string{`for="192.0.2.1"x`}, "", badHeader},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.remote
			r.Header["X-Forwarded-For"], r.Header["Forwarded"] = tt.xff, tt.forwarded
			got, err := address(r)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestByAddressRefusesPrefixesThatAreNone(t *testing.T) {
	t.Parallel()
	wantPanic(t, func() { httpmw.ByAddress(netip.Prefix{}) })
}

// Whatever a client sends, the address that the proxy adds on the right decides.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"", "192.0.2.1", "for=a;x=\"", "\"", ",", "for=1.2.3.4, for=\"[::1]\"", "10.0.0.1", `x="\`, "::ffff:10.0.0.1"} {
		f.Add(s)
	}
	address := httpmw.ByAddress(prefixes("10.0.0.0/8")...)
	f.Fuzz(func(t *testing.T, sent string) {
		for name, added := range map[string]string{"X-Forwarded-For": "192.0.2.1", "Forwarded": `for="192.0.2.1:80"`} {
			for _, lines := range [][]string{{sent, added}, {sent + ", " + added}} {
				r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{name: lines}}
				got, err := address(r)
				if err == nil && got != "192.0.2.1" || err != nil && !errors.Is(err, badHeader) {
					t.Errorf("%s %q: got %q, %v", name, lines, got, err)
				}
			}
		}
	})
}

func ExampleByAddress() {
	// The load balancer of this service stands in 10.0.0.0/8.
	address := httpmw.ByAddress(netip.MustParsePrefix("10.0.0.0/8"))

	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.7:41234"
	r.Header.Set("X-Forwarded-For", "198.51.100.66, 203.0.113.9") // the first is what the client claims
	fmt.Println(address(r))

	r.RemoteAddr = "192.0.2.1:41234" // not the load balancer: what it forwards counts for nothing
	fmt.Println(address(r))
	// Output:
	// 203.0.113.9 <nil>
	// 192.0.2.1 <nil>
}
