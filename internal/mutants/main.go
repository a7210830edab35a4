// Command mutants plants bugs, one at a time, in a copy of the module and runs the
// tests on it: each has to be caught. It shows that the tests can fail.
//
//	go run ./internal/mutants [-run REGEXP] [-every N] [-list]
//
// It ends with status 1 when a bug was not caught, or can no longer be planted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// mutant is one bug: a text that stands exactly once in a file, and what takes
// its place.
type mutant struct {
	name     string
	file     string
	old, new string
	tests    []string // packages whose tests should catch it
}

func main() {
	log.SetFlags(0)
	pattern := flag.String("run", "", "only mutants whose name matches")
	every := flag.Int("every", 1, "only every Nth of them")
	list := flag.Bool("list", false, "print the names and stop")
	flag.Parse()
	chosen := choose(*pattern, *every)
	if *list {
		for _, m := range chosen {
			fmt.Println(m.name)
		}
		return
	}
	if err := run(context.Background(), chosen); err != nil {
		log.Fatal(err)
	}
}

func choose(pattern string, every int) []mutant {
	re := regexp.MustCompile(pattern)
	var chosen []mutant
	for i, m := range mutants {
		if i%max(every, 1) == 0 && re.MatchString(m.name) {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

func run(ctx context.Context, chosen []mutant) error {
	dir, err := os.MkdirTemp("", "apikeys-mutants-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the copy is thrown away
	if err := copyModule(ctx, dir); err != nil {
		return err
	}
	missed := 0
	for _, m := range chosen {
		start := time.Now()
		by, err := try(ctx, dir, m)
		verdict := "caught by " + by
		if err != nil {
			missed++
			verdict = "NOT CAUGHT: " + err.Error()
		}
		fmt.Printf("%-50s %s (%s)\n", m.name, verdict, time.Since(start).Round(100*time.Millisecond))
	}
	fmt.Printf("%d of %d planted bugs caught\n", len(chosen)-missed, len(chosen))
	if missed > 0 {
		return fmt.Errorf("%d planted bugs were not caught", missed)
	}
	return nil
}

// try plants one bug, runs its tests, and takes it out again. It returns what failed,
// as it should.
func try(ctx context.Context, dir string, m mutant) (by string, err error) {
	path := filepath.Join(dir, m.file)
	good, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(good), m.old); n != 1 {
		return "", fmt.Errorf("the text to replace stands %d times in %s", n, m.file)
	}
	bad := strings.Replace(string(good), m.old, m.new, 1)
	if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
		return "", err
	}
	defer os.WriteFile(path, good, 0o600) //nolint:errcheck // the copy is thrown away
	out, err := command(ctx, dir, append([]string{"go", "test", "-count=1", "-short", "-failfast", "-timeout=3m"}, m.tests...)...)
	var exit *exec.ExitError
	switch {
	case strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]"):
		return "", fmt.Errorf("it does not compile: %s", out) // and proves nothing
	case errors.As(err, &exit):
		return whatFailed(out), nil
	case err != nil:
		return "", err
	}
	return "", fmt.Errorf("the tests of %s pass", strings.Join(m.tests, " "))
}

var failure = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)|^(panic: .*|fatal error: .*|goleak: .*)$`)

// whatFailed is the innermost of the first tests that failed, or what ended all of them,
// such as their time. Whoever reads it sees whether the bug was caught, or something else.
func whatFailed(out string) string {
	by := "an exit"
	for _, found := range failure.FindAllStringSubmatch(out, -1) {
		name := found[1] + found[2]
		if by != "an exit" && !strings.HasPrefix(name, by+"/") {
			break
		}
		by = name
	}
	return by
}

func command(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// copyModule copies the module's files, without version control.
func copyModule(ctx context.Context, dir string) error {
	root, err := command(ctx, ".", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	root = strings.TrimSpace(root)
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(dir, rel), 0o700)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), b, 0o600)
	})
}
