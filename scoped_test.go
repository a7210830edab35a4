package apikeys_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// Every operation that takes an id, through views of: the own organization,
// another one, another owner, and nobody. Only the own view finds anything, and
// what the others get does not tell whether the id exists.
func TestViewsSeeOnlyTheirOwn(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	h, other := build(t, c.Client, "mine"), build(t, c.Client, "theirs")
	mine := apikeys.CreateKeyParams{OrganizationID: h.org, ProjectID: h.p1, OwnerID: "alice"}
	text := issue(t, c.Client, mine).Plaintext.Reveal()

	type view struct {
		name   string
		client *apikeys.Client
		own    bool
		nobody bool
	}
	views := []view{
		{name: "organization", client: c.Scoped(apikeys.Scope{OrganizationID: h.org}), own: true},
		{name: "owner", client: c.Scoped(apikeys.Scope{OrganizationID: h.org, OwnerID: "alice"}), own: true},
		{name: "another organization", client: c.Scoped(apikeys.Scope{OrganizationID: other.org})},
		{name: "another owner", client: c.Scoped(apikeys.Scope{OrganizationID: h.org, OwnerID: "bob"})},
		{name: "owner in another organization", client: c.Scoped(apikeys.Scope{OrganizationID: other.org, OwnerID: "alice"})},
		{name: "widened", client: c.Scoped(apikeys.Scope{OrganizationID: other.org}).Scoped(apikeys.Scope{OrganizationID: h.org}), nobody: true},
		{name: "owner widened", client: c.Scoped(apikeys.Scope{OrganizationID: h.org, OwnerID: "bob"}).Scoped(apikeys.Scope{OrganizationID: h.org}), nobody: true},
		{name: "nobody", client: c.Scoped(apikeys.Scope{}), nobody: true},
		{name: "an owner of no organization", client: c.Scoped(apikeys.Scope{OwnerID: "alice"}), nobody: true},
	}
	operations := map[string]func(*apikeys.Client, uuid.UUID) error{
		"get": func(v *apikeys.Client, id uuid.UUID) error { return second(v.GetKey(ctx, id)) },
		"update": func(v *apikeys.Client, id uuid.UUID) error {
			return second(v.UpdateKey(ctx, id, apikeys.KeyMetadata{Name: "n"}))
		},
		"patch": func(v *apikeys.Client, id uuid.UUID) error {
			return second(v.PatchKey(ctx, id, apikeys.KeyPatch{Name: ptr("p")}))
		},
		"disable": func(v *apikeys.Client, id uuid.UUID) error { return second(v.DisableKey(ctx, id)) },
		"enable":  func(v *apikeys.Client, id uuid.UUID) error { return second(v.EnableKey(ctx, id)) },
		"revoke": func(v *apikeys.Client, id uuid.UUID) error {
			return second(v.RevokeKey(ctx, id, apikeys.RevokeParams{}))
		},
		"delete": func(v *apikeys.Client, id uuid.UUID) error { return v.DeleteKey(ctx, id) },
	}
	for _, v := range views {
		for name, op := range operations {
			target := issue(t, c.Client, mine)
			err := op(v.client, target.Key.ID)
			stranger := op(v.client, uuid.New())
			switch {
			case v.own && err != nil:
				t.Errorf("%s: %s: got %v, want it done", v.name, name, err)
			case v.own:
			case v.nobody:
				wantIs(t, err, apikeys.ErrInvalidArgument)
			default:
				wantErr[*apikeys.NotFoundError](t, err, apikeys.ErrNotFound)
				wantErr[*apikeys.NotFoundError](t, stranger, apikeys.ErrNotFound)
			}
			if !v.own {
				if got := must(c.GetKey(ctx, target.Key.ID))(t); got.Version != 1 {
					t.Errorf("%s: %s changed the key", v.name, name)
				}
			}
		}
		_, err := v.client.Verify(ctx, text)
		switch {
		case v.own && err != nil:
			t.Errorf("%s: verify: got %v, want it accepted", v.name, err)
		case v.nobody:
			wantIs(t, err, apikeys.ErrInvalidArgument)
		case !v.own:
			wantIs(t, err, apikeys.ErrInvalidKey)
		}
	}
}

func TestViewsOfTenancy(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	h, other := build(t, c.Client, "mine"), build(t, c.Client, "theirs")
	own, foreign := c.Scoped(apikeys.Scope{OrganizationID: h.org}), c.Scoped(apikeys.Scope{OrganizationID: other.org})
	owner := c.Scoped(apikeys.Scope{OrganizationID: h.org, OwnerID: "alice"})
	spare := must(c.CreateProduct(ctx, h.org, "spare"))(t).ID
	for name, op := range map[string]func(*apikeys.Client) error{
		"get organization":    func(v *apikeys.Client) error { return second(v.GetOrganization(ctx, h.org)) },
		"rename organization": func(v *apikeys.Client) error { return second(v.RenameOrganization(ctx, h.org, "mine")) },
		"suspend":             func(v *apikeys.Client) error { return second(v.SuspendOrganization(ctx, h.org)) },
		"resume":              func(v *apikeys.Client) error { return second(v.ResumeOrganization(ctx, h.org)) },
		"get project":         func(v *apikeys.Client) error { return second(v.GetProject(ctx, h.p1)) },
		"rename project":      func(v *apikeys.Client) error { return second(v.RenameProject(ctx, h.p1, "p1")) },
		"list projects":       func(v *apikeys.Client) error { return second(v.ListProjects(ctx, h.org, apikeys.ListOptions{})) },
		"create project": func(v *apikeys.Client) error {
			_, _, err := v.GetOrCreateProject(ctx, h.org, "new")
			return err
		},
		"get product":   func(v *apikeys.Client) error { return second(v.GetProduct(ctx, h.x1)) },
		"list products": func(v *apikeys.Client) error { return second(v.ListProducts(ctx, h.org, apikeys.ListOptions{})) },
		"link":          func(v *apikeys.Client) error { return v.AddProductToProject(ctx, h.x2, h.p1) },
		"unlink":        func(v *apikeys.Client) error { return v.RemoveProductFromProject(ctx, h.x2, h.p1) },
		"list links":    func(v *apikeys.Client) error { return second(v.ListProjectProducts(ctx, h.p1)) },
		"create key": func(v *apikeys.Client) error {
			return second(v.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: h.org}))
		},
		"list keys": func(v *apikeys.Client) error {
			return second(v.ListKeys(ctx, apikeys.KeyFilter{OrganizationID: h.org}, apikeys.ListOptions{}))
		},
		"delete product": func(v *apikeys.Client) error { return v.DeleteProduct(ctx, spare) },
	} {
		wantErr[*apikeys.NotFoundError](t, op(foreign), apikeys.ErrNotFound)
		if err := op(owner); err != nil && !errors.Is(err, apikeys.ErrInvalidArgument) {
			t.Errorf("%s as an owner: got %v", name, err)
		}
		if err := op(own); err != nil {
			t.Errorf("%s: got %v, want it done", name, err)
		}
	}
	if _, err := own.CreateOrganization(ctx, "new"); !errors.Is(err, apikeys.ErrInvalidArgument) {
		t.Errorf("a view created an organization: %v", err)
	}
	if err := owner.DeleteOrganization(ctx, h.org); !errors.Is(err, apikeys.ErrInvalidArgument) {
		t.Errorf("an owner deleted the organization: %v", err)
	}
}

// Lists through views hold on every page.
func TestViewsHoldOnPageTwo(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	h, other := build(t, c.Client, "mine"), build(t, c.Client, "theirs")
	want := map[uuid.UUID]bool{}
	for i := range 30 {
		org, owner := h.org, "alice"
		if i%3 == 1 {
			org = other.org
		}
		if i%3 == 2 {
			owner = "alice "
		}
		c.Clock.Advance(1)
		key := issue(t, c.Client, apikeys.CreateKeyParams{OrganizationID: org, OwnerID: owner})
		if i%3 == 0 {
			want[key.Key.ID] = true
		}
	}
	view := c.Scoped(apikeys.Scope{OrganizationID: h.org, OwnerID: "alice"})
	opts := apikeys.ListOptions{Limit: 3}
	for {
		page := must(view.ListKeys(ctx, apikeys.KeyFilter{}, opts))(t)
		for _, k := range page.Items {
			if !want[k.ID] {
				t.Errorf("got key %s of %s, owner %q: twice or not ours", k.ID, k.OrganizationID, k.OwnerID)
			}
			delete(want, k.ID)
		}
		if opts.Cursor = page.NextCursor; opts.Cursor == "" {
			break
		}
	}
	if len(want) != 0 {
		t.Errorf("%d keys were on no page", len(want))
	}
}

// Deleting takes all that is owned, and what is bound to it.
func TestDeletingTakesWhatIsOwned(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	h, other := build(t, c.Client, "mine"), build(t, c.Client, "theirs")
	wide := issue(t, c.Client, apikeys.CreateKeyParams{OrganizationID: h.org})
	ofP1 := issue(t, c.Client, apikeys.CreateKeyParams{OrganizationID: h.org, ProjectID: h.p1})
	ofX1 := issue(t, c.Client, apikeys.CreateKeyParams{OrganizationID: h.org, ProductID: h.x1})
	theirs := issue(t, c.Client, apikeys.CreateKeyParams{OrganizationID: other.org})
	alive := func(keys ...*apikeys.IssuedKey) {
		t.Helper()
		for _, k := range keys {
			must(c.Verify(ctx, k.Plaintext.Reveal()))(t)
		}
	}
	if err := c.DeleteProject(ctx, h.p1); err != nil {
		t.Fatal(err)
	}
	wantIs(t, second(c.Verify(ctx, ofP1.Plaintext.Reveal())), apikeys.ErrInvalidKey)
	alive(wide, ofX1, theirs)
	if err := c.DeleteProduct(ctx, h.x1); err != nil {
		t.Fatal(err)
	}
	wantIs(t, second(c.Verify(ctx, ofX1.Plaintext.Reveal())), apikeys.ErrInvalidKey)
	alive(wide, theirs)
	if err := c.DeleteOrganization(ctx, h.org); err != nil {
		t.Fatal(err)
	}
	wantIs(t, second(c.Verify(ctx, wide.Plaintext.Reveal())), apikeys.ErrInvalidKey)
	wantIs(t, second(c.GetProject(ctx, h.p2)), apikeys.ErrNotFound)
	alive(theirs)
	if _, created, err := c.GetOrCreateOrganization(ctx, "mine"); err != nil || !created {
		t.Errorf("the name of a deleted organization is not free: %t, %v", created, err)
	}
}
