package faulttest_test

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
	"github.com/apikeys-platform/apikeys/internal/testdb/dbserver"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// servers start a server of the test's own.
func servers() map[string]func(testing.TB, dbserver.Options) *dbserver.Server {
	return map[string]func(testing.TB, dbserver.Options) *dbserver.Server{
		"postgres": testdb.StartPostgres, "mysql": testdb.StartMySQL,
	}
}

// A server is killed with -9 under load and comes back, again and again: what was
// acknowledged stands, what was revoked stays so, no key is there that nobody was told
// of, uses that were admitted are charged and counted, and the client goes on by itself
// within seconds.
func TestServerIsKilled(t *testing.T) {
	t.Parallel()
	for name, startServer := range servers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, dbserver.Options{Durable: true})
			d, _ := stores.Named(name)
			organization := prepare(t, d, server.DSN())
			client := newClient(t, d.Opened(t, server.DSN()), apikeys.Config{SigningSecret: apikeys.NewSecret(signingSecret), OpTimeout: time.Second})
			opened := d.Opened(t, server.DSN())
			admissions := newAdmissions(t, opened, opened)
			load, admitting := startLoad(t, client, organization), admissions.start(t)
			kills := testdb.Dose(2, 200)
			slowest := load.amidKills(t, server, kills)
			load.stop()
			load.killed()
			asked, acknowledged := admitting()
			admissions.check(t, d.Opened(t, server.DSN()), asked, acknowledged)
			load.check(t, newClient(t, d.Opened(t, server.DSN()), strict()))
			strangers := load.checkStrangers(t, client, organization)
			t.Logf("%d kills of the server: %s; %d keys nobody was told of; %d of %d admissions acknowledged; went on at the latest %v after the server did",
				kills, load, strangers, acknowledged, asked, slowest.Round(time.Millisecond))
			if load.loose != 0 || strangers != 0 {
				t.Errorf("got %d unanswered issues and %d keys that nobody was told of, want none: the client lives", load.loose, strangers)
			}
		})
	}
}

// amidKills kills a server again and again, and tells how long the load took at most to go on.
func (l *load) amidKills(t *testing.T, server *dbserver.Server, kills int) (slowest time.Duration) {
	t.Helper()
	for range kills {
		l.awaitMore(t, 20)
		time.Sleep(pause(rand.Uint64())) // the kill falls anywhere
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, l.awaitMore(t, 1))
	}
	return slowest
}

// load is workers of this process, and what they were told.
type load struct {
	*ledger
	cancel  context.CancelFunc
	working sync.WaitGroup
}

func startLoad(t *testing.T, client *apikeys.Client, organization uuid.UUID) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{ledger: newLedger(), cancel: cancel}
	for i := range 6 {
		w := worker{number: i, rounds: i, client: client, organization: organization, tell: l.write}
		l.working.Go(func() {
			for ctx.Err() == nil {
				if !w.round(context.WithoutCancel(ctx)) {
					time.Sleep(20 * time.Millisecond) // as a caller would
				}
			}
		})
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	l.cancel()
	l.working.Wait()
}

// awaitMore waits for n more issued keys and returns how long it took.
func (l *load) awaitMore(t *testing.T, n int) time.Duration {
	t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.issued
	}
	began, want := time.Now(), count()+n
	for count() < want {
		if time.Since(began) > 60*time.Second {
			t.Fatalf("got %d keys in a minute, want %d: the client does not go on", count()-want+n, n)
		}
		time.Sleep(time.Millisecond) // for work to be done, however long it takes
	}
	return time.Since(began)
}

// What a store that does not answer may take beyond its bound. Deadlines are kept within
// 100 ms on a machine that is not busy; tests run on those that are.
const grace = 5 * time.Second

// A server that is frozen, or behind a network that swallows, resets or delays
// everything: calls end at their deadline and say so, nothing passes that should not,
// and all is well again, by itself, when the server is.
func TestServerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, startServer := range servers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, dbserver.Options{})
			p := testdb.ProxyServer(t, server)
			d, _ := stores.Named(name)
			prepare(t, d, server.DSN())
			direct := d.Opened(t, server.DSN())
			w := newWorld(t, direct, newClient(t, direct, strict()))
			o := &outage{world: w, store: d.Opened(t, p.DSN)}
			o.happens(t, "frozen server", server.Freeze, server.Thaw)
			o.happens(t, "black hole", func() error { p.BlackHole(); return nil }, func() error { p.Heal(); p.ResetAll(); return nil })
			o.happens(t, "reset", func() error { p.Always(testdb.Reset); p.ResetAll(); return nil }, func() error { p.Heal(); return nil })
			o.happens(t, "mute", func() error { p.Always(testdb.Mute); return nil }, func() error { p.Heal(); p.ResetAll(); return nil })
			o.happens(t, "killed server", server.Kill, func() error { return server.Restart(t.Context()) })
			o.slow(t, p)
		})
	}
}

// outage is a store that stops answering, and a world in its database.
type outage struct {
	world *world
	store stores.Store
}

const opTimeout = 300 * time.Millisecond

func (o *outage) happens(t *testing.T, name string, begin, end func() error) {
	t.Helper()
	config := apikeys.Config{SigningSecret: apikeys.NewSecret(signingSecret), OpTimeout: opTimeout, RevocationDelay: 200 * time.Millisecond}
	client := newClient(t, o.store, config)
	config.OutageGrace = time.Hour
	graceful := newClient(t, o.store, config)
	good, bad := o.world.spare.Plaintext.Reveal(), o.world.disabled.Plaintext.Reveal()
	for _, c := range []*apikeys.Client{client, graceful} {
		awaitResult(t, name+": before", c, good, nil, true)
	}
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	awaitResult(t, name, client, good, apikeys.ErrUnavailable, false)
	if _, err := graceful.Verify(t.Context(), good); err != nil {
		t.Errorf("%s: with a grace, a key that is remembered: got error %v, want none", name, err)
	}
	for what, call := range map[string]func(context.Context) error{
		"a key that is not remembered": func(ctx context.Context) error { return second(client.Verify(ctx, o.world.issued[0])) },
		"a bad key, with a grace":      func(ctx context.Context) error { return second(graceful.Verify(ctx, bad)) },
		"a revocation": func(ctx context.Context) error {
			return second(client.RevokeKey(ctx, o.world.key.Key.ID, apikeys.RevokeParams{}))
		},
		"a list": func(ctx context.Context) error { return second(client.ListOrganizations(ctx, apikeys.ListOptions{})) },
	} {
		began := time.Now()
		err := call(t.Context())
		if !errors.Is(err, apikeys.ErrUnavailable) && !errors.Is(err, apikeys.ErrOutcomeUnknown) {
			t.Errorf("%s, %s: got error %v, want an unavailable store", name, what, err)
		}
		if took, most := time.Since(began), 4*opTimeout+grace; took > most {
			t.Errorf("%s, %s: took %v, want at most %v", name, what, took, most)
		}
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.ListOrganizations(ctx, apikeys.ListOptions{}); err == nil || time.Since(began) > 50*time.Millisecond+grace {
		t.Errorf("%s: a caller who waits 50 ms: got error %v after %v", name, err, time.Since(began))
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	awaitResult(t, name+": after", client, good, nil, true)
	awaitResult(t, name+": after, with a grace", graceful, good, nil, true)
	o.world.wantSettled(t, name)
	for _, c := range []*apikeys.Client{client, graceful} {
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	}
}

// awaitResult asks until a key passes, or fails with a certain error: what is in between
// is a store that comes or goes.
func awaitResult(t *testing.T, when string, c *apikeys.Client, text string, want error, passes bool) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) { // until the client has noticed
		_, err := c.Verify(t.Context(), text)
		if passes && err == nil || !passes && errors.Is(err, want) {
			return
		}
		if err != nil && !errors.Is(err, apikeys.ErrUnavailable) {
			t.Fatalf("%s: got error %v", when, err)
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: got error %v for a minute", when, err)
		}
	}
}

// wantSettled sees that a revocation that was asked of a store which did not answer is
// done, or not, and stays so: no transaction of it lives on.
func (w *world) wantSettled(t *testing.T, when string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) { // until the server has noticed that the caller is gone
		_, err := w.client.PatchKey(t.Context(), w.key.Key.ID, apikeys.KeyPatch{Name: ptr("after " + when)})
		if err == nil {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: the key is still locked: %v", when, err)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// slow is a network that takes its time: everything works, within the deadline.
func (o *outage) slow(t *testing.T, p *testdb.Proxy) {
	t.Helper()
	config := strict()
	client := newClient(t, o.store, config)
	p.Slow(20 * time.Millisecond)
	defer p.Heal()
	if _, err := client.Verify(t.Context(), o.world.spare.Plaintext.Reveal()); err != nil {
		t.Errorf("slow network: got error %v, want none", err)
	}
	if _, err := client.CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: o.world.org}); err != nil {
		t.Errorf("slow network: got error %v, want none", err)
	}
	config.OpTimeout = 10 * time.Millisecond
	if _, err := apikeys.New(t.Context(), o.store, config); !errors.Is(err, apikeys.ErrUnavailable) {
		t.Errorf("a network slower than the deadline: got error %v, want an unavailable store", err)
	}
}
