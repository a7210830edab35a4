package apikeys

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys/internal/token"
)

// RotateParams says how a key's secret is replaced.
type RotateParams struct {
	// Overlap is how long the secret that was the newest goes on working beside the
	// new one. 0 cuts it off at once. It never lives longer than it would have.
	Overlap time.Duration
}

// RotateKey gives a key a new text under the same id: its scopes, limits, counters
// and history go on. Only an active key can be rotated: the error says why it is not,
// as Validate does ([RevokedKeyError], …). Secrets older than the one that was the newest end now. The head of the text
// stays what it was.
func (c *Client) RotateKey(ctx context.Context, id uuid.UUID, params RotateParams) (*IssuedKey, error) {
	if params.Overlap < 0 {
		return nil, invalid("Overlap", "is negative; 0 ends the old secret at once")
	}
	var issued *IssuedKey
	err := c.withinGrants(ctx, id, 0, func(*KeyRecord) error { return nil }, func(version int64) (err error) {
		issued, err = c.rotate(ctx, id, params, version)
		return err
	})
	return issued, err
}

// rotate gives a key a new text if it is still that version; 0: whatever it is.
func (c *Client) rotate(ctx context.Context, id uuid.UUID, params RotateParams, version int64) (*IssuedKey, error) {
	record, err := c.getRecord(ctx, id)
	if err != nil {
		return nil, err
	}
	now := c.now()
	if err := active(&record, now); err != nil {
		return nil, err
	}
	text, secret, err := c.newSecret(ctx, record, now)
	if err != nil {
		return nil, err
	}
	rotation := Rotation{IfVersion: version, Secret: secret, OldEndsAt: now.Add(params.Overlap)}
	op := operation{
		kind: KindKey, verb: "rotate", id: id, stale: staleKey(id),
		detail: map[string]any{"old_ends_at": rotation.OldEndsAt},
	}
	err = c.mutate(ctx, op, func(ctx context.Context, m Mutation) (err error) {
		record, err = c.store.RotateKey(ctx, m, KeyRef{Scope: c.scope, ID: id}, rotation)
		return notFound(err, KindKey, id)
	})
	if err != nil {
		return nil, err
	}
	key, err := c.publicKey(record)
	if err != nil {
		return nil, err
	}
	return &IssuedKey{Key: *key, Plaintext: newPlaintext(text, secret.Hint)}, nil
}

// newSecret makes a text for a key, and what is stored of it.
func (c *core) newSecret(ctx context.Context, k KeyRecord, now time.Time) (text string, s SecretRecord, err error) {
	if err := c.mayIssue(ctx, "issue key"); err != nil {
		return "", SecretRecord{}, err
	}
	text = c.shared.Load().tagger.New(k.Head)
	return text, SecretRecord{
		KeyID: k.ID, Number: 1, Hash: c.signer.Sum(text), SigningID: c.signer.ID(), Hint: token.Hint(text), CreatedAt: now,
	}, nil
}

// active asks what Status asks, with the errors that say more.
func active(k *KeyRecord, now time.Time) error {
	for _, check := range []func(*KeyRecord, time.Time) error{checkRevoked, checkExpired, checkDisabled} {
		if err := check(k, now); err != nil {
			return err
		}
	}
	return nil
}

// KeySecret is one of the secrets that a key has or had.
type KeySecret struct {
	Number    int // 1 is the first that was issued
	Hint      string
	CreatedAt time.Time
	EndsAt    time.Time // zero: as long as the key
	// LastUsedAt is when it was last accepted, and LastRetiredUseAt when it was last
	// presented after its end, as far as the usage history goes back; zero: never.
	LastUsedAt       time.Time
	LastRetiredUseAt time.Time
}

// KeySecrets lists a key's secrets, the newest first: after a rotation it tells
// whether the old one is still in use, or still tried after its end.
func (c *Client) KeySecrets(ctx context.Context, id uuid.UUID) ([]KeySecret, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	call, cancel := c.call(ctx)
	defer cancel()
	record, secrets, err := c.store.GetKey(call, KeyRef{Scope: c.scope, ID: id})
	if err != nil {
		return nil, storeError("read key", notFound(err, KindKey, id))
	}
	hours, err := c.KeyUsage(ctx, id, record.CreatedAt.Truncate(time.Hour), c.now().Add(time.Hour))
	if err != nil {
		return nil, err
	}
	var list []KeySecret
	for _, s := range secrets {
		if n := len(list); n > 0 && list[n-1].Number == s.Number {
			continue // the same secret under another signing secret
		}
		list = append(list, KeySecret{
			Number: s.Number, Hint: s.Hint, CreatedAt: s.CreatedAt, EndsAt: s.EndsAt,
			LastUsedAt:       lastUse(hours, s.Number, OutcomeAccepted),
			LastRetiredUseAt: lastUse(hours, s.Number, CodeRetiredSecret),
		})
	}
	return list, nil
}

func lastUse(hours []UsageDelta, secret int, outcome string) (last time.Time) {
	for _, h := range hours {
		if h.Secret == secret && h.Outcome == outcome {
			last = latest(last, h.LastAt)
		}
	}
	return last
}

// KeyUsage returns how a key was used, by hour, secret and outcome, in the hours that
// begin at from or later and before to: [OutcomeAccepted], or the code of the
// refusal ([CodeExpiredKey], [CodeRetiredSecret], [CodeRevokedKey], [CodeDisabledKey],
// [CodeSuspended], [CodeInsufficientScope], [CodeQuotaExceeded]). Refusals are not in
// Key.UseCount, and are written in the background whatever UsageFlushInterval says.
// What has not been written yet is not in it: give it a Config.UsageFlushInterval.
func (c *Client) KeyUsage(ctx context.Context, id uuid.UUID, from, to time.Time) ([]UsageDelta, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	ctx, cancel := c.call(ctx)
	defer cancel()
	hours, err := c.store.KeyUsage(ctx, UsageQuery{Ref: KeyRef{Scope: c.scope, ID: id}, From: from.UTC(), To: to.UTC()})
	return hours, storeError("read usage", notFound(err, KindKey, id))
}
