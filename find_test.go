package apikeys_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

func TestFindByName(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	h, other := build(t, c.Client, "mine"), build(t, c.Client, "theirs")
	view := c.Scoped(apikeys.Scope{OrganizationID: h.org})
	for _, client := range []*apikeys.Client{c.Client, view} {
		if got := must(client.FindOrganization(ctx, "mine"))(t); got.ID != h.org {
			t.Errorf("got organization %v, want %v", got.ID, h.org)
		}
		if got := must(client.FindProject(ctx, h.org, "p1"))(t); got.ID != h.p1 {
			t.Errorf("got project %v, want %v", got.ID, h.p1)
		}
		if got := must(client.FindProduct(ctx, h.org, "x1"))(t); got.ID != h.x1 {
			t.Errorf("got product %v, want %v", got.ID, h.x1)
		}
	}
	for name, find := range map[string]func() error{
		"another name":               func() error { return second(c.FindOrganization(ctx, "mina")) },
		"another case":               func() error { return second(c.FindOrganization(ctx, "Mine")) },
		"a project's name":           func() error { return second(c.FindProduct(ctx, h.org, "p1")) },
		"no organization":            func() error { return second(c.FindProject(ctx, uuid.Nil, "p1")) },
		"unknown organization":       func() error { return second(c.FindProject(ctx, uuid.New(), "p1")) },
		"not seen":                   func() error { return second(view.FindOrganization(ctx, "theirs")) },
		"project of one not seen":    func() error { return second(view.FindProject(ctx, other.org, "p1")) },
		"product of one not seen":    func() error { return second(view.FindProduct(ctx, other.org, "x1")) },
		"organization of its own id": func() error { return second(c.FindOrganization(ctx, h.org.String())) },
	} {
		if err := find(); !errors.Is(err, apikeys.ErrNotFound) {
			t.Errorf("%s: got %v, want a NotFoundError", name, err)
		}
	}
	wantIs(t, second(c.FindOrganization(ctx, "")), apikeys.ErrInvalidArgument)
	wantIs(t, second(c.FindOrganization(ctx, "a\x00b")), apikeys.ErrInvalidArgument)
	wantIs(t, second(c.Scoped(apikeys.Scope{}).FindOrganization(ctx, "mine")), apikeys.ErrInvalidArgument)
}
