package apikeys

import "testing"

// Where a read is shared, rows without a hash that was asked for are handed to nobody; match holds by itself, too.
func TestOnlyARowWithTheHashMatches(t *testing.T) {
	t.Parallel()
	row := func(h Hash, name string) KeyRecord { return KeyRecord{Name: name, Secret: SecretRecord{Hash: h}} }
	signed, accepted := Hash{1}, Hash{2}
	near := signed
	near[len(near)-1] = 1
	others := []KeyRecord{row(near, "one bit off"), row(Hash{}, "no hash")}
	for name, tt := range map[string]struct {
		found []KeyRecord
		want  string
	}{
		"none":                   {nil, ""},
		"others":                 {others, ""},
		"among others":           {append(others[:2:2], row(signed, "signed")), "signed"},
		"of an accepted secret":  {append(others[:2:2], row(accepted, "accepted")), "accepted"},
		"the signing one before": {append(others[:2:2], row(accepted, "accepted"), row(signed, "signed")), "signed"},
	} {
		got := match([]Hash{signed, accepted}, tt.found)
		if got == nil != (tt.want == "") || got != nil && got.Name != tt.want {
			t.Errorf("%s: got %+v, want %q", name, got, tt.want)
		}
	}
}
