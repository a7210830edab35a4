package dbserver

import (
	"os/exec"
	"syscall"
)

// detach puts the command in a process group of its own, so that Ctrl-C in the terminal does not reach it, and sends it the
// signal when the process that started it dies.
func detach(cmd *exec.Cmd, orphaned syscall.Signal) {
	attributes(cmd).Setpgid = true
	attributes(cmd).Pdeathsig = orphaned
}
