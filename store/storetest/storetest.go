// Package storetest proves that an [apikeys.Store] keeps its contract. The
// stores of this module pass it, and a store of your own should too:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) apikeys.Store {
//			db := openMyDatabase(t) // empty, with its tables, closed by t.Cleanup
//			return mystore.New(db)
//		})
//	}
//
// The tests are black boxes: they see a store through its methods only, at times
// and with ids of their own. Each names the behaviour it asks for, and its comment
// the mistake that it is there to catch.
package storetest

import (
	"testing"

	"github.com/apikeys-platform/apikeys"
)

// Run tests the stores that open returns. Open is called at least once for each
// subtest and returns an empty, migrated store that shares nothing with any
// other; it registers its own cleanup with the t it is given. Subtests run in
// parallel, so open must not need what t.Setenv or t.Chdir would change.
func Run(t *testing.T, open func(t *testing.T) apikeys.Store) {
	t.Helper()
	for _, g := range groups() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, tc := range g.tests {
				t.Run(tc.name, func(t *testing.T) {
					t.Parallel()
					tc.run(newFixture(t, open))
				})
			}
		})
	}
}

// test is one behaviour.
type test struct {
	name string
	run  func(*fixture)
}

type group struct {
	name  string
	tests []test
}

func groups() []group {
	return []group{
		{"Settings", settingsTests()},
		{"Resources", resourceTests()},
		{"ResourceDeletion", resourceDeletionTests()},
		{"ResourceLists", resourceListTests()},
		{"Links", linkTests()},
		{"Keys", keyTests()},
		{"KeysByHash", keysByHashTests()},
		{"ListKeys", listTests()},
		{"Paging", pagingTests()},
		{"UpdateKey", updateTests()},
		{"RotateKey", rotateTests()},
		{"Hashes", hashTests()},
		{"Bulk", bulkTests()},
		{"Mutations", mutationTests()},
		{"Events", eventTests()},
		{"Changes", changeTests()},
		{"Leases", leaseTests()},
		{"LeaseWindows", leaseWindowTests()},
		{"Usage", usageTests()},
		{"Admit", admitTests()},
		{"FoldUsage", foldTests()},
		{"Sweep", sweepTests()},
		{"Isolation", isolationTests()},
		{"Contexts", contextTests()},
	}
}
