//go:build !linux

package dbserver

func memoryDir() string { return "" }
