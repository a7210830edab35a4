package dbserver

import (
	"errors"
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

var errNoFreezing = errors.New("dbserver: processes cannot be frozen on Windows")

func freezeAll(int) error { return errNoFreezing }

func thawAll(int) error { return errNoFreezing }
