package apikeys_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

const otherSecret = "b1946ac92492d2347c6235b4d2611184d9a7f0c35e68b2f1047ce8a93d5b6021"

func TestNewNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	db := apikeystest.New(t).Store
	good := apikeys.NewSecret(apikeystest.SigningSecret)
	for _, tt := range []struct {
		name, field string
		config      apikeys.Config
	}{
		{"no secret", "SigningSecret", apikeys.Config{}},
		{"short", "SigningSecret", apikeys.Config{SigningSecret: apikeys.NewSecret(otherSecret[:31])}},
		{"placeholder", "SigningSecret", apikeys.Config{SigningSecret: apikeys.NewSecret("your-long-random-secret-your-long-random-secret")}},
		{"repeated", "SigningSecret", apikeys.Config{SigningSecret: apikeys.NewSecret(strings.Repeat("a1b2", 16))}},
		{"newline", "SigningSecret", apikeys.Config{SigningSecret: apikeys.NewSecret(otherSecret + "\n")}},
		{"accepted", "AcceptedSecrets[1]", apikeys.Config{SigningSecret: good, AcceptedSecrets: []apikeys.Secret{apikeys.NewSecret(otherSecret), {}}}},
		{"dash", "KeyPrefix", apikeys.Config{SigningSecret: good, KeyPrefix: "my-app"}},
		{"upper", "KeyPrefix", apikeys.Config{SigningSecret: good, KeyPrefix: "MYAPP"}},
		{"of GitHub", "KeyPrefix", apikeys.Config{SigningSecret: good, KeyPrefix: "ghp"}},
		{"of Stripe", "Environment", apikeys.Config{SigningSecret: good, KeyPrefix: "sk", Environment: "live"}},
		{"environment", "Environment", apikeys.Config{SigningSecret: good, KeyPrefix: "myapp", Environment: "a__b"}},
		{"head", "AcceptedHeads", apikeys.Config{SigningSecret: good, AcceptedHeads: []string{"_a"}}},
		{"lifetime", "MaxKeyLifetime", apikeys.Config{SigningSecret: good, MaxKeyLifetime: -1}},
		{"another secret", "SigningSecret", apikeys.Config{SigningSecret: apikeys.NewSecret(otherSecret)}},
	} {
		_, err := apikeys.New(t.Context(), db, tt.config)
		e := wantErr[*apikeys.InvalidArgumentError](t, err, apikeys.ErrInvalidArgument)
		if e.Field != tt.field {
			t.Errorf("%s: got field %q (%s), want %q", tt.name, e.Field, e.Reason, tt.field)
		}
		for _, secret := range []string{apikeystest.SigningSecret, otherSecret[:31], "your-long"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error shows the secret", tt.name)
			}
		}
	}
	_, err := apikeys.New(t.Context(), nil, apikeys.Config{SigningSecret: good})
	wantIs(t, err, apikeys.ErrInvalidArgument)
}

func TestNewOnAnUnmigratedDatabaseSaysSo(t *testing.T) {
	t.Parallel()
	db := must(sqlite.Open(t.Context(), ":memory:"))(t)
	t.Cleanup(func() { _ = db.Close() })
	_, err := apikeys.New(t.Context(), db, apikeys.Config{SigningSecret: apikeys.NewSecret(otherSecret)})
	wantIs(t, err, apikeys.ErrUnavailable)
	if !strings.Contains(err.Error(), "Migrate") {
		t.Errorf("got %q, want it to say that Migrate is missing", err)
	}
}

// A new signing secret takes over only beside one that the database knows; keys
// live on, and get a hash under the new one in passing.
func TestChangingTheSigningSecretKeepsKeysValid(t *testing.T) {
	t.Parallel()
	base, ctx := apikeystest.New(t), t.Context()
	text := base.Issue().Plaintext.Reveal()
	old, fresh := apikeys.NewSecret(apikeystest.SigningSecret), apikeys.NewSecret(otherSecret)

	_, both, _ := spiedOn(t, base, func(c *apikeys.Config) { c.SigningSecret, c.AcceptedSecrets = fresh, []apikeys.Secret{old} })
	must(both.Verify(ctx, text))(t)
	issued := issue(t, both, apikeys.CreateKeyParams{OrganizationID: base.Organization.ID})

	_, alone, _ := spiedOn(t, base, func(c *apikeys.Config) { c.SigningSecret = fresh })
	must(alone.Verify(ctx, text))(t)
	must(alone.Verify(ctx, issued.Plaintext.Reveal()))(t)
	// The old configuration goes on with the keys that it knows.
	must(base.Verify(ctx, text))(t)
	wantIs(t, second(base.Verify(ctx, issued.Plaintext.Reveal())), apikeys.ErrInvalidKey)
}

func TestSixteenClientsMayBeTheFirst(t *testing.T) {
	t.Parallel()
	db := must(sqlite.Open(t.Context(), ":memory:"))(t)
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	clients, errs := make([]*apikeys.Client, 16), make(chan error)
	for i := range clients {
		go func() {
			var err error
			clients[i], err = apikeys.New(t.Context(), db, apikeys.Config{SigningSecret: apikeys.NewSecret(otherSecret)})
			errs <- err
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	org := must(clients[0].CreateOrganization(t.Context(), "Acme"))(t)
	for i, c := range clients {
		key := issue(t, c, apikeys.CreateKeyParams{OrganizationID: org.ID})
		must(clients[(i+7)%16].Verify(t.Context(), key.Plaintext.Reveal()))(t)
		t.Cleanup(func() { _ = c.Close(context.Background()) })
	}
}

func TestAClosedClientDoesNothing(t *testing.T) {
	t.Parallel()
	base, client, s := spied(t, func(c *apikeys.Config) { c.UsageFlushInterval = time.Hour })
	key := base.Issue()
	text := key.Plaintext.Reveal()
	must(client.Verify(t.Context(), text))(t)
	if s.usage.Load() != 0 {
		t.Fatal("the use was written before its interval")
	}
	if got := must(client.GetKey(t.Context(), key.Key.ID))(t).UseCount; got != 1 {
		t.Errorf("got use count %d before the flush, want 1", got)
	}
	view := client.Scoped(apikeys.Scope{OrganizationID: base.Organization.ID})
	if err := view.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	must(client.Verify(t.Context(), text))(t) // closing a view closes nothing
	for range 2 {
		if err := client.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wantIs(t, second(client.Verify(t.Context(), text)), apikeys.ErrClosed)
	wantIs(t, second(view.GetKey(t.Context(), key.Key.ID)), apikeys.ErrClosed)
	if got := must(base.GetKey(t.Context(), key.Key.ID))(t).UseCount; got != 2 {
		t.Errorf("got use count %d after Close, want 2", got)
	}
}

// A write whose outcome is unknown is repeated under its operation id, and
// reported only when that settles nothing.
func TestUnknownOutcomes(t *testing.T) {
	t.Parallel()
	base := apikeystest.New(t)
	for _, tt := range []struct {
		name    string
		faults  []error // after doing the work; nil: a good answer
		want    error
		created bool
	}{
		{"answer lost once", []error{apikeys.ErrOutcomeUnknown, nil}, nil, true},
		{"answer lost twice", []error{apikeys.ErrOutcomeUnknown, apikeys.ErrOutcomeUnknown, nil}, nil, true},
		{"then the store is gone", []error{apikeys.ErrOutcomeUnknown, errors.New("refused"), errors.New("refused")}, apikeys.ErrOutcomeUnknown, true},
		{"gone from the start", []error{errors.New("refused")}, apikeys.ErrUnavailable, false},
	} {
		store := &lossy{Store: base.Store, faults: tt.faults}
		client := must(apikeys.New(t.Context(), store, apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), Now: base.Clock.Now}))(t)
		issued, err := client.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: base.Organization.ID, Metadata: apikeys.KeyMetadata{Name: tt.name}})
		if !errors.Is(err, tt.want) || (tt.want == nil) != (issued != nil) {
			t.Errorf("%s: got %v, %v; want %v", tt.name, issued, err, tt.want)
		}
		keys := must(client.ListKeys(t.Context(), apikeys.KeyFilter{OrganizationID: base.Organization.ID, Query: tt.name}, apikeys.ListOptions{}))(t)
		if got := len(keys.Items); got != map[bool]int{true: 1}[tt.created] {
			t.Errorf("%s: got %d keys", tt.name, got)
		}
		var unknown *apikeys.OutcomeUnknownError
		if errors.As(err, &unknown) && (len(keys.Items) == 0 || unknown.ID != keys.Items[0].ID) {
			t.Errorf("%s: the error names %s, want the key", tt.name, unknown.ID)
		}
		if len(store.ids) != len(tt.faults) {
			t.Errorf("%s: sent %d times, want %d", tt.name, len(store.ids), len(tt.faults))
		}
		for _, id := range store.ids {
			if id != store.ids[0] {
				t.Errorf("%s: repeated under another operation id", tt.name)
			}
		}
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Whatever is created is created once, and told so, although its answer was lost.
func TestALostAnswerDoesNotLoseWhatWasCreated(t *testing.T) {
	t.Parallel()
	base := apikeystest.New(t)
	store := &lossyTenancy{Store: base.Store}
	client := must(apikeys.New(t.Context(), store, apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret)}))(t)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	org, created, err := client.GetOrCreateOrganization(t.Context(), "Acme")
	if err != nil || !created || org.Name != "Acme" {
		t.Fatalf("got %+v created %t, %v; want Acme, created", org, created, err)
	}
	if got := must(base.GetOrganization(t.Context(), org.ID))(t); got.Name != "Acme" {
		t.Errorf("got %q stored, want Acme", got.Name)
	}
}

// lossyTenancy loses the first answer of CreateResource, after or before the work.
type lossyTenancy struct {
	apikeys.Store
	calls int
}

func (l *lossyTenancy) CreateResource(ctx context.Context, m apikeys.Mutation, r apikeys.ResourceRecord) (apikeys.ResourceRecord, bool, error) {
	l.calls++
	if l.calls == 1 {
		return apikeys.ResourceRecord{}, false, fmt.Errorf("connection reset: %w", apikeys.ErrOutcomeUnknown)
	}
	return l.Store.CreateResource(ctx, m, r)
}

// lossy does what CreateKeys asks only when its answer is lost or good.
type lossy struct {
	apikeys.Store
	faults []error
	ids    []uuid.UUID
}

func (l *lossy) CreateKeys(ctx context.Context, m apikeys.Mutation, keys []apikeys.KeyRecord) ([]error, error) {
	fault := l.faults[len(l.ids)]
	l.ids = append(l.ids, m.ID)
	if fault != nil && !errors.Is(fault, apikeys.ErrOutcomeUnknown) {
		return nil, fault
	}
	errs, err := l.Store.CreateKeys(ctx, m, keys)
	if fault != nil {
		return nil, fmt.Errorf("connection reset: %w", fault)
	}
	return errs, err
}

func TestLogsNeverShowAKey(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	base := apikeystest.New(t)
	key := base.Issue()
	store := &noRehash{Store: base.Store}
	client := must(apikeys.New(t.Context(), store, apikeys.Config{
		SigningSecret:   apikeys.NewSecret(otherSecret),
		AcceptedSecrets: []apikeys.Secret{apikeys.NewSecret(apikeystest.SigningSecret)},
		Logger:          slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}))(t)
	must(client.Verify(t.Context(), key.Plaintext.Reveal()))(t)
	if err := client.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), key.Key.ID.String()) {
		t.Errorf("the failed re-hash was not logged: %q", out.String())
	}
	for _, secret := range []string{key.Plaintext.Reveal(), key.Plaintext.Reveal()[8:20], otherSecret, apikeystest.SigningSecret} {
		if strings.Contains(out.String(), secret) {
			t.Error("a secret was logged")
		}
	}
}

type noRehash struct{ apikeys.Store }

func (noRehash) AddHash(context.Context, apikeys.SecretRecord) error { return errors.New("read-only") }
