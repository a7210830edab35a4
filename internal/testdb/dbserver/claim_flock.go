//go:build linux || darwin

package dbserver

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// claim marks the directory as in use for as long as this process lives: the lock ends with it, however it ends.
func claim(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, claimName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// sweep removes the directories of processes that were killed before they closed their servers. They may lie in memory.
func sweep(parent string) {
	const settled = time.Minute                                              // a younger one may be between its creation and its lock
	claims, _ := filepath.Glob(filepath.Join(parent, dirPattern, claimName)) // the pattern is a constant, and well formed
	for _, path := range claims {
		file, err := os.Open(path)
		if err != nil {
			continue // somebody else's
		}
		info, err := file.Stat()
		abandoned := err == nil && time.Since(info.ModTime()) > settled &&
			syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
		if abandoned {
			_ = os.RemoveAll(filepath.Dir(path)) // somebody else's stays
		}
		file.Close()
	}
}
