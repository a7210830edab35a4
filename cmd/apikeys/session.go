package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store"
)

// withStore opens the database for as long as f runs. Only create makes a file that
// is not there: a mistyped name should not look like a database without keys.
func (a *app) withStore(ctx context.Context, create bool, f func(store.DB) error) error {
	url, err := a.databaseURL()
	if err != nil {
		return err
	}
	if !create {
		url = existing(url)
	}
	db, err := store.Open(ctx, url)
	if errors.Is(err, fs.ErrNotExist) && !create {
		return fmt.Errorf("there is no database %s; for a new installation make it with: apikeys migrate up", fileOf(url))
	}
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}

// existing is the URL of a database that must be there.
func existing(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	file, options, _ := strings.Cut(rest, "?")
	memory := strings.Trim(file, "/") == "" || strings.Contains(file, ":memory:")
	if !strings.HasPrefix(strings.ToLower(scheme), "sqlite") || memory || strings.Contains(options, "mode=") {
		return url
	}
	return scheme + "://" + file + "?" + strings.TrimSuffix("mode=rw&"+options, "&")
}

// fileOf is the name of a SQLite database.
func fileOf(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	file, _, _ := strings.Cut(rest, "?")
	return strings.TrimPrefix(file, "/")
}

// withClient makes a client for as long as f runs.
func (a *app) withClient(ctx context.Context, f func(context.Context, *apikeys.Client) error) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	actor, err := a.actor()
	if err != nil {
		return err
	}
	return a.withStore(ctx, false, func(db store.DB) error {
		standing, err := db.EnsureSettings(ctx, apikeys.SettingsRecord{}) // proposes nothing
		if err != nil {
			return err
		}
		client, err := apikeys.New(ctx, db, config)
		if err != nil {
			return err
		}
		if standing.Version == 0 {
			a.note("this is the first use of the database: from now on its keys are those of this signing secret")
		}
		err = f(apikeys.ContextWithActor(ctx, actor), client)
		return errors.Join(err, client.Close(context.WithoutCancel(ctx)))
	})
}

// actor is who acts: it is written to the audit events.
func (a *app) actor() (string, error) {
	if actor := a.setting(a.flags.actor, envActor); actor != "" {
		if printable(actor) != actor || len(actor) > maxActor {
			return "", usagef("--actor: must be at most %d bytes, without control and invisible characters", maxActor)
		}
		return actor, nil
	}
	return "cli:" + a.user, nil
}

// maxActor is what all databases can hold.
const maxActor = 200

// client makes of f what cobra runs: with a client.
func (a *app) client(f func(ctx context.Context, c *apikeys.Client, args []string) error) func(*cobra.Command, []string) error {
	return a.do(func(ctx context.Context, args []string) error {
		return a.withClient(ctx, func(ctx context.Context, c *apikeys.Client) error { return f(ctx, c, args) })
	})
}
