package difftest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/memstore"
)

// patience bounds one operation: a store that waits for itself is a failure, not a
// test that hangs.
const patience = 30 * time.Second

// participant is one of the stores that do the same.
type participant struct {
	name  string
	store apikeys.Store
	// marks are the places in the store's history that were noted. The first is
	// where the check began: revisions count from there.
	marks []apikeys.ChangeMark
	// version is what versions of settings count from.
	version int64
}

// operation is a call of a store's method.
type operation struct {
	text string // what it is called in failures
	do   func(ctx context.Context, p *participant) (answer []any, err error)
	// gone says that there is nothing left to answer when it is done again.
	gone bool
	// silent says that what it answers means nothing.
	silent bool

	mutation uuid.UUID
	serial   int // among those with a mutation
}

// outcome is what a store answered.
type outcome struct {
	err           error
	loose, strict string
}

// testingT is what the tests of package testing and of rapid have in common.
type testingT interface {
	Helper()
	Context() context.Context
	Log(args ...any)
	Fatalf(format string, args ...any)
}

// machine does operations on the model and on stores.
type machine struct {
	testingT
	t    *rapid.T // where operations are drawn from
	w    *world
	all  []*participant // the first is the model
	done []operation    // those with a mutation, to be repeated

	mutations []uuid.UUID
	appliedBy map[uuid.UUID]int // the operation that was, by the id of its mutation
	// at is when mutations happen, if that may not be anywhen.
	at func() time.Time
}

// newMachine begins a check: on stores that may hold what other checks left.
func newMachine(t testingT, n uint64, stores []*participant) *machine {
	m := &machine{testingT: t, w: newWorld(n), appliedBy: map[uuid.UUID]int{}}
	m.t, _ = t.(*rapid.T)
	m.all = append(m.all, &participant{name: "model", store: memstore.New()})
	for _, s := range stores {
		m.all = append(m.all, &participant{name: s.name, store: s.store})
	}
	m.note()
	return m
}

// note remembers where each store stands in its history.
func (m *machine) note() {
	m.Helper()
	for _, p := range m.all {
		set, err := p.store.Changes(m.Context(), apikeys.ChangeMark{})
		if err != nil {
			m.Fatalf("%s: Changes: %v", p.name, err)
		}
		p.marks = append(p.marks, set.Mark)
	}
}

// begin lets the history that is compared begin here.
func (m *machine) begin() {
	m.Helper()
	for _, p := range m.all {
		p.marks = nil
	}
	m.note()
}

// call makes an operation that is named by its arguments.
func (m *machine) call(method string, do func(ctx context.Context, p *participant) ([]any, error), args ...any) operation {
	return operation{text: method + " " + shower{w: m.w}.all(args), do: do}
}

// run does an operation on all stores and ends the check unless all answer alike.
func (m *machine) run(op operation) {
	m.Helper()
	m.Log(op.text)
	outcomes := make([]outcome, len(m.all))
	var running sync.WaitGroup
	for i, p := range m.all {
		running.Go(func() { outcomes[i] = m.ask(p, op) })
	}
	running.Wait()
	if !agree(outcomes) {
		m.Fatalf("%s\n%s", op.text, m.report(outcomes))
	}
}

func (m *machine) ask(p *participant, op operation) outcome {
	ctx, cancel := context.WithTimeout(m.Context(), patience)
	defer cancel()
	answer, err := op.do(ctx, p)
	switch {
	case op.silent:
		return outcome{err: err, loose: "anything", strict: "anything"}
	case err != nil:
		return outcome{err: err, loose: class(err), strict: class(err)}
	}
	const done = "done "
	return outcome{loose: done + shower{m.w, true}.all(answer), strict: done + shower{m.w, false}.all(answer)}
}

// agree tells whether all say what the model says, without a fault, and the stores
// say the same among themselves.
func agree(outcomes []outcome) bool {
	for i, o := range outcomes {
		if isFault(o.err) || o.loose != outcomes[0].loose || i > 0 && o.strict != outcomes[1].strict {
			return false
		}
	}
	return true
}

// report shows the answers from shortly before they differ.
func (m *machine) report(outcomes []outcome) string {
	same := len(outcomes[0].strict)
	for _, o := range outcomes {
		n := 0
		for n < min(same, len(o.strict)) && o.strict[n] == outcomes[0].strict[n] {
			n++
		}
		same = n
	}
	from := max(0, same-200)
	var lines strings.Builder
	for i, o := range outcomes {
		fmt.Fprintf(&lines, "  %-9s %.600s\n", m.all[i].name+":", strings.ToValidUTF8(o.strict[from:], ""))
	}
	return lines.String()
}

// mutate does an operation with a mutation, and remembers it: it may be repeated.
func (m *machine) mutate(mutation apikeys.Mutation, op operation) {
	m.Helper()
	op.mutation, op.serial = mutation.ID, len(m.done)
	m.done = append(m.done, op)
	m.apply(op)
}

// again repeats a mutation.
func (m *machine) again() {
	if len(m.done) > 0 {
		m.repeat(m.done[len(m.done)-rapid.IntRange(1, len(m.done)).Draw(m.t, "steps back")])
	}
}

// repeat does an operation again: if its mutation was applied, that changes nothing, and
// tells what stands now.
func (m *machine) repeat(op operation) {
	m.Helper()
	op.text = "again: " + op.text
	if op.gone {
		do := op.do
		op.do = func(ctx context.Context, p *participant) ([]any, error) {
			_, err := do(ctx, p)
			return nil, err
		}
	}
	m.apply(op)
}

// apply does an operation with a mutation. When another one was applied under the id of
// this mutation, nothing may change; what is answered then is left open.
func (m *machine) apply(op operation) {
	m.Helper()
	before := m.applied(op.mutation)
	op.silent = before && m.appliedBy[op.mutation] != op.serial
	m.run(op)
	if !before && m.applied(op.mutation) {
		m.appliedBy[op.mutation] = op.serial
	}
}

func (m *machine) applied(mutation uuid.UUID) bool {
	found, _ := m.all[0].store.ListEvents(m.Context(), apikeys.EventQuery{ID: mutation}) // the model has no failures
	return len(found) > 0
}

// mutation returns a new mutation, now and then under the id of an old one.
func (m *machine) mutation(action string) apikeys.Mutation {
	id := m.w.newID(len(m.mutations), "mutation")
	m.mutations = append(m.mutations, id)
	if oneIn(20, m.t, "old mutation?") {
		id = one(m.t, "mutation", m.mutations)
	}
	mutation := apikeys.Mutation{
		ID: id, Action: action,
		Actor: one(m.t, "actor", texts()), Detail: one(m.t, "detail", documents()),
	}
	if m.at != nil {
		mutation.At = m.at()
	} else {
		mutation.At = one(m.t, "at", times())
	}
	return mutation
}

// one draws one of a list.
func one[T any](t *rapid.T, label string, list []T) T {
	return list[rapid.IntRange(0, len(list)-1).Draw(t, label)]
}

// oneIn is true now and then.
func oneIn(n int, t *rapid.T, label string) bool {
	return rapid.IntRange(1, n).Draw(t, label) == n
}

// mostly draws one of what is likely to do, and now and then any.
func mostly[T any](t *rapid.T, label string, likely, list []T) T {
	if len(likely) > 0 && !oneIn(6, t, label+", any?") {
		return one(t, label, likely)
	}
	return one(t, label, list)
}

// maybe draws a value for a field that is usually not set.
func maybe[T any](t *rapid.T, label string, list []T) T {
	var none T
	if len(list) > 0 && oneIn(4, t, label+"?") {
		return one(t, label, list)
	}
	return none
}

// optional is maybe for fields that are pointers.
func optional[T any](t *rapid.T, label string, list []T) *T {
	if !oneIn(3, t, label+"?") {
		return nil
	}
	v := one(t, label, list)
	return &v
}

// some draws a few of a list.
func some[T comparable](t *rapid.T, label string, list []T) []T {
	var drawn []T
	for i := range list {
		if oneIn(3, t, fmt.Sprint(label, i)) {
			drawn = append(drawn, list[i])
		}
	}
	return drawn
}
