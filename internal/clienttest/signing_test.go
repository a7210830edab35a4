package clienttest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// config is the part of a process's configuration that a change of secrets touches.
type config struct {
	signing  string
	accepted []string
}

func (c config) apply(to *apikeys.Config) {
	to.SigningSecret, to.CacheSize = apikeys.NewSecret(c.signing), cacheSize
	for _, s := range c.accepted {
		to.AcceptedSecrets = append(to.AcceptedSecrets, apikeys.NewSecret(s))
	}
}

// runbook is the change of a signing secret, step by step. In each, all processes
// are restarted, one after the other.
var runbook = []config{
	{signing: secretA},
	{signing: secretA, accepted: []string{secretB}}, // accept everywhere
	{signing: secretB, accepted: []string{secretA}}, // sign
	{signing: secretB}, // forget
}

// fleet is three processes on one database, each with connections of its own.
type fleet struct {
	testing.TB
	d         database
	processes [3]*apikeys.Client
	org       uuid.UUID
	texts     []string
}

// restart replaces a process by one with another configuration. One of them asks the
// store about every request, the others remember.
func (f *fleet) restart(i int, c config) {
	f.Helper()
	if f.processes[i] != nil {
		shut(f, f.processes[i])
	}
	f.processes[i] = must(f.start(i, c))(f)
}

func (f *fleet) start(i int, c config) (*apikeys.Client, error) {
	f.Helper()
	store := must(f.d.Open(f.Context(), f.d.dsn))(f)
	var full apikeys.Config
	c.apply(&full)
	if i == 0 {
		full.RevocationDelay = -1
	}
	client, err := apikeys.New(f.Context(), store, full)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	f.Cleanup(func() {
		_ = client.Close(context.Background()) // a second time, most often
		if err := store.Close(); err != nil {
			f.Error(err)
		}
	})
	return client, nil
}

// use lets every process issue a key, and every process judge all keys there are.
func (f *fleet) use(when string) {
	f.Helper()
	for _, p := range f.processes {
		if p == nil {
			continue
		}
		f.texts = append(f.texts, must(p.CreateKey(f.Context(), apikeys.CreateKeyParams{OrganizationID: f.org}))(f).Plaintext.Reveal())
	}
	f.judge(when, f.processes[:]...)
}

func (f *fleet) judge(when string, by ...*apikeys.Client) {
	f.Helper()
	for i, p := range by {
		for n, text := range f.texts {
			if _, err := p.Verify(f.Context(), text); err != nil {
				f.Fatalf("%s: process %d refused key %d: %v", when, i, n, err)
			}
		}
	}
}

// A signing secret is changed while three processes issue and judge keys, whichever is
// restarted first: no key is refused at any time, and afterwards the old secret is
// gone for good.
func TestRunbook(t *testing.T) {
	t.Parallel()
	orders := [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	for i, d := range stores.All() {
		some := orders[2*i : 2*i+2] // in the small dose each order on one of the databases
		if testdb.Full() {
			some = orders
		}
		for _, order := range some {
			t.Run(fmt.Sprint(d.Name, order), func(t *testing.T) {
				t.Parallel()
				store, dsn := d.Migrated(t)
				f := &fleet{TB: t, d: database{d, dsn, store}}
				f.follow(order)
			})
		}
	}
}

func (f *fleet) follow(order [3]int) {
	f.Helper()
	for i := range f.processes {
		f.restart(i, runbook[0])
	}
	f.org = must(f.processes[0].CreateOrganization(f.Context(), "Acme"))(f).ID
	f.use("before")
	for step, c := range runbook[1:] {
		if step == len(runbook)-2 {
			f.retire(order[0])
		}
		for _, i := range order {
			f.restart(i, c)
			f.use(fmt.Sprintf("step %d, process %d restarted", step+1, i))
		}
	}
	old := apikeys.NewSecret(secretA)
	for _, c := range []config{{secretA, nil}, {secretA, []string{secretB}}, {secretC, []string{secretA}}} {
		_, err := f.start(0, c)
		wantIs(f, "a process that begins with the retired secret", err, apikeys.ErrInvalidArgument)
	}
	for _, use := range must(f.processes[order[2]].CountKeysBySecret(f.Context()))(f) {
		if want := (apikeys.SecretUse{ID: old.ID(), Retired: true}); use.ID == old.ID() && use != want {
			f.Errorf("the retired secret: got %+v, want %+v", use, want)
		}
	}
}

// retire gives up the old secret, which every key was used without.
func (f *fleet) retire(by int) {
	f.Helper()
	n, err := f.processes[by].RetireSecret(f.Context(), apikeys.RetireSecretParams{ID: apikeys.NewSecret(secretA).ID()})
	if err != nil || n < len(f.processes) {
		f.Fatalf("retire: got %d hashes removed and error %v, want all", n, err)
	}
	f.use("retired")
}

// Keys that nobody has used since the change hang on the old secret alone.
func TestRetireSecretLosesNothingUnasked(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		ctx, old := t.Context(), apikeys.NewSecret(secretA).ID()
		before := client(t, d.store)
		org := must(before.CreateOrganization(ctx, "Acme"))(t).ID
		var issued []*apikeys.IssuedKey
		for range 4 {
			issued = append(issued, must(before.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org}))(t))
		}
		used, idle, rotated, revoked := issued[0], issued[1], issued[2], issued[3]
		after := client(t, d.store, config{secretB, []string{secretA}}.apply)
		must(after.Verify(ctx, used.Plaintext.Reveal()))(t)
		must(after.RevokeKey(ctx, revoked.Key.ID, apikeys.RevokeParams{}))(t)
		next := must(after.RotateKey(ctx, rotated.Key.ID, apikeys.RotateParams{Overlap: 1 << 50}))(t)

		want := []apikeys.SecretUse{
			{ID: apikeys.NewSecret(secretB).ID(), Signing: true, Keys: 2, Only: 1},
			{ID: old, Accepted: true, Keys: 4, Only: 2}, // idle, and the old text of the rotated one
		}
		if got := must(after.CountKeysBySecret(ctx))(t); !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		for what, params := range map[string]apikeys.RetireSecretParams{
			"the signing secret": {ID: apikeys.NewSecret(secretB).ID()}, "an unknown secret": {ID: "0123456789abcdef"},
			"no secret": {}, "a secret that keys hang on": {ID: old},
		} {
			wantIs(t, what, second(after.RetireSecret(ctx, params)), apikeys.ErrInvalidArgument)
		}
		view := after.Scoped(apikeys.Scope{OrganizationID: org})
		wantIs(t, "a view", second(view.RetireSecret(ctx, apikeys.RetireSecretParams{ID: old, LoseKeys: true})), apikeys.ErrInvalidArgument)
		wantIs(t, "a view", second(view.CountKeysBySecret(ctx)), apikeys.ErrInvalidArgument)
		for _, key := range []*apikeys.IssuedKey{used, idle, rotated, next} {
			must(after.Verify(ctx, key.Plaintext.Reveal()))(t)
		}

		// Those were just used: nothing is lost any more. One that is not used is.
		lost := must(before.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org}))(t)
		if n := must(after.RetireSecret(ctx, apikeys.RetireSecretParams{ID: old, LoseKeys: true}))(t); n != 5 {
			t.Errorf("got %d hashes removed, want 5", n)
		}
		for _, key := range []*apikeys.IssuedKey{used, idle, rotated, next} {
			must(after.Verify(ctx, key.Plaintext.Reveal()))(t)
		}
		for _, key := range []*apikeys.IssuedKey{lost, revoked} {
			wantIs(t, "a key that was lost", second(after.Verify(ctx, key.Plaintext.Reveal())), apikeys.ErrInvalidKey)
		}
		found := must(after.RotateKey(ctx, lost.Key.ID, apikeys.RotateParams{}))(t)
		must(after.Verify(ctx, found.Plaintext.Reveal()))(t)
		if n, err := after.RetireSecret(ctx, apikeys.RetireSecretParams{ID: old}); n != 0 || err != nil {
			t.Errorf("again: got %d, %v; want 0 and no error", n, err)
		}
	})
}

// A first secret that was mistyped locks out the right one. docs/secrets.md has both ways
// out of it.
func TestMistypedFirstSecret(t *testing.T) {
	t.Parallel()
	right := config{signing: secretB}
	begin := func(t *testing.T, d database, c config) error {
		t.Helper()
		var full apikeys.Config
		c.apply(&full)
		client, err := apikeys.New(t.Context(), d.store, full)
		if err == nil {
			shut(t, client)
		}
		return err
	}
	t.Run("known", func(t *testing.T) {
		t.Parallel()
		onAll(t, func(t *testing.T, d database) {
			shut(t, client(t, d.store)) // with secret A
			wantIs(t, "the right secret", begin(t, d, right), apikeys.ErrInvalidArgument)
			both := client(t, d.store, config{secretB, []string{secretA}}.apply)
			must(both.RetireSecret(t.Context(), apikeys.RetireSecretParams{ID: apikeys.NewSecret(secretA).ID()}))(t)
			if err := begin(t, d, right); err != nil {
				t.Errorf("the right secret, afterwards: got %v, want no error", err)
			}
			wantIs(t, "the wrong secret, afterwards", begin(t, d, config{signing: secretA}), apikeys.ErrInvalidArgument)
		})
	})
	t.Run("lost", func(t *testing.T) {
		t.Parallel()
		onAll(t, func(t *testing.T, d database) {
			shut(t, client(t, d.store))
			d.exec(t, "DELETE FROM apikeys_settings")
			if err := begin(t, d, right); err != nil {
				t.Errorf("the right secret, afterwards: got %v, want no error", err)
			}
			wantIs(t, "the wrong secret, afterwards", begin(t, d, config{signing: secretA}), apikeys.ErrInvalidArgument)
		})
	})
}

// exec is what an operator does by hand.
func (d database) exec(t *testing.T, statement string) {
	t.Helper()
	must(stores.SQL(t, d.Name, d.dsn).ExecContext(t.Context(), statement))(t)
}

// A secret that no key hangs on is retired with an event that says so, once.
func TestRetiringASecretWithoutKeysIsAnEvent(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		ctx, old := t.Context(), apikeys.NewSecret(secretA).ID()
		client(t, d.store)
		after := client(t, d.store, config{secretB, []string{secretA}}.apply)
		for range 2 {
			if n := must(after.RetireSecret(apikeys.ContextWithActor(ctx, "ann"), apikeys.RetireSecretParams{ID: old}))(t); n != 0 {
				t.Errorf("got %d hashes removed, want none", n)
			}
		}
		events := must(after.ListEvents(ctx, apikeys.EventFilter{}, apikeys.ListOptions{}))(t).Items
		if len(events) != 1 || events[0].Action != "secret.retire" || events[0].Actor != "ann" || events[0].Detail["secret"] != old {
			t.Errorf("got events %+v, want one secret.retire by ann that names the secret", events)
		}
	})
}

// Explain leaves the hash under the new secret to the key's next use.
func TestExplainAddsNoHash(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		ctx := t.Context()
		before := client(t, d.store)
		org := must(before.CreateOrganization(ctx, "Acme"))(t).ID
		text := must(before.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org}))(t).Plaintext.Reveal()
		after := client(t, d.store, config{secretB, []string{secretA}}.apply)
		seen := func() int64 { return must(after.CountKeysBySecret(ctx))(t)[0].Keys }
		if e := must(after.Explain(ctx, text, apikeys.ValidateParams{}))(t); e.Err() != nil || e.Key == nil {
			t.Errorf("got %v, want a key that is good", e.Err())
		}
		if n := seen(); n != 0 {
			t.Errorf("after Explain: got %d keys under the new secret, want none", n)
		}
		must(after.Verify(ctx, text))(t)
		if n := seen(); n != 1 {
			t.Errorf("after Verify: got %d keys under the new secret, want 1", n)
		}
	})
}

// Somebody retires the secret too early, while processes still sign with it. They
// neither issue keys that no other process knows, nor bring the secret back.
func TestProcessesThatSignWithARetiredSecret(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		ctx, old := t.Context(), apikeys.NewSecret(secretA).ID()
		alone := client(t, d.store, func(c *apikeys.Config) { c.RevocationDelay = 50 * time.Millisecond })
		strict := client(t, d.store, config{secretA, []string{secretB}}.apply, func(c *apikeys.Config) { c.RevocationDelay = -1 })
		late := client(t, d.store, config{secretA, []string{secretB}}.apply)
		now := client(t, d.store, config{secretB, []string{secretA}}.apply)
		org := must(now.CreateOrganization(ctx, "Acme"))(t).ID
		key := must(now.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org}))(t)
		remembered := must(alone.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org}))(t).Plaintext.Reveal()
		must(alone.Verify(ctx, remembered))(t)
		must(now.RetireSecret(ctx, apikeys.RetireSecretParams{ID: old, LoseKeys: true}))(t)

		for range 3 {
			for _, c := range []*apikeys.Client{strict, late} {
				must(c.Verify(ctx, key.Plaintext.Reveal()))(t)
				wantIs(t, "a new key", second(c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org})), apikeys.ErrUnavailable)
				wantIs(t, "a new text", second(c.RotateKey(ctx, key.Key.ID, apikeys.RotateParams{})), apikeys.ErrUnavailable)
				wantIs(t, "retiring", second(c.RetireSecret(ctx, apikeys.RetireSecretParams{ID: apikeys.NewSecret(secretB).ID(), LoseKeys: true})), apikeys.ErrUnavailable)
			}
		}
		// This one has no secret of the database any more: once it has looked, it knows
		// nothing of any key. Until then it may find that this one's hash is gone.
		wantIs(t, "a key that was remembered", eventually(func() (error, bool) {
			_, err := alone.Verify(ctx, remembered)
			return err, err != nil && !errors.Is(err, apikeys.ErrInvalidKey)
		}), apikeys.ErrUnavailable)
		wantIs(t, "a new key", second(alone.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org})), apikeys.ErrUnavailable)
		for _, use := range must(now.CountKeysBySecret(ctx))(t) {
			if use.ID == old && use.Keys > 0 {
				t.Errorf("the retired secret is back: %+v", use)
			}
		}
	})
}
