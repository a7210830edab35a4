package pythonsdk

import (
	"slices"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/messages"
)

// What is told of rows that cannot be kept, and of databases that cannot be opened.
func TestRefusalsSayWhy(t *testing.T) {
	t.Parallel()
	said := []string{"apikeys: CreatedAt: is missing"} // TestRowsThatCannotBeKept has it by the field
	wants := func(err error, want string) {
		t.Helper()
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		said = append(said, want)
	}
	for text, want := range map[string]string{
		`{"tier": 1}`:                  `apikeys: Metadata: cannot be read: json: unknown field "tier"`,
		`{} {}`:                        `apikeys: Metadata: cannot be read: there is more than one JSON value`,
		`{"expires_at": "tomorrow"}`:   `apikeys: Metadata.ExpiresAt: is not a time of ISO 8601`,
		`{"rate_limit": "100/minute"}`: `apikeys: Metadata.RateLimits: is neither a number nor requests and a window`,
		`{"rate_limit": {"requests": 1, "window": "week"}}`: `apikeys: Metadata.RateLimits: has the window "week": limits are by second, minute, hour or day`,
	} {
		_, err := readMetadata(text)
		wants(err, want)
	}
	for url, want := range map[string]string{
		"oracle://x":             `apikeys: url: must begin with sqlite://, postgresql:// or mysql://`,
		"postgresql://u:a%b@h/d": `apikeys: url: cannot be read: write postgresql://user:password@host/database, the password escaped as in a URL`,
		"mysql://u:a%b@h/d":      `apikeys: url: cannot be read: write mysql://user:password@host/database, the password escaped as in a URL`,
	} {
		_, err := Open(url)
		wants(err, want)
	}
	taken := move{opts: Options{IDField: "id"}}
	wants(taken.keepID(&apikeys.ImportKey{Metadata: apikeys.KeyMetadata{Custom: map[string]any{"id": 1}}}),
		`apikeys: Metadata.Custom: has a field id already, which the id was to be kept in`)

	unsaid, err := messages.Unsaid(".", said, "wrong")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := []string{
		"is not linked to the project, and would not be; see LinkBound", // TestLinkBound
		"not a time",                   // replaced by "is not a time of ISO 8601"
		"cannot be used by the driver", // after the URL was read
		"pythonsdk: read %s: %w",       // the database's own error follows: TestImportOfNoSuchDatabase
	}
	for _, text := range unsaid {
		if !slices.Contains(elsewhere, text) {
			t.Errorf("no row has %q", text)
		}
	}
}
