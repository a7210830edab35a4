package token

import "strings"

// Reasons that a HeadError gives; they continue a sentence that starts with the field.
const (
	reasonEmpty    = "must not be empty"
	reasonTooLong  = "must not be longer than 32 bytes"
	reasonStart    = "must start with a lower-case ASCII letter"
	reasonAlphabet = "must hold only lower-case ASCII letters, digits and single underscores between them"
)

// A HeadError says which setting makes no usable head, and why. It never repeats the value.
type HeadError struct {
	Field  string // "KeyPrefix", "Environment" or "AcceptedHeads"
	Reason string // "must ..."
}

// Error names the setting and says what it must be.
func (e *HeadError) Error() string { return e.Field + ": " + e.Reason }

// Head joins prefix and environment to the head of keys: prefix, or prefix_environment if there is one. Both are
// at most MaxPartLen lower-case ASCII letters, digits and single inner underscores, and start with a letter.
//
// A head that secret scanners take for somebody else's is refused: they would report our users' keys as leaked
// Stripe or GitHub credentials, and some send what they find to that service to try it. See claims for which.
//
// The error is a *[HeadError].
func Head(prefix, environment string) (string, error) {
	if reason := shapeFault(prefix, MaxPartLen); reason != "" {
		return "", &HeadError{Field: "KeyPrefix", Reason: reason}
	}
	head := prefix
	if environment != "" {
		if reason := shapeFault(environment, MaxPartLen); reason != "" {
			return "", &HeadError{Field: "Environment", Reason: reason}
		}
		head += "_" + environment
	}
	if c, ok := claimOn(head); ok {
		field := "KeyPrefix"
		if _, alone := claimOn(prefix); environment != "" && !alone {
			field = "Environment"
		}
		return "", &HeadError{Field: field, Reason: c.reason()}
	}
	return head, nil
}

// CheckHead reports whether head could have come from [Head] at some time, as heads must that are only accepted
// and no longer issued. One that is claimed by somebody passes: keys may have been issued before the claim was
// known, and then a rename is the cure. The error is a *[HeadError] whose Field is "AcceptedHeads".
func CheckHead(head string) error {
	reason := shapeFault(head, MaxHeadLen)
	if reason == reasonTooLong {
		reason = "must not be longer than 65 bytes"
	}
	if reason != "" {
		return &HeadError{Field: "AcceptedHeads", Reason: reason}
	}
	return nil
}

// shapeFault says what is wrong with the text of a prefix, an environment or a head, "" if nothing is.
func shapeFault(s string, maxLen int) string {
	switch {
	case s == "":
		return reasonEmpty
	case len(s) > maxLen:
		return reasonTooLong
	case s[0] < 'a' || s[0] > 'z':
		return reasonStart
	case strings.HasSuffix(s, "_"), strings.Contains(s, "__"):
		return reasonAlphabet
	}
	for i := range len(s) {
		if c := s[i]; c != '_' && c-'a' >= 26 && c-'0' >= 10 {
			return reasonAlphabet
		}
	}
	return ""
}
