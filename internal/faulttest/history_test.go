package faulttest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// historyDelay is the RevocationDelay of clients that remember.
const historyDelay = 40 * time.Millisecond

// Concurrent lifecycle operations on a few keys, through two clients, look as if they
// had been done one after the other, each somewhere between its call and its end. A
// client that remembers may answer as things stood up to RevocationDelay before the
// call if the other one changed them; if it did so itself, as they stood before a change
// that is not acknowledged yet: what it reads between forgetting the key and the commit
// it may remember until it forgets the key again, on the answer. So it is while calls
// fail, before or after they are done, and while connections are cut.
func TestHistories(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			dsn := d.Empty(t)
			organization := prepare(t, d, dsn)
			network := through(d.Name, dsn)
			for _, kind := range []struct {
				name            string
				delay           time.Duration
				faults, network bool
				histories       int
			}{
				{"without cache", -1, false, false, testdb.Dose(4, 400)},
				{"without cache, with faults", -1, true, true, testdb.Dose(3, 200)},
				{"with cache", historyDelay, false, false, testdb.Dose(3, 400)},
				{"with cache and faults", historyDelay, true, true, testdb.Dose(3, 200)},
			} {
				t.Run(kind.name, func(t *testing.T) {
					r := recorder{delay: kind.delay, organization: organization, faults: kind.faults}
					at, begin := dsn, func() {}
					if kind.network {
						at, begin = network(t)
					}
					for i := range r.clients {
						r.clients[i] = r.client(t, d.Opened(t, at))
					}
					begin()
					checked, operations := 0, 0
					for range kind.histories {
						h := r.record(t)
						if h.check(t) {
							checked++
						}
						operations += len(h.operations)
					}
					t.Logf("%s, %s: %d histories of %d operations, %d of them of unknown outcome; %d were too long to be checked",
						d.Name, kind.name, kind.histories, operations, r.unknown, kind.histories-checked)
					if 3*checked < kind.histories { // those of a busy machine overlap more
						t.Error("too few histories were short enough to be checked")
					}
				})
			}
		})
	}
}

// through returns what puts a network before the database, if there is one between. Once
// told to begin, it cuts connections now and then.
func through(name, dsn string) func(*testing.T) (at string, begin func()) {
	proxy := map[string]func(testing.TB, string) *testdb.Proxy{"postgres": testdb.ProxyPostgres, "mysql": testdb.ProxyMySQL}[name]
	return func(t *testing.T) (at string, begin func()) {
		t.Helper()
		if proxy == nil {
			return dsn, func() {}
		}
		p := proxy(t, dsn)
		return p.DSN, func() {
			p.Befall(func([]byte) testdb.Mishap {
				if rand.IntN(150) == 0 {
					return testdb.Cut
				}
				return testdb.Pass
			})
		}
	}
}

// recorder makes histories.
type recorder struct {
	organization uuid.UUID
	delay        time.Duration
	clients      [2]*apikeys.Client
	faults       bool
	unknown      int
}

func (r *recorder) client(t *testing.T, s apikeys.Store) *apikeys.Client {
	t.Helper()
	config := strict()
	config.RevocationDelay = r.delay
	var failing *faultStore
	if r.faults {
		failing = &faultStore{Store: s}
		s = failing
	}
	c := newClient(t, s, config)
	if failing != nil {
		failing.chance(20)
	}
	return c
}

// chance lets one of n calls fail, in some way.
func (s *faultStore) chance(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.random = n
}

// history is what happened to one key.
type history struct {
	mu         sync.Mutex
	began      time.Time
	operations []porcupine.Operation
	id         uuid.UUID
	texts      []string
	delay      time.Duration
	mutator    int // the client through which the key is changed
	faults     bool
	flying     map[string]time.Duration // since when changes are under way
}

// record lets workers use and change a key at once.
func (r *recorder) record(t *testing.T) *history {
	t.Helper()
	h := &history{began: time.Now(), delay: max(0, r.delay), mutator: rand.IntN(2), faults: r.faults, flying: map[string]time.Duration{}}
	for h.id == uuid.Nil {
		h.create(t, r)
	}
	var working sync.WaitGroup
	workers := 2
	if r.delay > 0 {
		workers = 1 // of several, each would excuse what it did not do
	}
	for range workers {
		working.Go(func() { h.change(t, r) })
	}
	done := make(chan struct{})
	var validating sync.WaitGroup
	for i := range 4 {
		validating.Go(func() { h.validate(t, r.clients[i%2], i%2, done) })
	}
	working.Wait()
	if r.delay > 0 {
		time.Sleep(r.delay + 10*time.Millisecond) // for what is accepted later than it may be
	}
	close(done)
	validating.Wait()
	for _, op := range h.operations {
		if op.Output.(output).code == unknownOutcome {
			r.unknown++
		}
	}
	return h
}

func (h *history) create(t *testing.T, r *recorder) {
	t.Helper()
	k, err := r.clients[h.mutator].CreateKey(t.Context(), apikeys.CreateKeyParams{OrganizationID: r.organization})
	if err != nil {
		return // another key
	}
	h.id, h.texts = k.Key.ID, []string{k.Plaintext.Reveal()}
	h.operations = append(h.operations, porcupine.Operation{Input: input{op: "create"}, Output: output{code: "ok"}, Return: int64(time.Since(h.began))})
}

// change does what is done to keys, in any order.
func (h *history) change(t *testing.T, r *recorder) {
	t.Helper()
	c, ctx := r.clients[h.mutator], t.Context()
	changes := map[string]func() (*apikeys.IssuedKey, error){
		"disable": func() (*apikeys.IssuedKey, error) { return nil, second(c.DisableKey(ctx, h.id)) },
		"enable":  func() (*apikeys.IssuedKey, error) { return nil, second(c.EnableKey(ctx, h.id)) },
		"rotate":  func() (*apikeys.IssuedKey, error) { return c.RotateKey(ctx, h.id, apikeys.RotateParams{}) },
		"revoke": func() (*apikeys.IssuedKey, error) {
			return nil, second(c.RevokeKey(ctx, h.id, apikeys.RevokeParams{}))
		},
		"delete": func() (*apikeys.IssuedKey, error) { return nil, c.DeleteKey(ctx, h.id) },
	}
	for _, op := range plan() {
		h.do(op, changes[op])
		time.Sleep(time.Duration(rand.Int64N(int64(4 * time.Millisecond)))) // so that others come between
	}
}

// plan is a few changes; the final ones come seldom.
func plan() []string {
	ops := []string{"disable", "enable", "rotate", "disable", "enable", "rotate", "enable", "revoke", "delete"}
	chosen := make([]string, 5)
	for i := range chosen {
		chosen[i] = ops[rand.IntN(len(ops))]
	}
	return chosen
}

// do records one change. What has failed without doing anything is left out.
func (h *history) do(op string, call func() (*apikeys.IssuedKey, error)) {
	began := time.Since(h.began)
	h.mu.Lock()
	h.flying[op] = began
	h.mu.Unlock()
	k, err := call()
	record := porcupine.Operation{Input: input{op: op}, Call: int64(began), Return: int64(time.Since(h.began))}
	out := output{code: code(err)}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.flying, op)
	switch {
	case errors.Is(err, apikeys.ErrOutcomeUnknown):
		out.code, out.text, record.Return = unknownOutcome, -1, int64(time.Hour)
	case errors.Is(err, apikeys.ErrUnavailable):
		return
	}
	if k != nil {
		out.text = len(h.texts)
		h.texts = append(h.texts, k.Plaintext.Reveal())
	}
	record.Output = out
	h.operations = append(h.operations, record)
}

// validate uses the key until all is done.
func (h *history) validate(t *testing.T, c *apikeys.Client, client int, done <-chan struct{}) {
	t.Helper()
	pace := 6 * time.Millisecond
	if client != h.mutator && h.delay > 0 {
		pace = h.delay / 2 // of what overlaps, porcupine tries every order
	}
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(rand.Int64N(int64(pace)))):
		}
		h.mu.Lock()
		text := rand.IntN(len(h.texts))
		plain := h.texts[text]
		began := time.Since(h.began)
		since := h.since(began, client)
		h.mu.Unlock()
		_, err := c.Validate(t.Context(), plain, apikeys.ValidateParams{SkipUsage: true})
		ended := time.Since(h.began)
		if errors.Is(err, apikeys.ErrUnavailable) {
			continue
		}
		h.mu.Lock()
		h.operations = append(h.operations, porcupine.Operation{
			ClientId: client, Input: input{op: "validate", text: text}, Output: output{code: code(err)}, Call: int64(since), Return: int64(ended),
		})
		h.mu.Unlock()
	}
}

// since is as of when a validation may answer that begins now. The history is locked.
func (h *history) since(now time.Duration, client int) time.Duration {
	switch {
	case h.delay == 0:
		return now
	case client != h.mutator:
		return now - h.delay
	}
	for _, began := range h.flying {
		now = min(now, began)
	}
	return now
}

// check asks porcupine for an order of the operations that explains what they said. It
// returns false if there are too many orders, as on a machine that is very busy.
func (h *history) check(t *testing.T) bool {
	t.Helper()
	if h.faults {
		h.markOvertaken()
	}
	model := lifecycle().ToModel()
	result := porcupine.CheckOperationsTimeout(model, h.operations, 10*time.Second)
	if result == porcupine.Illegal {
		t.Errorf("no order explains this history of key %s, changed through client %d:\n%s", h.id, h.mutator, h)
	}
	return result != porcupine.Unknown
}

// markOvertaken finds the operations that a deletion may have come between.
func (h *history) markOvertaken() {
	for i, op := range h.operations {
		in := op.Input.(input)
		for j, o := range h.operations {
			if j != i && o.Input.(input).op == "delete" && o.Call < op.Return && o.Return > op.Call {
				in.overtaken = true
			}
		}
		h.operations[i].Input = in
	}
}

func (h *history) String() string {
	var b strings.Builder
	for _, op := range h.operations {
		fmt.Fprintf(&b, "%12v %12v client %d %+v %+v\n", time.Duration(op.Call), time.Duration(op.Return), op.ClientId, op.Input, op.Output)
	}
	return b.String()
}
