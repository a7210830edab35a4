package apikeys

import (
	"hash/maphash"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/leases"
	"github.com/apikeys-platform/apikeys/internal/usage"
)

// known is a key as the request path knows it: what the store said when it was
// read, and where its uses and limits are counted. It is shared by many requests
// and never changed, the counts aside.
//
// With many keys in use, the time goes into fetching cache lines. What an ordinary
// request looks at comes first and fills one, the next after what the cache looks at;
// the record is elsewhere and is looked at when there is more to ask.
type known struct {
	// until is the end of the time in which nothing but the scopes decides what the key
	// may be used for, in microseconds since the Unix epoch: when the secret or the key
	// ends, whichever comes first. Of a key that was stopped, or is bound to a project or
	// a product, it is the beginning of time.
	until   int64
	counter *usage.Counter // own, or one that others have, too
	scopes  []string       // the record's
	limits  leases.Handle  // counts them, if there are some and the limiter is ours
	full    atomic.Pointer[fullWindow]
	// own begins with what each use writes, which is on a line of its own: processors
	// that use the same key pass that line round, and the one before each has.
	own usage.Counter
	// KeyRecord is as it was read, but for UseCount: that, added to what counter has
	// accepted, is the key's use count.
	*KeyRecord
}

// plain tells whether nothing but its scopes decides what the key may be used for.
func (k *known) plain(now time.Time) bool { return now.UnixMicro() < k.until }

// limited tells whether something is counted against limits of the key.
func (k *known) limited(c *core) bool {
	return k.limits.Some() || c.leased == nil && len(k.RateLimits) > 0
}

// know fills in k from what the store said. A key that is remembered has a counter of
// its own beside it. Of those that are not, there may be many at once: they share.
func (c *core) know(k *known, r KeyRecord) {
	if c.memory != nil {
		c.usage.Init(&k.own, r.ID, r.Secret.Number)
		k.counter = &k.own
	} else {
		k.counter = c.usage.Counter(r.ID, r.Secret.Number)
	}
	pending, _ := c.usage.Pending(r.ID)
	r.UseCount += pending - k.counter.Accepted()
	r.Scopes = c.scopeLists.share(r.Scopes)
	k.KeyRecord, k.scopes, k.until = &r, r.Scopes, plainUntil(&r)
	if c.leased != nil && len(r.RateLimits) > 0 {
		k.limits.Init(c.leased.Subject(keySubject(r.ID), leaseLimits(r.RateLimits)))
	}
}

// plainUntil is what known.until says.
func plainUntil(r *KeyRecord) int64 {
	stopped := !r.RevokedAt.IsZero() || !r.DisabledAt.IsZero() || !r.SuspendedAt.IsZero()
	if stopped || r.ProjectID != uuid.Nil || r.ProductID != uuid.Nil {
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

// scopeLists lets keys with the same scopes share one list of them: most programs have
// few. It remembers some of the last lists.
type scopeLists struct {
	lists [64]atomic.Pointer[[]string]
}

var scopeSeed = maphash.MakeSeed()

// share returns a list that is equal to this one. Nobody may change either.
func (s *scopeLists) share(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	var h maphash.Hash
	h.SetSeed(scopeSeed)
	for _, scope := range list {
		_, _ = h.WriteString(scope)
		_ = h.WriteByte(' ')
	}
	at := &s.lists[h.Sum64()%uint64(len(s.lists))]
	if have := at.Load(); have != nil && slices.Equal(*have, list) {
		return *have
	}
	list = slices.Clip(list)
	at.Store(&list)
	return list
}
