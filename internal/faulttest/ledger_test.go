package faulttest_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// ledger is what was acknowledged, and what was begun and not answered. It is compared
// with what the database has.
type ledger struct {
	mu      sync.Mutex
	keys    map[uuid.UUID]*entry
	open    map[int]note // of each worker: begun and not answered
	loose   int          // issues that were neither acknowledged nor refused: begun at a kill
	unknown map[uuid.UUID]bool

	issued, rotated, revoked, unknowns, failed int
}

// entry is one key.
type entry struct {
	texts   []string // good until rotated: the last one
	revoked bool
	doubt   string // an operation whose end nobody was told of: "rotate" or "revoke"
}

func newLedger() *ledger {
	return &ledger{keys: map[uuid.UUID]*entry{}, open: map[int]note{}, unknown: map[uuid.UUID]bool{}}
}

func (l *ledger) write(n note) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.State == "begun" {
		l.open[n.Worker] = n
		return
	}
	delete(l.open, n.Worker)
	switch n.State {
	case "failed":
		l.failed++
	case "unknown":
		l.unknowns++
		l.doubt(n)
	case "done":
		l.done(n)
	}
}

func (l *ledger) done(n note) {
	switch n.Op {
	case "issue":
		l.issued++
		l.keys[n.ID] = &entry{texts: []string{n.Text}}
	case "rotate":
		l.rotated++
		l.keys[n.ID].texts = append(l.keys[n.ID].texts, n.Text)
	case "revoke":
		l.revoked++
		l.keys[n.ID].revoked = true
	}
}

// doubt notes an operation that may or may not have been done.
func (l *ledger) doubt(n note) {
	switch {
	case n.Op == "issue" && n.ID != uuid.Nil:
		l.unknown[n.ID] = true
	case n.Op == "issue":
		l.loose++
	default:
		l.keys[n.ID].doubt = n.Op
	}
}

// killed says that nobody will answer any more.
func (l *ledger) killed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for worker, n := range l.open {
		l.doubt(n)
		delete(l.open, worker)
	}
}

// String is the report.
func (l *ledger) String() string {
	return fmt.Sprintf("%d issued, %d rotated, %d revoked and acknowledged; %d outcomes reported as unknown, %d refused, %d issues unanswered",
		l.issued, l.rotated, l.revoked, l.unknowns, l.failed, l.loose)
}

// check asks the database about every key, through a client that remembers nothing.
func (l *ledger) check(t *testing.T, c *apikeys.Client) {
	t.Helper()
	for id, e := range l.keys {
		for i, text := range e.texts {
			_, err := c.Validate(t.Context(), text, apikeys.ValidateParams{SkipUsage: true, SkipRateLimit: true})
			switch last := i == len(e.texts)-1; {
			case e.revoked && !errors.Is(err, apikeys.ErrRevokedKey):
				t.Errorf("key %s: got %q, and its revocation was acknowledged", id, code(err))
			case !e.revoked && !last && !errors.Is(err, apikeys.ErrExpiredKey) && (e.doubt != "revoke" || !errors.Is(err, apikeys.ErrRevokedKey)):
				t.Errorf("key %s: got %q for a secret whose rotation was acknowledged", id, code(err))
			case !e.revoked && last && err != nil && !e.excuses(err):
				t.Errorf("key %s: got %q, and it was acknowledged", id, code(err))
			}
		}
	}
}

// excuses tells whether an acknowledged key may be refused, because of an operation on
// it whose end nobody was told of.
func (e *entry) excuses(err error) bool {
	return e.doubt == "rotate" && errors.Is(err, apikeys.ErrExpiredKey) || e.doubt == "revoke" && errors.Is(err, apikeys.ErrRevokedKey)
}

// checkStrangers counts the keys of the database that nobody was told of: they are no
// more than those whose issue was not answered, or reported as unknown.
func (l *ledger) checkStrangers(t *testing.T, c *apikeys.Client, organization uuid.UUID) (strangers int) {
	t.Helper()
	for k, err := range c.Keys(t.Context(), apikeys.KeyFilter{OrganizationID: organization}) {
		if err != nil {
			t.Fatal(err)
		}
		if l.keys[k.ID] == nil && !l.unknown[k.ID] {
			strangers++
		}
	}
	if strangers > l.loose {
		t.Errorf("got %d keys that nobody was told of, and %d issues were not answered", strangers, l.loose)
	}
	return strangers
}

// pause is how long a process works before it is killed.
func pause(random uint64) time.Duration {
	return 20*time.Millisecond + time.Duration(random%60)*time.Millisecond
}
