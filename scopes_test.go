package apikeys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCheckScope(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scope             string
		granted, required bool
	}{
		{"read", true, true},
		{"READ", true, true},
		{"docs:read", true, true},
		{"docs:a:b", true, true},
		{"https://example.com/auth#x", true, true},
		{"!#[]~", true, true},
		{"(/)?a=b&c=%20", true, true},
		{strings.Repeat("x", 128), true, true},
		{"*", true, false},
		{"docs:*", true, false},
		{"docs:a:*", true, false},

		{"", false, false},
		{" ", false, false},
		{" read", false, false},
		{"read ", false, false},
		{"**", false, false},
		{"*:read", false, false},
		{"*:*", false, false},
		{"docs:*:read", false, false},
		{"docs*", false, false},
		{"docs:r*", false, false},
		{"docs:*d", false, false},
		{"docs:**", false, false},
		{"*docs", false, false},
		{"read:", false, false},
		{":read", false, false},
		{":", false, false},
		{":*", false, false},
		{"a::b", false, false},
		{"a::*", false, false},
		{"read write", false, false},
		{"read\twrite", false, false},
		{"read\nwrite", false, false},
		{"read\x00", false, false},
		{"read\x7f", false, false},
		{`a"b`, false, false},
		{`a\b`, false, false},
		{"réad", false, false},
		{"rеad", false, false}, // Cyrillic е
		{"read\u200b", false, false},
		{"read\xff", false, false},
		{strings.Repeat("x", 129), false, false},
	} {
		if err := checkScope("F", c.scope, true); (err == nil) != c.granted {
			t.Errorf("granted %q: got %v, want good: %t", c.scope, err, c.granted)
		}
		if err := checkScope("F", c.scope, false); (err == nil) != c.required {
			t.Errorf("required %q: got %v, want good: %t", c.scope, err, c.required)
		}
	}
}

func TestCheckScopeNamesFieldAndScope(t *testing.T) {
	t.Parallel()
	err := checkScope("Scopes", strings.Repeat("é", 60), false)
	var bad *InvalidArgumentError
	if !errors.As(err, &bad) || bad.Field != "Scopes" {
		t.Fatalf("got %v, want an InvalidArgumentError for Scopes", err)
	}
	if !strings.Contains(bad.Reason, `"`+strings.Repeat("é", 40)+`"`) {
		t.Errorf("got %q, want 40 characters of the scope", bad.Reason)
	}
}

func TestIsScopeByteIsRFC6749(t *testing.T) {
	t.Parallel()
	for b := range 256 {
		want := b > 0x20 && b < 0x7f && b != '"' && b != '\\'
		if got := isScopeByte(byte(b)); got != want {
			t.Errorf("%#x: got %t, want %t", b, got, want)
		}
	}
}

func TestCheckRequired(t *testing.T) {
	t.Parallel()
	if err := checkRequired(nil); err != nil {
		t.Errorf("none: got %v, want nil", err)
	}
	if err := checkRequired(manyScopes(64)); err != nil {
		t.Errorf("64: got %v, want nil", err)
	}
	for name, scopes := range map[string][]string{
		"65":       manyScopes(65),
		"wildcard": {"read", "docs:*"},
		"all":      {"*"},
		"empty":    {"read", ""},
	} {
		var bad *InvalidArgumentError
		if err := checkRequired(scopes); !errors.As(err, &bad) || bad.Field != "Scopes" {
			t.Errorf("%s: got %v, want an InvalidArgumentError for Scopes", name, err)
		}
	}
}

func manyScopes(n int) []string {
	scopes := make([]string, n)
	for i := range scopes {
		scopes[i] = fmt.Sprintf("s%d:read", i)
	}
	return scopes
}

func TestNormalizeScopes(t *testing.T) {
	t.Parallel()
	in := []string{"b", "a", "b", "A", "docs:*", "docs:read", "a"}
	got, err := normalizeScopes("F", in)
	if diff := cmp.Diff([]string{"b", "a", "A", "docs:*", "docs:read"}, got); diff != "" || err != nil {
		t.Errorf("%v, want each once in order (-want +got):\n%s", err, diff)
	}
	in[0] = "changed"
	if got[0] != "b" {
		t.Error("the result shares memory with the argument")
	}
	for _, none := range [][]string{nil, {}} {
		if got, err := normalizeScopes("F", none); got != nil || err != nil {
			t.Errorf("%#v: got %#v, %v, want nil", none, got, err)
		}
	}
	if got, err := normalizeScopes("F", append(manyScopes(64), manyScopes(64)...)); len(got) != 64 || err != nil {
		t.Errorf("64 twice: got %d, %v, want 64", len(got), err)
	}
	if _, err := normalizeScopes("F", manyScopes(65)); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("65: got %v, want an invalid argument", err)
	}
	if _, err := normalizeScopes("F", []string{"read", "no good"}); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("bad scope: got %v, want an invalid argument", err)
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		granted  string // separated by spaces
		required string
		want     bool
	}{
		{"read", "read", true},
		{"write read", "read", true},
		{"", "read", false},
		{"", "", false},
		{"*", "", false},
		{"READ", "read", false},
		{"read", "READ", false},
		{"read", "rea", false},
		{"read", "reads", false},
		{"read", "read:a", false},
		{"docs:read", "docs", false},
		{"docs:*", "docs:read", true},
		{"docs:*", "docs:a:b", true},
		{"docs:*", "docs:*", true},
		{"docs:*", "docs:a:*", true},
		{"docs:*", "docs", false},
		{"docs:*", "docs:", false},
		{"docs:*", "docsx", false},
		{"docs:*", "docsx:read", false},
		{"docs:*", "Docs:read", false},
		{"docs:*", "a:docs:read", false},
		{"docs:*", "*", false},
		{"docs:a:*", "docs:b", false},
		{"docs:a:*", "docs:*", false},
		{"docs:a:*", "docs:a", false},
		{"*", "read", true},
		{"*", "docs:a:b", true},
		{"*", "docs:*", true},
		{"*", "*", true},
		// Not scopes, but should a store hold them, they grant nothing more.
		{"docs*", "docs:read", false},
		{"doc*", "docs", false},
		{"**", "read", false},
	} {
		if got := covers(strings.Fields(c.granted), c.required); got != c.want {
			t.Errorf("covers(%q, %q) = %t, want %t", c.granted, c.required, got, c.want)
		}
	}
}

func TestMissingScopes(t *testing.T) {
	t.Parallel()
	granted := []string{"docs:*", "read"}
	for _, c := range []struct {
		required, want []string
		anyOf          bool
	}{
		{nil, nil, true},
		{[]string{"read", "docs:a"}, nil, true},
		{[]string{"write", "read", "admin", "docs"}, []string{"write", "admin", "docs"}, true},
		{[]string{"write", "admin"}, []string{"write", "admin"}, false},
	} {
		if diff := cmp.Diff(c.want, missingScopes(granted, c.required)); diff != "" {
			t.Errorf("missing of %q (-want +got):\n%s", c.required, diff)
		}
		if got := coversAny(granted, c.required); got != c.anyOf {
			t.Errorf("coversAny(%q) = %t, want %t", c.required, got, c.anyOf)
		}
	}
	if got := missingScopes(nil, []string{"read"}); len(got) != 1 {
		t.Errorf("nothing granted: got %q missing, want read", got)
	}
	if coversAny(nil, []string{"read"}) || !coversAny(nil, nil) {
		t.Error("without scopes, want only what requires none")
	}
}

func TestScopesDoNotAllocate(t *testing.T) {
	granted := []string{"admin", "docs:*", "read"}
	required := []string{"read", "docs:a:b"}
	allocs := testing.AllocsPerRun(100, func() {
		if checkRequired(required) != nil || missingScopes(granted, required) != nil ||
			!coversAny(granted, required) || !grantCovers(granted, required) {
			t.Fatal("want all covered")
		}
	})
	if allocs != 0 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}

// Few letters, so that scopes meet.
func concreteScope() *rapid.Generator[string] {
	part := rapid.StringMatching(`[ab]{1,2}`)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(part, 1, 3).Draw(t, "parts"), ":")
	})
}

func grantedScope() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		s := concreteScope().Draw(t, "scope")
		switch rapid.IntRange(0, 9).Draw(t, "wild") {
		case 0:
			return "*"
		case 1, 2, 3:
			return s + ":*"
		}
		return s
	})
}

func grants() *rapid.Generator[[]string] { return rapid.SliceOfN(grantedScope(), 0, 4) }

func TestCoversAgreesWithItsDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		granted, r := grants().Draw(t, "granted"), concreteScope().Draw(t, "required")
		want := slices.ContainsFunc(granted, func(g string) bool { return coversByParts(g, r) })
		if got := covers(granted, r); got != want {
			t.Fatalf("covers(%q, %q) = %t, want %t", granted, r, got, want)
		}
	})
}

// coversByParts is the rule again, part by part.
func coversByParts(granted, required string) bool {
	g, r := strings.Split(granted, ":"), strings.Split(required, ":")
	for i, part := range g {
		if part == "*" {
			return len(r) > i
		}
		if i >= len(r) || r[i] != part {
			return false
		}
	}
	return len(r) == len(g)
}

func TestCoversIsMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		granted, more := grants().Draw(t, "granted"), grants().Draw(t, "more")
		r := concreteScope().Draw(t, "required")
		if covers(granted, r) && !covers(slices.Concat(more, granted), r) {
			t.Fatalf("%q covers %q, but not with %q added", granted, r, more)
		}
		if covers(granted, r) != (missingScopes(granted, []string{r}) == nil) {
			t.Fatalf("covers and missingScopes disagree on %q, %q", granted, r)
		}
	})
}

// childOf draws scopes each of which lies within one of the parent's.
func childOf(parent []string) *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		p := rapid.SampledFrom(parent).Draw(t, "of")
		if prefix, wild := strings.CutSuffix(p, "*"); wild && rapid.Bool().Draw(t, "narrow") {
			return prefix + grantedScope().Draw(t, "part")
		}
		return p
	}), 0, 4)
}

func TestChildNeverMayMoreThanItsParent(t *testing.T) {
	t.Parallel()
	covered := 0
	rapid.Check(t, func(t *rapid.T) {
		parent := grants().Draw(t, "parent")
		children := grants()
		if len(parent) > 0 && rapid.Bool().Draw(t, "within") {
			children = childOf(parent)
		}
		child := children.Draw(t, "child")
		r := concreteScope().Draw(t, "required")
		if !grantCovers(parent, child) || !covers(child, r) {
			return
		}
		covered++
		if !covers(parent, r) {
			t.Fatalf("%q grants %q, which covers %q, which it does not cover itself", parent, child, r)
		}
	})
	if covered == 0 && !testing.Short() { // which draws a handful
		t.Error("no case drawn in which the child may do anything")
	}
}

func TestGrantCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		parent, child string
		want          bool
	}{
		{"", "", true},
		{"", "read", false},
		{"read", "", true},
		{"read write", "write", true},
		{"read", "read write", false},
		{"*", "* docs:* read", true},
		{"docs:*", "docs:* docs:a:* docs:read", true},
		{"docs:*", "*", false},
		{"docs:read docs:write", "docs:*", false},
		{"docs:a:*", "docs:*", false},
	} {
		if got := grantCovers(strings.Fields(c.parent), strings.Fields(c.child)); got != c.want {
			t.Errorf("grantCovers(%q, %q) = %t, want %t", c.parent, c.child, got, c.want)
		}
	}
}

func BenchmarkMissingScopes(b *testing.B) {
	b.ReportAllocs()
	granted := []string{"admin", "docs:*", "read"}
	required := []string{"read", "docs:a:b"}
	for b.Loop() {
		if checkRequired(required) != nil || missingScopes(granted, required) != nil {
			b.Fatal("want all covered")
		}
	}
}

func ExampleScopesCover() {
	holds := []string{"docs:*", "users:read"}
	fmt.Println(ScopesCover(holds, []string{"docs:read", "docs:drafts:*"}))
	fmt.Println(ScopesCover(holds, []string{"users:*"}))
	// Output:
	// true
	// false
}

// What is passed fast is what would be passed.
func TestPlainScopesAreGood(t *testing.T) {
	t.Parallel()
	plain := 0
	for first := range 256 {
		for last := range 256 {
			for _, middle := range []string{"", "x", ":", "x:y", strings.Repeat("x", maxScopeBytes-2), strings.Repeat("x", maxScopeBytes-1)} {
				scope := string([]byte{byte(first)}) + middle + string([]byte{byte(last)})
				if !plainScope(scope) {
					continue
				}
				plain++
				if len(scope) > maxScopeBytes || strings.HasPrefix(scope, ":") || strings.HasSuffix(scope, ":") || strings.Contains(scope, "::") ||
					strings.ContainsFunc(scope, func(r rune) bool { return r > 0x7e || !isScopeByte(byte(r)) || r == '*' }) {
					t.Errorf("%q is plain, want it looked at", scope)
				}
			}
		}
	}
	if plain == 0 || !plainScope("docs:read") || plainScope("") || plainScope("docs:*") {
		t.Errorf("%d are plain, want words and colons", plain)
	}
}
