package difftest_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/apikeys-platform/apikeys"
)

// From 257 keys on a change names none of them but their organization, or all. A
// store that writes many rows with one statement has to take it apart when one of
// them is refused.
func TestStoresChangeManyKeysAsTheModelDoes(t *testing.T) {
	t.Parallel()
	stores := openAll(t)
	for i, size := range []struct{ keys, organizations int }{{256, 1}, {257, 1}, {257, 2}} {
		m := newMachine(t, uint64(i+1), stores)
		keys := m.manyKeys(size.keys, size.organizations)
		m.importKeys(keys)
		m.run(m.lookUp(hashesOf(keys)))
		m.begin()

		mine := apikeys.KeyQuery{Search: m.w.tag, Limit: 1000}
		m.run(m.revoking(mine, m.fixedMutation("revoke")))
		m.run(m.changesSince(0, false))
		m.run(m.keysLike(mine))

		again := m.deleting(mine, m.fixedMutation("delete"))
		m.run(again)
		m.run(again)
		m.run(m.changesSince(0, false))
		m.run(m.keysLike(mine))
		m.run(m.eventsLike(apikeys.EventQuery{}))
	}
}

// manyKeys makes keys of the first organizations, of which one has an id and another
// one a hash that is taken.
func (m *machine) manyKeys(n, organizations int) []apikeys.KeyRecord {
	keys := make([]apikeys.KeyRecord, n+2)
	for i := range keys {
		id := m.w.newID(100+i, "key")
		hint := fmt.Sprint("sk_", m.w.tag, i)
		keys[i] = apikeys.KeyRecord{
			ID: id, OrganizationID: m.w.organizations[i%organizations], Head: "sk", Hint: hint,
			Name: texts()[i%len(texts())], Custom: documents()[i%len(documents())/2], CreatedAt: noon, UpdatedAt: noon, Version: 1,
			Secret: apikeys.SecretRecord{
				KeyID: id, Number: 1, Hash: sha256.Sum256(id[:]), SigningID: m.w.signings[0], Hint: hint, CreatedAt: noon,
			},
		}
		m.w.bytes[keys[i].Secret.Hash] = fmt.Sprint("hash of key ", 100+i)
	}
	keys[n/3].ID = keys[0].ID
	keys[n/3].Secret.KeyID = keys[0].ID
	keys[n/2].Secret.Hash = keys[1].Secret.Hash
	return keys
}

func (m *machine) importKeys(keys []apikeys.KeyRecord) {
	for i := range 2 {
		id := m.w.organizations[i]
		r := apikeys.ResourceRecord{
			Kind: apikeys.KindOrganization, ID: id, OrganizationID: id, Name: fmt.Sprint(m.w.tag, i), CreatedAt: noon, UpdatedAt: noon,
		}
		m.run(m.creating(r, m.fixedMutation("create")))
	}
	m.run(m.storing(keys, m.fixedMutation("import")))
}

func (m *machine) fixedMutation(action string) apikeys.Mutation {
	id := m.w.newID(len(m.mutations), "mutation")
	m.mutations = append(m.mutations, id)
	return apikeys.Mutation{ID: id, At: noon, Action: action}
}

func hashesOf(keys []apikeys.KeyRecord) []apikeys.Hash {
	seen := map[apikeys.Hash]bool{}
	var hashes []apikeys.Hash
	for _, k := range keys {
		if !seen[k.Secret.Hash] {
			hashes = append(hashes, k.Secret.Hash)
		}
		seen[k.Secret.Hash] = true
	}
	return hashes
}
