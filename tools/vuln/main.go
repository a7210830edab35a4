// Vuln runs govulncheck, and says plainly when it could not: its arguments are govulncheck's.
//
//	go -C tools run ./vuln -C .. ./...
//
// Where the vulnerability database cannot be reached nothing can be checked. That alone is not counted as a failure: a
// machine which reaches only package registries has no database to ask. Anything else that goes wrong fails.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/vuln/scan"
)

const (
	defaultDatabase = "https://vuln.go.dev"
	// index is the file that govulncheck reads first.
	index    = "/index/modules.json.gz"
	attempts = 3
	timeout  = 20 * time.Second
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	database := defaultDatabase
	if named := os.Getenv("GOVULNDB"); named != "" {
		database = named
	}
	if err := reach(ctx, database); err != nil {
		fmt.Println("NOT CHECKED for known vulnerabilities: the database cannot be reached:", err)
		return 0
	}
	cmd := scan.Command(ctx, append([]string{"-db", database}, args...)...)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "govulncheck:", err)
		return 1
	}
	return status(cmd.Wait())
}

// reach asks for the first file of the database, as govulncheck would, and fails only if nothing that could be the
// database answers. Whatever else may be wrong is for govulncheck to meet, and to fail of.
func reach(ctx context.Context, database string) (err error) {
	if !strings.HasPrefix(database, "http") {
		return nil
	}
	for attempt := range attempts {
		time.Sleep(time.Duration(attempt) * time.Second)
		if err = fetch(ctx, strings.TrimRight(database, "/")+index); err == nil {
			return nil
		}
	}
	return err
}

// fetch fails when nobody answers, or somebody in between does: a proxy that forbids it, a gateway without a server behind.
func fetch(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch code := response.StatusCode; {
	case code == http.StatusForbidden, code == http.StatusProxyAuthRequired, code >= http.StatusInternalServerError:
		return fmt.Errorf("%s: %s", url, response.Status)
	default:
		return nil
	}
}

// status is govulncheck's own: 3 for vulnerabilities found.
func status(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "govulncheck:", err)
	return 1
}
