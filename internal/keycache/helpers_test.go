package keycache_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const second = int64(time.Second)

// clock is set by hand. Both of its hands are moved by one call, so that nobody
// sees one moved and the other not.
type clock struct {
	at atomic.Pointer[keycache.Instant]
}

func newClock() *clock {
	c := &clock{}
	c.at.Store(&keycache.Instant{Mono: 1000 * second, Wall: 5000 * second})
	return c
}

func (c *clock) now() keycache.Instant { return *c.at.Load() }

func (c *clock) move(mono, wall time.Duration) {
	now := c.now()
	c.at.Store(&keycache.Instant{Mono: now.Mono + int64(mono), Wall: now.Wall + int64(wall)})
}

func (c *clock) pass(d time.Duration) { c.move(d, d) }

// idle returns a looker whose clock stands still, and that never looks.
func idle() *keycache.Looker {
	return keycache.NewLooker(keycache.Options{
		Delay: 1,
		Look: func(context.Context, keycache.Mark) (keycache.ChangeSet, error) {
			panic("looked")
		},
		Drop: func([]keycache.Change) {},
		Now:  func() keycache.Instant { return keycache.Instant{} },
	})
}

// database is the other side: keys with a version each, and the history of what
// was changed.
type database struct {
	mu       sync.Mutex
	versions map[[16]byte]int
	mark     keycache.Mark
	history  []link
	looks    int
	loads    int
	down     error                     // what every call answers
	slow     func(ctx context.Context) // called by every call after it was answered
}

type link struct {
	mark   keycache.Mark
	change keycache.Change
}

var (
	errDown   = errors.New("no connection")
	errBroken = errors.New("no such table")
)

func newDatabase() *database { return &database{versions: make(map[[16]byte]int)} }

// commit changes a key, and returns its new version.
func (d *database) commit(key [16]byte) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.versions[key]++
	d.chain(keycache.Change{Kind: keycache.KindKey, ID: key})
	return d.versions[key]
}

// announce writes a change of nothing in particular.
func (d *database) announce(c keycache.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chain(c)
}

func (d *database) chain(c keycache.Change) {
	d.mark.Revision++
	d.mark.Stamp[0]++
	d.history = append(d.history, link{d.mark, c})
}

func (d *database) set(change func(d *database)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *database) look(ctx context.Context, since keycache.Mark) (keycache.ChangeSet, error) {
	d.mu.Lock()
	d.looks++
	set, err, slow := keycache.ChangeSet{Mark: d.mark, Complete: since == keycache.Mark{}}, d.down, d.slow
	from := 0
	if !set.Complete {
		from = slices.IndexFunc(d.history, func(l link) bool { return l.mark == since }) + 1
		set.Complete = from > 0
	}
	for _, l := range d.history[from:] {
		set.Changes = append(set.Changes, l.change)
	}
	d.mu.Unlock()
	if slow != nil {
		slow(ctx)
	}
	return set, errors.Join(err, ctx.Err())
}

// load reads a key, whose value is its version.
func (d *database) load(key [16]byte) keycache.LoadFunc[int] {
	return func(ctx context.Context) (*keycache.Entry[int], error) {
		d.mu.Lock()
		d.loads++
		e, err, slow := &keycache.Entry[int]{Key: key, Value: d.versions[key]}, d.down, d.slow
		d.mu.Unlock()
		if slow != nil {
			slow(ctx)
		}
		return e, errors.Join(err, ctx.Err())
	}
}

func (d *database) asked() (looks, loads int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.looks, d.loads
}

// sleeps makes every answer take that long on its way.
func sleeps(d time.Duration) func(ctx context.Context) {
	return func(ctx context.Context) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
}

// rig is a database, and a process that remembers what is in it.
type rig struct {
	*testing.T
	db     *database
	looker *keycache.Looker
	cache  *keycache.Cache[int]
	now    func() keycache.Instant
	resets atomic.Int64
}

const (
	delay   = time.Second
	timeout = 2 * time.Second
)

func newRig(t *testing.T, adjust func(o *keycache.Options)) *rig {
	t.Helper()
	r := &rig{T: t, db: newDatabase()}
	o := keycache.Options{
		Delay:       delay,
		Timeout:     timeout,
		Look:        r.db.look,
		Drop:        func(changes []keycache.Change) { r.cache.Drop(changes...) },
		Reset:       func(context.Context) error { r.resets.Add(1); return nil },
		Unreachable: func(err error) bool { return errors.Is(err, errDown) },
		Now:         keycache.Now,
	}
	if adjust != nil {
		adjust(&o)
	}
	r.now = o.Now
	r.looker = keycache.NewLooker(o)
	r.cache = keycache.New[int](r.looker, 1000)
	t.Cleanup(r.looker.Close)
	return r
}

// mustLook makes a look, so that everything is known.
func (r *rig) mustLook() {
	r.Helper()
	if err := r.looker.Ensure(r.Context(), r.now()); err != nil {
		r.Fatalf("Ensure: got %v, want nil", err)
	}
}

// find returns the version of a key that a request sees.
func (r *rig) find(key [16]byte) (int, error) {
	e, err := r.cache.Find(r.Context(), r.now(), hashFor(key), r.db.load(key))
	if err != nil {
		return 0, err
	}
	return e.Value, nil
}

func (r *rig) mustFind(key [16]byte, want int) {
	r.Helper()
	if got, err := r.find(key); err != nil || got != want {
		r.Errorf("Find: got version %d, %v, want %d", got, err, want)
	}
}

// lookup returns the version that Lookup finds, -1 if none.
func (r *rig) lookup(key [16]byte) int { return r.lookupAt(r.now(), key) }

func (r *rig) lookupAt(now keycache.Instant, key [16]byte) int {
	hash := hashFor(key)
	if e := r.cache.Lookup(now, &hash); e != nil {
		return e.Value
	}
	return -1
}

func (r *rig) mustLookup(key [16]byte, want int) {
	r.Helper()
	if got := r.lookup(key); got != want {
		r.Errorf("Lookup: got version %d, want %d (-1: none)", got, want)
	}
}

func hashFor(key [16]byte) [32]byte {
	var h [32]byte
	copy(h[:], key[:])
	copy(h[8:], key[:])
	return h
}
