package difftest_test

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/apikeys-platform/apikeys"
)

// Settings are one row for all: each check goes on from where the last one left it.
func TestStoresKeepSettingsAsTheModelDoes(t *testing.T) {
	t.Parallel()
	stores := openAll(t)
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, 1, stores)
		m.startSettings()
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			m.propose()
			m.run(m.changesSince(rapid.IntRange(0, len(m.all[0].marks)-1).Draw(t, "since"), false))
			m.note()
		}
	})
}

// startSettings replaces what stands, by the same everywhere. Versions count from it.
func (m *machine) startSettings() {
	for _, p := range m.all {
		standing := apikeys.SettingsRecord{}
		for n := range 2 { // if nothing stands the first one will do
			var err error
			next := apikeys.SettingsRecord{Version: standing.Version + 1, ShieldKeys: [][]byte{{byte(n)}}}
			if standing, err = p.store.EnsureSettings(m.Context(), next); err != nil {
				m.Fatalf("%s: EnsureSettings: %v", p.name, err)
			}
		}
		p.version = standing.Version
	}
	m.begin()
}

// propose proposes what may follow the version that stands.
func (m *machine) propose() {
	proposed := apikeys.SettingsRecord{Version: one(m.t, "version", []int64{1, 0, -1, 2, 3})}
	for range rapid.IntRange(0, 3).Draw(m.t, "shield keys") {
		proposed.ShieldKeys = append(proposed.ShieldKeys, rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(m.t, "shield key"))
	}
	for range rapid.IntRange(0, 3).Draw(m.t, "canaries") {
		proposed.Canaries = append(proposed.Canaries, apikeys.Canary{
			SigningID: one(m.t, "signing", texts()), MAC: rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(m.t, "mac"),
		})
	}
	m.run(m.call("EnsureSettings", func(ctx context.Context, p *participant) ([]any, error) {
		next := proposed
		next.Version += p.version
		standing, err := p.store.EnsureSettings(ctx, next)
		standing.Version -= p.version
		return []any{standing}, err
	}, proposed))
}
