package apikeys_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store"
)

// The README's program runs as pasted, in a module of its own that takes the library as the README says.
func TestReadmeProgramRunsInAFreshModule(t *testing.T) {
	t.Parallel()
	program := readmeProgram(t)
	if n := len(regexp.MustCompile(`(?m)^.*\S.*$`).FindAllString(program, -1)); n > 30 {
		t.Errorf("the README's first program has %d lines that are not blank, want at most 30", n)
	}
	library := must(os.Getwd())(t)
	install := strings.ReplaceAll(section(t, "Install"), "=../apikeys", "="+filepath.ToSlash(library))
	commands := []string{"set -eu", "go mod init example.com/app"}
	for line := range strings.Lines(install) {
		command, _, _ := strings.Cut(line, "#")
		commands = append(commands, command)
	}
	app := t.TempDir()
	// The sums spare go mod tidy most questions to the network.
	for name, content := range map[string]string{"main.go": program, "go.sum": string(must(os.ReadFile("go.sum"))(t))} {
		if err := os.WriteFile(filepath.Join(app, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", strings.Join(append(commands, "go run ."), "\n"))
	shell.Dir = app
	// go mod tidy also asks for what the tests of all modules import; without a network -e goes on, and go run judges.
	shell.Env = append(os.Environ(), strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -e"))
	var said, complaints strings.Builder
	shell.Stdout, shell.Stderr = &said, &complaints
	if err := shell.Run(); err != nil || said.String() != "hello alice\n" {
		t.Errorf("got %q, %v; want the greeting that the README promises\n%s", said.String(), err, complaints.String())
	}
}

func readmeProgram(t *testing.T) string {
	t.Helper()
	program := regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindStringSubmatch(string(must(os.ReadFile("README.md"))(t)))
	if program == nil {
		t.Fatal("the README has no program")
	}
	return program[1]
}

// section is the first block of commands under a heading of the README.
func section(t *testing.T, heading string) string {
	t.Helper()
	block := regexp.MustCompile("(?s)\n## " + heading + "\n.*?```sh\n(.*?)```").FindStringSubmatch(string(must(os.ReadFile("README.md"))(t)))
	if block == nil {
		t.Fatalf("the README has no commands under %s", heading)
	}
	return block[1]
}

// What the documents show of Go stands in an example or a test, line by line.
func TestDocumentsShowCodeThatRuns(t *testing.T) {
	t.Parallel()
	tested := testedCode(t)
	for _, path := range append(must(filepath.Glob("docs/*.md"))(t), "README.md") {
		text := string(must(os.ReadFile(path))(t))
		for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(block[1], "package main\n") {
				continue // a program: TestReadmeProgramRunsInAFreshModule
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

// Each command that the README tells people to type is tried: those of Install by TestReadmeProgramRunsInAFreshModule.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(section(t, "Two commands")) {
		command, _, _ := strings.Cut(line, "#")
		command = strings.TrimSpace(command)
		if command == "make test" { // which runs this test
			command = "grep ^test: Makefile"
		}
		words := strings.Fields(command)
		if out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%q: %v\n%s", command, err, out)
		}
	}
}

// The README's goose command makes the tables that a client wants. Where there is no goose (see the line before it in the
// README) it is left out: the stores' tests run the files by goose's library.
func TestReadmeGooseCommand(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("goose"); err != nil {
		t.Skip("left out: goose is not installed")
	}
	var command string
	for line := range strings.Lines(section(t, "Stores and migrations")) {
		if strings.HasPrefix(line, "goose ") {
			command = line
		}
	}
	url := testdb.Postgres(t)
	shell := exec.CommandContext(t.Context(), "sh", "-c", command)
	shell.Env = append(os.Environ(), "DATABASE_URL="+url)
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	db := must(store.Open(t.Context(), url))(t)
	defer db.Close()
	client, err := apikeys.New(t.Context(), db, apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret)})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// No block of commands or of a session is in the README that no test knows: sessions run in examples/httpserver.
func TestReadmeBlocksAreAllRun(t *testing.T) {
	t.Parallel()
	readme := string(must(os.ReadFile("README.md"))(t))
	for kind, want := range map[string]int{"sh": 3, "console": 1} {
		if got := strings.Count(readme, "```"+kind+"\n"); got != want {
			t.Errorf("the README has %d blocks of %s, and tests run %d", got, kind, want)
		}
	}
	for _, block := range regexp.MustCompile("(?m)^```([a-z]+)$").FindAllStringSubmatch(readme, -1) {
		if !slices.Contains([]string{"go", "sh", "console", "text"}, block[1]) {
			t.Errorf("no test runs blocks of %s", block[1])
		}
	}
}

// docs/operations.md says of every error that has a name what to do about it.
func TestOperationsNamesEveryError(t *testing.T) {
	t.Parallel()
	guide := string(must(os.ReadFile("docs/operations.md"))(t))
	for _, dir := range []string{".", "httpmw", "httpapi", "migrations", "store", "store/sqlite", "store/postgres", "store/mysql"} {
		for _, path := range must(filepath.Glob(filepath.Join(dir, "*.go")))(t) {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			code := string(must(os.ReadFile(path))(t))
			for _, name := range regexp.MustCompile(`(?m)^\t?(?:var |type )?(Err[A-Z]\w+|[A-Z]\w+Error) +(?:error )?(?:=|struct)`).FindAllStringSubmatch(code, -1) {
				if !strings.Contains(guide, "`"+name[1]+"`") {
					t.Errorf("docs/operations.md says nothing of %s in %s", name[1], path)
				}
			}
		}
	}
}
