package sqlstore

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
)

func TestMergeDetail(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		own   string
		added map[string]any
		want  string
		err   error
	}{
		"nothing at all":               {"", nil, `{}`, nil},
		"nothing added: byte for byte": {`{"b": 1,  "a": 9007199254740993}`, nil, `{"b": 1,  "a": 9007199254740993}`, nil},
		"added":                        {`{"b":9007199254740993}`, map[string]any{"a": []string{"x"}}, `{"a":["x"],"b":9007199254740993}`, nil},
		"added wins":                   {`{"keys":"mine"}`, map[string]any{"keys": 1}, `{"keys":1}`, nil},
		"null is no object":            {`null`, nil, "", errDetail},
		"an array is no object":        {`[]`, nil, "", errDetail},
		"no JSON":                      {`{`, map[string]any{"a": 1}, "", errDetail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := mergeDetail(json.RawMessage(tc.own), tc.added)
			if string(got) != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %s, %v, want %s, %v", got, err, tc.want, tc.err)
			}
		})
	}
}

func TestDifferencesTellWhatChanged(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	old := apikeys.KeyRecord{Name: "a", Scopes: []string{"read"}, Custom: json.RawMessage(`{"secret":"x"}`), ExpiresAt: end}
	k := old
	k.Name, k.Custom, k.ExpiresAt = "b", json.RawMessage(`{"secret":"y"}`), time.Time{}
	k.RateLimits = []apikeys.RateLimit{apikeys.PerMinute(5)}
	got, err := json.Marshal(differences(old, k))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"after":{"custom":"changed","expires_at":null,"name":"b","rate_limits":["5/minute"]},` +
		`"before":{"expires_at":"2026-05-06T07:08:09Z","name":"a","rate_limits":[]}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
