package postgres

import (
	"crypto/sha256"
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

var deepRows = flag.Int("deep-rows", 100_000, "how many keys -thorough makes to page through")

// A page costs the same wherever it is, and a look-up however many keys there are.
func TestDeepPages(t *testing.T) {
	t.Parallel()
	if !thorough() {
		t.Skip("left out without -thorough: makes many rows")
	}
	pool := fill(t, *deepRows)
	s := New(pool)
	const pages = 10_000
	size := *deepRows / 2 / pages // the organization has every second key
	page := func(before uuid.UUID) func() {
		return func() {
			q := apikeys.KeyQuery{Scope: apikeys.Scope{OrganizationID: testID(1, 1)}, Before: before, Limit: size}
			found, err := s.ListKeys(t.Context(), q)
			if err != nil || len(found) != size {
				t.Fatalf("got %d keys, %v, want a page of %d", len(found), err, size)
			}
		}
	}
	first, last := interleaved(page(uuid.Max), page(testID(4, 2*size)))
	t.Logf("of %d rows: page 1 %s, page %d %s", *deepRows, first, pages, last)
	if last > first*3/2 {
		t.Errorf("page %d took %s, want at most 1.5 times the %s of page 1", pages, last, first)
	}
	small := New(fill(t, 1000))
	lookUp := func(s *Store) func() {
		h := apikeys.Hash(sha256.Sum256([]byte(testID(4, 7).String())))
		return func() {
			if found, err := s.KeysByHash(t.Context(), []apikeys.Hash{h}); err != nil || len(found) != 1 {
				t.Fatalf("got %d keys, %v, want 1", len(found), err)
			}
		}
	}
	few, many := interleaved(lookUp(small), lookUp(s))
	t.Logf("a look-up among 1,000 keys %s, among %d %s", few, *deepRows, many)
	if many > few*3/2 {
		t.Errorf("a look-up among %d keys took %s, want at most 1.5 times the %s among 1,000", *deepRows, many, few)
	}
}

// interleaved returns the medians of two calls, made in turns.
func interleaved(a, b func()) (time.Duration, time.Duration) {
	const times = 400
	took := [2][]time.Duration{}
	for range times {
		for i, call := range []func(){a, b} {
			start := time.Now()
			call()
			took[i] = append(took[i], time.Since(start))
		}
	}
	slices.Sort(took[0])
	slices.Sort(took[1])
	return took[0][times/2], took[1][times/2]
}
