//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// grace is how long an interrupted command may take to end by itself.
const grace = 10 * time.Second

// runCommand runs the command to its end and returns its exit status. Signals are passed on to the command and to all that
// it started: they share a process group, and Ctrl-C in the terminal reaches only ours.
func runCommand(command, variables []string, signals <-chan os.Signal) int {
	say("running %s", strings.Join(command, " "))
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // running it is what we are for; signals end it
	cmd.Env = variables
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		say("%v", err)
		return statusOf(err)
	}
	finished := make(chan error, 1)
	go func() { finished <- cmd.Wait() }()
	for {
		select {
		case err := <-finished:
			return statusOf(err)
		case received := <-signals:
			say("%s: passing it on", received)
			signalGroup(cmd, received)
			time.AfterFunc(grace, func() { signalGroup(cmd, syscall.SIGKILL) })
		}
	}
}

func signalGroup(cmd *exec.Cmd, received os.Signal) {
	number, ok := received.(syscall.Signal)
	if !ok {
		number = syscall.SIGTERM
	}
	_ = syscall.Kill(-cmd.Process.Pid, number) // it may have ended just now
}

// statusOf is the exit status as a shell would show it.
func statusOf(err error) int {
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		const notFound = 127
		return notFound
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitStatus(status.Signal())
	}
	return exit.ExitCode()
}

// exitStatus is that of a process which a signal ended.
func exitStatus(received os.Signal) int {
	const base = 128
	if number, ok := received.(syscall.Signal); ok {
		return base + int(number)
	}
	return base
}
