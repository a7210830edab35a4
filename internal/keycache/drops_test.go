package keycache_test

import (
	"context"
	"errors"
	"testing"

	"github.com/apikeys-platform/apikeys/internal/keycache"
)

// What was read before a change is not remembered after it.
func TestPutAfterDrop(t *testing.T) {
	t.Parallel()
	const recent = keycache.RecentDrops
	drop := func(k keycache.Kind, id int) keycache.Change { return keycache.Change{Kind: k, ID: idOf(id)} }
	many := func(n int) []keycache.Change {
		changes := make([]keycache.Change, n)
		for i := range changes {
			changes[i] = drop(keycache.KindKey, 1000+i)
		}
		return changes
	}
	tests := map[string]struct {
		drops []keycache.Change
		want  bool
	}{
		"nothing dropped":      {nil, true},
		"the key":              {[]keycache.Change{drop(keycache.KindKey, 1)}, false},
		"its organization":     {[]keycache.Change{drop(keycache.KindOrganization, 2)}, false},
		"everything":           {[]keycache.Change{{Kind: keycache.KindAll}}, false},
		"an unknown kind":      {[]keycache.Change{{Kind: 200}}, false},
		"another key":          {[]keycache.Change{drop(keycache.KindKey, 2)}, true},
		"another organization": {[]keycache.Change{drop(keycache.KindOrganization, 1)}, true},
		"the key among others": {append(many(100), drop(keycache.KindKey, 1)), false},
		"the key, the first of as many as are remembered": {append([]keycache.Change{drop(keycache.KindKey, 1)}, many(recent-1)...), false},
		"others, as many as are remembered":               {many(recent), true},
		"others, one too many to know":                    {many(recent + 1), false},
		"everything, long ago":                            {append([]keycache.Change{{Kind: keycache.KindAll}}, many(3*recent)...), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := keycache.New[int](idle(), 100)
			c.DropAll() // from before the ticket: of no concern
			c.Drop(many(10)...)
			ticket := c.Begin()
			c.Drop(test.drops...)
			entry := &keycache.Entry[int]{Key: idOf(1), Organization: idOf(2)}
			if got := c.Put(ticket, hashOf(1), entry); got != test.want {
				t.Errorf("Put: got %v, want %v", got, test.want)
			}
			if got := c.Get(keycache.Instant{}, hashOf(1)) != nil; got != test.want {
				t.Errorf("found: got %v, want %v", got, test.want)
			}
		})
	}
}

func TestPutReplaces(t *testing.T) {
	t.Parallel()
	c := keycache.New[int](idle(), 100)
	for i := range 3 {
		c.Put(c.Begin(), hashOf(1), &keycache.Entry[int]{Key: idOf(i), Value: i})
	}
	c.DropKey(idOf(0)) // whose entry was replaced
	if e := c.Get(keycache.Instant{}, hashOf(1)); e == nil || e.Value != 2 || c.Stats().Entries != 1 {
		t.Errorf("got %v and %+v, want value 2, alone", e, c.Stats())
	}
	c.DropKey(idOf(2))
	if got := c.Stats().Entries; got != 0 {
		t.Errorf("after the drop: got %d entries, want none", got)
	}
}

// A change that was acknowledged here while a load was on its way is obeyed by the
// request that waited for the load.
func TestFindObeysADropDuringItsLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.mustLook()
	key, first := idOf(1), true
	r.db.slow = func(context.Context) {
		if first {
			first = false
			r.db.commit(key)
			r.cache.DropKey(key)
		}
	}
	r.mustFind(key, 1)
	if _, loads := r.db.asked(); loads != 2 {
		t.Errorf("got %d loads, want 2", loads)
	}
}

// It gives up when this happens every time.
func TestFindRefusesWhatNeverSettles(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.mustLook()
	r.db.slow = func(context.Context) { r.cache.DropAll() }
	if v, err := r.find(idOf(1)); err == nil {
		t.Fatalf("got version %d, want an error", v)
	}
	if _, loads := r.db.asked(); loads != 4 {
		t.Errorf("got %d loads, want 4", loads)
	}
}

func TestFindOfAPassingEntryRemembersNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.mustLook()
	for range 2 {
		e, err := r.cache.Find(t.Context(), r.now(), hashOf(1), func(context.Context) (*keycache.Entry[int], error) {
			return &keycache.Entry[int]{Passing: true, Value: 5}, nil
		})
		if err != nil || e.Value != 5 {
			t.Fatalf("got %v, %v, want value 5", e, err)
		}
	}
	if s := r.cache.Stats(); s.Entries != 0 || s.Loads != 2 {
		t.Errorf("got %+v, want 2 loads and no entry", s)
	}
}

// A change in this process drops before it is sent, and again after its outcome.
func TestChangeDropsBeforeAndAfter(t *testing.T) {
	t.Parallel()
	errUnknown := errors.New("outcome unknown")
	outcomes := map[string]func() error{
		"done":     func() error { return nil },
		"unknown":  func() error { return errUnknown },
		"panicked": func() error { panic(errUnknown) },
	}
	for name, outcome := range outcomes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.mustLook()
			key := idOf(1)
			r.mustFind(key, 0)
			before, _ := r.db.asked()
			func() {
				defer func() { _ = recover() }()
				err := r.looker.Change([]keycache.Change{{Kind: keycache.KindKey, ID: key}}, func() error {
					r.mustLookup(key, -1)
					r.mustFind(key, 0) // it is loaded again before the commit
					r.mustLookup(key, 0)
					r.db.commit(key)
					return outcome()
				})
				if want := outcome(); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			}()
			r.mustLookup(key, -1)
			r.mustFind(key, 1)
			if after, _ := r.db.asked(); after > before+1 {
				t.Errorf("got %d looks for it, want none", after-before)
			}
		})
	}
}
