package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The session in the documentation runs as it stands, and answers what it says.
func TestSession(t *testing.T) {
	for _, program := range []string{"bash", "curl", "sed"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the session needs %s", program)
		}
	}
	text, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(\\$ .*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 1 {
		t.Fatalf("got %d sessions, want 1", len(blocks))
	}
	var commands, want strings.Builder
	for line := range strings.Lines(blocks[0][1]) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			commands.WriteString(command)
			continue
		}
		want.WriteString(line)
	}
	s := start(t)
	cmd := exec.CommandContext(t.Context(), "bash", "-c", commands.String())
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "URL="+s.url)
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != want.String() {
		t.Errorf("got %v\n%s\nwant\n%s", err, out, want.String())
	}
}
