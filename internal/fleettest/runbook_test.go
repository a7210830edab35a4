package fleettest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// newSecret is what signingSecret is replaced by.
const newSecret = "7be1548d36a0c4f70f2a7c9e2931b8d21d93b58c6540eac7f6e0a47f1d2b3958c"

// serving is a process of a service: with which secrets, and how often it asks the store.
type serving struct {
	place
	Signing  string
	Accepted []string
	Strict   bool
}

func (s serving) config() apikeys.Config {
	c := apikeys.Config{SigningSecret: apikeys.NewSecret(s.Signing), OpTimeout: time.Minute}
	for _, secret := range s.Accepted {
		c.AcceptedSecrets = append(c.AcceptedSecrets, apikeys.NewSecret(secret))
	}
	if s.Strict {
		c.RevocationDelay = -1
	}
	return c
}

// served is one request: to issue a key of an organization, or to judge texts. Its answer is a text, or an error for the
// first text that was refused.
type served struct {
	Organization uuid.UUID
	Texts        []string
	Text, Error  string
}

// serve answers requests until the test has no more.
func serve(ctx context.Context, test *child.Pipe) error {
	var s serving
	if err := test.Receive(&s); err != nil {
		return err
	}
	store, err := s.open(ctx)
	if err != nil {
		return err
	}
	client, err := apikeys.New(ctx, store, s.config())
	if err != nil {
		return errors.Join(err, store.Close())
	}
	for {
		var r served
		if test.Receive(&r) != nil || r.Organization == uuid.Nil {
			return errors.Join(client.Close(context.WithoutCancel(ctx)), store.Close())
		}
		if err := test.Send(answer(ctx, client, r)); err != nil {
			return err
		}
	}
}

func answer(ctx context.Context, client *apikeys.Client, r served) (a served) {
	for i, text := range r.Texts {
		if _, err := client.Verify(ctx, text); err != nil {
			a.Error = fmt.Sprintf("key %d: %v", i, err)
			return a
		}
	}
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: r.Organization})
	if err != nil {
		a.Error = err.Error()
		return a
	}
	a.Text = issued.Plaintext.Reveal()
	return a
}

// service is three processes on one database.
type service struct {
	*testing.T
	at           place
	organization uuid.UUID
	processes    [3]*child.Process
	texts        []string
}

// restart replaces a process by one with other secrets; the old one ends as a service does, with Close.
func (s *service) restart(i int, signing string, accepted ...string) {
	s.Helper()
	if p := s.processes[i]; p != nil {
		p.Tell(served{})
		if err := p.Wait(); err != nil {
			s.Fatal(err)
		}
	}
	s.processes[i] = child.Start(s.T, "serve", serving{s.at, signing, accepted, i == 0})
}

// use lets every process judge all keys and issue another.
func (s *service) use(when string) {
	s.Helper()
	for i, p := range s.processes {
		p.Tell(served{Organization: s.organization, Texts: s.texts})
		var a served
		if p.Hear(&a); a.Error != "" {
			s.Fatalf("%s: process %d: %s", when, i, a.Error)
		}
		s.texts = append(s.texts, a.Text)
	}
}

// A signing secret is changed while three processes go on, by the book: accept the new one everywhere, sign with it,
// wait, retire the old one, forget it. Whichever is restarted first, no process refuses a key at any time; afterwards none
// starts with the old secret.
func TestSigningSecretIsChangedByTheBook(t *testing.T) {
	t.Parallel()
	orders := [][3]int{{1, 0, 2}, {0, 1, 2}, {0, 2, 1}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	for _, d := range stores.All() {
		for _, order := range orders[:testdb.Dose(1, len(orders))] {
			t.Run(fmt.Sprint(d.Name, order), func(t *testing.T) {
				t.Parallel()
				followTheBook(t, d, order)
			})
		}
	}
}

func followTheBook(t *testing.T, d stores.Database, order [3]int) {
	client, at := newPlace(t, d)
	organization, err := client.CreateOrganization(t.Context(), "Acme")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{T: t, at: at, organization: organization.ID}
	for i := range s.processes {
		s.restart(i, signingSecret)
	}
	s.use("before")
	step := func(name, signing string, accepted ...string) {
		for _, i := range order {
			s.restart(i, signing, accepted...)
			s.use(fmt.Sprintf("%s, process %d restarted", name, i))
		}
	}
	step("accept", signingSecret, newSecret)
	step("sign", newSecret, signingSecret)
	retire(t, d, at)
	s.use("retired")
	step("forget", newSecret)
	old := child.Start(t, "serve", serving{place: at, Signing: signingSecret, Accepted: []string{newSecret}})
	if err := old.Wait(); err == nil {
		t.Error("a process started with the retired secret")
	}
}

// retire gives the old secret up, from a process of its own, as an operator does.
func retire(t *testing.T, d stores.Database, at place) {
	t.Helper()
	config := serving{Signing: newSecret, Accepted: []string{signingSecret}}.config()
	operator, err := apikeys.New(t.Context(), d.Opened(t, at.DSN), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := operator.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if n, err := operator.RetireSecret(t.Context(), apikeys.RetireSecretParams{ID: config.AcceptedSecrets[0].ID()}); err != nil || n == 0 {
		t.Errorf("got %d hashes removed, %v, want all and none lost", n, err)
	}
}
