package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/memstore"
	"github.com/apikeys-platform/apikeys/internal/testdb"
)

// For every operation and every k: the k-th call of the store fails. The operation is
// then done or not done, never between; it says "unknown" if it does not know; what
// the client remembers is never better than what the database has; and asking again
// does it once.
func TestEveryCallOfEveryMutationFails(t *testing.T) {
	t.Parallel()
	configs := map[string]apikeys.Config{"remembering": remembering()}
	if testdb.Full() {
		configs["strict"] = strict()
	}
	for name, config := range configs {
		cases := 0
		for _, op := range mutations() {
			before, after := cleanRun(t, op)
			for _, f := range faultsOfCalls() {
				for k, more := 1, true; more; k++ {
					synctest.Test(t, func(t *testing.T) { more = failMutation(t, config, op, f, k, before, after) }) // pauses take no time
					cases++
				}
			}
		}
		t.Logf("%s: %d faults in %d operations", name, cases, len(mutations()))
	}
}

func failMutation(t *testing.T, config apikeys.Config, op operation, f fault, k int, before, after string) (more bool) {
	t.Helper()
	s := &faultStore{Store: memstore.New()}
	x := trial{op: op, w: newWorld(t, s.Store, newClient(t, s.Store, strict())), client: newClient(t, s, config), before: before, after: after}
	x.breakIt = func() { s.arm(k, f) }
	x.heal = func() bool {
		fired, call := s.heal()
		x.name = fmt.Sprintf("%s, %s at call %d (%s)", op.name, f.name, k, call)
		return fired
	}
	return x.run(t)
}

// cleanRun tells what a world looks like before an operation and after it.
func cleanRun(t *testing.T, op operation) (before, after string) {
	t.Helper()
	s := memstore.New()
	direct := newClient(t, s, strict())
	w := newWorld(t, s, direct)
	before = w.snapshot(t)
	if err := op.do(t.Context(), direct, w); err != nil {
		t.Fatalf("%s without a fault: %v", op.name, err)
	}
	return before, w.snapshot(t)
}

// trial is one operation that meets one fault.
type trial struct {
	op            operation
	w             *world
	client        *apikeys.Client // whose store is faulty
	before, after string          // snapshots
	breakIt       func()
	heal          func() (fired bool) // and names the trial
	name          string
	ended         func(error) // told what the operation said; may be nil
}

// run returns false when nothing was left to fail.
func (x *trial) run(t *testing.T) bool {
	t.Helper()
	x.w.wantAgreement(t, x.client, "before") // which fills its memory
	x.breakIt()
	err := x.op.do(t.Context(), x.client, x.w)
	if !x.heal() {
		if err != nil {
			t.Errorf("%s: got error %v, and nothing had failed", x.name, err)
		}
		return false
	}
	if x.ended != nil {
		x.ended(err)
	}
	got := x.w.snapshot(t)
	x.judge(t, err, got)
	x.w.wantAgreement(t, x.client, x.name)
	if got == x.after {
		return true
	}
	if err := x.op.do(t.Context(), x.client, x.w); err != nil {
		t.Errorf("%s, repeated: got error %v, want none", x.name, err)
	}
	if got := x.w.snapshot(t); got != x.after && (!x.op.steps || withoutEvents(got) != withoutEvents(x.after)) {
		t.Errorf("%s, repeated: got\n%s\nwant\n%s", x.name, got, x.after)
	}
	x.w.wantAgreement(t, x.client, x.name+", repeated")
	return true
}

// withoutEvents leaves out the part of a snapshot that tells how often it took.
func withoutEvents(snapshot string) string {
	lines := strings.Split(snapshot, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "event ") }), "\n")
}

// judge compares what the operation said with what it did.
func (x *trial) judge(t *testing.T, err error, got string) {
	t.Helper()
	if !x.op.steps && got != x.before && got != x.after {
		t.Errorf("%s: it is done by half: got\n%s\nwant\n%s\nor\n%s", x.name, got, x.before, x.after)
	}
	var unknown *apikeys.OutcomeUnknownError
	switch {
	case err == nil:
		if got != x.after {
			t.Errorf("%s: it said that it was done: got\n%s\nwant\n%s", x.name, got, x.after)
		}
	case errors.As(err, &unknown):
		if unknown.Op == "" {
			t.Errorf("%s: got error %v, which does not say what is unknown", x.name, err)
		}
	case errors.Is(err, apikeys.ErrUnavailable):
		if got != x.before && !x.op.steps && x.before != x.after {
			t.Errorf("%s: got error %v, and it was done", x.name, err)
		}
	default:
		t.Errorf("%s: got error %v, want one that says the store is unavailable or the outcome unknown", x.name, err)
	}
}

// A failing store is never an answer about the key, whichever call it is that fails,
// and never lets one pass that should not.
func TestEveryCallOfEveryReadingFails(t *testing.T) {
	t.Parallel()
	same := func(config apikeys.Config) func(apikeys.Store) apikeys.Config {
		return func(apikeys.Store) apikeys.Config { return config }
	}
	for name, configure := range map[string]func(apikeys.Store) apikeys.Config{
		"strict": same(strict()), "remembering": same(remembering()), "exact": exact,
	} {
		cases := 0
		for _, op := range readings() {
			for _, f := range faultsOfCalls() {
				for k, more := 1, true; more; k++ {
					synctest.Test(t, func(t *testing.T) { more = failReading(t, configure, op, f, k) })
					cases++
				}
			}
		}
		t.Logf("%s: %d faults in %d operations", name, cases, len(readings()))
	}
}

func failReading(t *testing.T, configure func(apikeys.Store) apikeys.Config, op operation, f fault, k int) (more bool) {
	t.Helper()
	s := &faultStore{Store: memstore.New()}
	w := newWorld(t, s.Store, newClient(t, s.Store, strict()))
	client := newClient(t, s, configure(s)) // with an empty memory
	before := w.snapshot(t)
	s.arm(k, f)
	err := op.do(t.Context(), client, w)
	more, call := s.heal()
	what := fmt.Sprintf("%s, %s at call %d (%s)", op.name, f.name, k, call)
	if err != nil && (!more || !errors.Is(err, apikeys.ErrUnavailable) && !errors.Is(err, apikeys.ErrOutcomeUnknown)) {
		t.Errorf("%s: got error %v, want one that says the store is unavailable", what, err)
	}
	if got := w.snapshot(t); got != before {
		t.Errorf("%s: a reading changed something: got\n%s\nwant\n%s", what, got, before)
	}
	if err := op.do(t.Context(), client, w); err != nil {
		t.Errorf("%s, repeated: got error %v, want none", what, err)
	}
	return more
}

// What is wrong with a key is said as ever while a store fails at random, and a key
// that is not good never passes.
func TestBadKeysNeverPassAFailingStore(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	direct := newClient(t, s, strict())
	w := newWorld(t, s, direct)
	revoked := w.issue(t, apikeys.CreateKeyParams{})
	must(direct.RevokeKey(t.Context(), revoked.Key.ID, apikeys.RevokeParams{}))(t)
	rotated := w.issue(t, apikeys.CreateKeyParams{})
	must(direct.RotateKey(t.Context(), rotated.Key.ID, apikeys.RotateParams{}))(t)
	deleted := w.issue(t, apikeys.CreateKeyParams{})
	if err := direct.DeleteKey(t.Context(), deleted.Key.ID); err != nil {
		t.Fatal(err)
	}
	for _, config := range []apikeys.Config{strict(), remembering()} {
		config.OutageGrace = 1 << 40 // which is for what was remembered as good
		for _, k := range []*apikeys.IssuedKey{revoked, rotated, deleted, w.disabled} {
			_, want := direct.Verify(t.Context(), k.Plaintext.Reveal())
			for _, f := range faultsOfCalls() {
				for call, more := 1, true; more; call++ {
					faulty := &faultStore{Store: s}
					client := newClient(t, faulty, config)
					faulty.arm(call, f)
					_, err := client.Verify(t.Context(), k.Plaintext.Reveal())
					more, _ = faulty.heal()
					if err == nil || code(err) != code(want) && !errors.Is(err, apikeys.ErrUnavailable) {
						t.Errorf("%s at call %d: got error %v, want %v or an unavailable store", f.name, call, err, want)
					}
				}
			}
		}
	}
}

// Making a client and closing it fail cleanly too, whichever call fails.
func TestEveryCallOfNewAndCloseFails(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	w := newWorld(t, s, newClient(t, s, strict()))
	config := remembering()
	config.UsageFlushInterval = 1 << 40 // nothing is sent before Close
	uses := int64(0)
	for _, f := range faultsOfCalls() {
		for k, more := 1, true; more; k++ {
			faulty := &faultStore{Store: s}
			faulty.arm(k, f)
			client, err := apikeys.New(t.Context(), faulty, config)
			if err != nil {
				if more, _ = faulty.heal(); !more || !errors.Is(err, apikeys.ErrUnavailable) {
					t.Errorf("%s at call %d: got error %v, want an unavailable store", f.name, k, err)
				}
				continue
			}
			_, used := client.Validate(t.Context(), w.key.Plaintext.Reveal(), apikeys.ValidateParams{})
			if used == nil {
				uses++
			}
			closed := client.Close(context.WithoutCancel(t.Context()))
			more, _ = faulty.heal()
			record, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: w.key.Key.ID})
			if err != nil {
				t.Fatal(err)
			}
			if record.UseCount > uses || record.UseCount < uses && closed == nil {
				t.Errorf("%s at call %d: got %d uses, want %d, or an error of Close", f.name, k, record.UseCount, uses)
			}
			uses = record.UseCount
		}
	}
}

// The table of operations is complete: each exported method of a client is in it, or
// is named here with the reason why not.
func TestOperationsAreComplete(t *testing.T) {
	t.Parallel()
	others := []string{
		"Close", "Scoped", "WithGrant", "Stats", "Recognize", "ScanPattern", "CheckParams", // no call of the store, or tested on its own
		"CreateOrganization", "GetOrCreateOrganization", // no world to look at: see TestOrganizationsAreMadeOnce
		"RetireSecret", // of the whole database: tested with the signing secrets
	}
	known := map[string]bool{}
	for _, name := range others {
		known[name] = true
	}
	for _, op := range append(mutations(), readings()...) {
		name, _, _ := strings.Cut(op.name, " ")
		known[name] = true
	}
	for method := range reflect.TypeFor[*apikeys.Client]().Methods() {
		if !known[method.Name] {
			t.Errorf("no store was failed under Client.%s", method.Name)
		}
	}
}

// An organization is there once, whichever call of its creation fails.
func TestOrganizationsAreMadeOnce(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	faulty := &faultStore{Store: s}
	client, n := newClient(t, faulty, strict()), 0
	for _, f := range faultsOfCalls() {
		for k, more := 1, true; more; k++ {
			n++
			name := fmt.Sprint("organization ", n)
			faulty.arm(k, f)
			_, err := client.CreateOrganization(t.Context(), name)
			more, _ = faulty.heal()
			found := must(s.ListResources(t.Context(), apikeys.ResourceQuery{Kind: apikeys.KindOrganization, Name: &name, Limit: 2}))(t)
			switch {
			case errors.Is(err, apikeys.ErrOutcomeUnknown): // one, or none
			case err == nil && len(found) != 1, err != nil && len(found) != 0, err != nil && !errors.Is(err, apikeys.ErrUnavailable):
				t.Errorf("%s at call %d: got %d organizations and error %v", f.name, k, len(found), err)
			}
			_, created, err := client.GetOrCreateOrganization(t.Context(), name)
			if err != nil || created == (len(found) == 1) {
				t.Errorf("%s at call %d, repeated: got created %v, error %v", f.name, k, created, err)
			}
		}
	}
}
