package messages_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apikeys-platform/apikeys/internal/messages"
)

const code = `package p

const tail = ": write another"

var errTaken problem = "the place is taken"

func f(n int) error {
	_ = errors.New("nothing is there")
	_ = &Fault{Field: "n", Reason: "is one too many"}
	_ = invalid("n", "is %d; at most %d", n, 3)
	_ = invalid("n", "is missing"+tail)
	return fmt.Errorf("p: %w", errTaken)
}
`

func TestUnsaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"p.go": code, "p_test.go": `package p; var _ = errors.New("a test says this")`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"the place is taken", "nothing is there", "is one too many", "is %d; at most %d", "is missing%s"}
	for _, tt := range []struct {
		said, want []string
	}{
		{nil, all},
		{[]string{"n: is 4; at most 3", "x: nothing is there"}, []string{"the place is taken", "is one too many", "is missing%s"}},
		{[]string{"n: is 4; at most"}, all},
		{[]string{"the place is taken", "nothing is there", "is one too many", "is 1; at most 0", "n: is missing: write another"}, nil},
	} {
		got, err := messages.Unsaid(dir, tt.said, "invalid", "Fault", "problem")
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("after %q: got %q, %v, want %q", tt.said, got, err, tt.want)
		}
	}
}
