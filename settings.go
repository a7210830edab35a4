package apikeys

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/keyhash"
	"github.com/apikeys-platform/apikeys/internal/token"
)

// settle makes or reads the settings that all clients of a database share, and
// sees that the secrets of this client are of those that belong to them.
//
// There is a canary for each signing secret that was ever signed with, until it is
// retired. A client whose secrets match none of them has the wrong secret. A new
// signing secret is registered only by a client that also has one that matches, so
// that a typing error cannot start a second life beside the first; and one that was
// retired is never registered again.
func (c *core) settle(ctx context.Context) (SettingsRecord, error) {
	standing, err := c.changeSettings(ctx, func(standing SettingsRecord) (*SettingsRecord, error) {
		switch {
		case matches(standing.Canaries, c.signer):
			return nil, nil
		case !c.acceptsOneOf(standing.Canaries):
			return nil, c.unfit(standing)
		case standing.retired(c.signer.ID()):
			return nil, nil
		}
		next := standing
		next.Canaries = append([]Canary{c.canary()}, standing.Canaries...)
		return &next, nil
	})
	c.retired.Store(err == nil && standing.retired(c.signer.ID()))
	return standing, err
}

var (
	errRetired = errors.New("was retired from this database, and no secret comes back; " +
		"sign with the one that the other processes sign with, or with a new one")
	errForeign = errors.New("is not a secret that this database's keys were issued under; " +
		"to change the signing secret, keep the one in use until now in AcceptedSecrets")
)

// settleFirst is settle for a client that begins: it does not begin with a signing
// secret that it could not sign with.
func (c *core) settleFirst(ctx context.Context) (SettingsRecord, error) {
	settings, err := c.settle(ctx)
	if err == nil {
		err = c.unfit(settings)
	}
	return settings, secretError(err)
}

// unfit says why a client with these secrets cannot begin; nil if it can.
func (c *core) unfit(standing SettingsRecord) error {
	switch {
	case standing.retired(c.signer.ID()):
		return errRetired
	case !matches(standing.Canaries, c.signer) && !c.acceptsOneOf(standing.Canaries):
		return errForeign
	}
	return nil
}

func secretError(err error) error {
	if errors.Is(err, errRetired) || errors.Is(err, errForeign) {
		return invalid("SigningSecret", "%s", err)
	}
	return err
}

// mayIssue asks whether the signing secret may still be signed with: another
// process may have retired it. Then this one goes on validating, which harms nobody,
// but a key that it issued would be unknown to all others.
func (c *core) mayIssue(ctx context.Context, op string) error {
	if !c.retired.Load() {
		standing, err := c.ensureSettings(ctx, c.firstSettings())
		if err != nil {
			return err
		}
		c.retired.Store(standing.retired(c.signer.ID()))
	}
	if c.retired.Load() {
		return &unavailableError{op: op, cause: fmt.Errorf("the signing secret of this process %w", errRetired)}
	}
	return nil
}

// firstSettings are those of a database that has none.
func (c *core) firstSettings() SettingsRecord {
	return SettingsRecord{Version: 1, ShieldKeys: [][]byte{randomBytes(32)}, Canaries: []Canary{c.canary()}}
}

// changeSettings replaces what stands by what change makes of it, until there is
// nothing to change, and returns what stands then. Every round that is lost is one
// that another client has won: there are no more rounds than changes at once.
func (c *core) changeSettings(ctx context.Context, change func(standing SettingsRecord) (*SettingsRecord, error)) (SettingsRecord, error) {
	proposed := c.firstSettings()
	for range 8 {
		standing, err := c.ensureSettings(ctx, proposed)
		if err != nil {
			return SettingsRecord{}, err
		}
		next, err := change(standing)
		if next == nil || err != nil {
			return standing, err
		}
		next.Version = standing.Version + 1
		proposed = *next
	}
	return SettingsRecord{}, &unavailableError{op: "change settings", cause: ErrConflict}
}

func (r SettingsRecord) retired(id string) bool { return slices.Contains(r.Retired, id) }

func (c *core) ensureSettings(ctx context.Context, proposed SettingsRecord) (SettingsRecord, error) {
	ctx, cancel := c.call(ctx)
	defer cancel()
	standing, err := c.store.EnsureSettings(ctx, proposed)
	return standing, storeError("read settings", err)
}

func (c *core) canary() Canary {
	mac := c.signer.Canary()
	return Canary{SigningID: c.signer.ID(), MAC: mac[:]}
}

func (c *core) acceptsOneOf(canaries []Canary) bool {
	for _, h := range c.accepted {
		if matches(canaries, h) {
			return true
		}
	}
	return false
}

func matches(canaries []Canary, h *keyhash.Hasher) bool {
	mac := h.Canary()
	for _, canary := range canaries {
		if canary.SigningID == h.ID() && subtle.ConstantTimeCompare(canary.MAC, mac[:]) == 1 {
			return true
		}
	}
	return false
}

// shared is what comes from the settings: all clients of a database have the
// same. Cursors and subjects hang on the oldest shield key, which does not change
// when signing secrets do.
type shared struct {
	tagger   *token.Tagger
	cursors  cursorKey
	subjects []byte // hides the subjects of Allow
}

func (c *core) useShieldKeys(shields [][]byte) error {
	tagger, err := token.NewTagger(shields)
	if err != nil {
		return &unavailableError{op: "read settings", cause: err}
	}
	oldest := shields[len(shields)-1]
	c.shared.Store(&shared{
		tagger:   tagger,
		cursors:  keyhash.Subkey(oldest, "apikeys/v1 cursor"),
		subjects: keyhash.Subkey(oldest, "apikeys/v1 subject"),
	})
	return nil
}

// cursorKey authenticates cursors, so that nobody can page through what is not
// theirs.
type cursorKey []byte

// encode returns the cursor after the item with this id in the list named by list.
func (k cursorKey) encode(list string, id uuid.UUID) string {
	return base64.RawURLEncoding.EncodeToString(append(id[:], k.mac(list, id)...))
}

// decode returns the id in a cursor of this list; uuid.Nil for an empty one.
func (k cursorKey) decode(list, cursor string) (uuid.UUID, error) {
	if cursor == "" {
		return uuid.Nil, nil
	}
	var id uuid.UUID
	b := make([]byte, 0, 32)
	if len(cursor) == base64.RawURLEncoding.EncodedLen(32) {
		b, _ = base64.RawURLEncoding.Strict().AppendDecode(b, []byte(cursor))
	}
	if len(b) == 32 {
		copy(id[:], b)
	}
	if len(b) != 32 || !hmac.Equal(b[16:], k.mac(list, id)) {
		return uuid.Nil, invalid("Cursor", "is not one that this list returned; begin again without a cursor")
	}
	return id, nil
}

func (k cursorKey) mac(list string, id uuid.UUID) []byte {
	h := hmac.New(sha256.New, k)
	h.Write(id[:])
	h.Write([]byte(list))
	return h.Sum(nil)[:16]
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}
