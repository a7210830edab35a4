package apikeys_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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

// What the documents show of Go stands in an example or a test, line by line.
func TestDocumentsShowCodeThatRuns(t *testing.T) {
	t.Parallel()
	tested := testedCode(t)
	for _, path := range append(must(filepath.Glob("docs/*.md"))(t), "README.md") {
		text := string(must(os.ReadFile(path))(t))
		for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(block[1], "package main\n") {
				continue // a program: TestReadmeProgramRuns
			}
			if !strings.Contains(tested, "\n"+bare(block[1])+"\n") {
				t.Errorf("%s shows what no example and no test has:\n%s", path, block[1])
			}
		}
	}
}

// testedCode is the code of all examples and tests, as bare has it.
func testedCode(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		if !strings.HasSuffix(path, "_test.go") && !strings.HasPrefix(path, "examples"+string(filepath.Separator)) {
			return nil
		}
		code, err := os.ReadFile(path)
		all.WriteString("\n" + bare(string(code)) + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// bare is code without empty lines and without space around lines.
func bare(code string) string {
	var lines []string
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// The README's session is part of the one in docs/http.md, which examples/server runs.
func TestReadmeSessionIsRun(t *testing.T) {
	t.Parallel()
	readme, guide := string(must(os.ReadFile("README.md"))(t)), string(must(os.ReadFile("docs/http.md"))(t))
	session := regexp.MustCompile("(?s)```console\n(.*?)```").FindStringSubmatch(readme)
	if session == nil {
		t.Fatal("the README has no session")
	}
	for i, exchange := range strings.Split(session[1], "$ ") {
		if i > 0 && !strings.Contains(guide, "\n$ "+exchange) {
			t.Errorf("docs/http.md does not have: %s", exchange)
		}
	}
}

// Each command that the README tells people to type is tried, as far as a test can.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	tries := map[string][]string{
		"go get github.com/apikeys-platform/apikeys": {"go", "list", "-m"}, // prints the path
		"go run ./examples/quickstart":               {"go", "run", "./examples/quickstart"},
		"make test":                                  {"grep", "^test: ", "Makefile"},
	}
	readme := string(must(os.ReadFile("README.md"))(t))
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(readme, -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(strings.Split(line, "#")[0])
			if strings.HasPrefix(line, "goose ") {
				continue // the stores' tests run the files under goose
			}
			try := tries[line]
			if try == nil {
				t.Errorf("the README has a command that this test does not know: %q", line)
				continue
			}
			out, err := exec.CommandContext(t.Context(), try[0], try[1:]...).CombinedOutput()
			if err != nil || try[1] == "list" && !strings.HasSuffix(line, strings.TrimSpace(string(out))) {
				t.Errorf("%q: %v\n%s", line, err, out)
			}
		}
	}
}
