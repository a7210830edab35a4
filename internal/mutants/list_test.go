package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every bug can still be planted: the text that it replaces stands once.
func TestMutantsCanBePlanted(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range mutants {
		source, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), m.old); n != 1 {
			t.Errorf("%s: the text to replace stands %d times in %s", m.name, n, m.file)
		}
		if m.old == m.new || names[m.name] || len(m.tests) == 0 {
			t.Errorf("%s: changes nothing, has another's name, or names no tests", m.name)
		}
		names[m.name] = true
	}
}
