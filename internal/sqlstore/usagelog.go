package sqlstore

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// A row of the log of uses holds those of one call of Admit, all accepted and all of one
// time, in bytes that every database can be given, and that Postgres can complete by
// itself: for each use the key and the number of its secret, and then for each, in the
// same order, how many were granted. Numbers are of four bytes, the most significant first.
const (
	loggedUse   = 16 + 4
	loggedCount = 4
)

// AppendUse adds a use to the first part of a row.
func AppendUse(uses []byte, key uuid.UUID, secret int) []byte {
	return binary.BigEndian.AppendUint32(append(uses, key[:]...), uint32(secret))
}

// loggedUses are uses of one secret of one key.
type loggedUses struct {
	key    uuid.UUID
	secret int
	count  int64
}

// logged is a row of the log as it is stored.
func logged(uses []loggedUses) []byte {
	text := make([]byte, 0, len(uses)*(loggedUse+loggedCount))
	for _, u := range uses {
		text = AppendUse(text, u.key, u.secret)
	}
	for _, u := range uses {
		text = binary.BigEndian.AppendUint32(text, uint32(u.count))
	}
	return text
}

// use is what uses have in common that are added up.
type use struct {
	key    uuid.UUID
	secret int
	hour   int64 // Unix
}

// sum is uses that were added up.
type sum struct {
	count int64
	last  time.Time
}

// addUp adds what a row holds to sums.
func addUp(sums map[use]sum, at time.Time, row []byte) error {
	n := len(row) / (loggedUse + loggedCount)
	if len(row) != n*(loggedUse+loggedCount) {
		return problem("sqlstore: a row of the log of uses is not one of ours")
	}
	uses, counts := row[:n*loggedUse], row[n*loggedUse:]
	hour := at.Truncate(time.Hour).Unix()
	for ; len(uses) > 0; uses, counts = uses[loggedUse:], counts[loggedCount:] {
		count := int64(binary.BigEndian.Uint32(counts))
		if count == 0 {
			continue // all were refused
		}
		u := use{uuid.UUID(uses[:16]), int(binary.BigEndian.Uint32(uses[16:])), hour}
		s := sums[u]
		s.count += count
		if at.After(s.last) {
			s.last = at
		}
		sums[u] = s
	}
	return nil
}

// deltas are sums as AddUsage takes them, in the order of keys.
func deltas(sums map[use]sum) []apikeys.UsageDelta {
	list := make([]apikeys.UsageDelta, 0, len(sums))
	for u, s := range sums {
		list = append(list, apikeys.UsageDelta{
			KeyID: u.key, Secret: u.secret, Hour: time.Unix(u.hour, 0).UTC(), Outcome: apikeys.OutcomeAccepted, Count: s.count, LastAt: s.last,
		})
	}
	slices.SortFunc(list, func(a, b apikeys.UsageDelta) int {
		return cmp.Or(compareIDs(a.KeyID, b.KeyID), a.Hour.Compare(b.Hour), cmp.Compare(a.Secret, b.Secret))
	})
	return list
}
