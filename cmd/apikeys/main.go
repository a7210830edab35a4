// Command apikeys is the operator's tool for API keys that
// github.com/apikeys-platform/apikeys keeps: it makes the tables, issues, finds,
// rotates and revokes keys, and looks for what is wrong. README.md beside this file
// shows a session, the environment, the exit statuses and the JSON.
package main

import (
	"context"
	"os"
	"os/signal"
	"os/user"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := program{
		stdin:  os.Stdin,
		stdout: os.Stdout,
		stderr: os.Stderr,
		getenv: os.Getenv,
		user:   userName(),
	}.run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// userName is who runs the program; with sudo, who called it.
func userName() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}
