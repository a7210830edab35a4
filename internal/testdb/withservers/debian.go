//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// debian installs server packages. Only one apt-get runs at a time.
type debian struct {
	mutex   sync.Mutex
	updated bool
}

func (d *debian) open(ctx context.Context, db database) (server, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("only root may install them")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, errors.New("no apt-get here")
	}
	if err := d.install(ctx, db); err != nil {
		return nil, err
	}
	return openInstalled(ctx, db)
}

func (d *debian) install(ctx context.Context, db database) error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	say("%s: installing %s", db.kind, strings.Join(db.packages, ", "))
	undo, err := forbidServices()
	if err != nil {
		return err
	}
	defer undo()
	if !d.updated {
		if err := aptGet(ctx, "update"); err != nil {
			return err
		}
		d.updated = true
	}
	return aptGet(ctx, append([]string{"install", "--yes", "--no-install-recommends"}, db.packages...)...)
}

// policyFile is what Debian's packages ask before they start a service of theirs.
const policyFile = "/usr/sbin/policy-rc.d"

// forbidServices keeps the packages from starting servers of their own. A policy that stands already is left alone.
func forbidServices() (undo func(), err error) {
	const forbidden = "#!/bin/sh\nexit 101\n"
	file, err := os.OpenFile(policyFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	undo = func() { _ = os.Remove(policyFile) }
	if _, err := file.WriteString(forbidden); err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet", "-o", "DPkg::Lock::Timeout=120"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLines(out))
	}
	return nil
}

// lastLines is the end of a program's output, where it says why it failed.
func lastLines(out []byte) string {
	const most = 1000
	return string(out[max(0, len(out)-most):])
}
