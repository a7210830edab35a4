package apikeys_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/memstore"
)

// told collects what OnEvent is told.
type told struct {
	mu     sync.Mutex
	events []apikeys.Event
}

func (r *told) note(e apikeys.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *told) actions() (actions []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		actions = append(actions, e.Action)
	}
	return actions
}

// The hook is told what the audit lists, in the order in which it happened, and
// nothing of calls that changed nothing.
func TestOnEventIsToldWhatIsListed(t *testing.T) {
	t.Parallel()
	var r told
	base, c, _ := spied(t, func(c *apikeys.Config) { c.OnEvent = r.note })
	ctx := apikeys.ContextWithActor(t.Context(), "ops")
	org := must(c.CreateOrganization(ctx, "Acme"))(t)
	key := must(c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org.ID, Metadata: apikeys.KeyMetadata{Name: "old"}}))(t)
	base.Clock.Advance(time.Second)
	must(c.PatchKey(ctx, key.Key.ID, apikeys.KeyPatch{Name: ptr("new")}))(t)
	must(c.PatchKey(ctx, key.Key.ID, apikeys.KeyPatch{Name: ptr("new")}))(t)
	must(c.RenameOrganization(ctx, org.ID, "Acme"))(t)
	base.Clock.Advance(time.Second)
	must(c.RenameOrganization(ctx, org.ID, "Acme Inc"))(t)
	_, err := c.CreateOrganization(ctx, "Acme Inc")
	wantIs(t, err, apikeys.ErrAlreadyExists)
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	listed := must(base.ListEvents(t.Context(), apikeys.EventFilter{OrganizationID: org.ID}, apikeys.ListOptions{}))(t).Items
	if want := []string{"organization.create", "key.create", "key.update", "organization.rename"}; !slices.Equal(r.actions(), want) {
		t.Errorf("told of %v, want %v", r.actions(), want)
	}
	byID := func(a, b apikeys.Event) int { return slices.Compare(a.ID[:], b.ID[:]) }
	slices.SortFunc(listed, byID)
	slices.SortFunc(r.events, byID)
	if diff := cmp.Diff(listed, r.events); diff != "" {
		t.Errorf("listed and told differ (-listed +told):\n%s", diff)
	}
	if s := c.Stats(); s.Events != 4 || s.EventsDropped != 0 {
		t.Errorf("got %d events told and %d dropped, want 4 and 0", s.Events, s.EventsDropped)
	}
}

// A hook that panics is told of what comes after.
func TestOnEventMayPanic(t *testing.T) {
	t.Parallel()
	var r told
	_, c, _ := spied(t, func(c *apikeys.Config) {
		c.OnEvent = func(e apikeys.Event) { r.note(e); panic("a hook's") }
	})
	for i := range 3 {
		must(c.CreateOrganization(t.Context(), fmt.Sprint("org ", i)))(t)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.actions(); len(got) != 3 {
		t.Errorf("told of %v, want all three", got)
	}
}

// A hook that never returns holds up neither changes nor Close; what finds no room is
// counted.
func TestOnEventMayHang(t *testing.T) {
	t.Parallel()
	hang, entered := make(chan struct{}), make(chan struct{}, 1)
	defer close(hang)
	base, c, _ := spied(t, func(c *apikeys.Config) {
		c.OpTimeout = time.Second
		c.OnEvent = func(apikeys.Event) { entered <- struct{}{}; <-hang }
	})
	key := base.Issue()
	const changes, queue = 1100, 1024
	for i := range changes {
		if i == 1 {
			<-entered // the first is being told, the others wait
		}
		must(c.PatchKey(t.Context(), key.Key.ID, apikeys.KeyPatch{Name: ptr(fmt.Sprint(i))}))(t)
	}
	if got := c.Stats().EventsDropped; got != changes-1-queue {
		t.Errorf("got %d events dropped, want %d", got, changes-1-queue)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := c.Stats().EventsDropped; got != changes-1 {
		t.Errorf("after Close: got %d events dropped, want all %d but the first", got, changes-1)
	}
}

// Events that cannot be read back are counted, and hold up nobody.
func TestOnEventWithoutAnswers(t *testing.T) {
	t.Parallel()
	var r told
	deaf := must(apikeys.New(t.Context(), mute{memstore.New()}, apikeys.Config{
		SigningSecret: apikeys.NewSecret(secretOfTests), OnEvent: r.note,
	}))(t)
	must(deaf.CreateOrganization(t.Context(), "Acme"))(t)
	if err := deaf.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := deaf.Stats(); s.Events != 0 || s.EventsDropped != 1 || len(r.actions()) != 0 {
		t.Errorf("got %d events told and %d dropped, want the one dropped", s.Events, s.EventsDropped)
	}
}

// mute lists no events.
type mute struct{ apikeys.Store }

func (mute) ListEvents(context.Context, apikeys.EventQuery) ([]apikeys.EventRecord, error) {
	return nil, apikeys.ErrUnavailable
}

// A text that was replaced and is tried after its end is told of once an hour, and
// listed nowhere.
func TestOnEventOfRetiredSecrets(t *testing.T) {
	t.Parallel()
	var r told
	base, c, _ := spied(t, func(c *apikeys.Config) { c.OnEvent = r.note })
	key := base.Issue()
	must(c.RotateKey(t.Context(), key.Key.ID, apikeys.RotateParams{}))(t)
	for range 3 {
		for range 50 {
			_, err := c.Verify(t.Context(), key.Plaintext.Reveal())
			wantErr[*apikeys.RetiredSecretError](t, err, apikeys.ErrExpiredKey)
		}
		base.Clock.Advance(time.Hour)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"key.rotate", apikeys.ActionRetiredSecret, apikeys.ActionRetiredSecret, apikeys.ActionRetiredSecret}
	if got := r.actions(); !slices.Equal(got, want) {
		t.Fatalf("told of %v, want %v", got, want)
	}
	if e := r.events[1]; e.SubjectID != key.Key.ID || e.OrganizationID != key.Key.OrganizationID || e.Detail["secret"] != 1 || e.Detail["hint"] != key.Key.Hint {
		t.Errorf("got %+v, want one of the first secret of key %s", e, key.Key.ID)
	}
	page := must(base.ListEvents(t.Context(), apikeys.EventFilter{SubjectID: key.Key.ID}, apikeys.ListOptions{}))(t)
	if len(page.Items) != 2 {
		t.Errorf("got %d events listed, want the creation and the rotation", len(page.Items))
	}
}
