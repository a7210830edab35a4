package apikeys_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/internal/memstore"
)

// teller is a store that tells of changes when the test says so.
type teller struct {
	*memstore.Store
	listens, looks atomic.Int64
	tell           chan struct{} // tells
	lost           chan error    // ends Listen
}

func newTeller() *teller {
	return &teller{Store: memstore.New(), tell: make(chan struct{}), lost: make(chan error)}
}

func (s *teller) Listen(ctx context.Context, told func()) error {
	s.listens.Add(1)
	for {
		select {
		case <-s.tell:
			told()
		case err := <-s.lost:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *teller) Changes(ctx context.Context, since apikeys.ChangeMark) (apikeys.ChangeSet, error) {
	s.looks.Add(1)
	return s.Store.Changes(ctx, since)
}

// listening runs a test in a bubble with a client that listens, and another one that
// changes things. A look is due every half hour.
func listening(t *testing.T, configure func(*apikeys.Config), test func(t *testing.T, s *teller, client, changer *apikeys.Client)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTeller()
		config := apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), RevocationDelay: time.Hour}
		changer := must(apikeys.New(t.Context(), s.Store, config))(t)
		configure(&config)
		client := must(apikeys.New(t.Context(), s, config))(t)
		test(t, s, client, changer)
		for _, c := range []*apikeys.Client{client, changer} {
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// What another client has changed is obeyed when the store tells of it, not when a look
// is due.
func TestAClientThatIsToldLooksAtOnce(t *testing.T) {
	listening(t, func(*apikeys.Config) {}, func(t *testing.T, s *teller, client, changer *apikeys.Client) {
		org := must(changer.CreateOrganization(t.Context(), "Acme"))(t)
		key := issue(t, changer, apikeys.CreateKeyParams{OrganizationID: org.ID})
		must(client.Verify(t.Context(), key.Plaintext.Reveal()))(t)
		must(changer.RevokeKey(t.Context(), key.Key.ID, apikeys.RevokeParams{}))(t)
		must(client.Verify(t.Context(), key.Plaintext.Reveal()))(t) // nobody has told it
		s.tell <- struct{}{}
		synctest.Wait()
		_, err := client.Verify(t.Context(), key.Plaintext.Reveal())
		wantIs(t, err, apikeys.ErrRevokedKey)
		if n := client.Stats().Notifications; n != 1 {
			t.Errorf("Stats: got %d notifications, want 1", n)
		}
	})
}

// A store that tells without end does not make a client look without end.
func TestLooksWhenToldHaveTheirPace(t *testing.T) {
	listening(t, func(*apikeys.Config) {}, func(t *testing.T, s *teller, _, _ *apikeys.Client) {
		before, begun := s.looks.Load(), time.Now()
		for range 1000 {
			s.tell <- struct{}{}
			time.Sleep(100 * time.Microsecond)
		}
		looks, most := s.looks.Load()-before, int64(time.Since(begun)/(2*time.Millisecond))+1
		if looks > most || looks < most/2 {
			t.Errorf("got %d looks in %s, want %d at most, and about as many", looks, time.Since(begun), most)
		}
	})
}

func TestListenIsCalledAgain(t *testing.T) {
	listening(t, func(*apikeys.Config) {}, func(t *testing.T, s *teller, _, _ *apikeys.Client) {
		wantListens := func(want int64) {
			t.Helper()
			synctest.Wait()
			if got := s.listens.Load(); got != want {
				t.Fatalf("got %d calls of Listen, want %d", got, want)
			}
		}
		lost := errors.New("connection lost")
		wantListens(1)
		for i, pause := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			s.lost <- lost
			time.Sleep(pause - time.Nanosecond)
			wantListens(int64(i + 1))
			time.Sleep(time.Nanosecond)
			wantListens(int64(i + 2))
		}
		s.tell <- struct{}{} // it hears: a loss from now on is a new one
		s.lost <- lost
		time.Sleep(time.Second)
		wantListens(5)
		s.lost <- errors.ErrUnsupported
		time.Sleep(time.Hour)
		wantListens(5)
	})
}

// Who remembers nothing, or does not want it, does not listen.
func TestNobodyListensInVain(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(*apikeys.Config){
		"off":    func(c *apikeys.Config) { c.DisableListen = true },
		"strict": func(c *apikeys.Config) { c.RevocationDelay = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			listening(t, configure, func(t *testing.T, s *teller, _, _ *apikeys.Client) {
				time.Sleep(time.Minute)
				if n := s.listens.Load(); n != 0 {
					t.Errorf("got %d calls of Listen, want none", n)
				}
			})
		})
	}
}
