package main

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
)

func Example() {
	fmt.Println(run(context.Background(), ":memory:"))
	// Output:
	// set up, created now: true
	// accepted: tiles:read for u_alice on the plan free, use 1
	// refused, missing: [routes:read]
	// accepted: routes:read for u_alice on the plan pro, use 2
	// revoked: Alice's key
	// <nil>
}

func TestTheSetUpRunsOnEveryDeploy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.db")
	for range 2 {
		if err := run(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
}
