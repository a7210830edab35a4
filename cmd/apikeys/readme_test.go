package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The session in the README runs as it stands, with the program as it is built.
func TestTheSessionInTheReadmeRuns(t *testing.T) {
	t.Parallel()
	block := regexp.MustCompile("(?s)-->\n\n```sh\n(.*?)```").FindStringSubmatch(readme(t))
	if block == nil {
		t.Fatal("the README has no session")
	}
	bin, home := t.TempDir(), t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "apikeys"), ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	shell := exec.CommandContext(t.Context(), "sh", "-eu")
	shell.Dir = home
	shell.Env = []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + home}
	shell.Stdin = strings.NewReader(block[1])
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"The key is good.", "CI    alice  active  docs:read", "The key is refused: revoked_key.", "status 3"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the session does not show %q:\n%s", want, out)
		}
	}
}

// The README names every command, every variable and every field of the documents.
func TestTheReadmeIsComplete(t *testing.T) {
	t.Parallel()
	text := readme(t)
	for _, cmd := range commands() {
		if name := cmd.Name(); !strings.Contains(text, name) {
			t.Errorf("the README says nothing of %s", cmd.CommandPath())
		}
	}
	for _, name := range []string{envDatabase, envSecret, envAccepted, envPrefix, envEnvironment, envHeads, envActor, envImported, envImportSecret, envImportDatabase} {
		if !strings.Contains(text, name) {
			t.Errorf("the README says nothing of %s", name)
		}
	}
	for _, document := range []any{
		inspection{}, keyDocument{}, secretDocument{}, keyList{}, orgDocument{}, orgList{}, ownedDocument{}, verdict{}, checkDocument{},
		limitDocument{}, usageDocument{}, hourDocument{}, schema{}, migrationDocument{}, diagnosis{}, finding{}, tableDocument{},
		eventList{}, eventDocument{}, secretList{}, secretUse{}, moved{}, movedTable{}, refusal{},
	} {
		kind := reflect.TypeOf(document)
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if name != "" && !strings.Contains(text, "`"+name+"`") {
				t.Errorf("the README says nothing of %s of %s", name, kind.Name())
			}
		}
	}
}

// Every command says what it does, in one form.
func TestHelp(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, cmd := range commands() {
		short := cmd.Short
		if short == "" || strings.HasSuffix(short, ".") || seen[short] || strings.ToUpper(short[:1]) != short[:1] || len(short) > 80 {
			t.Errorf("%s: got %q", cmd.CommandPath(), short)
		}
		seen[short] = true
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			if len([]rune(line)) > 101 {
				t.Errorf("%s: a line of %d characters: %q", cmd.CommandPath(), len(line), line)
			}
		}
	}
}
