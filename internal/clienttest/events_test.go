package clienttest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// audited is a client by a clock that goes on with every step, and what it made.
type audited struct {
	*apikeys.Client
	testing.TB
	ctx                   context.Context
	clock                 *apikeystest.Clock
	org, project, product uuid.UUID
}

func newAudited(t *testing.T, d database) *audited {
	t.Helper()
	clock := apikeystest.NewClock(epoch)
	a := &audited{TB: t, clock: clock, Client: client(t, d.store, fakeClock(clock))}
	a.ctx = apikeys.ContextWithActor(t.Context(), "ops@example.com")
	a.org = must(a.CreateOrganization(a.ctx, "Acme"))(t).ID
	a.tick()
	a.project = must(a.CreateProject(a.ctx, a.org, "v1"))(t).ID
	a.tick()
	a.product = must(a.CreateProduct(a.ctx, a.org, "API"))(t).ID
	a.tick()
	return a
}

func (a *audited) tick() { a.clock.Advance(time.Second) }

// issue makes a key of an owner's.
func (a *audited) issue(owner string) *apikeys.IssuedKey {
	a.Helper()
	defer a.tick()
	return must(a.CreateKey(a.ctx, apikeys.CreateKeyParams{OrganizationID: a.org, OwnerID: owner,
		Metadata: apikeys.KeyMetadata{Name: "ci", Scopes: []string{"read"}, RateLimits: []apikeys.RateLimit{apikeys.PerDay(5)}}}))(a)
}

// newest returns the newest event that the filter selects.
func (a *audited) newest(filter apikeys.EventFilter) apikeys.Event {
	a.Helper()
	page := must(a.ListEvents(a.ctx, filter, apikeys.ListOptions{Limit: 1}))(a)
	if len(page.Items) != 1 {
		a.Fatal("got no events")
	}
	return page.Items[0]
}

// Every change is told of, with what was before and what is after; a call that changes
// nothing is not.
func TestEventsTellOfEveryChange(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		a := newAudited(t, d)
		key := a.issue("alice")
		id, in := key.Key.ID, `"2026-01-02T19:00:00Z"`
		end := epoch.Add(time.Hour)
		var next *apikeys.IssuedKey
		for _, step := range []struct {
			action        string
			subject       uuid.UUID
			do            func() error
			before, after string
		}{
			{"key.update", id, func() error {
				return second(a.PatchKey(a.ctx, id, apikeys.KeyPatch{Name: ptr("laptop"), ExpiresAt: &end, Custom: &map[string]any{"a": 1}}))
			}, `{"expires_at":null,"name":"ci"}`, `{"custom":"changed","expires_at":` + in + `,"name":"laptop"}`},
			{"key.update", id, func() error {
				return second(a.PatchKey(a.ctx, id, apikeys.KeyPatch{Scopes: &[]string{"write"}, RateLimits: &[]apikeys.RateLimit{}}))
			}, `{"rate_limits":["5/day"],"scopes":["read"]}`, `{"rate_limits":[],"scopes":["write"]}`},
			{"key.disable", id, func() error { return second(a.DisableKey(a.ctx, id)) }, `{"disabled_at":null}`, `{"disabled_at":`},
			{"key.enable", id, func() error { return second(a.EnableKey(a.ctx, id)) }, `{"disabled_at":`, `{"disabled_at":null}`},
			{"key.rotate", id, func() (err error) {
				next, err = a.RotateKey(a.ctx, id, apikeys.RotateParams{})
				return err
			}, `{"hint":`, `{"hint":`},
			{"key.revoke", id, func() error { return second(a.RevokeKey(a.ctx, id, apikeys.RevokeParams{Reason: "lost"})) },
				`{"revoked_at":null,"revoked_reason":""}`, `"revoked_reason":"lost"}`},
			{"product.link", a.product, func() error { return a.AddProductToProject(a.ctx, a.product, a.project) }, "null", "null"},
			{"product.unlink", a.product, func() error { return a.RemoveProductFromProject(a.ctx, a.product, a.project) }, "null", "null"},
			{"project.rename", a.project, func() error { return second(a.RenameProject(a.ctx, a.project, "v2")) }, `{"name":"v1"}`, `{"name":"v2"}`},
			{"organization.suspend", a.org, func() error { return second(a.SuspendOrganization(a.ctx, a.org)) }, `{"suspended_at":null}`, `{"suspended_at":`},
			{"organization.resume", a.org, func() error { return second(a.ResumeOrganization(a.ctx, a.org)) }, `{"suspended_at":`, `{"suspended_at":null}`},
			{"project.delete", a.project, func() error { return a.DeleteProject(a.ctx, a.project) }, `{"name":"v2"}`, "null"},
		} {
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.action, err)
			}
			e := a.newest(apikeys.EventFilter{SubjectID: step.subject})
			before, after := asJSON(e.Before), asJSON(e.After)
			if e.Action != step.action || e.Actor != "ops@example.com" || !e.At.Equal(a.clock.Now()) || e.OrganizationID != a.org ||
				!strings.Contains(before, step.before) || !strings.Contains(after, step.after) {
				t.Errorf("%s: got %+v", step.action, e)
			}
			a.tick()
			if err := step.do(); err == nil && step.action != "key.rotate" && a.newest(apikeys.EventFilter{SubjectID: step.subject}).ID != e.ID {
				t.Errorf("%s again: got another event, want none", step.action)
			}
			a.tick()
		}
		a.holdNoSecret(key, next)
	})
}

func ptr[T any](v T) *T { return &v }

func asJSON(v any) string {
	text, _ := json.Marshal(v) // it came from JSON
	return string(text)
}

// holdNoSecret looks for pieces of the keys' texts in all events.
func (a *audited) holdNoSecret(keys ...*apikeys.IssuedKey) {
	a.Helper()
	page := must(a.ListEvents(a.ctx, apikeys.EventFilter{}, apikeys.ListOptions{Limit: 200}))(a)
	all := asJSON(page.Items)
	for _, key := range keys {
		text := key.Plaintext.Reveal()
		for i := 3; i+8 <= len(text); i++ {
			if strings.Contains(all, text[i:i+8]) {
				a.Errorf("the events hold a piece of a key")
			}
		}
	}
	if strings.Contains(all, "hash") {
		a.Error("the events speak of hashes")
	}
}

// What is erased leaves behind that it was, and nothing of what it was.
func TestEventsOfWhatIsErased(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		a := newAudited(t, d)
		id := a.issue("alice").Key.ID
		must(a.PatchKey(a.ctx, id, apikeys.KeyPatch{Name: ptr("Alice's laptop")}))(t)
		a.tick()
		if err := a.DeleteKey(a.ctx, id); err != nil {
			t.Fatal(err)
		}
		var actions []string
		for _, e := range must(a.ListEvents(a.ctx, apikeys.EventFilter{SubjectID: id}, apikeys.ListOptions{}))(t).Items {
			actions = append(actions, e.Action)
			if e.Before != nil || e.After != nil || strings.Contains(asJSON(e.Detail), "lice") {
				t.Errorf("%s tells of an erased key: %+v", e.Action, e)
			}
		}
		if want := []string{"key.delete", "key.update", "key.create"}; !slices.Equal(actions, want) {
			t.Errorf("got %v, want %v", actions, want)
		}
	})
}

// Views see the events of what they see, on every page.
func TestEventsInViews(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		a := newAudited(t, d)
		other := must(a.CreateOrganization(a.ctx, "other"))(t).ID
		a.tick()
		foreign := must(a.CreateKey(a.ctx, apikeys.CreateKeyParams{OrganizationID: other}))(t).Key.ID
		a.tick()
		alice, bob := a.issue("alice").Key.ID, a.issue("bob").Key.ID
		for i := range 7 {
			must(a.PatchKey(a.ctx, alice, apikeys.KeyPatch{Name: ptr(fmt.Sprint(i))}))(t)
			a.tick()
		}
		view := a.Scoped(apikeys.Scope{OrganizationID: a.org})
		var ids []uuid.UUID
		opts := apikeys.ListOptions{Limit: 3}
		for {
			page := must(view.ListEvents(a.ctx, apikeys.EventFilter{}, opts))(t)
			for _, e := range page.Items {
				if e.OrganizationID != a.org {
					t.Fatalf("got an event of %s", e.OrganizationID)
				}
				ids = append(ids, e.ID)
			}
			if opts.Cursor = page.NextCursor; opts.Cursor == "" {
				break
			}
		}
		const want = 3 + 2 + 7
		if len(ids) != want || !slices.IsSortedFunc(ids, func(x, y uuid.UUID) int { return slices.Compare(y[:], x[:]) }) {
			t.Errorf("got %d events of the organization, want %d, the newest first", len(ids), want)
		}
		if got := must(view.ListEvents(a.ctx, apikeys.EventFilter{SubjectID: foreign}, apikeys.ListOptions{}))(t); len(got.Items) != 0 {
			t.Error("a view lists the events of another organization's key")
		}
		wantIs(t, "another organization", second(view.ListEvents(a.ctx, apikeys.EventFilter{OrganizationID: other}, apikeys.ListOptions{})), apikeys.ErrNotFound)
		page := must(view.ListEvents(a.ctx, apikeys.EventFilter{}, apikeys.ListOptions{Limit: 1}))(t)
		wantIs(t, "another list's cursor", second(a.ListEvents(a.ctx, apikeys.EventFilter{}, apikeys.ListOptions{Cursor: page.NextCursor})), apikeys.ErrInvalidArgument)

		owner := a.Scoped(apikeys.Scope{OrganizationID: a.org, OwnerID: "alice"})
		if got := must(owner.ListEvents(a.ctx, apikeys.EventFilter{SubjectID: alice}, apikeys.ListOptions{}))(t); len(got.Items) != 8 {
			t.Errorf("got %d events of the owner's key, want 8", len(got.Items))
		}
		for what, filter := range map[string]apikeys.EventFilter{
			"another owner's key": {SubjectID: bob}, "the organization": {SubjectID: a.org}, "a foreign key": {SubjectID: foreign},
		} {
			wantIs(t, what, second(owner.ListEvents(a.ctx, filter, apikeys.ListOptions{})), apikeys.ErrNotFound)
		}
		wantIs(t, "all", second(owner.ListEvents(a.ctx, apikeys.EventFilter{}, apikeys.ListOptions{})), apikeys.ErrInvalidArgument)
	})
}
