package storetest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/apikeys-platform/apikeys"
)

func settingsTests() []test {
	return []test{
		{"the first proposal stands", firstSettingsStand},
		{"proposals at once agree on one", settingsAgree},
		{"only the next version replaces", nextSettingsReplace},
		{"of successors at once one wins and is told once", oneSuccessorWins},
		{"a change bumps all", settingsBump},
		{"what is returned is a copy", settingsAreCopies},
	}
}

// newSettings makes settings that no other call makes, with the bytes that text
// columns spoil.
func (f *fixture) newSettings(version int64) apikeys.SettingsRecord {
	h := f.hash()
	return apikeys.SettingsRecord{
		Version:    version,
		ShieldKeys: [][]byte{append([]byte{0, 0xff, '"', '\\', 0xc3, 0x28}, h[:]...), h[:16]},
		Canaries: []apikeys.Canary{
			{SigningID: fmt.Sprint("signing ", f.n.Load()), MAC: h[8:]},
			{SigningID: "Ünï", MAC: []byte{0}},
		},
		Retired: []string{fmt.Sprint("retired ", f.n.Load()), "ünÏ"},
	}
}

func (f *fixture) propose(s apikeys.SettingsRecord) apikeys.SettingsRecord {
	f.Helper()
	standing, err := f.store.EnsureSettings(f.Context(), s)
	f.must(err)
	return standing
}

// Catches: the last writer wins; bytes kept as text; a look that leaves something.
func firstSettingsStand(f *fixture) {
	first := f.newSettings(1)
	f.equal("no proposal", f.propose(apikeys.SettingsRecord{}), apikeys.SettingsRecord{})
	f.equal("the first proposal", f.propose(first), first)
	f.equal("the same again", f.propose(first), first)
	f.equal("another one of version 1", f.propose(f.newSettings(1)), first)
	f.equal("one of version 0", f.propose(f.newSettings(0)), first)
}

// Catches: insert or read in one old snapshot; each process keeps what it
// proposed itself, and tags keys that the others refuse.
func settingsAgree(f *fixture) {
	const n = 16
	proposed, got := make([]apikeys.SettingsRecord, n), make([]apikeys.SettingsRecord, n)
	for i := range proposed {
		proposed[i] = f.newSettings(1)
	}
	f.together(n, func(i int) (err error) {
		got[i], err = f.store.EnsureSettings(f.Context(), proposed[i])
		return err
	})
	stands := 0
	for i := range got {
		f.equal("what everybody was told", got[i], got[0])
		if diff(proposed[i], got[0]) == "" {
			stands++
		}
	}
	if stands != 1 {
		f.Fatalf("got %d proposals that stand, want 1", stands)
	}
}

// Catches: an upsert without compare-and-swap, by which a process that is behind
// brings back canaries and shield keys that were replaced.
func nextSettingsReplace(f *fixture) {
	first, second, third := f.newSettings(1), f.newSettings(2), f.newSettings(3)
	f.propose(first)
	f.equal("version 3 upon 1", f.propose(third), first)
	f.equal("version 2 upon 1", f.propose(second), second)
	f.equal("another version 2", f.propose(f.newSettings(2)), second)
	f.equal("version 1 upon 2", f.propose(first), second)
	f.equal("no version upon 2", f.propose(apikeys.SettingsRecord{}), second)
	f.equal("version 3 upon 2", f.propose(third), third)
}

// Catches: a compare-and-swap in two statements; the losers are told what they
// proposed, or bump as well.
func oneSuccessorWins(f *fixture) {
	const n = 8
	f.propose(f.newSettings(1))
	before := f.start()
	proposed, got := make([]apikeys.SettingsRecord, n), make([]apikeys.SettingsRecord, n)
	for i := range proposed {
		proposed[i] = f.newSettings(2)
	}
	f.together(n, func(i int) (err error) {
		got[i], err = f.store.EnsureSettings(f.Context(), proposed[i])
		return err
	})
	for i := range got {
		f.equal("what everybody was told", got[i], got[0])
	}
	if bumps := f.mark().Revision - before.Revision; bumps != 1 {
		f.Fatalf("got %d revisions from %d successors of which one can win, want 1", bumps, n)
	}
}

// Catches: settings that other processes never hear of; a stamp that is not new.
func settingsBump(f *fixture) {
	f.propose(f.newSettings(1))
	before := f.start()
	f.propose(f.newSettings(1))
	if got := f.mark(); got != before {
		f.Fatalf("a proposal that did not win: got revision %d, want %d as before", got.Revision, before.Revision)
	}
	f.propose(f.newSettings(2))
	f.wantChanges(before, apikeys.Change{Kind: apikeys.ChangeAll})
	second := f.mark()
	f.propose(f.newSettings(3))
	if third := f.mark(); third.Stamp == second.Stamp || third.Revision != second.Revision+1 {
		f.Fatalf("two changes: got revisions %d and %d and the same stamp %t, want two and other stamps",
			second.Revision, third.Revision, third.Stamp == second.Stamp)
	}
}

// Catches: a store in memory that hands out its own slices, or keeps the caller's.
func settingsAreCopies(f *fixture) {
	proposed := f.newSettings(1)
	want := f.newSettings(1)
	want.ShieldKeys = [][]byte{bytes.Clone(proposed.ShieldKeys[0]), bytes.Clone(proposed.ShieldKeys[1])}
	want.Canaries = []apikeys.Canary{proposed.Canaries[0], proposed.Canaries[1]}
	want.Canaries[0].MAC = bytes.Clone(proposed.Canaries[0].MAC)
	want.Retired = slices.Clone(proposed.Retired)
	got := f.propose(proposed)
	for _, s := range []apikeys.SettingsRecord{proposed, got} {
		s.ShieldKeys[0][0] ^= 0xff
		s.ShieldKeys[1] = nil
		s.Canaries[0].MAC[0] ^= 0xff
		s.Canaries[1].SigningID = "changed"
		s.Retired[0] = "changed"
	}
	f.equal("after the caller changed its copies", f.propose(f.newSettings(1)), want)
}
