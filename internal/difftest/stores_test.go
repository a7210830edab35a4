package difftest_test

import (
	"testing"

	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// openAll opens a store on each database that there is. What is left out has a
// subtest that says why.
func openAll(t *testing.T) []*participant {
	t.Helper()
	var all []*participant
	for _, d := range stores.All() {
		found := false
		t.Run("find "+d.Name, func(t *testing.T) {
			d.Empty(t)
			found = true
		})
		if found {
			s, _ := d.Migrated(t)
			all = append(all, &participant{name: d.Name, store: s})
		}
	}
	return all
}
