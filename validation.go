package apikeys

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/leases"
)

// Validation is what [Client.Validate] found out about an accepted key. It is
// a small value that owns nothing others can change; its methods are safe for
// concurrent use. The zero Validation is nobody's.
// Name, scopes and custom data are in what Key returns.
type Validation struct {
	key *known // shared with others: never written to, never handed out
	// used is when this use was counted; zero: it was not.
	used time.Time
	// limits is where the key stands within its limits, in their order, when they were
	// charged.
	limits leases.Decision
}

// limited tells that the lease at hand had no room: the refusal that comes in floods.
func (v *Validation) limited() bool { return v.limits.Held && !v.limits.Allowed }

// KeyID returns the key's id.
func (v Validation) KeyID() uuid.UUID { return v.at().ID }

// OrganizationID returns the organization that owns the key.
func (v Validation) OrganizationID() uuid.UUID { return v.at().OrganizationID }

// ProjectID returns the project the key is bound to; uuid.Nil: none.
func (v Validation) ProjectID() uuid.UUID { return v.at().ProjectID }

// ProductID returns the product the key is bound to; uuid.Nil: none.
func (v Validation) ProductID() uuid.UUID { return v.at().ProductID }

// OwnerID returns your name for whose key it is; may be empty.
func (v Validation) OwnerID() string { return v.at().OwnerID }

// Environment returns the environment the key was issued in; may be empty.
func (v Validation) Environment() string { return v.at().Environment }

// HasScope tells whether the key grants the scope, itself or by a wildcard.
func (v Validation) HasScope(scope string) bool { return covers(v.at().Scopes, scope) }

// Key returns a copy of everything known of the key, UseCount and LastUsedAt as
// of this use. It decodes the key's Custom data; the other methods cost nothing.
func (v Validation) Key() Key {
	key, _ := keyOf(*v.at()) // fetch has seen that it can be decoded
	if !v.used.IsZero() {
		key.UseCount += v.key.counter.Accepted()
		key.LastUsedAt = v.used.UTC().Truncate(time.Microsecond)
	}
	return key
}

// Limits returns where the key stands within each of its rate limits after this
// use, the most restrictive first: what has the least left. Empty when the key
// has none, or SkipRateLimit was set.
func (v Validation) Limits() []LimitState {
	if !v.limits.Allowed {
		return []LimitState{}
	}
	limits := make([]LimitState, len(v.key.RateLimits))
	for i := range limits {
		limits[i] = publicState(v.key.RateLimits[i], v.limits.States[i])
	}
	sortLimits(limits)
	return limits
}

func sortLimits(limits []LimitState) {
	slices.SortStableFunc(limits, func(a, b LimitState) int {
		return cmp.Or(cmp.Compare(a.Remaining, b.Remaining), b.ResetAt.Compare(a.ResetAt))
	})
}

func (v Validation) at() *KeyRecord {
	if v.key == nil {
		return &KeyRecord{}
	}
	return v.key.KeyRecord
}
