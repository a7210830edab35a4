package difftest_test

import (
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// world is what one check works with: few ids of everything, so that operations
// meet, and none that another check has, so that checks can share a database.
type world struct {
	tag string // in the names of organizations, the hints of keys and the ids of signing secrets
	n   uint64 // later checks have greater ids

	organizations, projects, products, keys, writers []uuid.UUID

	hashes   []apikeys.Hash
	subjects []apikeys.Subject
	signings []string

	ids   map[uuid.UUID]string // what failures call them
	bytes map[[32]byte]string  // hashes and subjects
}

func newWorld(n uint64) *world {
	w := &world{
		tag: fmt.Sprintf("<%06x>", n), n: n,
		ids: map[uuid.UUID]string{uuid.Nil: "none"}, bytes: map[[32]byte]string{},
	}
	w.organizations = w.newIDs(3, "organization")
	w.projects = w.newIDs(3, "project")
	w.products = w.newIDs(3, "product")
	w.keys = w.newIDs(6, "key")
	w.writers = w.newIDs(2, "writer")
	for i := range 20 {
		w.hashes = append(w.hashes, w.newBytes(i, "hash"))
	}
	for i := range 2 {
		w.subjects = append(w.subjects, w.newBytes(i, "subject"))
	}
	for _, name := range []string{"one", "One", "one ", "two"} {
		w.signings = append(w.signings, w.tag+name)
	}
	return w
}

func (w *world) newIDs(n int, kind string) []uuid.UUID {
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = w.newID(i, kind)
	}
	return ids
}

// tails are the ends of ids and hashes: bytes that a text, a padded column or a
// comparison of signed numbers would mistake for others.
func tails() []string {
	const (
		zeros  = "\x00\x00\x00\x00\x00\x00\x00"
		spaces = "       "
	)
	return []string{
		zeros, "AbC    ", "abc    ", spaces, "%_\\'\"`?", "\x7f\xff\xff\xff\xff\xff\xff",
		"\x80" + zeros[1:], "\xff\xfe\xfd\xfc\xfb\xfa\xf9", "AbC" + zeros[3:], "\x00\x00\x00\x00\x00\x00\x01",
	}
}

// newID makes an id that the checks before did not have. Those of one kind are in no
// order, and of two the tails alone differ.
func (w *world) newID(i int, kind string) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], w.n<<16)
	for _, letter := range []byte(kind) {
		id[6] += letter
	}
	binary.BigEndian.PutUint16(id[7:9], uint16(i/2)*40503) // odd, so that no two are the same
	copy(id[9:], tails()[i%len(tails())])
	if other, taken := w.ids[id]; taken {
		panic("two ids are the same: " + other + " and " + kind)
	}
	w.ids[id] = fmt.Sprint(kind, " ", i)
	return id
}

func (w *world) newBytes(i int, kind string) (b [32]byte) {
	binary.BigEndian.PutUint64(b[:8], w.n)
	copy(b[8:], fmt.Sprintf("%-17s", fmt.Sprint(kind, i/2)))
	copy(b[25:], tails()[i%len(tails())])
	w.bytes[b] = fmt.Sprint(kind, " ", i)
	return b
}

// has tells whether an id is one of this check's.
func (w *world) has(id uuid.UUID) bool { return w.ids[id] != "" && id != uuid.Nil }

// own returns those records whose id is one of this check's.
func own[T any](w *world, records []T, id func(T) uuid.UUID) []T {
	var mine []T
	for _, r := range records {
		if w.has(id(r)) {
			mine = append(mine, r)
		}
	}
	return mine
}

func keyID(k apikeys.KeyRecord) uuid.UUID           { return k.ID }
func resourceID(r apikeys.ResourceRecord) uuid.UUID { return r.ID }
func eventID(e apikeys.EventRecord) uuid.UUID       { return e.ID }
