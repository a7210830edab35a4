package apikeys_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apikeys-platform/apikeys"
)

var (
	then  = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	later = then.Add(time.Hour)
)

func TestKeyChangeApply(t *testing.T) {
	t.Parallel()
	key := apikeys.KeyRecord{Name: "a", Scopes: []string{"read"}, Version: 3, UpdatedAt: then}
	for _, tt := range []struct {
		name   string
		change apikeys.KeyChange
		want   func(*apikeys.KeyRecord)
	}{
		{"nothing", apikeys.KeyChange{}, nil},
		{"the same", apikeys.KeyChange{Name: ptr("a"), Scopes: &[]string{"read"}, ExpiresAt: &time.Time{}, DisabledAt: &time.Time{}}, nil},
		{"name", apikeys.KeyChange{Name: ptr("b")}, func(k *apikeys.KeyRecord) { k.Name = "b" }},
		{"no scopes", apikeys.KeyChange{Scopes: &[]string{}}, func(k *apikeys.KeyRecord) { k.Scopes = []string{} }},
		{"expiry", apikeys.KeyChange{ExpiresAt: &later}, func(k *apikeys.KeyRecord) { k.ExpiresAt = later }},
		{"custom", apikeys.KeyChange{Custom: ptr(json.RawMessage(`{"a":1}`))}, func(k *apikeys.KeyRecord) { k.Custom = json.RawMessage(`{"a":1}`) }},
		{"disable", apikeys.KeyChange{DisabledAt: &later}, func(k *apikeys.KeyRecord) { k.DisabledAt = later }},
		{"revoke", apikeys.KeyChange{IfVersion: 3, Revoke: &apikeys.Revocation{At: later, Reason: "r"}}, func(k *apikeys.KeyRecord) { k.RevokedAt, k.RevokedReason = later, "r" }},
	} {
		got, want := key, key
		changed, err := tt.change.Apply(&got, later)
		if tt.want != nil {
			tt.want(&want)
			want.Version, want.UpdatedAt = 4, later
		}
		if err != nil || changed != (tt.want != nil) {
			t.Errorf("%s: got changed %t, %v", tt.name, changed, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestKeyChangeApplyKeepsWhatStands(t *testing.T) {
	t.Parallel()
	key := apikeys.KeyRecord{Version: 1, DisabledAt: then, RevokedAt: then, RevokedReason: "first"}
	changed, err := apikeys.KeyChange{DisabledAt: &later, Revoke: &apikeys.Revocation{At: later, Reason: "second"}}.Apply(&key, later)
	if changed || err != nil || !key.DisabledAt.Equal(then) || !key.RevokedAt.Equal(then) || key.RevokedReason != "first" {
		t.Errorf("got changed %t, %v, %+v; want the first times and reason to stand", changed, err, key)
	}
	if _, err := (apikeys.KeyChange{IfVersion: 2, Name: ptr("b")}).Apply(&key, later); !errors.Is(err, apikeys.ErrConflict) || key.Name != "" {
		t.Errorf("got %v and name %q, want a conflict and nothing changed", err, key.Name)
	}
}

func TestHashesPrintNothing(t *testing.T) {
	t.Parallel()
	h := apikeys.Hash{0xab, 0xcd, 0xef}
	shown := fmt.Sprintf("%v %+v %#v %x %s %d %v", h, h, h, h, h, h, struct{ H apikeys.Hash }{h}) + string(must(json.Marshal(h))(t))
	if strings.Contains(strings.ToLower(shown), "abcd") || strings.Contains(shown, "171") {
		t.Errorf("a hash shows itself: %s", shown)
	}
}
