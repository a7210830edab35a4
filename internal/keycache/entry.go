package keycache

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Entry is what is remembered under one hash. Whoever loads it sets the exported
// fields; from then on nobody changes them.
type Entry[V any] struct {
	// What Lookup reads comes first and fills a cache line; the beginning of Value is
	// in the next.
	hash   [32]byte
	ticket Ticket
	life   uint16 // in ticks, from the ticket on: the entry is never younger than what was read
	// Passing says that the entry is for those who wait for it, and not to be
	// remembered.
	Passing bool
	used    atomic.Uint32
	Value   V

	// Key is what DropKey finds the entry by. Zero: nothing does.
	Key [16]byte
	// Organization is what DropOrganization finds the entry by.
	Organization [16]byte
	next         *Entry[V] // in the stripe's index: another entry, of the same key or not
}

// tick is what an entry's life is counted in.
const tick = 10 * time.Millisecond

// Format writes "[entry]", whatever the verb: an entry knows a hash.
func (*Entry[V]) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[entry]") }

// dead tells whether the entry's time is over, on either clock.
func (e *Entry[V]) dead(now Instant) bool {
	return now.Since(e.ticket.began) >= time.Duration(e.life)*tick
}

// prepare makes a loaded entry ready for the table. Lifetimes differ, so that
// what was loaded together does not die together; the hash is as good as random.
func (e *Entry[V]) prepare(t Ticket, hash [32]byte, salt uint64) {
	const width = uint64(2 * spread / tick)
	dice := fold(binary.LittleEndian.Uint64(hash[8:])^salt, 0) >> 32
	e.hash, e.ticket = hash, t
	e.life = uint16((lifetime-spread)/tick) + uint16(dice*width>>32)
}
