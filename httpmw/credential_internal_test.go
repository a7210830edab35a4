package httpmw

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
)

const goodKey = "sk_good"

// stub accepts one key and nothing else.
type stub struct{ validation apikeys.Validation }

func (s stub) Validate(_ context.Context, text string, _ apikeys.ValidateParams) (apikeys.Validation, error) {
	if text != goodKey {
		return apikeys.Validation{}, apikeys.ErrInvalidKey
	}
	return s.validation, nil
}

func (stub) CheckParams(apikeys.ValidateParams) error { return nil }

// Whatever the headers are, a request is admitted only with the key alone in a line
// alone, and the line is what the next handler does not see.
func FuzzCredential(f *testing.F) {
	for _, seed := range [][4]string{
		{goodKey, "", "", ""},
		{"", "", "Bearer " + goodKey, ""},
		{goodKey, goodKey, "", ""},
		{goodKey, "", "bEARER " + goodKey, ""},
		{"", "", "Bearer  " + goodKey, ""},
		{"", "", "Bearer\t" + goodKey, "Bearer " + goodKey},
		{"", "", "Bearer" + goodKey, ""},
		{"", "", "Bearer", ""},
		{"", "", "Basic " + goodKey, ""},
		{goodKey + " ", "", "", ""},
		{" ", "", " \t", ""},
		{"", "", "\u212Aearer " + goodKey, ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], uint8(15))
		f.Add(seed[0], seed[1], seed[2], seed[3], uint8(5))
	}
	wellFormed := regexp.MustCompile(`^(?i:bearer) ` + goodKey + `$`)
	m := newMiddleware(stub{}, Options{})
	f.Fuzz(func(t *testing.T, own1, own2, auth1, auth2 string, present uint8) {
		h := http.Header{}
		for i, line := range []string{own1, own2, auth1, auth2} {
			if present&(1<<i) != 0 {
				name := []string{"X-Api-Key", authorization}[i/2]
				h[name] = append(h[name], line)
			}
		}
		lines := len(h["X-Api-Key"]) + len(h[authorization])
		want := lines == 1 && (h.Get("X-Api-Key") == goodKey || wellFormed.MatchString(h.Get(authorization)))
		r := &http.Request{Method: http.MethodGet, Header: h}
		admitted, _, err := m.pass(r, m.fixed(apikeys.ValidateParams{}), false)
		if got := err == nil; got != want {
			t.Fatalf("got admitted %t, want %t", got, want)
		}
		if lines > 1 && !errors.Is(err, ErrMultipleCredentials) {
			t.Fatalf("got error %v for %d lines, want two credentials", err, lines)
		}
		if err != nil && Status(err) != 400 && Status(err) != 401 {
			t.Fatalf("got status %d, want 400 or 401", Status(err))
		}
		if want && len(admitted.Header) != 0 {
			t.Fatal("the next handler sees the key")
		}
	})
}

func TestFailuresAreBoundedInMemory(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	address := ""
	f := newFailures(Options{
		FailureLimit: apikeys.PerDay(2),
		Address:      func(*http.Request) (string, error) { return address, nil },
	}, func() time.Time { return now })
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := range uint64(maxAddresses + 100) {
		f.count(i)
	}
	if got := len(f.counts); got > maxAddresses {
		t.Errorf("got %d addresses in memory, want at most %d", got, maxAddresses)
	}
	address = "the newest"
	for range 2 {
		id, err := f.admit(r)
		if err != nil {
			t.Fatal(err)
		}
		f.count(id)
	}
	if _, err := f.admit(r); err == nil {
		t.Error("a full memory does not count the newest address")
	}
	now = now.Add(24 * time.Hour)
	if _, err := f.admit(r); err != nil || len(f.counts) != 0 {
		t.Errorf("got %v and %d addresses in a new window, want none", err, len(f.counts))
	}
}

func TestWholeSecondsRoundUp(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int64{
		-time.Hour: 1, 0: 1, 1: 1, time.Second: 1, time.Second + 1: 2, time.Minute: 60, math.MaxInt64: 9223372037, math.MinInt64: 1,
	} {
		if got := wholeSeconds(d); got != want {
			t.Errorf("%d ns: got %d, want %d", d, got, want)
		}
	}
}

// No value can end a header line or a quoted string, whoever made it.
func TestHeaderValuesCannotBeInjected(t *testing.T) {
	t.Parallel()
	a := newMiddleware(stub{}, Options{}).answers
	for _, err := range []error{
		&apikeys.InsufficientScopeError{Resource: "x\"\r\nSet-Cookie: a=b\\"},
		&apikeys.InsufficientScopeError{Missing: []string{"read\r\nSet-Cookie: a=b"}},
		&apikeys.InsufficientScopeError{Missing: []string{`read", error="none`}},
		&apikeys.InsufficientScopeError{Missing: []string{"réad", "a b"}},
	} {
		w := httptest.NewRecorder()
		a.refuse(w, httptest.NewRequest(http.MethodGet, "/", nil), err)
		got := w.Header().Get("WWW-Authenticate")
		if strings.ContainsAny(got, "\r\n") || strings.Contains(got, "scope=") || !regexp.MustCompile(`^Bearer( [a-z_]+="([^"\\]|\\.)*",?)+$`).MatchString(got) {
			t.Errorf("got challenge %q, want one that is well-formed", got)
		}
	}
}
