package faulttest_test

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// operation is something that a caller asks of a client.
type operation struct {
	name string
	do   func(ctx context.Context, c *apikeys.Client, w *world) error
	// steps says that it is several writes, of which some may be done when it fails.
	steps bool
}

func second[T any](_ T, err error) error { return err }

func third[T, U any](_ T, _ U, err error) error { return err }

// issues notes the text that an operation returned: from then on it has to be good.
func (w *world) issues(k *apikeys.IssuedKey, err error) error {
	if err == nil {
		w.issued = append(w.issued, k.Plaintext.Reveal())
	}
	return err
}

// mutations are all operations that change something.
func mutations() []operation {
	type (
		ctx = context.Context
		cl  = *apikeys.Client
		wd  = *world
	)
	return []operation{
		{name: "CreateProject", do: func(ctx ctx, c cl, w wd) error { return second(c.CreateProject(ctx, w.org, "new")) }},
		{name: "GetOrCreateProject", do: func(ctx ctx, c cl, w wd) error { return third(c.GetOrCreateProject(ctx, w.org, "new")) }},
		{name: "RenameProject", do: func(ctx ctx, c cl, w wd) error { return second(c.RenameProject(ctx, w.q, "renamed")) }},
		{name: "DeleteProject", do: func(ctx ctx, c cl, w wd) error { return c.DeleteProject(ctx, w.q) }},
		{name: "DeleteProject with keys", do: func(ctx ctx, c cl, w wd) error { return c.DeleteProject(ctx, w.p) }, steps: true},
		{name: "CreateProduct", do: func(ctx ctx, c cl, w wd) error { return second(c.CreateProduct(ctx, w.org, "new")) }},
		{name: "GetOrCreateProduct", do: func(ctx ctx, c cl, w wd) error { return third(c.GetOrCreateProduct(ctx, w.org, "new")) }},
		{name: "RenameProduct", do: func(ctx ctx, c cl, w wd) error { return second(c.RenameProduct(ctx, w.y, "renamed")) }},
		{name: "DeleteProduct", do: func(ctx ctx, c cl, w wd) error { return c.DeleteProduct(ctx, w.y) }},
		{name: "AddProductToProject", do: func(ctx ctx, c cl, w wd) error { return c.AddProductToProject(ctx, w.y, w.p) }},
		{name: "RemoveProductFromProject", do: func(ctx ctx, c cl, w wd) error { return c.RemoveProductFromProject(ctx, w.x, w.p) }},
		{name: "RenameOrganization", do: func(ctx ctx, c cl, w wd) error {
			return second(c.RenameOrganization(ctx, w.org, "world renamed "+w.org.String()))
		}},
		{name: "SuspendOrganization", do: func(ctx ctx, c cl, w wd) error { return second(c.SuspendOrganization(ctx, w.org)) }},
		{name: "ResumeOrganization", do: func(ctx ctx, c cl, w wd) error { return second(c.ResumeOrganization(ctx, w.org)) }},
		{name: "DeleteOrganization", do: func(ctx ctx, c cl, w wd) error { return c.DeleteOrganization(ctx, w.org) }, steps: true},
		{name: "CreateKey", do: func(ctx ctx, c cl, w wd) error {
			return w.issues(c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: w.org, Metadata: apikeys.KeyMetadata{Name: "new"}}))
		}},
		{name: "CreateKey for a product in a project", do: func(ctx ctx, c cl, w wd) error {
			return w.issues(c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: w.org, ProjectID: w.p, ProductID: w.x, Metadata: apikeys.KeyMetadata{Name: "new"}}))
		}},
		{name: "UpdateKey", do: func(ctx ctx, c cl, w wd) error {
			return second(c.UpdateKey(ctx, w.key.Key.ID, apikeys.KeyMetadata{Name: "updated"}))
		}},
		{name: "PatchKey", do: func(ctx ctx, c cl, w wd) error {
			return second(c.PatchKey(ctx, w.key.Key.ID, apikeys.KeyPatch{Scopes: &[]string{"write"}, IfVersion: 1}))
		}},
		{name: "RotateKey", do: func(ctx ctx, c cl, w wd) error {
			return w.issues(c.RotateKey(ctx, w.key.Key.ID, apikeys.RotateParams{}))
		}},
		{name: "RotateKey with an overlap", do: func(ctx ctx, c cl, w wd) error {
			return w.issues(c.RotateKey(ctx, w.key.Key.ID, apikeys.RotateParams{Overlap: time.Hour}))
		}},
		{name: "RevokeKey", do: func(ctx ctx, c cl, w wd) error {
			return second(c.RevokeKey(ctx, w.key.Key.ID, apikeys.RevokeParams{Reason: "leaked"}))
		}},
		{name: "DisableKey", do: func(ctx ctx, c cl, w wd) error { return second(c.DisableKey(ctx, w.key.Key.ID)) }},
		{name: "EnableKey", do: func(ctx ctx, c cl, w wd) error { return second(c.EnableKey(ctx, w.disabled.Key.ID)) }},
		{name: "DeleteKey", do: func(ctx ctx, c cl, w wd) error { return c.DeleteKey(ctx, w.key.Key.ID) }},
		{name: "ImportKeys", do: func(ctx ctx, c cl, w wd) error {
			return second(c.ImportKeys(ctx, []apikeys.ImportKey{{
				Scheme: apikeys.ImportSHA256, Digest: sha256.Sum256([]byte(w.name)), ForeignID: "1", OrganizationID: w.org,
				Metadata: apikeys.KeyMetadata{Name: "imported"},
			}}, apikeys.ImportParams{}))
		}},
		{name: "RevokeKeys", do: func(ctx ctx, c cl, w wd) error {
			return second(c.RevokeKeys(ctx, apikeys.KeyFilter{OrganizationID: w.org}, apikeys.RevokeParams{}))
		}, steps: true},
		{name: "PurgeKeys", do: func(ctx ctx, c cl, w wd) error {
			return second(c.Scoped(apikeys.Scope{OrganizationID: w.org}).PurgeKeys(ctx, apikeys.PurgeParams{EndedBefore: time.Now().Add(time.Hour)}))
		}, steps: true},
	}
}

// readings are all operations that change nothing but counters.
func readings() []operation {
	type (
		ctx = context.Context
		cl  = *apikeys.Client
		wd  = *world
	)
	good := func(w *world) string { return w.key.Plaintext.Reveal() }
	page := apikeys.ListOptions{Limit: 2}
	return []operation{
		{name: "Verify", do: func(ctx ctx, c cl, w wd) error { return second(c.Verify(ctx, good(w))) }},
		{name: "Validate", do: func(ctx ctx, c cl, w wd) error {
			return second(c.Validate(ctx, good(w), apikeys.ValidateParams{OrganizationID: w.org, ProjectID: w.p, ProductID: w.x, Scopes: []string{"read"}}))
		}},
		{name: "Explain", do: func(ctx ctx, c cl, w wd) error {
			return second(c.Explain(ctx, good(w), apikeys.ValidateParams{ProjectID: w.p, ProductID: w.x}))
		}},
		{name: "Allow", do: func(ctx ctx, c cl, w wd) error {
			return second(c.Allow(ctx, w.org.String(), []apikeys.RateLimit{apikeys.PerHour(1_000_000)}, 1))
		}},
		{name: "GetKey", do: func(ctx ctx, c cl, w wd) error { return second(c.GetKey(ctx, w.key.Key.ID)) }},
		{name: "KeySecrets", do: func(ctx ctx, c cl, w wd) error { return second(c.KeySecrets(ctx, w.key.Key.ID)) }},
		{name: "KeyUsage", do: func(ctx ctx, c cl, w wd) error {
			return second(c.KeyUsage(ctx, w.key.Key.ID, time.Now().Add(-time.Hour), time.Now()))
		}},
		{name: "ListKeys", do: func(ctx ctx, c cl, w wd) error {
			return second(c.ListKeys(ctx, apikeys.KeyFilter{OrganizationID: w.org, ProjectID: w.p, ProductID: w.x}, page))
		}},
		{name: "Keys", do: func(ctx ctx, c cl, w wd) error {
			for _, err := range c.Keys(ctx, apikeys.KeyFilter{OrganizationID: w.org}) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "GetOrganization", do: func(ctx ctx, c cl, w wd) error { return second(c.GetOrganization(ctx, w.org)) }},
		{name: "ExpiringKeys", do: func(ctx ctx, c cl, _ wd) error {
			for _, err := range c.ExpiringKeys(ctx, time.Hour) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "ListEvents", do: func(ctx ctx, c cl, w wd) error {
			return second(c.ListEvents(ctx, apikeys.EventFilter{OrganizationID: w.org}, page))
		}},
		{name: "Sweep", do: func(ctx ctx, c cl, _ wd) error { return second(c.Sweep(ctx)) }},
		{name: "FindOrganization", do: func(ctx ctx, c cl, w wd) error { return second(c.FindOrganization(ctx, w.name)) }},
		{name: "FindProject", do: func(ctx ctx, c cl, w wd) error { return second(c.FindProject(ctx, w.org, "p")) }},
		{name: "FindProduct", do: func(ctx ctx, c cl, w wd) error { return second(c.FindProduct(ctx, w.org, "x")) }},
		{name: "CountKeysBySecret", do: func(ctx ctx, c cl, _ wd) error { return second(c.CountKeysBySecret(ctx)) }},
		{name: "ListOrganizations", do: func(ctx ctx, c cl, _ wd) error { return second(c.ListOrganizations(ctx, page)) }},
		{name: "GetProject", do: func(ctx ctx, c cl, w wd) error { return second(c.GetProject(ctx, w.p)) }},
		{name: "ListProjects", do: func(ctx ctx, c cl, w wd) error { return second(c.ListProjects(ctx, w.org, page)) }},
		{name: "GetProduct", do: func(ctx ctx, c cl, w wd) error { return second(c.GetProduct(ctx, w.x)) }},
		{name: "ListProducts", do: func(ctx ctx, c cl, w wd) error { return second(c.ListProducts(ctx, w.org, page)) }},
		{name: "ListProjectProducts", do: func(ctx ctx, c cl, w wd) error { return second(c.ListProjectProducts(ctx, w.p)) }},
	}
}
