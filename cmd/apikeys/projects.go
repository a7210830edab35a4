package main

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/apikeys-platform/apikeys"
)

func newProjects(a *app) *cobra.Command {
	group := newGroup("projects", "Projects: create, list, rename, delete", "Projects group keys within an organization.")
	group.AddCommand(projects().commands(a)...)
	return group
}

func projects() owned {
	return owned{
		kind: "project", plural: "projects", find: projectID,
		create: func(ctx context.Context, c *apikeys.Client, org uuid.UUID, name string) (*apikeys.Project, error) {
			return c.CreateProject(ctx, org, name)
		},
		ensure: func(ctx context.Context, c *apikeys.Client, org uuid.UUID, name string) (*apikeys.Project, bool, error) {
			return c.GetOrCreateProject(ctx, org, name)
		},
		get: func(ctx context.Context, c *apikeys.Client, id uuid.UUID) (*apikeys.Project, error) {
			return c.GetProject(ctx, id)
		},
		list: func(ctx context.Context, c *apikeys.Client, org uuid.UUID, opts apikeys.ListOptions) (apikeys.Page[apikeys.Project], error) {
			return c.ListProjects(ctx, org, opts)
		},
		rename: func(ctx context.Context, c *apikeys.Client, id uuid.UUID, name string) (*apikeys.Project, error) {
			return c.RenameProject(ctx, id, name)
		},
		remove: func(ctx context.Context, c *apikeys.Client, id uuid.UUID) error { return c.DeleteProject(ctx, id) },
	}
}

func upper(kind string) string { return strings.ToUpper(kind) }
