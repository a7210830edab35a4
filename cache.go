package apikeys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/keycache"
	"github.com/apikeys-platform/apikeys/internal/keyhash"
	"github.com/apikeys-platform/apikeys/internal/token"
)

// memory is what a client remembers of the store. The rules that keep it honest stand
// in package keycache.
type memory struct {
	// strict: what is remembered is used only after the store was asked, once the request
	// had arrived, whether anything has changed.
	strict   bool
	looks    *keycache.Looker
	keys     *keycache.Cache[known]
	bindings *keycache.Cache[Binding]
}

// moment is when a request came, or went on after waiting: one reading of the
// clock.
type moment struct {
	real time.Time // by the clocks of the machine: what freshness is judged by
	now  time.Time // by Config.Now: what expiry is judged by and uses are stored with

	hits int64        // how often the request was answered from memory so far
	lane keyhash.Lane // where it is counted
}

// read makes m a new reading of the clock.
func (c *core) read(m *moment) {
	m.real = time.Now()
	m.now = m.real
	if c.ownClock {
		m.now = c.clock()
	}
}

func (c *core) moment() (m moment) {
	c.read(&m)
	return m
}

// startMemory begins to remember keys.
func (c *core) startMemory(config Config) {
	if config.CacheSize < 0 {
		return
	}
	delay, grace := config.RevocationDelay, config.OutageGrace
	switch {
	case delay < 0:
		delay, grace = 0, 0
	case delay == 0:
		delay = defaultRevocationDelay
	}
	m := &memory{strict: delay == 0}
	m.looks = keycache.NewLooker(keycache.Options{
		Delay:       delay,
		Grace:       grace,
		Timeout:     c.opTimeout,
		Look:        c.look,
		Drop:        m.drop,
		Reset:       c.reset,
		Unreachable: unreachable,
		OnError: func(err error) {
			c.log.Warn("apikeys: could not ask the store what changed; cached keys are accepted only within their delay", "error", inert{err})
		},
	})
	m.keys = keycache.New[known](m.looks, config.CacheSize)
	m.bindings = keycache.New[Binding](m.looks, config.CacheSize)
	c.memory = m
}

// trusting tells whether decisions rest on what is remembered for a while: after having
// waited, they are to be made again then.
func (c *core) trusting() bool { return c.memory != nil && !c.memory.strict }

// firstLook learns where the history stands, so that the first request need not
// wait for it.
func (c *core) firstLook(ctx context.Context) error {
	if c.memory == nil {
		return nil
	}
	return storeError("read changes", c.memory.looks.Ensure(ctx, keycache.Now()))
}

// unreachable tells of a store that did not answer, or not in time: the one
// trouble that an outage grace is for.
func unreachable(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// look asks the store what changed since a mark.
func (c *core) look(ctx context.Context, since keycache.Mark) (keycache.ChangeSet, error) {
	c.calls.changes.Add(1)
	set, err := c.store.Changes(ctx, ChangeMark{Revision: since.Revision, Stamp: since.Stamp})
	if err != nil {
		return keycache.ChangeSet{}, err
	}
	return keycache.ChangeSet{
		Mark:     keycache.Mark{Revision: set.Mark.Revision, Stamp: set.Mark.Stamp},
		Changes:  cacheChanges(set.Changes),
		Complete: set.Complete,
	}, nil
}

// reset reads the settings again: the history that we knew is gone, or they were
// changed. When the secrets of this client are none of theirs any more, nothing is
// known of any key.
func (c *core) reset(ctx context.Context) error {
	settings, err := c.settle(ctx)
	foreign := errors.Is(err, errRetired) || errors.Is(err, errForeign)
	c.foreign.Store(foreign)
	if foreign {
		err = &unavailableError{op: "read settings", cause: fmt.Errorf("the signing secret %w", err)}
	}
	if err != nil {
		return err
	}
	if c.retired.Load() {
		c.log.WarnContext(ctx, "apikeys: the signing secret of this process was retired; it validates and issues no keys")
	}
	return c.useShieldKeys(settings.ShieldKeys)
}

func cacheChanges(changes []Change) []keycache.Change {
	list := make([]keycache.Change, len(changes))
	for i, change := range changes {
		list[i].ID = change.ID
		switch change.Kind {
		case ChangeKey:
			list[i].Kind = keycache.KindKey
		case ChangeOrganization:
			list[i].Kind = keycache.KindOrganization
		default:
			list[i].Kind = keycache.KindAll
		}
	}
	return list
}

func (m *memory) drop(changes []keycache.Change) {
	m.keys.Drop(changes...)
	m.bindings.Drop(changes...)
}

// changing runs a write that makes something stale: what is remembered of it is
// dropped before it is sent and again when its outcome is known, or known to be
// unknown.
func (c *core) changing(stale []Change, write func() error) error {
	if c.memory == nil || len(stale) == 0 {
		return write()
	}
	return c.memory.looks.Change(cacheChanges(stale), write)
}

// recall finds the key that a text belongs to: in memory, or in the store; then m is a
// new reading of the clock. What is remembered under the hash of a text is the key of
// just this text, which was parsed when it was loaded: that is not done again.
//
// Whatever is not one of ours, by shape or by tag, never reaches the store; of what
// may be an imported key, the shape is all there is to see.
func (c *core) recall(ctx context.Context, text string, m *moment) (*known, error) {
	if !token.Plausible(text) {
		return c.recallImported(ctx, text, m)
	}
	var hash Hash
	m.lane = c.signer.SumInto((*[32]byte)(&hash), text)
	if k := c.remembered(&hash, m); k != nil {
		return k, nil
	}
	if _, ok := token.Parse(text, c.heads); !ok {
		return c.recallImported(ctx, text, m)
	}
	if !c.shared.Load().tagger.Check(text) {
		return nil, ErrInvalidKey // forged: the store is not asked
	}
	return c.load(ctx, text, hash, m)
}

// remembered returns the key that has this hash, if it is in memory and may be used.
func (c *core) remembered(hash *Hash, m *moment) *known {
	if c.memory == nil {
		return nil
	}
	if e := c.memory.keys.Lookup(keycache.At(m.real), (*[32]byte)(hash)); e != nil {
		m.hits++
		e.Value.counter.Touch()
		return &e.Value
	}
	return nil
}

// load finds a key in the store; m is a new reading of the clock then.
func (c *core) load(ctx context.Context, text string, hash Hash, m *moment) (k *known, err error) {
	if c.memory == nil {
		k = new(known)
		err = c.fetch(ctx, text, hash, k)
	} else {
		k, err = c.find(ctx, text, hash, keycache.At(m.real))
	}
	c.read(m)
	return k, err
}

// find waits for the look, the load or both that it takes to know a key.
func (c *core) find(ctx context.Context, text string, hash Hash, at keycache.Instant) (*known, error) {
	e, err := c.memory.keys.Find(ctx, at, hash, func(ctx context.Context) (*keycache.Entry[known], error) {
		e := &keycache.Entry[known]{}
		err := c.fetch(ctx, text, hash, &e.Value)
		if errors.Is(err, ErrInvalidKey) {
			return nil, nil // there is none: that is not remembered
		}
		if err != nil {
			return nil, err
		}
		e.Key, e.Organization = e.Value.ID, e.Value.OrganizationID
		return e, nil
	})
	switch {
	case err != nil:
		return nil, storeError("read key", err)
	case e == nil:
		return nil, ErrInvalidKey
	}
	return &e.Value, nil
}

// fetch reads a key from the store into k, and has the store keep what the text hashes
// to under the signing secret.
func (c *core) fetch(ctx context.Context, text string, hash Hash, k *known) error {
	record, err := c.readKey(ctx, text, hash)
	if err != nil {
		return err
	}
	if record.Secret.SigningID != c.signer.ID() {
		c.rehash(ctx, record, hash)
	}
	c.know(k, *record)
	return nil
}

// readKey reads a key from the store and changes nothing.
func (c *core) readKey(ctx context.Context, text string, hash Hash) (*KeyRecord, error) {
	found, err := c.keysByHash(ctx, lookup{text: text, signed: hash})
	if err != nil {
		return nil, err
	}
	record := match(c.hashes(text, hash), found)
	switch {
	case record == nil && c.foreign.Load():
		return nil, &unavailableError{op: "read key", cause: errForeign} // it is not for us to say
	case record == nil:
		return nil, ErrInvalidKey
	}
	return record, nil
}

// recallBinding tells whose a project and a product are, from memory or the store,
// and whether it had to wait.
func (c *core) recallBinding(ctx context.Context, projectID, productID uuid.UUID) (b Binding, waited bool, err error) {
	if c.memory == nil {
		b, err = c.binding(ctx, projectID, productID)
		return b, true, err
	}
	var pair Hash
	copy(pair[:16], projectID[:])
	copy(pair[16:], productID[:])
	at := keycache.Now()
	if e := c.memory.bindings.Lookup(at, (*[32]byte)(&pair)); e != nil {
		return e.Value, false, nil
	}
	e, err := c.memory.bindings.Find(ctx, at, pair, func(ctx context.Context) (*keycache.Entry[Binding], error) {
		b, err := c.binding(ctx, projectID, productID)
		if err != nil {
			return nil, err
		}
		owner, whole := b.owner(projectID, productID)
		return &keycache.Entry[Binding]{Value: b, Organization: owner, Passing: !whole}, nil
	})
	if err != nil {
		return Binding{}, true, storeError("read project and product", err)
	}
	return e.Value, true, nil
}

// owner returns the organization that both belong to, if it is one. What does not
// exist may be created without a change that says so: it is not remembered.
func (b Binding) owner(projectID, productID uuid.UUID) (uuid.UUID, bool) {
	switch {
	case projectID == uuid.Nil:
		return b.ProductOrganizationID, b.ProductOrganizationID != uuid.Nil
	case productID == uuid.Nil:
		return b.ProjectOrganizationID, b.ProjectOrganizationID != uuid.Nil
	}
	return b.ProjectOrganizationID, b.ProjectOrganizationID != uuid.Nil && b.ProjectOrganizationID == b.ProductOrganizationID
}
