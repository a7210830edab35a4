package httpmw

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxHops bounds how many forwarding elements are read.
const maxHops = 64

// ByAddress returns a function that tells a request by its client's address: an
// IPv4 address, or the /64 that an IPv6 address is in, since one client has all of
// that. IPv4 addresses mapped into IPv6 are IPv4 addresses; zones do not matter.
//
// The address is that of the connection (http.Request.RemoteAddr). Only when that
// lies in one of the trusted prefixes, which name your own proxies, the
// X-Forwarded-For and Forwarded (RFC 7239) headers are read, from right to left, up to
// the first address that is not trusted: what stands left of it, anybody can
// have written. When both headers are there, both must say the same, since a
// proxy that writes one of them may pass on the other as a stranger sent it.
//
// Errors are [ErrNoAddress] (a Unix socket, for example) and [ErrForwardedHeader].
// ByAddress panics for a prefix that is not valid.
func ByAddress(trusted ...netip.Prefix) func(*http.Request) (string, error) {
	proxies := make(proxies, 0, len(trusted))
	for _, p := range trusted {
		if !p.IsValid() {
			panic("httpmw: ByAddress: a trusted prefix is not valid")
		}
		proxies = append(proxies, unmapPrefix(p))
	}
	return func(r *http.Request) (string, error) {
		addr, err := proxies.client(r)
		if err != nil {
			return "", err
		}
		if addr.Is4() {
			return addr.String(), nil
		}
		prefix, err := addr.Prefix(64)
		return prefix.String(), err
	}
}

// unmapPrefix makes an IPv4 prefix of one that is written in mapped form.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// proxies are the prefixes whose forwarding headers are believed.
type proxies []netip.Prefix

func (p proxies) trust(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// client returns the address of the client.
func (p proxies) client(r *http.Request) (netip.Addr, error) {
	remote, ok := parseNode(r.RemoteAddr)
	if !ok {
		return netip.Addr{}, ErrNoAddress
	}
	if !p.trust(remote) {
		return remote, nil
	}
	return p.forwarded(r.Header, remote)
}

// forwarded returns the address that the headers of a trusted proxy tell; the
// proxy's own when there are none.
func (p proxies) forwarded(h http.Header, remote netip.Addr) (netip.Addr, error) {
	client := netip.Addr{}
	for _, source := range []struct {
		lines []string
		nodes func([]string) ([]string, bool)
	}{{h["X-Forwarded-For"], listNodes}, {h["Forwarded"], forwardedNodes}} {
		if len(source.lines) == 0 {
			continue
		}
		addr, ok := p.rightmost(source.lines, source.nodes)
		if !ok || client.IsValid() && client != addr {
			return netip.Addr{}, ErrForwardedHeader
		}
		client = addr
	}
	if !client.IsValid() {
		return remote, nil
	}
	return client, nil
}

// rightmost returns the last address that is not trusted, or the first of all when
// all are.
func (p proxies) rightmost(lines []string, read func([]string) ([]string, bool)) (addr netip.Addr, ok bool) {
	commas := len(lines)
	for _, line := range lines {
		commas += strings.Count(line, ",")
	}
	if commas > maxHops {
		return addr, false
	}
	nodes, ok := read(lines)
	if !ok {
		return addr, false
	}
	for _, node := range slices.Backward(nodes) {
		if addr, ok = parseNode(node); !ok || !p.trust(addr) {
			return addr, ok
		}
	}
	return addr, addr.IsValid()
}

// listNodes splits X-Forwarded-For.
func listNodes(lines []string) ([]string, bool) {
	return strings.Split(strings.Join(lines, ","), ","), true
}

// parseNode reads an address, with or without a port.
func parseNode(s string) (netip.Addr, bool) {
	s = strings.Trim(s, " \t")
	var addr netip.Addr
	var err error
	switch bracketed := strings.HasPrefix(s, "["); {
	case bracketed && strings.HasSuffix(s, "]"):
		addr, err = netip.ParseAddr(s[1 : len(s)-1])
	case bracketed || strings.Count(s, ":") == 1:
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(s)
		addr = withPort.Addr()
	default:
		addr, err = netip.ParseAddr(s)
	}
	return addr.Unmap().WithZone(""), err == nil
}
