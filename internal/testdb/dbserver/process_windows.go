package dbserver

import (
	"os"
	"os/exec"
	"syscall"
)

func (a *account) become(*exec.Cmd) {}

func detach(*exec.Cmd, syscall.Signal) {}

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }

func killAll(pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return process.Kill()
}
