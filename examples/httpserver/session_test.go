package main

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/apikeys-platform/apikeys/apikeystest"
)

// The session in the README runs as it stands, and answers what it says.
func TestReadmeSession(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the session needs %s", program)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	session := regexp.MustCompile("(?s)```console\n(.*?)```").FindStringSubmatch(string(readme))
	if session == nil {
		t.Fatal("the README has no session")
	}
	client := apikeystest.New(t).Client
	key, err := issue(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(routes(client))
	defer server.Close()
	for _, exchange := range strings.Split(session[1], "$ curl")[1:] {
		command, want, _ := strings.Cut(exchange, "\n")
		shell := exec.CommandContext(t.Context(), "sh", "-c", "curl"+command)
		shell.Env = append(os.Environ(), "KEY="+key, "URL="+server.URL)
		if out, err := shell.Output(); err != nil || string(out) != want {
			t.Errorf("curl%s: got %v %q, want %q", command, err, out, want)
		}
	}
}
