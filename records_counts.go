package apikeys

import (
	"time"

	"github.com/google/uuid"
)

// The records of what a Store counts: windows of rate limits, and uses. Times are as in
// records.go.

// LeaseRequest asks for parts of a subject's windows.
type LeaseRequest struct {
	Subject Subject
	// At is the time whose windows are meant; zero: now, by the store's own clock.
	At time.Time
	// Parts are at most one for each window length, the shortest first.
	Parts []LeasePart
	// AllOrNothing grants every part what it wants, or no part anything.
	// Otherwise each part is granted as much of what it wants as there is.
	AllOrNothing bool
}

// LeasePart asks for Want of the current window of Limit; 0 only looks.
type LeasePart struct {
	Limit RateLimit
	Want  int64
}

// LeaseGrant answers a LeaseRequest, part by part.
type LeaseGrant struct {
	Now   time.Time // the time that chose the windows
	Parts []GrantedPart
}

// GrantedPart is what was granted of a window.
type GrantedPart struct {
	Start   time.Time // of the window
	Granted int64
	Used    int64 // of the window, by all, this grant included
}

// Admission is a lease and the use of a key that it is for.
type Admission struct {
	Lease  LeaseRequest
	KeyID  uuid.UUID
	Secret int // SecretRecord.Number
}

// Granted tells whether every part was granted what it wants: only then is the use
// counted.
func (a *Admission) Granted(g LeaseGrant) bool {
	for i := range g.Parts {
		if g.Parts[i].Granted < a.Lease.Parts[i].Want {
			return false
		}
	}
	return true
}

// LeaseReturn gives back what was left of a lease.
type LeaseReturn struct {
	Subject Subject
	Window  RateLimitWindow
	Start   time.Time
	Unused  int64
}

// UsageBatch is what one client counted, to be applied once.
type UsageBatch struct {
	Writer uuid.UUID // the client
	Seq    int64     // greater than that of any batch the writer sent before
	At     time.Time
	// Relaxed allows the database to lose the batch in a crash, if that is cheaper.
	Relaxed bool
	Deltas  []UsageDelta
}

// OutcomeAccepted is the Outcome of accepted validations; a refused one's is
// the error's code.
const OutcomeAccepted = "accepted"

// UsageDelta counts uses of one secret of one key within one hour.
type UsageDelta struct {
	KeyID   uuid.UUID
	Secret  int       // SecretRecord.Number
	Hour    time.Time // its beginning
	Outcome string
	Count   int64
	LastAt  time.Time // of the last use
}

// UsageQuery selects the usage of a key in the hours from From until before To.
type UsageQuery struct {
	Ref      KeyRef
	From, To time.Time
}
