package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable is s as a terminal may show it: what could move the cursor, change the
// colours, turn the direction of the text or hide is written as an escape.
func printable(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, hides) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s { // a byte that is not UTF-8 comes as U+FFFD
		if hides(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hides tells of a rune that is not seen as itself: control, format and private
// characters, and every space but the one.
func hides(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }

// visibleJSON escapes, within the strings of a document, what a terminal should not
// get raw. Outside of strings JSON has none of it but line ends.
func visibleJSON(document []byte) []byte {
	var b []byte
	for _, r := range string(document) {
		switch {
		case r == '\n' || !hides(r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			high, low := surrogates(r)
			b = appendEscape(appendEscape(b, high), low)
		default:
			b = appendEscape(b, r)
		}
	}
	return b
}

func surrogates(r rune) (high, low rune) {
	r -= 0x10000
	return 0xd800 + r>>10, 0xdc00 + r&0x3ff
}

func appendEscape(b []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// secretive is what keys, secrets and hashes look like: long and without a pause. An
// id (36 characters) is shorter.
var secretive = regexp.MustCompile(`[0-9A-Za-z_-]{43,}`)

// withoutKeys is the text of an error without what may be a key: people paste keys
// where names belong, and errors repeat names.
func withoutKeys(text string) string {
	return secretive.ReplaceAllString(text, "[hidden: it may be a key]")
}

// quoted is a name as an error repeats it: short, and safe to show.
func quoted(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return `"` + printable(s) + `"`
}

// count is a number of things.
func count[N int | int64](n N, thing string) string {
	return plural(n, thing, thing+"s")
}

// plural is count for what has a plural of its own.
func plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
