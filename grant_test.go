package apikeys_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// wantBeyond checks that something was refused because of a field.
func wantBeyond(t testing.TB, what, field string, err error) {
	t.Helper()
	e := wantErr[*apikeys.BeyondGrantError](t, err, apikeys.ErrBeyondGrant)
	if e.Field != field || e.Code() != apikeys.CodeBeyondGrant || e.Allowed == "" {
		t.Errorf("%s: got %v of field %q, want %q", what, e, e.Field, field)
	}
}

// A key within the grant is created, one beyond it in a single respect is not.
func TestGrantBoundsWhatIsCreated(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t, func(c *apikeys.Config) { c.KeyPrefix, c.Environment = "acme", "live" })
	h := build(t, c.Client, "house")
	end := c.Clock.Now().Add(time.Hour)
	key := func(edit func(*apikeys.CreateKeyParams)) apikeys.CreateKeyParams {
		p := apikeys.CreateKeyParams{OrganizationID: h.org, ProjectID: h.p1, OwnerID: "alice", Metadata: apikeys.KeyMetadata{
			Scopes: []string{"docs:read"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(10)}, ExpiresAt: end,
		}}
		edit(&p)
		return p
	}
	grant := func(edit func(*apikeys.Grant)) apikeys.Grant {
		g := apikeys.Grant{
			Scopes: []string{"docs:*", "read"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(10)}, ExpiresBy: end,
			OrganizationID: h.org, ProjectID: h.p1, OwnerID: "alice", Environments: []string{"live"},
		}
		edit(&g)
		return g
	}
	scopes := func(list ...string) apikeys.CreateKeyParams {
		return key(func(p *apikeys.CreateKeyParams) { p.Metadata.Scopes = list })
	}
	limits := func(list ...apikeys.RateLimit) apikeys.CreateKeyParams {
		return key(func(p *apikeys.CreateKeyParams) { p.Metadata.RateLimits = list })
	}
	ends := func(at time.Time) apikeys.CreateKeyParams {
		return key(func(p *apikeys.CreateKeyParams) { p.Metadata.ExpiresAt = at })
	}
	same := func(*apikeys.Grant) {}
	for name, tc := range map[string]struct {
		grant func(*apikeys.Grant)
		key   apikeys.CreateKeyParams
		field string // "": allowed
	}{
		"as granted":            {same, key(func(*apikeys.CreateKeyParams) {}), ""},
		"the wildcard itself":   {same, scopes("docs:*"), ""},
		"a narrower wildcard":   {same, scopes("docs:a:*"), ""},
		"no scopes":             {same, scopes(), ""},
		"everything":            {same, scopes("*"), "Metadata.Scopes"},
		"the part before":       {same, scopes("docs"), "Metadata.Scopes"},
		"another case":          {same, scopes("Docs:read"), "Metadata.Scopes"},
		"one scope too many":    {same, scopes("docs:read", "write"), "Metadata.Scopes"},
		"nothing granted":       {func(g *apikeys.Grant) { g.Scopes = nil }, scopes("read"), "Metadata.Scopes"},
		"nothing of nothing":    {func(g *apikeys.Grant) { g.Scopes = nil }, scopes(), ""},
		"all granted":           {func(g *apikeys.Grant) { g.Scopes = []string{"*"} }, scopes("*", "docs:*"), ""},
		"not a wildcard":        {func(g *apikeys.Grant) { g.Scopes = []string{"do*"} }, scopes("docs:read"), "Metadata.Scopes"},
		"a tighter limit":       {same, limits(apikeys.PerMinute(0), apikeys.PerSecond(1)), ""},
		"a looser limit":        {same, limits(apikeys.PerMinute(11)), "Metadata.RateLimits"},
		"no limit":              {same, limits(), "Metadata.RateLimits"},
		"a shorter window":      {same, limits(apikeys.PerSecond(1)), "Metadata.RateLimits"},
		"a longer window":       {same, limits(apikeys.PerDay(1)), "Metadata.RateLimits"},
		"one window of two":     {func(g *apikeys.Grant) { g.RateLimits = append(g.RateLimits, apikeys.PerDay(9)) }, limits(apikeys.PerMinute(1)), "Metadata.RateLimits"},
		"an earlier end":        {same, ends(end.Add(-time.Microsecond)), ""},
		"a later end":           {same, ends(end.Add(time.Microsecond)), "Metadata.ExpiresAt"},
		"no end":                {same, ends(time.Time{}), "Metadata.ExpiresAt"},
		"no end, none asked":    {func(g *apikeys.Grant) { g.ExpiresBy = time.Time{} }, ends(time.Time{}), ""},
		"another organization":  {func(g *apikeys.Grant) { g.OrganizationID = uuid.New() }, key(func(*apikeys.CreateKeyParams) {}), "OrganizationID"},
		"another project":       {same, key(func(p *apikeys.CreateKeyParams) { p.ProjectID = h.p2 }), "ProjectID"},
		"no project":            {same, key(func(p *apikeys.CreateKeyParams) { p.ProjectID = uuid.Nil }), "ProjectID"},
		"a product besides":     {same, key(func(p *apikeys.CreateKeyParams) { p.ProductID = h.x1 }), ""},
		"no product":            {func(g *apikeys.Grant) { g.ProductID = h.x1 }, key(func(*apikeys.CreateKeyParams) {}), "ProductID"},
		"the product":           {func(g *apikeys.Grant) { g.ProductID = h.x1 }, key(func(p *apikeys.CreateKeyParams) { p.ProductID = h.x1 }), ""},
		"somebody else's":       {same, key(func(p *apikeys.CreateKeyParams) { p.OwnerID = "bob" }), "OwnerID"},
		"nobody's":              {same, key(func(p *apikeys.CreateKeyParams) { p.OwnerID = "" }), "OwnerID"},
		"another environment":   {func(g *apikeys.Grant) { g.Environments = []string{"", "test"} }, key(func(*apikeys.CreateKeyParams) {}), "Environment"},
		"of no environment":     {func(g *apikeys.Grant) { g.Environments = []string{} }, key(func(*apikeys.CreateKeyParams) {}), "Environment"},
		"of any environment":    {func(g *apikeys.Grant) { g.Environments = nil }, key(func(*apikeys.CreateKeyParams) {}), ""},
		"a window of no length": {func(g *apikeys.Grant) { g.RateLimits = []apikeys.RateLimit{{Requests: 5}} }, key(func(*apikeys.CreateKeyParams) {}), "Metadata.RateLimits"},
	} {
		view := c.WithGrant(grant(tc.grant))
		issued, err := view.CreateKey(t.Context(), tc.key)
		if tc.field == "" {
			if err != nil {
				t.Errorf("%s: got %v, want a key", name, err)
			}
			continue
		}
		if issued != nil {
			t.Errorf("%s: got a key beyond the grant", name)
		}
		wantBeyond(t, name, tc.field, err)
	}
}

// What gives power to the holder of a key needs all of the key within the grant;
// what takes it away, and the name, do not.
func TestGrantAndKeysBeyondIt(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	end := c.Clock.Now().Add(time.Hour)
	strong := c.IssueWith(apikeys.KeyMetadata{Scopes: []string{"docs:read", "billing"}, ExpiresAt: end}).Key
	view := c.WithGrant(apikeys.Grant{Scopes: []string{"docs:*"}})
	for name, do := range map[string]func() error{
		"rotate": func() error { return second(view.RotateKey(ctx, strong.ID, apikeys.RotateParams{})) },
		"extend": func() error { return second(view.PatchKey(ctx, strong.ID, apikeys.KeyPatch{ExpiresAt: &time.Time{}})) },
		"shorten": func() error {
			return second(view.PatchKey(ctx, strong.ID, apikeys.KeyPatch{ExpiresAt: ptr(end.Add(-1))}))
		},
		"free of limits": func() error {
			return second(view.PatchKey(ctx, strong.ID, apikeys.KeyPatch{RateLimits: &[]apikeys.RateLimit{}}))
		},
		"other custom": func() error {
			return second(view.PatchKey(ctx, strong.ID, apikeys.KeyPatch{Custom: &map[string]any{"plan": "pro"}}))
		},
		"fewer scopes": func() error {
			return second(view.PatchKey(ctx, strong.ID, apikeys.KeyPatch{Scopes: &[]string{"billing"}}))
		},
		"replace": func() error {
			return second(view.UpdateKey(ctx, strong.ID, apikeys.KeyMetadata{Scopes: []string{"billing"}}))
		},
		"enable": func() error { return second(view.EnableKey(ctx, strong.ID)) },
	} {
		wantBeyond(t, name, "Metadata.Scopes", do())
		if got := must(c.GetKey(ctx, strong.ID))(t); got.Version != 1 {
			t.Fatalf("%s: the key was changed", name)
		}
	}
	renamed := must(view.PatchKey(ctx, strong.ID, apikeys.KeyPatch{Name: ptr("renamed"), IfVersion: 1}))(t)
	if renamed.Metadata.Name != "renamed" {
		t.Errorf("got name %q", renamed.Metadata.Name)
	}
	must(view.DisableKey(ctx, strong.ID))(t)
	wantBeyond(t, "enable a disabled one", "Metadata.Scopes", second(view.EnableKey(ctx, strong.ID)))
	must(view.RevokeKey(ctx, strong.ID, apikeys.RevokeParams{}))(t)
	if err := view.DeleteKey(ctx, strong.ID); err != nil {
		t.Error(err)
	}
}

// Narrowing a key that is beyond the grant into it is allowed, and then it is one
// like any other.
func TestGrantTakesInAKey(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	strong := c.Issue("docs:read", "billing").Key
	view := c.WithGrant(apikeys.Grant{Scopes: []string{"docs:*"}})
	must(view.PatchKey(ctx, strong.ID, apikeys.KeyPatch{Scopes: &[]string{"docs:read"}}))(t)
	must(view.DisableKey(ctx, strong.ID))(t)
	must(view.EnableKey(ctx, strong.ID))(t)
	issued := must(view.RotateKey(ctx, strong.ID, apikeys.RotateParams{}))(t)
	must(c.Validate(ctx, issued.Plaintext.Reveal(), apikeys.ValidateParams{Scopes: []string{"docs:read"}}))(t)
	_, err := view.PatchKey(ctx, strong.ID, apikeys.KeyPatch{Scopes: &[]string{}, IfVersion: 1})
	wantIs(t, err, apikeys.ErrConflict)
}

// Views compose in any order and only narrow; each grant must allow.
func TestGrantsCompose(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	org, other := c.Organization.ID, must(c.CreateOrganization(t.Context(), "other"))(t).ID
	scopes := []string{"read", "write"}
	first := apikeys.Grant{Scopes: scopes}
	both := c.WithGrant(first).WithGrant(apikeys.Grant{Scopes: []string{"write", "admin"}})
	scopes[0] = "admin" // the grant has a copy of its own
	create := func(c *apikeys.Client, org uuid.UUID, scope string) error {
		return second(c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org, Metadata: apikeys.KeyMetadata{Scopes: []string{scope}}}))
	}
	for scope, field := range map[string]string{"write": "", "read": "Metadata.Scopes", "admin": "Metadata.Scopes"} {
		for name, view := range map[string]*apikeys.Client{
			"scoped after": both.Scoped(apikeys.Scope{OrganizationID: org}),
			"scoped first": c.Scoped(apikeys.Scope{OrganizationID: org}).WithGrant(apikeys.Grant{Scopes: []string{"read", "write"}}).
				WithGrant(apikeys.Grant{Scopes: []string{"write", "admin"}}),
		} {
			err := create(view, org, scope)
			if field == "" && err != nil {
				t.Errorf("%s, %s: got %v", name, scope, err)
			} else if field != "" {
				wantBeyond(t, name, field, err)
			}
			wantIs(t, create(view, other, "write"), apikeys.ErrNotFound)
		}
	}
	// One view does not change another made from the same.
	wide := c.WithGrant(apikeys.Grant{Scopes: []string{"*"}})
	wide.WithGrant(apikeys.Grant{})
	wide.WithGrant(apikeys.Grant{Scopes: []string{"read"}})
	if err := create(wide, org, "write"); err != nil {
		t.Errorf("got %v", err)
	}
	if err := wide.Close(ctx); err != nil {
		t.Error(err)
	}
	must(c.GetKey(ctx, c.Issue().Key.ID))(t) // closing a view closes nothing
}

func TestGrantsAndOrganizations(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	h := build(t, c.Client, "house")
	bound := c.WithGrant(apikeys.Grant{Scopes: []string{"*"}, ProjectID: h.p1})
	wantBeyond(t, "link", "Grant", bound.AddProductToProject(ctx, h.x2, h.p1))
	wantBeyond(t, "create", "Grant", second(bound.CreateProject(ctx, h.org, "p3")))
	some := c.WithGrant(apikeys.Grant{Scopes: []string{"read"}})
	must(some.SuspendOrganization(ctx, h.org))(t)
	wantBeyond(t, "resume", "Grant", second(some.ResumeOrganization(ctx, h.org)))
	must(c.WithGrant(apikeys.Grant{Scopes: []string{"*"}}).ResumeOrganization(ctx, h.org))(t)
}

// meddler changes a key between the moment it is read and the moment it is written.
type meddler struct {
	apikeys.Store
	meddle func()
}

func (m *meddler) GetKey(ctx context.Context, ref apikeys.KeyRef) (apikeys.KeyRecord, []apikeys.SecretRecord, error) {
	k, s, err := m.Store.GetKey(ctx, ref)
	if meddle := m.meddle; meddle != nil {
		m.meddle = nil
		meddle()
	}
	return k, s, err
}

// What was checked is what is changed, whoever changes the key meanwhile.
func TestGrantHoldsAtTheTimeOfTheWrite(t *testing.T) {
	t.Parallel()
	base, ctx := apikeystest.New(t), t.Context()
	m := &meddler{Store: base.Store}
	client := must(apikeys.New(ctx, m, apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret)}))(t)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	view := client.WithGrant(apikeys.Grant{Scopes: []string{"docs:*"}})
	for name, do := range map[string]func(id uuid.UUID) error{
		"rotate": func(id uuid.UUID) error { return second(view.RotateKey(ctx, id, apikeys.RotateParams{})) },
		"enable": func(id uuid.UUID) error { return second(view.EnableKey(ctx, id)) },
		"patch": func(id uuid.UUID) error {
			return second(view.PatchKey(ctx, id, apikeys.KeyPatch{RateLimits: &[]apikeys.RateLimit{apikeys.PerMinute(1)}}))
		},
	} {
		for change, scopes := range map[string][]string{"wider": {"billing"}, "other": {"docs:write"}} {
			key := base.Issue("docs:read").Key
			if name == "enable" {
				must(base.DisableKey(ctx, key.ID))(t)
			}
			m.meddle = func() { must(base.PatchKey(ctx, key.ID, apikeys.KeyPatch{Scopes: &scopes}))(t) }
			err := do(key.ID)
			after := must(base.GetKey(ctx, key.ID))(t)
			switch change {
			case "wider":
				wantBeyond(t, name, "Metadata.Scopes", err)
				if after.Hint != key.Hint || len(after.Metadata.RateLimits) > 0 || name == "enable" && after.DisabledAt.IsZero() {
					t.Errorf("%s: a key that was made wider meanwhile was changed: %+v", name, after)
				}
			default:
				if err != nil {
					t.Errorf("%s: a key that was changed within the grant meanwhile: got %v", name, err)
				}
			}
		}
	}
}
