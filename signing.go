package apikeys

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// SecretUse tells how many keys hang on one signing secret.
type SecretUse struct {
	// ID names the secret: it is [Secret.ID] of the one that is meant.
	ID string
	// Signing says that this client signs with it, Accepted that it is one of
	// Config.AcceptedSecrets. Neither: this client does not have it.
	Signing, Accepted bool
	// Retired says that it was retired and never comes back.
	Retired bool
	// Keys is how many keys have a hash made under it.
	Keys int64
	// Only is how many of them would be lost with it: keys that are neither revoked
	// nor expired and have a text that has not ended and was not seen by a client that
	// signs with another secret. 0: it can be retired.
	Only int64
}

// RetireSecretParams says which signing secret is given up.
type RetireSecretParams struct {
	// ID names the secret, as [Secret.ID] and [Client.CountKeysBySecret] do.
	ID string
	// LoseKeys retires it even if keys hang on it alone (SecretUse.Only): their
	// texts are invalid from then on. Such keys can be given new texts by RotateKey.
	LoseKeys bool
}

const (
	// countTimeout bounds the counting of all keys, which takes longer than other
	// calls of the store.
	countTimeout = time.Minute
	// hashChunk is how many hashes are removed at a time. Each time everything that
	// clients remember is dropped, so there should not be many.
	hashChunk = 5000
)

// CountKeysBySecret tells for each signing secret that this client has or the
// database knows how many keys hang on it, this client's own first. It counts all
// keys, of all organizations: that takes seconds for a million, and up to a minute is
// allowed. A view is refused.
func (c *Client) CountKeysBySecret(ctx context.Context) ([]SecretUse, error) {
	if err := c.managesSecrets(); err != nil {
		return nil, err
	}
	standing, err := c.ensureSettings(ctx, c.firstSettings())
	if err != nil {
		return nil, err
	}
	counts, err := c.countHashes(ctx)
	if err != nil {
		return nil, err
	}
	return c.secretUses(standing, counts), nil
}

func (c *core) countHashes(ctx context.Context) (map[string]HashCount, error) {
	ctx, cancel := context.WithTimeout(ctx, max(countTimeout, c.opTimeout))
	defer cancel()
	counts, err := c.store.CountHashes(ctx, c.now())
	return counts, storeError("count keys", err)
}

func (c *core) secretUses(standing SettingsRecord, counts map[string]HashCount) []SecretUse {
	uses := []SecretUse{{ID: c.signer.ID(), Signing: true}}
	for _, h := range c.accepted {
		uses = append(uses, SecretUse{ID: h.ID(), Accepted: true})
	}
	own := len(uses)
	note := func(id string) {
		if !slices.ContainsFunc(uses, func(u SecretUse) bool { return u.ID == id }) {
			uses = append(uses, SecretUse{ID: id})
		}
	}
	for _, canary := range standing.Canaries {
		note(canary.SigningID)
	}
	for id := range counts {
		note(id)
	}
	for _, id := range standing.Retired {
		note(id)
	}
	slices.SortFunc(uses[own:], func(a, b SecretUse) int { return cmp.Compare(a.ID, b.ID) })
	for i := range uses {
		u := &uses[i]
		u.Keys, u.Only, u.Retired = counts[u.ID].Keys, counts[u.ID].Only, standing.retired(u.ID)
	}
	return uses
}

// RetireSecret gives up a signing secret for good: nobody can sign with it again,
// what the database knows of it is removed, and so are the hashes that were made
// under it. It returns how many. Keys live on under the hashes that were added in
// passing; when some would be lost, it is refused unless LoseKeys says so. The
// secret that this client signs with is always refused: sign with another first.
//
// Retire a secret when no process signs with it any more. One that still does goes
// on validating and issues no more keys. Retiring again changes nothing; after a
// failure on the way, retire again. Its events ("secret.retire") name the secret; there
// is one even if no hash was left. A view is refused.
func (c *Client) RetireSecret(ctx context.Context, params RetireSecretParams) (int, error) {
	if err := c.managesSecrets(); err != nil {
		return 0, err
	}
	if params.ID == c.signer.ID() {
		return 0, invalid("ID", "is the secret that this client signs with; sign with another one everywhere first")
	}
	if err := c.mayRetire(ctx, params); err != nil {
		return 0, err
	}
	retired := false
	if _, err := c.changeSettings(ctx, c.withoutSecret(params.ID, &retired)); err != nil {
		return 0, err
	}
	// Nobody issues keys under it from now on. Some may have been issued just before.
	if err := c.mayRetire(ctx, params); err != nil {
		return 0, err
	}
	removed, err := inChunks(func() (int, error) { return c.deleteHashes(ctx, params.ID, hashChunk) })
	if err == nil && removed == 0 && retired {
		_, err = c.deleteHashes(ctx, params.ID, 0) // which only says that it was done
	}
	return removed, err
}

// deleteHashes removes some of the hashes made under a secret, with an event.
func (c *Client) deleteHashes(ctx context.Context, id string, limit int) (n int, err error) {
	op := operation{
		kind: KindSecret, verb: "retire", stale: []Change{{Kind: ChangeAll}}, detail: map[string]any{"secret": id},
	}
	err = c.mutate(ctx, op, func(ctx context.Context, m Mutation) (err error) {
		n, err = c.store.DeleteHashes(ctx, m, id, limit)
		return err
	})
	return n, err
}

// managesSecrets refuses the views: signing secrets are of the whole database.
func (c *Client) managesSecrets() error {
	if err := c.ready(); err != nil {
		return err
	}
	if c.view || len(c.grants) > 0 {
		return invalid("Scope", "a view sees no signing secrets; use the client that it was made from")
	}
	return nil
}

// mayRetire asks whether there is such a secret, and whether keys would be lost.
func (c *Client) mayRetire(ctx context.Context, params RetireSecretParams) error {
	uses, err := c.CountKeysBySecret(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(uses, func(u SecretUse) bool { return u.ID == params.ID })
	if i < 0 {
		return invalid("ID", "names no signing secret of this database; CountKeysBySecret lists them")
	}
	if uses[i].Only > 0 && !params.LoseKeys {
		return invalid("LoseKeys", "%d keys hang on this secret alone; "+
			"wait until they were used, end them, or set LoseKeys to give them up", uses[i].Only)
	}
	return nil
}

// withoutSecret removes the canary of a secret and remembers that it was retired. It
// notes that this was still to be done.
func (c *core) withoutSecret(id string, retired *bool) func(SettingsRecord) (*SettingsRecord, error) {
	return func(standing SettingsRecord) (*SettingsRecord, error) {
		if !matches(standing.Canaries, c.signer) {
			return nil, &unavailableError{op: "retire secret", cause: errRetired} // ours, meanwhile
		}
		if standing.retired(id) {
			return nil, nil
		}
		*retired = true
		next := standing
		next.Retired = append(slices.Clone(standing.Retired), id)
		next.Canaries = slices.DeleteFunc(slices.Clone(standing.Canaries), func(k Canary) bool { return k.SigningID == id })
		return &next, nil
	}
}
