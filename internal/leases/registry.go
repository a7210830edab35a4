package leases

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// sweepStep is how many subjects are looked at for each one that is added.
	// Two keep those that are forgotten late below the number in use.
	sweepStep = 2
	// sweepFull is how many are looked at when there is no place left.
	sweepFull = 16
)

// subjectKey is what a subject counts: with another limit it is another one.
type subjectKey struct {
	id     [32]byte
	limits [MaxLimits]Limit
}

// registry lists the subjects, so that all who ask for one get the same. It
// forgets those that are idle, a few whenever one is added. A forgotten one that
// is used again is listed again.
type registry struct {
	max    int64
	count  atomic.Int64
	shards [16]shard
}

type shard struct {
	mu    sync.Mutex // comes after the subjects'
	byKey map[subjectKey]*Subject
	order []*Subject // in no order
	hand  int        // where the next look for idle ones begins
}

func (r *registry) shard(id *[32]byte) *shard {
	h := binary.LittleEndian.Uint64(id[0:]) ^ binary.LittleEndian.Uint64(id[8:]) ^
		binary.LittleEndian.Uint64(id[16:]) ^ binary.LittleEndian.Uint64(id[24:])
	h ^= h >> 32
	h ^= h >> 16
	h ^= h >> 8
	h ^= h >> 4
	return &r.shards[h%uint64(len(r.shards))]
}

// find returns the subject that counts this, if it is listed.
func (r *registry) find(key *subjectKey) *Subject {
	sh := r.shard(&key.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.byKey[*key]
}

// list puts s on the list, or returns the twin that is there in its place. When
// there is no room it does neither. s is locked.
func (r *registry) list(s *Subject, now time.Time) (twin *Subject, ok bool) {
	sh := r.shard(&s.key.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if twin := sh.byKey[s.key]; twin != nil {
		return twin, true
	}
	r.sweep(sh, now, sweepStep)
	if r.count.Load() >= r.max {
		r.sweep(sh, now, sweepFull)
	}
	if r.count.Add(1) > r.max {
		r.count.Add(-1)
		return nil, false
	}
	if sh.byKey == nil {
		sh.byKey = map[subjectKey]*Subject{}
	}
	sh.byKey[s.key] = s
	s.listed, s.slot = true, len(sh.order)
	sh.order = append(sh.order, s)
	return nil, true
}

// sweep forgets the idle ones among the next n. The shard is locked; a subject
// that is busy is not waited for, since its holder may wait for the shard.
func (r *registry) sweep(sh *shard, now time.Time, n int) {
	for range min(n, len(sh.order)) {
		if sh.hand >= len(sh.order) {
			sh.hand = 0
		}
		s := sh.order[sh.hand]
		if !s.mu.TryLock() {
			sh.hand++
			continue
		}
		if s.forget(now) {
			sh.remove(s)
			r.count.Add(-1)
		} else {
			sh.hand++
		}
		s.mu.Unlock()
	}
}

func (sh *shard) remove(s *Subject) {
	delete(sh.byKey, s.key)
	last := len(sh.order) - 1
	sh.order[s.slot] = sh.order[last]
	sh.order[s.slot].slot = s.slot
	sh.order[last] = nil
	sh.order = sh.order[:last]
}

// all is a copy of the list.
func (r *registry) all() []*Subject {
	var all []*Subject
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		all = append(all, sh.order...)
		sh.mu.Unlock()
	}
	return all
}

// forget drops the leases of a subject whose windows are over. It is locked.
func (s *Subject) forget(now time.Time) bool {
	if s.flight != nil {
		return false
	}
	for i := range s.n {
		if l := s.leases[i].Load(); l != nil && !l.over(now) {
			return false
		}
	}
	for i := range s.n {
		s.leases[i].Store(nil)
	}
	s.listed = false
	return true
}
