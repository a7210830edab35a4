// Package usage counts the uses of keys in memory and hands them to a store in
// batches, each to be applied exactly once.
//
// A [Counter] counts the uses of one secret of one key. Counting touches one
// word of memory with one compare-and-swap. The first use after a flush also
// puts the counter on the list of its shard, so that a flush looks at the
// counters in use and never at all of them; between flushes nothing refers to a
// counter but its holder, and an idle one is the garbage collector's.
//
// A flush takes what the counters hold and sends it as batches of growing Seq,
// one outstanding at a time. A batch whose outcome is unknown is frozen: nothing
// else is sent until it has been sent again, unchanged, with success. The store
// applies a batch if its Seq is greater than the last it applied, so that a
// repetition changes nothing, and a straggler neither.
//
// What [Counter.Accept] counted is never sent twice and never lost, except with
// the process, or beyond [Options.MaxPending], which [Stats] tells.
package usage

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
)

// Outcomes that are always there.
const (
	Accepted = "accepted" // what [Counter.Accept] counts
	Other    = "other"    // what [Counter.Refuse] counts when it does not know the outcome
)

// ErrUnknown says that a count may be in the store or come to be there.
var ErrUnknown = errors.New("usage: outcome unknown")

// ErrClosed says that the recorder was closed; nothing was counted.
var ErrClosed = errors.New("usage: recorder closed")

// Batch is what is to be applied once, if Seq is greater than that of the last
// batch applied. No two of its deltas have the same key, secret, hour and
// outcome; they are sorted by these, in this order.
type Batch struct {
	Seq int64
	// Relaxed says that nobody waits for the batch: the database may lose it in a
	// crash, if that is cheaper.
	Relaxed bool
	// Deltas are not to be changed, nor kept after Send has returned.
	Deltas []Delta
}

// Delta counts uses of one secret of one key within one hour.
type Delta struct {
	Key     [16]byte
	Secret  int
	Hour    time.Time // its beginning, UTC
	Outcome string
	Count   int64     // at least 1
	LastAt  time.Time // of the last use within the hour, UTC, cut to microseconds
}

// entry is a Delta while it is ours. Times are in microseconds since the Unix
// epoch, hours in hours.
type entry struct {
	key     [16]byte
	outcome string
	secret  int
	hour    int64
	count   int64 // 0: withdrawn
	last    int64
}

func (e *entry) delta() Delta {
	return Delta{
		Key:     e.key,
		Secret:  e.secret,
		Hour:    time.UnixMicro(e.hour * hourMicros).UTC(),
		Outcome: e.outcome,
		Count:   e.count,
		LastAt:  time.UnixMicro(e.last).UTC(),
	}
}

func compareEntries(a, b entry) int {
	return cmp.Or(
		bytes.Compare(a.key[:], b.key[:]),
		cmp.Compare(a.secret, b.secret),
		cmp.Compare(a.hour, b.hour),
		strings.Compare(a.outcome, b.outcome),
	)
}

// merge sorts the entries, in place, and makes one of those that count the same.
func merge(entries []entry) []entry {
	slices.SortFunc(entries, compareEntries)
	out := entries[:0]
	for _, e := range entries {
		n := len(out)
		switch {
		case e.count == 0:
		case n > 0 && compareEntries(out[n-1], e) == 0:
			out[n-1].count += e.count
			out[n-1].last = max(out[n-1].last, e.last)
		default:
			out = append(out, e)
		}
	}
	return out
}

// keyRange returns where in sorted entries those of a key begin and end.
func keyRange(entries []entry, key [16]byte) (lo, hi int) {
	lo, _ = slices.BinarySearchFunc(entries, key, func(e entry, k [16]byte) int {
		return bytes.Compare(e.key[:], k[:])
	})
	hi = lo
	for hi < len(entries) && entries[hi].key == key {
		hi++
	}
	return lo, hi
}
