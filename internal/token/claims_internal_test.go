package token

import (
	"slices"
	"strings"
	"testing"
)

func TestClaimsAreSortedAndReachable(t *testing.T) {
	t.Parallel()
	if !slices.IsSortedFunc(claims[:], func(a, b claim) int { return strings.Compare(a.head, b.head) }) {
		t.Error("claims are not sorted")
	}
	for i, c := range claims {
		if reason := shapeFault(c.head, MaxHeadLen); reason != "" {
			t.Errorf("%q can be nobody's head: %s", c.head, reason)
		}
		if i > 0 && claims[i-1].head == c.head {
			t.Errorf("%q is listed twice", c.head)
		}
		if c.owner == "" {
			t.Errorf("%q has no owner", c.head)
		}
		for _, head := range []string{c.head, c.head + "_eu"} {
			if got, ok := claimOn(head); !ok || !strings.HasPrefix(head, got.head) {
				t.Errorf("%q is not refused", head)
			}
		}
		if got, ok := claimOn("zz" + c.head); ok != c.inside {
			t.Errorf("%q inside a word: got %v (%s), want %v", c.head, ok, got.head, c.inside)
		}
	}
}
