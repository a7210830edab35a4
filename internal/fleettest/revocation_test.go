package fleettest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/child"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// watched is what a child of the task "watch" works with. It is told texts of keys, accepts each once, says so, and
// validates them until all are refused; then it tells when.
type watched struct {
	place
	Delay time.Duration // Config.RevocationDelay
	Pause time.Duration // between two rounds of validations
	Ahead time.Duration // of its clock
}

// sighting is when a key was accepted for the last time, by the beginning of the call, and when it was refused.
type sighting struct {
	Accepted, Refused time.Time
}

func watch(ctx context.Context, test *child.Pipe) error {
	var todo watched
	if err := test.Receive(&todo); err != nil {
		return err
	}
	s, err := todo.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	config := apikeys.Config{RevocationDelay: todo.Delay}
	if todo.Ahead != 0 {
		config.Now = func() time.Time { return time.Now().Add(todo.Ahead) }
	}
	return withClient(ctx, s, config, func(client *apikeys.Client) error {
		var keys []string
		for test.Receive(&keys) == nil && len(keys) > 0 {
			for _, key := range keys {
				if _, err := client.Verify(ctx, key); err != nil {
					return err
				}
			}
			if err := test.Send("known"); err != nil {
				return err
			}
			seen, err := todo.untilRefused(ctx, client, keys)
			if err := errors.Join(err, test.Send(seen)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (todo watched) untilRefused(ctx context.Context, client *apikeys.Client, keys []string) ([]sighting, error) {
	seen := make([]sighting, len(keys))
	for left := len(keys); left > 0; time.Sleep(todo.Pause) {
		for i, key := range keys {
			if !seen[i].Refused.IsZero() {
				continue
			}
			began := time.Now()
			_, err := client.Verify(ctx, key)
			switch {
			case err == nil:
				seen[i].Accepted = began
			case errors.Is(err, apikeys.ErrRevokedKey):
				seen[i].Refused = time.Now()
				left--
			default:
				return nil, err
			}
		}
	}
	return seen, nil
}

// A key that is revoked in one process is refused in three others within the delay of the acknowledgement, one of which
// has a clock that is a year ahead; whether the clock of the one who revokes is right or not.
func TestRevocationIsSeenByOthers(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		for name, delay := range map[string]time.Duration{"by default": 0, "asking every time": -1} {
			t.Run(name+", "+d.Name, func(t *testing.T) {
				t.Parallel()
				r := newRevocations(t, d, watched{Delay: delay, Pause: 2 * time.Millisecond})
				for range testdb.Dose(1, 50) {
					r.round(t, 20, func(revoke func()) { revoke() })
				}
				r.report(t)
			})
		}
	}
}

// A process that is frozen during the revocation does not go on with what it knew.
func TestFrozenProcessDecidesOnNothingStale(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			r := newRevocations(t, d, watched{Delay: 200 * time.Millisecond})
			for range testdb.Dose(2, 200) {
				r.round(t, 4, func(revoke func()) {
					time.Sleep(rand.N(20 * time.Millisecond)) // of traffic
					for _, p := range r.watchers {
						p.Freeze()
					}
					// One that is frozen with SQLite's lock in its hands holds the revocation up.
					var revoking sync.WaitGroup
					revoking.Go(revoke)
					time.Sleep(100*time.Millisecond + rand.N(3*r.delay)) // frozen, for less or more than the delay
					for _, p := range r.watchers {
						p.Thaw()
					}
					revoking.Wait()
				})
			}
			r.report(t)
		})
	}
}

// revocations are what a fleet of watchers sees.
type revocations struct {
	client   *apikeys.Client
	revokers []*apikeys.Client
	watchers []*child.Process
	delay    time.Duration
	late     []time.Duration // from the acknowledgement to the beginning of the last call that accepted
	took     []time.Duration // from the acknowledgement to the refusal
}

func newRevocations(t *testing.T, d stores.Database, todo watched) *revocations {
	t.Helper()
	r := &revocations{delay: max(todo.Delay, 0)}
	if todo.Delay == 0 {
		r.delay = time.Second // the default
	}
	r.client, todo.place = newPlace(t, d)
	for _, ahead := range []time.Duration{0, year, -year} {
		r.revokers = append(r.revokers, newRevoker(t, todo.place, ahead))
	}
	wrong := todo
	wrong.Ahead = year
	r.watchers = startAll(t, "watch", todo, todo, wrong)
	return r
}

// newRevoker returns a client whose clock is wrong, with connections of its own.
func newRevoker(t *testing.T, at place, ahead time.Duration) *apikeys.Client {
	t.Helper()
	s, err := at.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := newClient(t.Context(), s, apikeys.Config{Now: func() time.Time { return time.Now().Add(ahead) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(client.Close(context.WithoutCancel(t.Context())), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return client
}

// round has n keys revoked, and adds what the watchers saw. Around decides when.
func (r *revocations) round(t *testing.T, n int, around func(revoke func())) {
	t.Helper()
	ids, keys, acknowledged := make([]uuid.UUID, n), make([]string, n), make([]time.Time, n)
	for i := range keys {
		issued := issue(t, r.client)
		ids[i], keys[i] = issued.Key.ID, issued.Plaintext.Reveal()
	}
	tellAll(r.watchers, keys)
	child.All[string](r.watchers) // known
	around(func() {
		for i, id := range ids {
			revoker := r.revokers[rand.N(len(r.revokers))]
			if _, err := revoker.RevokeKey(t.Context(), id, apikeys.RevokeParams{}); err != nil {
				t.Error(err)
				return
			}
			acknowledged[i] = time.Now()
			time.Sleep(rand.N(20 * time.Millisecond)) // at other moments between two looks
		}
	})
	for _, seen := range child.All[[]sighting](r.watchers) {
		for i, s := range seen {
			late := s.Accepted.Sub(acknowledged[i])
			r.late, r.took = append(r.late, late), append(r.took, s.Refused.Sub(acknowledged[i]))
			if late > r.delay+100*time.Millisecond {
				t.Errorf("a key was accepted %s after its revocation was acknowledged, want at most %s", late, r.delay)
			}
		}
	}
}

func (r *revocations) report(t *testing.T) {
	t.Helper()
	t.Logf("%d revocations seen by %d processes: last accepted, after the acknowledgement: %s; first refused: %s",
		len(r.took)/len(r.watchers), len(r.watchers), spread(r.late), spread(r.took))
}
