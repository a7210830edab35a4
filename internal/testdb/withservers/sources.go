//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
)

// server is one that the command may use.
type server interface {
	fmt.Stringer // what it is, without its password
	DSN() string
	Close() error // ends it if it is ours
}

// source is a way to get a server. Its open fails with the reason why there is none.
type source struct {
	name string
	open func(ctx context.Context, db database) (server, error)
}

// allSources are in the order of their cost.
func allSources() []source {
	debian := &debian{}
	return []source{
		{"environment", openNamed},
		{"installed", openInstalled},
		{"Debian packages", debian.open},
		{"Docker", openContainer},
	}
}

// named is a server of somebody else.
type named struct {
	variable, dsn string
}

func openNamed(_ context.Context, db database) (server, error) {
	dsn := os.Getenv(db.variable)
	if dsn == "" {
		return nil, fmt.Errorf("%s is not set", db.variable)
	}
	return named{variable: db.variable, dsn: dsn}, nil
}

func (n named) String() string { return "the server in " + n.variable }
func (n named) DSN() string    { return n.dsn }
func (n named) Close() error   { return nil }

// throwAway is a server that runs for the command alone.
type throwAway struct {
	*dbserver.Server
}

func (t throwAway) String() string {
	return fmt.Sprintf("%s, a throw-away server at %s", t.Installation, t.Addr())
}

func openInstalled(ctx context.Context, db database) (server, error) {
	installation, err := dbserver.Find(ctx, db.kind)
	if errors.Is(err, dbserver.ErrNotInstalled) {
		return nil, dbserver.ErrNotInstalled
	}
	if err != nil {
		return nil, err
	}
	started, err := installation.Start(ctx, dbserver.Options{})
	if err != nil {
		return nil, err
	}
	return throwAway{started}, nil
}
