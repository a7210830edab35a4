package keycache_test

import (
	"iter"
	"slices"
	"testing"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

// schedule runs procedures one at a time, each from one pause to its next, in a
// given order.
type schedule struct {
	actors  []*actor
	running *actor
}

type actor struct {
	next  func() (string, bool)
	yield func(step string) bool
	at    string // where it pauses
	ended bool
}

func (s *schedule) add(body func()) {
	a := &actor{}
	a.next, _ = iter.Pull(func(yield func(string) bool) {
		a.yield = yield
		body()
	})
	s.actors = append(s.actors, a)
}

// pause is called by whoever is running.
func (s *schedule) pause(step string) { s.running.yield(step) }

func (s *schedule) resume(i int) {
	s.running = s.actors[i]
	at, ok := s.running.next()
	s.running.at, s.running.ended = at, !ok
}

// ready tells which actors can go on. Put has the stripe's lock at its steps 2 and
// 3; a drop wants it after its step 2, another Put after its step 1.
func (s *schedule) ready() []int {
	held := slices.ContainsFunc(s.actors, func(a *actor) bool {
		return !a.ended && (a.at == "put 2" || a.at == "put 3")
	})
	var ready []int
	for i, a := range s.actors {
		if !a.ended && !(held && (a.at == "put 1" || a.at == "drop 2")) {
			ready = append(ready, i)
		}
	}
	return ready
}

// explore runs a scenario in every order that its steps can be taken in. It
// returns how many there are, and the first that went wrong.
func explore(scenario func(s *schedule) (fine func() bool)) (runs int, wrong []int) {
	var path []int // which of the ready actors to take, step by step
	for {
		runs++
		s := &schedule{}
		fine := scenario(s)
		var widths, order []int
		for ready := s.ready(); len(ready) > 0; ready = s.ready() {
			depth := len(widths)
			if depth == len(path) {
				path = append(path, 0)
			}
			widths = append(widths, len(ready))
			order = append(order, ready[path[depth]])
			s.resume(order[depth])
		}
		if !fine() {
			return runs, order
		}
		last := len(path) - 1
		for last >= 0 && path[last] == widths[last]-1 {
			last--
		}
		if last < 0 {
			return runs, nil
		}
		path = path[:last+1]
		path[last]++
	}
}

// A value from before a change is never found by who has seen, before, that the
// change was obeyed: whatever the order of the steps of a load, of the drop, and of
// the reader.
func TestNoOrderOfStepsBringsBackWhatWasDropped(t *testing.T) {
	t.Parallel()
	key, org, hash := idOf(1), idOf(2), hashFor(idOf(1))
	drops := map[string]func(c *keycache.Cache[int]){
		"key":          func(c *keycache.Cache[int]) { c.DropKey(key) },
		"organization": func(c *keycache.Cache[int]) { c.DropOrganization(org) },
		"all":          func(c *keycache.Cache[int]) { c.DropAll() },
	}
	for name, drop := range drops {
		for _, local := range []bool{false, true} {
			if local {
				name += ", changed here"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				runs, wrong := explore(func(s *schedule) func() bool {
					c := keycache.New[int](idle(), 10) // one stripe
					c.Trace(s.pause)
					version, obeyed := 0, false
					var found *keycache.Entry[int]
					s.add(func() { // a load
						ticket := c.Begin()
						s.pause("send")
						e := &keycache.Entry[int]{Key: key, Organization: org, Value: version}
						c.Put(ticket, hash, e)
					})
					s.add(func() { // the change, and a look that finds it
						if local {
							drop(c)
						}
						version = 1
						drop(c)
						obeyed = true
					})
					var seen bool
					s.add(func() { // a reader: first the look, then the entry
						seen = obeyed
						s.pause("seen")
						found = c.Get(keycache.Instant{}, hash)
					})
					return func() bool { return !seen || found == nil || found.Value == 1 }
				})
				if wrong != nil {
					t.Fatalf("in the order %v (0: load, 1: change, 2: reader) the old value was found", wrong)
				}
				t.Logf("%d orders", runs)
			})
		}
	}
}

// The test above can fail: with the reader's order turned round it does.
func TestTheOtherOrderOfReadingIsWrong(t *testing.T) {
	t.Parallel()
	key, hash := idOf(1), hashFor(idOf(1))
	_, wrong := explore(func(s *schedule) func() bool {
		c := keycache.New[int](idle(), 10)
		c.Put(c.Begin(), hash, &keycache.Entry[int]{Key: key})
		c.Trace(s.pause)
		var obeyed, seen bool
		var found *keycache.Entry[int]
		s.add(func() {
			c.DropKey(key)
			obeyed = true
		})
		s.add(func() {
			found = c.Get(keycache.Instant{}, hash)
			s.pause("found")
			seen = obeyed
		})
		return func() bool { return !seen || found == nil }
	})
	if wrong == nil {
		t.Error("no order was wrong; the exploration explores nothing")
	}
}
