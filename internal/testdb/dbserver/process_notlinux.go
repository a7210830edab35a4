//go:build unix && !linux

package dbserver

import (
	"os/exec"
	"syscall"
)

// detach puts the command in a process group of its own, so that Ctrl-C in the terminal does not reach it.
func detach(cmd *exec.Cmd, _ syscall.Signal) { attributes(cmd).Setpgid = true }
