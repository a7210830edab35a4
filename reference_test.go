package apikeys_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// The behaviours of the Python SDK that this library takes over, one test each.

func TestReferencePrefixIsSkByDefault(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	if got := c.Issue().Plaintext.Reveal(); !strings.HasPrefix(got, "sk_") || strings.Count(got, "_") != 1 {
		t.Errorf("the key does not begin with sk_ alone")
	}
}

func TestReferencePrefixAndEnvironment(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t, func(c *apikeys.Config) { c.KeyPrefix, c.Environment = "myapp", "live" })
	issued := c.Issue()
	if !strings.HasPrefix(issued.Plaintext.Reveal(), "myapp_live_") {
		t.Errorf("the key does not begin with myapp_live_")
	}
	if got := issued.Key.Environment; got != "live" {
		t.Errorf("got environment %q, want live", got)
	}
}

func TestReferenceDuplicateNamesCarryTheExistingID(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	org := must(c.CreateOrganization(ctx, "Acme"))(t)
	project := must(c.CreateProject(ctx, org.ID, "v1"))(t)
	product := must(c.CreateProduct(ctx, org.ID, "API"))(t)
	for _, tt := range []struct {
		kind   apikeys.ResourceKind
		id     uuid.UUID
		create func() error
	}{
		{apikeys.KindOrganization, org.ID, func() error { _, err := c.CreateOrganization(ctx, "Acme"); return err }},
		{apikeys.KindProject, project.ID, func() error { _, err := c.CreateProject(ctx, org.ID, "v1"); return err }},
		{apikeys.KindProduct, product.ID, func() error { _, err := c.CreateProduct(ctx, org.ID, "API"); return err }},
	} {
		e := wantErr[*apikeys.AlreadyExistsError](t, tt.create(), apikeys.ErrAlreadyExists)
		if e.Kind != tt.kind || e.ExistingID != tt.id {
			t.Errorf("got %s %s, want %s %s", e.Kind, e.ExistingID, tt.kind, tt.id)
		}
	}
}

func TestReferenceGetOrCreateTwiceCreatesOnce(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	org, first, err := c.GetOrCreateOrganization(ctx, "Acme")
	must(org, err)(t)
	again, second, err := c.GetOrCreateOrganization(ctx, "Acme")
	must(again, err)(t)
	project, first2, err := c.GetOrCreateProject(ctx, org.ID, "v1")
	must(project, err)(t)
	projectAgain, second2, err := c.GetOrCreateProject(ctx, org.ID, "v1")
	must(projectAgain, err)(t)
	product, first3, err := c.GetOrCreateProduct(ctx, org.ID, "API")
	must(product, err)(t)
	productAgain, second3, err := c.GetOrCreateProduct(ctx, org.ID, "API")
	must(productAgain, err)(t)
	if !first || second || !first2 || second2 || !first3 || second3 {
		t.Errorf("got created %t %t, %t %t, %t %t; want true false each", first, second, first2, second2, first3, second3)
	}
	if org.ID != again.ID || project.ID != projectAgain.ID || product.ID != productAgain.ID {
		t.Error("the second call returned another one")
	}
}

func TestReferenceUnknownIDsAreNotFoundWithKindAndID(t *testing.T) {
	t.Parallel()
	c, ctx, id := apikeystest.New(t), t.Context(), uuid.New()
	org := c.Organization.ID
	for name, tt := range map[string]struct {
		kind apikeys.ResourceKind
		err  error
	}{
		"get organization":     {apikeys.KindOrganization, second(c.GetOrganization(ctx, id))},
		"rename organization":  {apikeys.KindOrganization, second(c.RenameOrganization(ctx, id, "x"))},
		"suspend organization": {apikeys.KindOrganization, second(c.SuspendOrganization(ctx, id))},
		"delete organization":  {apikeys.KindOrganization, c.DeleteOrganization(ctx, id)},
		"create project":       {apikeys.KindOrganization, second(c.CreateProject(ctx, id, "x"))},
		"list projects":        {apikeys.KindOrganization, second(c.ListProjects(ctx, id, apikeys.ListOptions{}))},
		"get project":          {apikeys.KindProject, second(c.GetProject(ctx, id))},
		"delete project":       {apikeys.KindProject, c.DeleteProject(ctx, id)},
		"list links":           {apikeys.KindProject, second(c.ListProjectProducts(ctx, id))},
		"get product":          {apikeys.KindProduct, second(c.GetProduct(ctx, id))},
		"delete product":       {apikeys.KindProduct, c.DeleteProduct(ctx, id)},
		"create key":           {apikeys.KindOrganization, second(c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: id}))},
		"create project key":   {apikeys.KindProject, second(c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org, ProjectID: id}))},
		"create product key":   {apikeys.KindProduct, second(c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org, ProductID: id}))},
		"list keys":            {apikeys.KindOrganization, second(c.ListKeys(ctx, apikeys.KeyFilter{OrganizationID: id}, apikeys.ListOptions{}))},
		"list project keys":    {apikeys.KindProject, second(c.ListKeys(ctx, apikeys.KeyFilter{ProjectID: id}, apikeys.ListOptions{}))},
		"get key":              {apikeys.KindKey, second(c.GetKey(ctx, id))},
		"update key":           {apikeys.KindKey, second(c.UpdateKey(ctx, id, apikeys.KeyMetadata{}))},
		"patch key":            {apikeys.KindKey, second(c.PatchKey(ctx, id, apikeys.KeyPatch{}))},
		"revoke key":           {apikeys.KindKey, second(c.RevokeKey(ctx, id, apikeys.RevokeParams{}))},
		"disable key":          {apikeys.KindKey, second(c.DisableKey(ctx, id))},
		"enable key":           {apikeys.KindKey, second(c.EnableKey(ctx, id))},
		"delete key":           {apikeys.KindKey, c.DeleteKey(ctx, id)},
	} {
		e := wantErr[*apikeys.NotFoundError](t, tt.err, apikeys.ErrNotFound)
		if e.Kind != tt.kind || e.ID != id {
			t.Errorf("%s: got %s %s, want %s %s", name, e.Kind, e.ID, tt.kind, id)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestReferenceExpiredIsNotInvalidAndCarriesItsDate(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	end := c.Clock.Now().Add(time.Hour)
	key := c.IssueWith(apikeys.KeyMetadata{ExpiresAt: end})
	text := key.Plaintext.Reveal()
	must(c.Verify(t.Context(), text))(t)

	c.Clock.Set(end.Add(-time.Microsecond))
	must(c.Verify(t.Context(), text))(t)
	c.Clock.Set(end)
	for range 3 {
		e := wantErr[*apikeys.ExpiredKeyError](t, second(c.Verify(t.Context(), text)), apikeys.ErrExpiredKey)
		if !e.ExpiredAt.Equal(end) || e.ExpiredAt.Location() != time.UTC || e.KeyID != key.Key.ID {
			t.Errorf("got key %s expired at %s, want %s at %s UTC", e.KeyID, e.ExpiredAt, key.Key.ID, end)
		}
	}
}

func TestReferenceRevokedIsNotInvalid(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.IssueRevoked()
	e := wantErr[*apikeys.RevokedKeyError](t, second(c.Verify(t.Context(), key.Plaintext.Reveal())), apikeys.ErrRevokedKey)
	if e.KeyID != key.Key.ID || e.Reason != "test" || !e.RevokedAt.Equal(c.Clock.Now()) {
		t.Errorf("got %+v, want the key, its time and its reason", e)
	}
}

func TestReferenceMissingScopeIsNamed(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.Issue("read", "write")
	_, err := c.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{Scopes: []string{"read", "admin"}})
	e := wantErr[*apikeys.InsufficientScopeError](t, err, apikeys.ErrInsufficientScope)
	if len(e.Missing) != 1 || e.Missing[0] != "admin" || e.Resource != "" {
		t.Errorf("got missing %q resource %q, want [admin] and none", e.Missing, e.Resource)
	}
}

func TestReferenceQuotaErrorTellsTheTimeToWait(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	text := c.IssueLimited(apikeys.PerMinute(2)).Plaintext.Reveal()
	c.Clock.Advance(20 * time.Second)
	for range 2 {
		must(c.Validate(t.Context(), text, apikeys.ValidateParams{}))(t)
	}
	e := wantErr[*apikeys.QuotaError](t, second(c.Validate(t.Context(), text, apikeys.ValidateParams{})), apikeys.ErrQuotaExceeded)
	if e.RetryAfter != 40*time.Second || e.Limit != apikeys.PerMinute(2) {
		t.Errorf("got retry after %s of %s, want 40s of 2/minute", e.RetryAfter, e.Limit)
	}
	c.Clock.Advance(e.RetryAfter)
	must(c.Validate(t.Context(), text, apikeys.ValidateParams{}))(t)
}

func TestReferenceChecksCanBeSkipped(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.IssueLimited(apikeys.PerMinute(1))
	for range 3 {
		must(c.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{SkipRateLimit: true, SkipUsage: true}))(t)
	}
	if got := must(c.GetKey(t.Context(), key.Key.ID))(t); got.UseCount != 0 || !got.LastUsedAt.IsZero() {
		t.Errorf("got %d uses, last %s; want none", got.UseCount, got.LastUsedAt)
	}
	must(c.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{}))(t)
}

func TestReferenceUseCountAndLastUsed(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.Issue()
	for want := int64(1); want <= 2; want++ {
		now := c.Clock.Advance(time.Hour)
		got := must(c.Verify(t.Context(), key.Plaintext.Reveal()))(t)
		if got.UseCount != want || !got.LastUsedAt.Equal(now) {
			t.Errorf("got use %d at %s, want %d at %s", got.UseCount, got.LastUsedAt, want, now)
		}
		stored := must(c.GetKey(t.Context(), key.Key.ID))(t)
		if stored.UseCount != want || !stored.LastUsedAt.Equal(now) || stored.LastUsedAt.Location() != time.UTC {
			t.Errorf("stored: got use %d at %s, want %d at %s UTC", stored.UseCount, stored.LastUsedAt, want, now)
		}
	}
}

func TestReferenceUpdateInPlaceKeepsTheKeyValid(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.IssueWith(apikeys.KeyMetadata{Name: "a", Scopes: []string{"read"}, ExpiresAt: c.Clock.Now().Add(minute), Custom: map[string]any{"plan": "free"}})
	updated := must(c.UpdateKey(t.Context(), key.Key.ID, apikeys.KeyMetadata{Name: "b", Scopes: []string{"admin"}}))(t)
	if updated.Metadata.Name != "b" || !updated.Metadata.ExpiresAt.IsZero() || len(updated.Metadata.Custom) != 0 || updated.Version != 2 {
		t.Errorf("got %+v version %d, want all of it replaced and version 2", updated.Metadata, updated.Version)
	}
	c.Clock.Advance(time.Hour)
	must(c.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{Scopes: []string{"admin"}}))(t)
	_, err := c.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{Scopes: []string{"read"}})
	wantIs(t, err, apikeys.ErrInsufficientScope)
}

func TestReferenceStatusFilters(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	want := map[apikeys.KeyStatus]int{
		apikeys.StatusActive: 2, apikeys.StatusExpired: 1, apikeys.StatusRevoked: 1, apikeys.StatusDisabled: 1,
		apikeys.StatusAll: 5, "": 5,
	}
	c.Issue()
	c.Issue()
	c.IssueExpired()
	c.IssueRevoked()
	c.IssueDisabled()
	for status, n := range want {
		page := must(c.ListKeys(t.Context(), apikeys.KeyFilter{OrganizationID: c.Organization.ID, Status: status}, apikeys.ListOptions{}))(t)
		if len(page.Items) != n {
			t.Errorf("status %q: got %d keys, want %d", status, len(page.Items), n)
		}
		for _, k := range page.Items {
			if status != "" && status != apikeys.StatusAll && k.Status(c.Clock.Now()) != status {
				t.Errorf("status %q: got a key that is %s", status, k.Status(c.Clock.Now()))
			}
		}
	}
	_, err := c.ListKeys(t.Context(), apikeys.KeyFilter{Status: "gone"}, apikeys.ListOptions{})
	wantErr[*apikeys.InvalidArgumentError](t, err, apikeys.ErrInvalidArgument)
}

// The faults of the Python SDK, shown to be absent, one test each.

func TestReferenceFaultRefusedValidationsCostNothing(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.IssueWith(apikeys.KeyMetadata{Scopes: []string{"read"}, RateLimits: []apikeys.RateLimit{apikeys.PerHour(2)}})
	text := key.Plaintext.Reveal()
	for range 5 {
		_, err := c.Validate(t.Context(), text, apikeys.ValidateParams{Scopes: []string{"admin"}})
		wantIs(t, err, apikeys.ErrInsufficientScope)
		_, err = c.Validate(t.Context(), text, apikeys.ValidateParams{OrganizationID: uuid.New()})
		wantIs(t, err, apikeys.ErrInsufficientScope)
	}
	for range 2 {
		must(c.Validate(t.Context(), text, apikeys.ValidateParams{}))(t)
	}
	for range 5 {
		_, err := c.Validate(t.Context(), text, apikeys.ValidateParams{})
		wantIs(t, err, apikeys.ErrQuotaExceeded)
	}
	if got := must(c.GetKey(t.Context(), key.Key.ID))(t).UseCount; got != 2 {
		t.Errorf("got use count %d, want 2: the refused ones must not count", got)
	}
}

func TestReferenceFaultNothingPassesAcrossOrganizations(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	mine, theirs := build(t, c.Client, "mine"), build(t, c.Client, "theirs")
	key := issue(t, c.Client, apikeys.CreateKeyParams{OrganizationID: mine.org})
	for name, p := range map[string]apikeys.ValidateParams{
		"organization": {OrganizationID: theirs.org},
		"project":      {ProjectID: theirs.p1},
		"product":      {ProductID: theirs.x1},
		"both":         {ProjectID: theirs.p1, ProductID: theirs.x1},
		"mixed":        {ProjectID: mine.p1, ProductID: theirs.x1},
	} {
		_, err := c.Validate(t.Context(), key.Plaintext.Reveal(), p)
		if e := wantErr[*apikeys.InsufficientScopeError](t, err, apikeys.ErrInsufficientScope); e.Resource == "" {
			t.Errorf("%s: the error names no resource", name)
		}
	}
	err := c.AddProductToProject(t.Context(), theirs.x1, mine.p1)
	wantIs(t, err, apikeys.ErrNotFound)
	_, err = c.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: mine.org, ProjectID: theirs.p1})
	wantIs(t, err, apikeys.ErrNotFound)
}

func TestReferenceFaultLinkingTwiceIsFine(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	h := build(t, c.Client, "Acme")
	for range 2 {
		if err := c.AddProductToProject(t.Context(), h.x1, h.p1); err != nil {
			t.Fatal(err)
		}
	}
	if got := must(c.ListProjectProducts(t.Context(), h.p1))(t); len(got) != 1 || got[0].ID != h.x1 {
		t.Errorf("got %d products, want x1 alone", len(got))
	}
}

func TestReferenceFaultKeysWithCountersCanBeDeleted(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.IssueLimited(apikeys.PerMinute(5))
	must(c.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{}))(t)
	if err := c.DeleteKey(t.Context(), key.Key.ID); err != nil {
		t.Fatal(err)
	}
	_, err := c.Verify(t.Context(), key.Plaintext.Reveal())
	wantIs(t, err, apikeys.ErrInvalidKey)
}

func TestReferencePlaintextIsNeverOnAKey(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.Issue()
	text := key.Plaintext.Reveal()
	shown := printed(t, key, key.Key, *must(c.GetKey(t.Context(), key.Key.ID))(t), must(c.Verify(t.Context(), text))(t))
	body := text[strings.LastIndexByte(text, '_')+1:]
	for i := 0; i+8 <= len(body); i++ {
		if strings.Contains(shown, body[i:i+8]) {
			t.Fatal("eight characters of the key's body are shown")
		}
	}
	if !strings.Contains(shown, key.Key.Hint) {
		t.Error("the hint is not shown")
	}
}
