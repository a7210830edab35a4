package apikeys_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// printed is all that fmt and JSON show of the values.
func printed(t *testing.T, values ...any) string {
	t.Helper()
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%v %+v %#v\n", v, v, v)
		b.Write(must(json.Marshal(v))(t))
	}
	return b.String()
}

// Who a key works for: every binding against every question. p2 and x2 are linked
// to nothing; the strings say which resource the error names, "" means accepted.
func TestWhoAKeyWorksFor(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	h, other := build(t, c.Client, "mine"), build(t, c.Client, "theirs")
	none := uuid.UUID{}
	asks := []struct {
		name             string
		project, product uuid.UUID
	}{
		{"nothing", none, none},
		{"p1", h.p1, none}, {"p2", h.p2, none},
		{"x1", none, h.x1}, {"x2", none, h.x2},
		{"p1+x1", h.p1, h.x1}, {"p1+x2", h.p1, h.x2}, {"p2+x1", h.p2, h.x1},
		{"their p1", other.p1, none}, {"their x1", none, other.x1}, {"their p1+x1", other.p1, other.x1},
		{"unknown project", uuid.New(), none}, {"unknown product", none, uuid.New()},
	}
	for _, tt := range []struct {
		name             string
		project, product uuid.UUID
		want             [13]string
	}{
		{"organization", none, none, [13]string{"", "", "", "", "", "", "product", "product", "project", "product", "project", "project", "product"}},
		{"project", h.p1, none, [13]string{"", "", "project", "", "product", "", "product", "project", "project", "product", "project", "project", "product"}},
		{"product", none, h.x1, [13]string{"", "", "project", "", "product", "", "product", "product", "project", "product", "product", "project", "product"}},
		{"both", h.p1, h.x1, [13]string{"", "", "project", "", "product", "", "product", "project", "project", "product", "project", "project", "product"}},
	} {
		key := issue(t, c.Client, apikeys.CreateKeyParams{OrganizationID: h.org, ProjectID: tt.project, ProductID: tt.product})
		for i, ask := range asks {
			_, err := c.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{ProjectID: ask.project, ProductID: ask.product})
			got := ""
			var scope *apikeys.InsufficientScopeError
			if errors.As(err, &scope) {
				got = scope.Resource
			} else if err != nil {
				t.Fatalf("%s key, %s: %v", tt.name, ask.name, err)
			}
			if got != tt.want[i] {
				t.Errorf("%s key, asked for %s: got refused for %q, want %q", tt.name, ask.name, got, tt.want[i])
			}
		}
	}
}

func TestAKeyOfBothStopsWhenTheyAreUnlinked(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	h := build(t, c.Client, "Acme")
	both := apikeys.CreateKeyParams{OrganizationID: h.org, ProjectID: h.p1, ProductID: h.x1}
	text := issue(t, c.Client, both).Plaintext.Reveal()
	must(c.Verify(t.Context(), text))(t)
	if err := c.RemoveProductFromProject(t.Context(), h.x1, h.p1); err != nil {
		t.Fatal(err)
	}
	_, err := c.Verify(t.Context(), text)
	wantIs(t, err, apikeys.ErrInsufficientScope)
	_, err = c.CreateKey(t.Context(), both)
	wantIs(t, err, apikeys.ErrInvalidArgument)
	if err := c.AddProductToProject(t.Context(), h.x1, h.p1); err != nil {
		t.Fatal(err)
	}
	must(c.Verify(t.Context(), text))(t)
}

func TestTheOrderOfTheQuestions(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	key := c.IssueWith(apikeys.KeyMetadata{ExpiresAt: c.Clock.Now().Add(minute), RateLimits: []apikeys.RateLimit{apikeys.PerDay(0)}})
	text, id := key.Plaintext.Reveal(), key.Key.ID
	ask := apikeys.ValidateParams{OrganizationID: uuid.New(), ProjectID: uuid.New(), Scopes: []string{"admin"}}
	judged := func(want error) {
		t.Helper()
		_, err := c.Validate(ctx, text, ask)
		wantIs(t, err, want)
		explained := must(c.Explain(ctx, text, ask))(t)
		if explained.Err() == nil || explained.Err().Error() != err.Error() {
			t.Errorf("Explain says %v, Validate %v", explained.Err(), err)
		}
	}
	c.Clock.Advance(time.Hour)
	must(c.SuspendOrganization(ctx, c.Organization.ID))(t)
	must(c.DisableKey(ctx, id))(t)
	must(c.RevokeKey(ctx, id, apikeys.RevokeParams{}))(t)
	judged(apikeys.ErrRevokedKey)

	second := c.IssueWith(apikeys.KeyMetadata{ExpiresAt: c.Clock.Now(), RateLimits: []apikeys.RateLimit{apikeys.PerDay(0)}})
	text, id = second.Plaintext.Reveal(), second.Key.ID
	must(c.DisableKey(ctx, id))(t)
	judged(apikeys.ErrDisabledKey)
	must(c.EnableKey(ctx, id))(t)
	judged(apikeys.ErrSuspended)
	must(c.ResumeOrganization(ctx, c.Organization.ID))(t)
	judged(apikeys.ErrExpiredKey)
	must(c.PatchKey(ctx, id, apikeys.KeyPatch{ExpiresAt: &time.Time{}}))(t)
	judged(apikeys.ErrInsufficientScope)
	ask.OrganizationID, ask.ProjectID = uuid.Nil, uuid.Nil
	judged(apikeys.ErrInsufficientScope)
	ask.Scopes = nil
	judged(apikeys.ErrQuotaExceeded)
	must(c.PatchKey(ctx, id, apikeys.KeyPatch{RateLimits: &[]apikeys.RateLimit{}}))(t)
	must(c.Validate(ctx, text, ask))(t)
	if err := must(c.Explain(ctx, text, ask))(t).Err(); err != nil {
		t.Errorf("Explain says %v of an accepted key", err)
	}
}

func TestExplainChargesNothing(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.IssueLimited(apikeys.PerMinute(1))
	for range 3 {
		e := must(c.Explain(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{}))(t)
		if e.Err() != nil || len(e.Limits) != 1 || e.Limits[0].Remaining != 1 || e.Key.ID != key.Key.ID {
			t.Fatalf("got %v with %v, want no error and 1 remaining", e.Err(), e.Limits)
		}
	}
	must(c.Validate(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{}))(t)
	e := must(c.Explain(t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{}))(t)
	wantIs(t, e.Err(), apikeys.ErrQuotaExceeded)
	if e.Key.UseCount != 1 {
		t.Errorf("got use count %d, want 1", e.Key.UseCount)
	}
}

func TestSeveralLimitsAreChargedAllOrNone(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	text := c.IssueLimited(apikeys.PerHour(4), apikeys.PerSecond(3)).Plaintext.Reveal()
	v := must(c.Validate(t.Context(), text, apikeys.ValidateParams{Cost: 3}))(t)
	if l := v.Limits(); len(l) != 2 || l[0].Limit != apikeys.PerSecond(3) || l[0].Remaining != 0 || l[1].Remaining != 1 {
		t.Errorf("got %v, want 0 of 3/second before 1 of 4/hour", l)
	}
	_, err := c.Validate(t.Context(), text, apikeys.ValidateParams{})
	wantIs(t, err, apikeys.ErrQuotaExceeded)
	c.Clock.Advance(time.Second)
	_, err = c.Validate(t.Context(), text, apikeys.ValidateParams{Cost: 2})
	if e := wantErr[*apikeys.QuotaError](t, err, apikeys.ErrQuotaExceeded); e.Limit != apikeys.PerHour(4) {
		t.Errorf("got limit %s, want 4/hour", e.Limit)
	}
	// The refused requests took nothing: one is left in the hour, three in the second.
	v = must(c.Validate(t.Context(), text, apikeys.ValidateParams{}))(t)
	if l := v.Limits(); l[0].Remaining != 0 || l[1].Remaining != 2 {
		t.Errorf("got %v, want 0 left of the hour and 2 of the second", l)
	}
	_, err = c.Validate(t.Context(), text, apikeys.ValidateParams{Cost: 4})
	wantIs(t, err, apikeys.ErrInvalidArgument)
}

func TestZeroRequestsDenyEverything(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	text := c.IssueLimited(apikeys.PerDay(0)).Plaintext.Reveal()
	_, err := c.Validate(t.Context(), text, apikeys.ValidateParams{})
	if e := wantErr[*apikeys.QuotaError](t, err, apikeys.ErrQuotaExceeded); e.RetryAfter != 6*time.Hour {
		t.Errorf("got retry after %s, want the 6h to midnight UTC", e.RetryAfter)
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	limits := []apikeys.RateLimit{apikeys.PerMinute(2)}
	for want := int64(1); want >= 0; want-- {
		states := must(c.Allow(ctx, "user:7", limits, 0))(t)
		if states[0].Remaining != want {
			t.Errorf("got %d remaining, want %d", states[0].Remaining, want)
		}
	}
	_, err := c.Allow(ctx, "user:7", limits, 1)
	if e := wantErr[*apikeys.QuotaError](t, err, apikeys.ErrQuotaExceeded); e.KeyID != uuid.Nil {
		t.Errorf("the error names key %s, want none", e.KeyID)
	}
	must(c.Allow(ctx, "user:8", limits, 2))(t)
	// A view counts for itself.
	view := c.Scoped(apikeys.Scope{OrganizationID: c.Organization.ID})
	must(view.Allow(ctx, "user:7", limits, 2))(t)
	for _, bad := range []struct {
		subject string
		limits  []apikeys.RateLimit
		cost    int64
	}{{"", limits, 1}, {"a", limits, -1}, {"a", limits, 3}, {"a", []apikeys.RateLimit{{}}, 1}, {"a", []apikeys.RateLimit{apikeys.PerDay(-1)}, 1}} {
		_, err := c.Allow(ctx, bad.subject, bad.limits, bad.cost)
		wantErr[*apikeys.InvalidArgumentError](t, err, apikeys.ErrInvalidArgument)
	}
}

func TestStoreFaultsAreNeverAnAnswerAboutTheKey(t *testing.T) {
	t.Parallel()
	base, client, s := spied(t)
	text := base.Issue().Plaintext.Reveal()
	fault := errors.New("the disk is on fire")
	s.fail(fault)
	_, err := client.Verify(t.Context(), text)
	wantIs(t, err, apikeys.ErrUnavailable)
	wantIs(t, err, fault)
	if errors.Is(err, apikeys.ErrInvalidKey) {
		t.Error("a store fault was taken for an invalid key")
	}
}

func TestAStoreThatReturnsAnotherRowAuthenticatesNobody(t *testing.T) {
	t.Parallel()
	base, client, s := spied(t)
	mine, other := base.Issue(), base.Issue()
	rows := must(base.Store.KeysByHash(t.Context(), nil))(t)
	s.keysByHash = func(found []apikeys.KeyRecord) []apikeys.KeyRecord { rows = found; return found }
	must(client.Verify(t.Context(), other.Plaintext.Reveal()))(t)
	s.keysByHash = func([]apikeys.KeyRecord) []apikeys.KeyRecord { return rows }
	_, err := client.Verify(t.Context(), mine.Plaintext.Reveal())
	wantIs(t, err, apikeys.ErrInvalidKey)
}

func TestAMutationOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.CreateOrganization(ctx, "Acme")
	wantIs(t, err, context.Canceled)
	if _, created, err := c.GetOrCreateOrganization(t.Context(), "Acme"); err != nil || !created {
		t.Errorf("got created=%t, %v: a call whose context had ended did something", created, err)
	}
}
