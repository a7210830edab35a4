package apikeys

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/keycache"
	"github.com/apikeys-platform/apikeys/internal/leases"
	"github.com/apikeys-platform/apikeys/internal/token"
	"github.com/apikeys-platform/apikeys/internal/usage"
)

// known is a key as the request path knows it: what the store said when it was
// read, and where its uses and limits are counted. It is shared by many requests
// and never changed. What every request reads comes first: with many keys in use, the
// time goes into fetching cache lines.
type known struct {
	counter *usage.Counter
	// subject counts the key's limits, if it has some and the limiter is ours.
	subject *leases.Subject
	// until is when the secret or the key ends, whichever comes first, in microseconds
	// since the Unix epoch: from then on usable has to be asked. Of one that was ended
	// or stopped already it is the beginning of time, of one that never ends the end.
	until int64
	// uses, added to what counter has accepted, is the key's use count.
	uses int64
	KeyRecord
}

// ends tells whether the key may be unusable: usable says whether, and why.
func (k *known) ends(now time.Time) bool { return now.UnixMicro() >= k.until }

// memory is what a client that is not strict remembers of the store. The rules
// that keep it honest stand in package keycache.
type memory struct {
	looks    *keycache.Looker
	keys     *keycache.Cache[known]
	bindings *keycache.Cache[Binding]
}

// moment is when a request came, or went on after waiting: one reading of the
// clock.
type moment struct {
	real time.Time // by the clocks of the machine: what freshness is judged by
	now  time.Time // by Config.Now: what expiry is judged by and uses are stored with
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
	delay := config.RevocationDelay
	if delay < 0 {
		return
	}
	if delay == 0 {
		delay = defaultRevocationDelay
	}
	m := &memory{}
	m.looks = keycache.NewLooker(keycache.Options{
		Delay:       delay,
		Grace:       config.OutageGrace,
		Timeout:     c.opTimeout,
		Look:        c.look,
		Drop:        m.drop,
		Reset:       c.reset,
		Unreachable: unreachable,
		OnError: func(err error) {
			c.log.Warn("apikeys: could not ask the store what changed; cached keys are accepted only within their delay", "error", err)
		},
	})
	m.keys = keycache.New[known](m.looks, config.CacheSize)
	m.bindings = keycache.New[Binding](m.looks, config.CacheSize)
	c.memory = m
}

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
	hash := c.signer.Sum(text)
	if k := c.remembered(hash, m); k != nil {
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
func (c *core) remembered(hash Hash, m *moment) *known {
	if c.memory == nil {
		return nil
	}
	if e := c.memory.keys.Lookup(keycache.At(m.real), hash); e != nil {
		return &e.Value
	}
	return nil
}

// load finds a key in the store; m is a new reading of the clock then.
func (c *core) load(ctx context.Context, text string, hash Hash, m *moment) (k *known, err error) {
	if c.memory == nil {
		k, err = c.fetch(ctx, text, hash)
	} else {
		k, err = c.find(ctx, text, hash, keycache.At(m.real))
	}
	c.read(m)
	return k, err
}

// find waits for the look, the load or both that it takes to know a key.
func (c *core) find(ctx context.Context, text string, hash Hash, at keycache.Instant) (*known, error) {
	e, err := c.memory.keys.Find(ctx, at, hash, func(ctx context.Context) (*keycache.Entry[known], error) {
		k, err := c.fetch(ctx, text, hash)
		if errors.Is(err, ErrInvalidKey) {
			return nil, nil // there is none: that is not remembered
		}
		if err != nil {
			return nil, err
		}
		return &keycache.Entry[known]{Value: *k, Key: k.ID, Organization: k.OrganizationID}, nil
	})
	switch {
	case err != nil:
		return nil, storeError("read key", err)
	case e == nil:
		return nil, ErrInvalidKey
	}
	return &e.Value, nil
}

// fetch reads a key from the store, and has it keep what the text hashes to under the
// signing secret.
func (c *core) fetch(ctx context.Context, text string, hash Hash) (*known, error) {
	record, err := c.judge(ctx, text, hash)
	if err != nil {
		return nil, err
	}
	if record.Secret.SigningID != c.signer.ID() {
		c.rehash(ctx, record, hash)
	}
	return c.known(*record), nil
}

// judge reads a key from the store and changes nothing.
func (c *core) judge(ctx context.Context, text string, hash Hash) (*KeyRecord, error) {
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

// known gives a record what the request path needs beside it.
func (c *core) known(r KeyRecord) *known {
	k := &known{
		KeyRecord: r,
		counter:   c.usage.Counter(r.ID, r.Secret.Number),
		until:     end(&r),
	}
	pending, _ := c.usage.Pending(r.ID)
	k.uses = r.UseCount + pending - k.counter.Accepted()
	if c.leased != nil && len(r.RateLimits) > 0 {
		k.subject = c.leased.Subject(keySubject(r.ID), leaseLimits(r.RateLimits))
	}
	return k
}

// end is what known.until says.
func end(r *KeyRecord) int64 {
	if !r.RevokedAt.IsZero() || !r.DisabledAt.IsZero() || !r.SuspendedAt.IsZero() {
		return math.MinInt64
	}
	until := int64(math.MaxInt64)
	for _, t := range [...]time.Time{r.Secret.EndsAt, r.ExpiresAt} {
		if !t.IsZero() {
			until = min(until, t.UnixMicro())
		}
	}
	return until
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
	if e := c.memory.bindings.Lookup(at, pair); e != nil {
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
