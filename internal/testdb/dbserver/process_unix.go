//go:build unix

package dbserver

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// become lets the command run as the account.
func (a *account) become(cmd *exec.Cmd) {
	if a == nil {
		return
	}
	attributes(cmd).Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
}

func attributes(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	return cmd.SysProcAttr
}

// killGroup kills a detached command and what it started.
func killGroup(cmd *exec.Cmd) error {
	return ignoreGone(syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
}

// killAll kills the process and its children and waits until the children are gone. Postgres has a process for each
// connection, in a process group of its own, and it would live until it notices that its parent died.
func killAll(pid int) error {
	if err := ignoreGone(syscall.Kill(pid, syscall.SIGSTOP)); err != nil { // so that no further child starts
		return err
	}
	children := childrenOf(pid)
	err := ignoreGone(syscall.Kill(pid, syscall.SIGKILL))
	for _, child := range children {
		err = errors.Join(err, ignoreGone(syscall.Kill(child, syscall.SIGKILL)))
	}
	for _, child := range children {
		awaitGone(child)
	}
	return err
}

// freezeAll stops the process and its children where they are.
func freezeAll(pid int) error {
	err := syscall.Kill(pid, syscall.SIGSTOP) // first, so that no further child starts
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if state, _ := processState(pid); state != "R" && state != "S" && state != "D" { // it stops a little later than it is told
			break
		}
	}
	for _, child := range childrenOf(pid) {
		err = errors.Join(err, ignoreGone(syscall.Kill(child, syscall.SIGSTOP)))
	}
	return err
}

// thawAll lets a frozen process and its children go on.
func thawAll(pid int) (err error) {
	for _, child := range childrenOf(pid) {
		err = errors.Join(err, ignoreGone(syscall.Kill(child, syscall.SIGCONT)))
	}
	return errors.Join(err, syscall.Kill(pid, syscall.SIGCONT))
}

func ignoreGone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// awaitGone polls, since only a parent can wait for a process.
func awaitGone(pid int) {
	for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if state, _ := processState(pid); state == "" || state == "Z" {
			return
		}
	}
}

// childrenOf reads the process table of Linux; elsewhere it finds none, and the children end by themselves.
func childrenOf(pid int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var children []int
	for _, entry := range entries {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if _, parent := processState(child); parent == pid {
			children = append(children, child)
		}
	}
	return children
}

// processState is a process's state letter ("Z" for one that has ended) and its parent; "" when there is no such process.
func processState(pid int) (state string, parent int) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", 0
	}
	// pid (program) state parent …; the program's name may hold anything, so what follows its last bracket counts.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, err = strconv.Atoi(fields[1])
	if err != nil {
		return "", 0
	}
	return fields[0], parent
}
