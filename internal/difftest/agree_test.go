package difftest_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys"
)

// All stores do what the model does. What is global in a store, the settings and
// what Sweep removes, has tests of its own.
func TestStoresDoWhatTheModelDoes(t *testing.T) {
	t.Parallel()
	stores := openAll(t)
	var checks atomic.Uint64
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, checks.Add(1), stores)
		m.prepare()
		t.Repeat(m.actions())
		if oneIn(4, t, "repeat all?") {
			m.repeatAll()
		}
		m.compareEverything()
	})
}

// prepare makes what most operations need.
func (m *machine) prepare() {
	w := m.w
	for i, name := range []string{"first", "second"} {
		r := m.newResource(apikeys.KindOrganization, w.organizations[i], uuid.Nil)
		r.Name = w.tag + name
		m.create(r)
	}
	m.create(m.newResource(apikeys.KindProject, w.projects[0], w.organizations[0]))
	m.create(m.newResource(apikeys.KindProduct, w.products[0], w.organizations[0]))
	m.storeKeys([]apikeys.KeyRecord{m.plainKey(w.keys[0]), m.newKey(w.keys[1])})
}

func (m *machine) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){}
	for name, do := range map[string]func(){
		"again": m.again, "again 2": m.again,
		"CreateResource": m.createResource, "UpdateResource": m.updateResource, "ListResources": m.listResources,
		"SetLink": m.setLink, "Binding": m.binding,
		"CreateKeys": m.createKeys, "KeysByHash": m.keysByHash, "GetKey": m.getKey, "ListKeys": m.listKeys, "ListKeys 2": m.listKeys,
		"UpdateKey": m.updateKey, "UpdateKey 2": m.updateKey, "RotateKey": m.rotateKey, "RotateKey 2": m.rotateKey,
		"RevokeKeys": m.revokeKeys, "DeleteKeys": m.deleteKeys,
		"AddHash": m.addHash, "CountHashes": m.countHashes, "DeleteHashes": m.deleteHashes,
		"Changes": m.changes, "TakeLeases": m.takeLeases, "Admit": m.admit, "ReturnLeases": m.returnLeases,
		"AddUsage": m.addUsage, "FoldUsage": m.foldUsage, "KeyUsage": m.keyUsage, "ListEvents": m.listEvents,
	} {
		actions[name] = func(*rapid.T) { do() }
	}
	return actions
}

// repeatAll repeats all mutations, whatever has become of what they were about.
func (m *machine) repeatAll() {
	for _, op := range slices.Clone(m.done) {
		m.repeat(op)
	}
}

// compareEverything reads all that can be read of this check.
func (m *machine) compareEverything() {
	w := m.w
	for _, kind := range kinds() {
		m.run(m.resourcesLike(apikeys.ResourceQuery{Kind: kind}))
	}
	for _, project := range w.projects {
		m.run(m.resourcesLike(apikeys.ResourceQuery{Kind: apikeys.KindProduct, LinkOf: project}))
	}
	m.run(m.keysLike(apikeys.KeyQuery{}))
	for _, search := range some(m.t, "search", m.searches()) {
		m.run(m.keysLike(apikeys.KeyQuery{Search: search}))
	}
	for _, k := range m.standingKeys() {
		m.run(m.get(apikeys.KeyRef{ID: k.ID}))
		m.run(m.usage(apikeys.UsageQuery{Ref: apikeys.KeyRef{ID: k.ID}, To: noon.AddDate(1, 0, 0)}))
	}
	m.run(m.lookUp(w.hashes))
	m.countHashes()
	m.compareWhatIsSwept()
}

// compareWhatIsSwept reads what grows, beside the usage of keys.
func (m *machine) compareWhatIsSwept() {
	m.run(m.eventsLike(apikeys.EventQuery{}))
	for mark := range m.all[0].marks {
		m.run(m.changesSince(mark, false))
	}
	m.run(m.take(m.looks()))
}

// looks ask for nothing, at all times, of all windows.
func (m *machine) looks() []apikeys.LeaseRequest {
	var parts []apikeys.LeasePart
	for _, window := range windows() {
		parts = append(parts, apikeys.LeasePart{Limit: apikeys.RateLimit{Requests: 10, Window: window}})
	}
	var requests []apikeys.LeaseRequest
	for _, subject := range m.w.subjects {
		for _, at := range slices.SortedFunc(slices.Values(moments()), time.Time.Compare) {
			requests = append(requests, apikeys.LeaseRequest{Subject: subject, At: at, Parts: parts})
		}
	}
	return requests
}
