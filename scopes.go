package apikeys

import (
	"slices"
	"strings"
)

// The bounds on scopes, granted or required.
const (
	maxScopes     = 64
	maxScopeBytes = 128
)

// checkScope refuses what is not a scope: segments separated by ":", of the
// characters that RFC 6749 §3.3 allows in a scope-token, compared byte by byte.
// A granted scope may be "*" or have "*" as its last segment; a required one
// has no "*" at all. It does not allocate for a good scope.
func checkScope(field, s string, granted bool) error {
	if why := scopeFault(s, granted); why != "" {
		return invalid(field, "scope %s %s", quoteClipped(s), why)
	}
	return nil
}

// scopeFault says what is wrong with a scope; "" means nothing.
func scopeFault(s string, granted bool) string {
	if s == "" {
		return "is empty"
	}
	if plainScope(s) {
		return ""
	}
	if len(s) > maxScopeBytes {
		return "is longer than 128 bytes"
	}
	for i := range len(s) {
		if !isScopeByte(s[i]) {
			return `has a character other than printable ASCII without space, " and \`
		}
	}
	if s[0] == ':' || s[len(s)-1] == ':' || strings.Contains(s, "::") {
		return `has an empty part before, after or between ":"`
	}
	return wildcardFault(s, granted)
}

func wildcardFault(s string, granted bool) string {
	star := strings.IndexByte(s, '*')
	switch {
	case star < 0:
		return ""
	case !granted:
		return `has a "*", which can be granted but not required`
	case star < len(s)-1, star > 0 && s[star-1] != ':':
		return `may have "*" only alone or as its last part, as in "docs:*"`
	}
	return ""
}

// plainScope tells of most scopes, and fast, that nothing is wrong with them: words, and
// ":" between two.
func plainScope(s string) bool {
	between := true // at the beginning, or behind a ":"
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', c == '_', c == '-', c == '.':
			between = false
		case c == ':' && !between:
			between = true
		default:
			return false
		}
	}
	return !between && len(s) <= maxScopeBytes
}

// isScopeByte is NQCHAR of RFC 6749 appendix A, of which scope-tokens consist.
func isScopeByte(b byte) bool {
	return b == 0x21 || b >= 0x23 && b <= 0x5b || b >= 0x5d && b <= 0x7e
}

// checkRequired checks the scopes that a request asks for; none is fine. It does not
// allocate when all are good.
func checkRequired(required []string) error {
	if len(required) > maxScopes {
		return invalid("Scopes", "has %d scopes; at most %d", len(required), maxScopes)
	}
	for _, s := range required {
		if err := checkScope("Scopes", s, false); err != nil {
			return err
		}
	}
	return nil
}

// normalizeScopes checks the scopes that a key is to be granted and returns
// them in their order, each once, in a slice of its own; nil for none.
func normalizeScopes(field string, scopes []string) ([]string, error) {
	var kept []string
	for _, s := range scopes {
		if err := checkScope(field, s, true); err != nil {
			return nil, err
		}
		if slices.Contains(kept, s) {
			continue
		}
		if len(kept) == maxScopes {
			return nil, invalid(field, "has more than %d scopes", maxScopes)
		}
		kept = append(kept, s)
	}
	return kept, nil
}

// covers reports whether one of the granted scopes allows the required one.
// Nothing granted covers nothing. It does not allocate.
func covers(granted []string, required string) bool {
	for _, g := range granted {
		if scopeCovers(g, required) {
			return true
		}
	}
	return false
}

// scopeCovers: "docs:*" covers "docs:read" and "docs:a:b", not "docs" and not
// "docsx". Taken as text, what it covers may itself end in "*": all that
// "docs:a:*" covers, "docs:*" covers too.
func scopeCovers(granted, required string) bool {
	if granted == required {
		return true
	}
	prefix, wild := strings.CutSuffix(granted, "*")
	if !wild || prefix != "" && prefix[len(prefix)-1] != ':' {
		return false
	}
	return len(required) > len(prefix) && strings.HasPrefix(required, prefix)
}

// missingScopes returns the required scopes that are not granted, in their
// order; nil when none is missing, and then it does not allocate.
func missingScopes(granted, required []string) []string {
	var missing []string
	for _, r := range required {
		if !covers(granted, r) {
			missing = append(missing, r)
		}
	}
	return missing
}

// coversAny reports whether at least one of the required scopes is granted.
// Nothing required is always granted.
func coversAny(granted, required []string) bool {
	for _, r := range required {
		if covers(granted, r) {
			return true
		}
	}
	return len(required) == 0
}

// grantCovers reports whether a key with the parent's scopes may do whatever
// one with the child's may: the rule for those who make keys for others. Both may
// have wildcards.
func grantCovers(parent, child []string) bool {
	for _, c := range child {
		if !covers(parent, c) {
			return false
		}
	}
	return true
}

// ScopesCover reports whether a key that grants granted may do whatever one that
// grants wanted may: the rule for those who hand out keys. Both may have
// wildcards: "docs:*" covers "docs:read" and "docs:a:*". Where nothing is granted,
// only nothing is covered.
func ScopesCover(granted, wanted []string) bool { return grantCovers(granted, wanted) }
