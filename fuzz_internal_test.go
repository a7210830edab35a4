package apikeys

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Scopes that are accepted match as their parts say, and a wider grant is never less.
func FuzzScopes(f *testing.F) {
	for _, seed := range [][2]string{
		{"docs:*", "docs:read"}, {"docs:*", "docs"}, {"*", "a"}, {"docs", "docsx"}, {"docs:a:*", "docs:a:b:c"}, {"**", "*"},
		{"", " "}, {"read write", "read"}, {"a::b", ":"}, {"réad", "read\x00"}, {strings.Repeat("a", 129), "a"}, {"docs:*", "docs:*"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, granted, required string) {
		scopes, err := normalizeScopes("Scopes", []string{granted})
		if err != nil {
			if !errors.Is(err, ErrInvalidArgument) {
				t.Fatalf("%q: got error %v, want an invalid argument", granted, err)
			}
			return
		}
		if checkRequired([]string{required}) != nil {
			return
		}
		got := covers(scopes, required)
		if want := matchParts(strings.Split(granted, ":"), strings.Split(required, ":")); got != want {
			t.Fatalf("%q covers %q: got %v, want %v", granted, required, got, want)
		}
		if wider := append([]string{"other"}, scopes...); got && !covers(wider, required) || !covers([]string{"*"}, required) {
			t.Fatalf("%q: a wider grant covers less", required)
		}
	})
}

// matchParts is what scopes mean, part by part.
func matchParts(granted, required []string) bool {
	for i, part := range granted {
		if part == "*" && i == len(granted)-1 {
			return len(required) > i
		}
		if i >= len(required) || required[i] != part {
			return false
		}
	}
	return len(granted) == len(required)
}

// A cursor that was not made for a list is refused there, whatever it is.
func FuzzCursor(f *testing.F) {
	key := cursorKey("0123456789abcdef0123456789abcdef")
	id := uuid.UUID{1, 2, 3}
	for _, seed := range []string{"", "AAAA", key.encode("list", id), key.encode("other", id), strings.Repeat("A", 43), strings.Repeat("A", 64<<10), "=\n"} {
		f.Add("list", seed)
	}
	f.Fuzz(func(t *testing.T, list, cursor string) {
		got, err := key.decode(list, cursor)
		switch {
		case err != nil:
			if !errors.Is(err, ErrInvalidArgument) || got != uuid.Nil {
				t.Fatalf("got %v and error %v, want nothing and an invalid argument", got, err)
			}
		case cursor != "" && key.encode(list, got) != cursor:
			t.Fatalf("%q is accepted and is not the cursor of %v", cursor, got)
		}
		if again, err := key.decode(list, key.encode(list, id)); err != nil || again != id {
			t.Fatalf("its own cursor: got %v, %v", again, err)
		}
		if _, err := key.decode(list+"'", key.encode(list, id)); err == nil {
			t.Fatalf("the cursor of %q is accepted in another list", list)
		}
	})
}

// Custom data that is accepted comes back as it went in, and the record that it makes
// can be read.
func FuzzCustom(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1e400}`, `{"a":9007199254740993}`, `{"a":"\u0000"}`, `{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}}`,
		`{"a":1,"a":2}`, `[]`, `"a"`, `{"a":"\ud800"}`, `{"":[null,true,-0.0,1.50]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var custom map[string]any
		decoder := json.NewDecoder(strings.NewReader(string(raw)))
		decoder.UseNumber()
		if decoder.Decode(&custom) != nil {
			return
		}
		stored, err := encodeCustom(custom)
		if err != nil {
			if !errors.Is(err, ErrInvalidArgument) {
				t.Fatalf("got error %v, want an invalid argument", err)
			}
			return
		}
		back, err := decodeCustom(stored)
		if err != nil {
			t.Fatalf("%q: what was stored cannot be read: %v", stored, err)
		}
		again, err := encodeCustom(back)
		if err != nil || string(again) != string(stored) {
			t.Fatalf("got %q, %v, want %q", again, err, stored)
		}
	})
}

// Names that are accepted are text that every database keeps, and expiries a time that
// it can hold.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"", "Acme", "a\x00b", "a\xff", "\u202e", "\u200b", "👩‍👩‍👧‍👦", strings.Repeat("é", 201), "'); DROP TABLE", `%_\`} {
		f.Add(seed, int64(len(seed)))
	}
	f.Fuzz(func(t *testing.T, name string, unix int64) {
		if err := checkName("Name", name, true); err == nil && (name == "" || strings.ContainsRune(name, 0) || strings.ToValidUTF8(name, "") != name) {
			t.Fatalf("%q is accepted", name)
		}
		at, err := normalizeExpiry("ExpiresAt", time.Unix(unix, 999))
		if err == nil && !at.IsZero() && (at.Year() < 1970 || at.Year() > 9999 || at.Nanosecond()%1000 != 0) {
			t.Fatalf("%v is accepted", at)
		}
	})
}
