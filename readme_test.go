package apikeys_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// The README's programs run as pasted, and print what it says.
func TestReadmeProgramRuns(t *testing.T) {
	t.Parallel()
	readme := string(must(os.ReadFile("README.md"))(t))
	blocks := regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindAllStringSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Fatal("the README has no program")
	}
	program := blocks[0][1]
	if n := len(regexp.MustCompile(`(?m)^.*\S.*$`).FindAllString(program, -1)); n > 30 {
		t.Errorf("the README's first program has %d lines that are not blank, want at most 30", n)
	}
	dir, err := os.MkdirTemp(".", "testdata-readme-") //nolint:usetesting // it has to be part of the module
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", "./"+dir).CombinedOutput()
	if err != nil || string(out) != "hello alice\n" {
		t.Errorf("got %q, %v; want the greeting that the README promises", out, err)
	}
}
