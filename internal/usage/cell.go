package usage

import (
	"sync/atomic"
	"time"
)

// hourMicros is an hour in microseconds.
const hourMicros = int64(time.Hour / time.Microsecond)

// A word packs what was counted within one hour, so that a single
// compare-and-swap counts a use, in its hour, with its time:
//
//	20 bits: the hour, since the Unix epoch
//	12 bits: the count, never 0
//	32 bits: microseconds from the beginning of the hour to the last use
//
// The zero word is empty. What does not fit (a full count, another hour, hours
// before 1970 or after 2089) goes to slots, under a lock.
const (
	countShift = 32
	hourShift  = countShift + 12

	maxOffset = 1<<countShift - 1
	maxCount  = 1<<(hourShift-countShift) - 1
	maxHour   = 1<<(64-hourShift) - 1
)

// cell counts the uses of one secret with one outcome.
type cell struct {
	// word is empty or not under the shard's lock only: whoever fills it has put
	// the counter on the list before anybody can look.
	word atomic.Uint64
	// slots are guarded by the shard's lock. They hold the counts of other hours
	// than the word's, and those for which the word was too small: seldom any, so that
	// they take one word here.
	slots *kept
}

// slot is what was counted within one hour; last is in microseconds since the
// Unix epoch.
type slot struct {
	hour, count, last int64
}

// kept is a slot on a cell's list.
type kept struct {
	slot
	next *kept
}

// add counts a use at a time in microseconds, if the word is already of its hour
// and not full.
func (l *cell) add(at int64) bool {
	for {
		w := l.word.Load()
		count := w >> countShift & maxCount
		offset := uint64(at) - w>>hourShift*uint64(hourMicros) // of an earlier time: huge
		if count == 0 || count == maxCount || offset >= uint64(hourMicros) {
			return false
		}
		next := w + 1<<countShift
		if last := w & maxOffset; offset > last {
			next += offset - last
		}
		if l.word.CompareAndSwap(w, next) {
			return true
		}
	}
}

// roll counts a use for which the word was empty, full, or of another hour. The
// word takes the hour of this use, even an earlier one (a clock may go back),
// and what it held becomes a slot. The shard is locked.
func (l *cell) roll(at int64) {
	hour := hourOf(at)
	if hour < 0 || hour > maxHour {
		l.stash(slot{hour: hour, count: 1, last: at})
		return
	}
	w := uint64(hour)<<hourShift | 1<<countShift | uint64(at-hour*hourMicros)
	if old := l.word.Swap(w); old != 0 {
		l.stash(unpack(old))
	}
}

// stash adds to the slot of an hour. The shard is locked.
func (l *cell) stash(s slot) {
	for have := l.slots; have != nil; have = have.next {
		if have.hour == s.hour {
			have.count += s.count
			have.last = max(have.last, s.last)
			return
		}
	}
	l.slots = &kept{slot: s, next: l.slots}
}

// holds tells whether there is already a place for that hour. The shard is locked.
func (l *cell) holds(hour int64) bool {
	if w := l.word.Load(); w != 0 && unpack(w).hour == hour {
		return true
	}
	for s := l.slots; s != nil; s = s.next {
		if s.hour == hour {
			return true
		}
	}
	return false
}

// size is the number of slots, the word being one. The shard is locked.
func (l *cell) size() (n int64) {
	l.each(func(slot) { n++ })
	return n
}

// each calls f with what is held. The shard is locked; uses that the word is
// counting meanwhile are in it or not.
func (l *cell) each(f func(slot)) {
	if w := l.word.Load(); w != 0 {
		f(unpack(w))
	}
	for s := l.slots; s != nil; s = s.next {
		f(s.slot)
	}
}

// empty takes out what is held. The shard is locked.
func (l *cell) empty(f func(slot)) {
	if w := l.word.Swap(0); w != 0 {
		f(unpack(w))
	}
	for s := l.slots; s != nil; s = s.next {
		f(s.slot)
	}
	l.slots = nil
}

func unpack(w uint64) slot {
	hour := int64(w >> hourShift)
	return slot{
		hour:  hour,
		count: int64(w >> countShift & maxCount),
		last:  hour*hourMicros + int64(w&maxOffset),
	}
}

// hourOf rounds down, also before 1970.
func hourOf(at int64) int64 {
	hour := at / hourMicros
	if at%hourMicros < 0 {
		hour--
	}
	return hour
}
