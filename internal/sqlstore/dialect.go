package sqlstore

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Dialect is what differs between databases in Go: how values are given and
// scanned, and what errors mean. The methods that scan return a destination for
// Rows.Scan that writes to the pointer it is given.
type Dialect interface {
	ID(id uuid.UUID) any      // a column that is never NULL; uuid.Nil is stored as it is
	NullID(id uuid.UUID) any  // uuid.Nil is NULL
	Hash(h [32]byte) any      // hashes and subjects
	Time(t time.Time) any     // to the microsecond
	NullTime(t time.Time) any // the zero time is NULL
	JSON(text json.RawMessage) any
	IDs(ids []uuid.UUID) any    // one argument that stands for a list
	Hashes(list [][32]byte) any // one argument that stands for a list
	Numbers(list []int64) any   // one argument that stands for a list
	ScanID(id *uuid.UUID) any   // NULL is uuid.Nil
	ScanHash(h *[32]byte) any   // NULL is zero
	ScanTime(t *time.Time) any  // UTC; NULL is the zero time
	ScanJSON(text *[]byte) any  // a copy, as it was stored
	Classify(err error) Class   // by the driver's code, never by its text
	Fault(err error) error      // err without anything that came from an argument
}

// Class is what an error of a driver means.
type Class int

// The classes. What is not known is Lost: the most careful reading.
const (
	Lost       Class = iota // no answer: at a commit, the outcome is unknown
	Refused                 // an answer: it was not done
	Retryable               // a deadlock, a serialization failure: the transaction may be tried again
	Busy                    // another process has the database: try again until there is no time left
	Duplicate               // a unique constraint
	ForeignKey              // a foreign key
	NoTable                 // a table is missing, or (see Statements.Migrated) may be missing
)
