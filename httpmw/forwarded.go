package httpmw

import "strings"

// forwardedNodes returns the for= nodes of Forwarded headers (RFC 7239 §4), one for
// each element, empty where it names none. Each line must be well-formed by
// itself: a quote that a stranger opens must not swallow what a proxy adds after it.
func forwardedNodes(lines []string) ([]string, bool) {
	var nodes []string
	for _, line := range lines {
		for more := true; more; {
			var node string
			var ok bool
			if node, line, more, ok = cutElement(line); !ok {
				return nil, false
			}
			nodes = append(nodes, node)
		}
	}
	return nodes, true
}

// cutElement reads pairs up to a comma or the end; for= may stand there once.
func cutElement(s string) (node, rest string, more, ok bool) {
	seen := false
	for {
		name, value, after, ok := cutPair(s)
		if !ok {
			return "", "", false, false
		}
		if strings.EqualFold(name, "for") {
			if seen {
				return "", "", false, false
			}
			node, seen = value, true
		}
		switch {
		case after == "":
			return node, "", false, true
		case after[0] == ',':
			return node, after[1:], true, true
		}
		s = after[1:] // a semicolon
	}
}

// cutPair reads name=value; what is left is empty or begins with "," or ";".
func cutPair(s string) (name, value, rest string, ok bool) {
	name, s, ok = strings.Cut(strings.TrimLeft(s, " \t"), "=")
	if !ok || !isToken(name) {
		return "", "", "", false
	}
	if strings.HasPrefix(s, `"`) {
		value, s, ok = cutQuoted(s[1:])
	} else {
		// More than a token is let through: an address with a port needs quotes
		// by the RFC, and goes without from many proxies.
		end := len(s)
		if i := strings.IndexAny(s, `,;" `+"\t"); i >= 0 {
			end = i
		}
		value, s, ok = s[:end], s[end:], end > 0
	}
	rest = strings.TrimLeft(s, " \t")
	return name, value, rest, ok && (rest == "" || rest[0] == ',' || rest[0] == ';')
}

// cutQuoted reads to the closing quote (RFC 9110 §5.6.4).
func cutQuoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
