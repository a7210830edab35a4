package faulttest_test

import (
	"errors"
	"strconv"
	"syscall"
	"testing"
)

// smallDisk mounts a file system of that many bytes for the time of a test.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+strconv.Itoa(size))
	if errors.Is(err, syscall.EPERM) {
		t.Skip("left out: only root may mount a small disk")
	}
	if err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount the small disk: %v", err)
		}
	})
	return dir
}
