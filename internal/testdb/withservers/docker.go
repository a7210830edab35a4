//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
)

const (
	engineTimeout    = 10 * time.Second
	pullTimeout      = 5 * time.Minute
	containerTimeout = 2 * time.Minute
)

// image is a container image with a server in it.
type image struct {
	name      string
	port      string
	password  string // the variable that takes the administrator's password
	arguments []string
	dsn       func(addr, password string) string
}

func postgresImage() image {
	return image{
		name: "postgres:17", port: "5432", password: "POSTGRES_PASSWORD",
		arguments: []string{"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "max_connections=300"},
		dsn: func(addr, password string) string {
			return "postgres://postgres:" + password + "@" + addr + "/postgres?sslmode=disable"
		},
	}
}

func mariadbImage() image {
	return image{
		name: "mariadb:11.8", port: "3306", password: "MARIADB_ROOT_PASSWORD",
		arguments: []string{
			"--max-connections=500", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--loose-debug-no-sync",
		},
		dsn: func(addr, password string) string { return "root:" + password + "@tcp(" + addr + ")/mysql" },
	}
}

// container is one of ours.
type container struct {
	image    image
	name     string
	addr     string
	password string
}

func (c *container) String() string {
	return fmt.Sprintf("%s, container %s at %s", c.image.name, c.name, c.addr)
}
func (c *container) DSN() string { return c.image.dsn(c.addr, c.password) }

// Close does not use the context of the start, which may have been cancelled.
func (c *container) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), containerTimeout)
	defer cancel()
	_, err := docker(ctx, nil, "rm", "--force", "--volumes", c.name)
	return err
}

func openContainer(ctx context.Context, db database) (server, error) {
	if err := findEngine(ctx); err != nil {
		return nil, err
	}
	c := &container{image: db.image, name: "apikeys-test-" + strings.ToLower(rand.Text()), password: rand.Text()}
	if err := c.start(ctx); err != nil {
		_ = c.Close() // an interrupted start may have left it behind, or nothing
		return nil, err
	}
	if err := c.await(ctx, db.kind); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func findEngine(ctx context.Context) error {
	if _, err := exec.LookPath("docker"); err != nil {
		return errors.New("no docker here")
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	if _, err := docker(ctx, nil, "version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("no engine runs: %w", err)
	}
	return nil
}

// start gives the password by the environment: arguments are shown to everybody on the machine.
func (c *container) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	args := []string{
		"run", "--detach", "--rm", "--name", c.name, "--publish", "127.0.0.1::" + c.image.port,
		"--env", c.image.password, c.image.name,
	}
	_, err := docker(ctx, []string{c.image.password + "=" + c.password}, append(args, c.image.arguments...)...)
	return err
}

func (c *container) await(ctx context.Context, kind dbserver.Kind) error {
	published, err := docker(ctx, nil, "port", c.name, c.image.port+"/tcp")
	if err != nil {
		return err
	}
	c.addr, _, _ = strings.Cut(published, "\n")
	ctx, cancel := context.WithTimeout(ctx, containerTimeout)
	defer cancel()
	for {
		err := dbserver.Ping(ctx, kind, c.DSN())
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// docker runs one command of the engine's client and returns what it prints.
func docker(ctx context.Context, variables []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), variables...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		said := strings.TrimSpace(stderr.String())
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, said[strings.LastIndexByte(said, '\n')+1:])
	}
	return strings.TrimSpace(string(out)), nil
}
