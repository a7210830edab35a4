package apikeys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/coalesce"
	"github.com/apikeys-platform/apikeys/internal/foreign"
	"github.com/apikeys-platform/apikeys/internal/keyhash"
	"github.com/apikeys-platform/apikeys/internal/leases"
	"github.com/apikeys-platform/apikeys/internal/token"
	"github.com/apikeys-platform/apikeys/internal/usage"
)

// Config says how a [Client] works. Only SigningSecret is required; every
// other zero value is a safe default.
type Config struct {
	// SigningSecret is what keys are hashed under: at least 32 bytes that nobody
	// can guess ("openssl rand -hex 32"), the same in every process, kept apart
	// from the database. Placeholders and values of little variety are refused.
	SigningSecret Secret
	// AcceptedSecrets verify keys, and never issue any: yesterday's signing
	// secret, while its keys are in use, and tomorrow's.
	AcceptedSecrets []Secret

	// KeyPrefix begins every key: "sk" if empty. Lower-case letters, digits and
	// single underscores, at most 32 bytes. Prefixes that secret scanners report
	// to somebody else ("ghp", "sk_live") are refused.
	KeyPrefix string
	// Environment follows the prefix if set: "live", "test". Keys of another
	// environment are invalid here.
	Environment string
	// AcceptedHeads are further heads (prefix, or prefix_environment) that keys
	// may begin with: those issued before a rename.
	AcceptedHeads []string

	// Imported names the schemes of other systems whose keys were imported with
	// [Client.ImportKeys] and are accepted beside this client's own, which pay
	// nothing for it.
	Imported []ImportedKeys

	// RevocationDelay bounds how long another process may go on accepting a key
	// after it was revoked or changed; the process that changed it obeys at once. 0
	// means 1 second. Keys that were validated are remembered, and the store is
	// asked what changed once in half this time, for all of them together. Negative
	// means that the store is asked for every request, after it has arrived, and that no
	// request is accepted that arrives after a change was acknowledged anywhere: what is
	// asked is only whether anything has changed, once for all requests that wait.
	RevocationDelay time.Duration
	// DisableListen leaves out what makes revocations of other processes known within
	// milliseconds on Postgres (LISTEN and NOTIFY), for which each client keeps one
	// connection of its own beside the store's pool. RevocationDelay holds with and
	// without.
	DisableListen bool
	// CacheSize is how many keys are remembered, about 1.2 KB each with a little custom
	// data. 0 means 100,000. Negative means none: the key is read from the store for every
	// request, whatever RevocationDelay is, and even a row that was changed by hand is
	// obeyed at once.
	CacheSize int
	// OutageGrace is how much longer remembered keys are accepted while the store
	// cannot be reached, counted from the last time that it could; rate limits are
	// counted in each process alone meanwhile. It adds to RevocationDelay. 0 means
	// not at all.
	OutageGrace time.Duration
	// UsageFlushInterval is how often uses are written to the store. 0 means 1
	// second; negative means before Validate returns, at the price of a write to
	// the database for each request. A process that is killed loses at most one
	// interval of counts; Close loses none.
	UsageFlushInterval time.Duration
	// RateLimiter counts requests against limits. nil means: in memory, by leases of
	// parts of a window that this process takes from the store; all processes
	// together never admit more than the limit. [NewExactLimiter] asks the store each
	// time, [NewMemoryLimiter] never.
	RateLimiter RateLimiter

	// OpTimeout bounds one call of the store. 0 means 2 seconds.
	OpTimeout time.Duration
	// MaxKeyLifetime refuses keys that would live longer, or for ever. 0: no maximum.
	MaxKeyLifetime time.Duration
	// EventRetention is how long audit events are kept: 400 days if 0, at least a day;
	// negative: for ever. UsageRetention is how long the usage history by hour is kept,
	// and with it when a secret was last used: 90 days if 0, at least a day; negative:
	// for ever. Use counts are never forgotten.
	EventRetention time.Duration
	UsageRetention time.Duration
	// SweepInterval is about how often this process removes what is too old, in the
	// background and in small chunks. 0 means every hour; negative means never: then
	// call [Client.Sweep] now and then.
	SweepInterval time.Duration
	// OnEvent is told of every change that this client made (see [Event]), once it
	// is committed, and of replaced texts that are still tried ([ActionRetiredSecret],
	// at most once an hour for each). It is called by one goroutine, one event after the
	// other; a slow one holds up nobody, a panic is caught and logged. Up to 1,024
	// events wait for it; what finds no room is dropped, which [Stats] tells:
	// [Client.ListEvents] has all. It must not call Close.
	OnEvent func(Event)
	// Logger receives what happens in the background; nil means silence. It never
	// sees a key, a hash or a secret.
	Logger *slog.Logger
	// Now tells the time that is stored and that expiry and rate limit windows are
	// judged by. nil means time.Now, and the database's clock for windows. Tests
	// inject it.
	Now func() time.Time
}

// The defaults behind the zero values of Config.
const (
	defaultKeyPrefix     = "sk"
	defaultOpTimeout     = 2 * time.Second
	defaultUsageInterval = time.Second

	defaultRevocationDelay = time.Second
)

// Client issues, validates and manages keys. It is safe for concurrent use.
// Make one for a process with [New] and Close it at the end.
type Client struct {
	*core
	// scope bounds what this view sees, when view is set.
	view  bool
	scope Scope
	// grants bound what this view hands out.
	grants []Grant
}

// core is what all views of one client share.
type core struct {
	store Store
	clock func() time.Time
	// ownClock says that Config.Now was set: windows follow it, not the store's clock.
	ownClock  bool
	opTimeout time.Duration
	maxLife   time.Duration
	log       *slog.Logger

	environment string
	heads       []string // the first is for new keys
	imported    []*foreign.Scheme
	signer      *keyhash.Hasher
	accepted    []*keyhash.Hasher
	retired     atomic.Bool // the signing secret was, by another process
	foreign     atomic.Bool // none of the secrets is the database's any more
	shared      atomic.Pointer[shared]
	memory      *memory // nil: nothing is remembered, keys are read every time
	scopeLists  scopeLists
	listening   *listener
	reads       *coalesce.Group[lookup, []KeyRecord]

	limiter RateLimiter     // of the caller's; nil: leased
	leased  *leases.Limiter // ours; nil: limiter

	writer      uuid.UUID
	usage       *usage.Recorder
	strictUsage bool
	admissions  *coalesce.Group[*applicant, admitted] // nil: limits and uses each by themselves
	folder      *folder                               // nil: nothing is noted

	hook    *hook // nil: nobody wants to know
	kept    retention
	sweeper *sweeper // nil: never
	swept   atomic.Int64
	calls   calls
	refused refusals
	tallies [keyhash.Lanes]tally
	closed  atomic.Bool
}

// New returns a client on the store. It reads the settings that all clients of
// a database share, and makes them on the first start: a database that was not
// migrated and a signing secret that the keys in it were not issued under fail
// here, with an error that says so.
//
// The client does not close the store. An [InvalidArgumentError] names the
// field of Config that is wrong.
func New(ctx context.Context, store Store, config Config) (*Client, error) {
	c, err := newCore(store, config)
	if err != nil {
		return nil, err
	}
	settings, err := c.settleFirst(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.useShieldKeys(settings.ShieldKeys); err != nil {
		return nil, err
	}
	c.startHook(config.OnEvent)
	c.startReads()
	c.startUsage(config.UsageFlushInterval)
	c.startMemory(config)
	c.startLeases()
	c.startAdmitting()
	c.startFolding()
	if err := c.firstLook(ctx); err != nil {
		return nil, errors.Join(err, (&Client{core: c}).Close(ctx))
	}
	c.startListening(config.DisableListen)
	c.startSweeping(config.SweepInterval)
	return &Client{core: c}, nil
}

func newCore(store Store, config Config) (*core, error) {
	if store == nil {
		return nil, invalid("store", "is nil: open one with store.Open or one of the packages under store")
	}
	heads, err := config.heads()
	if err != nil {
		return nil, err
	}
	signer, accepted, err := config.hashers()
	if err != nil {
		return nil, err
	}
	imported, err := config.importedSchemes(heads)
	if err != nil {
		return nil, err
	}
	c := &core{
		store:       store,
		limiter:     config.RateLimiter,
		clock:       time.Now,
		ownClock:    config.Now != nil,
		opTimeout:   config.OpTimeout,
		maxLife:     config.MaxKeyLifetime,
		log:         config.Logger,
		environment: config.Environment,
		heads:       heads,
		imported:    imported,
		signer:      signer,
		accepted:    accepted,
		writer:      uuid.New(),
	}
	if c.kept, err = config.retention(); err != nil {
		return nil, err
	}
	if c.ownClock {
		c.clock = config.Now
	}
	if c.opTimeout <= 0 {
		c.opTimeout = defaultOpTimeout
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.maxLife < 0 {
		return nil, invalid("MaxKeyLifetime", "is negative; 0 means no maximum")
	}
	return c, nil
}

// heads returns the heads that keys may have, the client's own first.
func (config Config) heads() ([]string, error) {
	prefix := config.KeyPrefix
	if prefix == "" {
		prefix = defaultKeyPrefix
	}
	own, err := token.Head(prefix, config.Environment)
	if err != nil {
		return nil, headError(err)
	}
	heads := []string{own}
	for _, head := range config.AcceptedHeads {
		if err := token.CheckHead(head); err != nil {
			return nil, headError(err)
		}
		heads = append(heads, head)
	}
	return heads, nil
}

func headError(err error) error {
	var fault *token.HeadError
	if errors.As(err, &fault) {
		return invalid(fault.Field, "%s", fault.Reason)
	}
	return err
}

// hashers returns those of the signing secret and of the accepted ones.
func (config Config) hashers() (signer *keyhash.Hasher, accepted []*keyhash.Hasher, err error) {
	signer, err = newHasher("SigningSecret", config.SigningSecret)
	if err != nil {
		return nil, nil, err
	}
	seen := map[string]bool{signer.ID(): true}
	for i, secret := range config.AcceptedSecrets {
		h, err := newHasher(fmt.Sprintf("AcceptedSecrets[%d]", i), secret)
		if err != nil {
			return nil, nil, err
		}
		if !seen[h.ID()] {
			seen[h.ID()] = true
			accepted = append(accepted, h)
		}
	}
	return signer, accepted, nil
}

func newHasher(field string, secret Secret) (*keyhash.Hasher, error) {
	if secret.IsZero() {
		return nil, invalid(field, "is missing: "+howToMakeOne)
	}
	h, err := keyhash.New(secret.bytes())
	var fault *keyhash.SecretError
	if errors.As(err, &fault) {
		return nil, invalid(field, "%s", fault.Reason)
	}
	return h, err
}

// Close writes the uses that are still in memory and gives back what is left of
// leases, bounded by OpTimeout and by ctx, and ends what runs in the background. Later calls of the client return
// [ErrClosed]; closing again does nothing. It does not close the store. Closing
// a view does nothing: close the client that it was made from.
func (c *Client) Close(ctx context.Context) error {
	if c.view || len(c.grants) > 0 || c.closed.Swap(true) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.opTimeout)
	defer cancel()
	c.listening.close()
	c.sweeper.close(ctx)
	if c.memory != nil {
		c.memory.looks.Close()
	}
	var given error
	if c.leased != nil {
		given = c.leased.Close(ctx)
	}
	flushed := c.usage.Close(ctx)
	folded := c.closeFolding(ctx)
	c.hook.close(ctx) // last: it may take all the time there is
	return errors.Join(storeError("flush usage", flushed), storeError("return leases", given), folded)
}

// Scoped returns a view of the client that sees one organization, or one
// owner's keys in it. What lies outside is not found, as if it did not exist,
// and keys from outside are invalid. Anything that takes ids from outside should
// work through such a view: the store puts its bounds into every statement.
//
// A view without an organization sees nothing: each of its calls returns an
// [InvalidArgumentError]. A view of a view can only be narrower. The view of one
// owner reads the projects and products of its organization and changes none.
func (c *Client) Scoped(scope Scope) *Client {
	if c.view && scope.OrganizationID != c.scope.OrganizationID {
		scope = Scope{}
	}
	if c.view && c.scope.OwnerID != "" && scope.OwnerID != c.scope.OwnerID {
		scope = Scope{}
	}
	return &Client{core: c.core, view: true, scope: scope, grants: c.grants}
}

type actorKey struct{}

// ContextWithActor names who acts: a user's id, a service. It is written to the
// audit event of every change made with this context.
func ContextWithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

func actorFrom(ctx context.Context) string {
	actor, _ := ctx.Value(actorKey{}).(string)
	return actor
}

// ready refuses calls on a closed client and on a view that sees nothing.
func (c *Client) ready() error {
	if c.closed.Load() {
		return ErrClosed
	}
	if c.view && c.scope.OrganizationID == uuid.Nil {
		return invalid("Scope", "names no organization, so this view sees nothing; give Scoped the organization's id")
	}
	return nil
}

// now is the one clock: UTC, cut to microseconds.
func (c *core) now() time.Time { return c.clock().UTC().Truncate(time.Microsecond) }

// call bounds one call of the store.
func (c *core) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.opTimeout)
}
