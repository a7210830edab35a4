package keycache

import "encoding/binary"

// insert puts an entry in its set, in place of one with the same hash if there is
// one. The stripe is locked.
func (t *table[V]) insert(s *stripe[V], now Instant, e *Entry[V]) {
	i, tag := t.place(&e.hash)
	set := &t.sets[i]
	e.used.Store(0)
	slot := set.find(&e.hash)
	if slot >= 0 {
		e.used.Store(set.slots[slot].Load().used.Load())
		s.remove(set, slot)
	} else {
		if s.count >= s.limit {
			s.evict(now)
		}
		slot = set.vacancy(s, now)
	}
	set.slots[slot].Store(e)
	set.tag(slot, tag)
	s.count++
	s.link(e)
}

// evict removes one entry that is dead or that was not used for a while: a clock
// whose hand goes round the stripe.
func (s *stripe[V]) evict(now Instant) {
	slots := len(s.sets) * ways
	for step := 0; ; step++ {
		set, slot := &s.sets[s.hand/ways], s.hand%ways
		s.hand = (s.hand + 1) % slots
		e := set.slots[slot].Load()
		if e == nil {
			continue
		}
		// Readers may lift entries as fast as the hand lowers them, so that it gives up
		// looking for a better one at last.
		n := e.used.Load()
		if n == 0 || e.dead(now) || step > (favourite+1)*slots {
			s.remove(set, slot)
			s.evicted++
			return
		}
		e.used.Store(n - 1)
	}
}

// vacancy returns a free slot of a set, after evicting the least used if there
// was none.
func (set *set[V]) vacancy(s *stripe[V], now Instant) int {
	worst, least := 0, uint32(favourite+1)
	for i := range set.slots {
		e := set.slots[i].Load()
		if e == nil {
			return i
		}
		n := e.used.Load()
		if e.dead(now) {
			n = 0
		}
		if n < least {
			worst, least = i, n
		}
	}
	s.remove(set, worst)
	s.evicted++
	return worst
}

func (set *set[V]) find(hash *[32]byte) int {
	for i := range set.slots {
		if e := set.slots[i].Load(); e != nil && e.hash == *hash {
			return i
		}
	}
	return -1
}

func (set *set[V]) tag(slot int, tag uint8) {
	shift := uint(slot) * 8
	set.tags.Store(set.tags.Load()&^(0xff<<shift) | uint64(tag)<<shift)
}

// remove takes out the entry in a slot. The stripe is locked.
func (s *stripe[V]) remove(set *set[V], slot int) {
	e := set.slots[slot].Load()
	set.slots[slot].Store(nil)
	set.tag(slot, 0)
	s.count--
	s.unlink(e)
}

// drop removes what a change concerns.
func (t *table[V]) drop(s *stripe[V], c Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Kind == KindKey {
		t.dropKey(s, c.ID)
		return
	}
	for i, left := 0, s.count; left > 0; i++ { // most clients remember much less than there is room for
		set := &s.sets[i]
		for slot := range set.slots {
			e := set.slots[slot].Load()
			if e == nil {
				continue
			}
			left--
			if c.concerns(e.Key, e.Organization) {
				s.remove(set, slot)
			}
		}
	}
}

func (t *table[V]) dropKey(s *stripe[V], id [16]byte) {
	if s.index == nil {
		return
	}
	for e := *s.listOf(&id); e != nil; {
		next := e.next
		if e.Key == id {
			i, _ := t.place(&e.hash)
			set := &t.sets[i]
			s.remove(set, set.find(&e.hash))
		}
		e = next
	}
}

// listOf returns the list in the index that a key belongs to. The index does not
// grow: as many lists as the stripe has room for entries, a key's id being as good as
// random. A map would take three times as much, and more after a while of changes.
func (s *stripe[V]) listOf(key *[16]byte) **Entry[V] {
	h := fold(binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:]))
	return &s.index[(h>>32)&uint64(len(s.index)-1)]
}

// link adds an entry to the index. A key has one entry in a stripe, seldom more:
// one for each of its secrets in use.
func (s *stripe[V]) link(e *Entry[V]) {
	if e.Key == [16]byte{} {
		return
	}
	if s.index == nil {
		s.index = make([]*Entry[V], powerOfTwo(s.limit))
	}
	head := s.listOf(&e.Key)
	e.next, *head = *head, e
}

func (s *stripe[V]) unlink(e *Entry[V]) {
	if e.Key == [16]byte{} {
		return
	}
	at := s.listOf(&e.Key)
	for *at != e {
		at = &(*at).next
	}
	*at, e.next = e.next, nil
}
