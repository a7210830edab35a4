package apikeys_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

func TestRotationKeepsTheKeyAndEndsTheOldSecret(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	first := c.IssueWith(apikeys.KeyMetadata{Name: "ci", Scopes: []string{"read"}, RateLimits: []apikeys.RateLimit{apikeys.PerDay(3)}})
	old := first.Plaintext.Reveal()
	must(c.Validate(ctx, old, apikeys.ValidateParams{}))(t)

	next := must(c.RotateKey(ctx, first.Key.ID, apikeys.RotateParams{Overlap: time.Hour}))(t)
	text := next.Plaintext.Reveal()
	if next.Key.ID != first.Key.ID || next.Key.Metadata.Name != "ci" || next.Key.Hint == first.Key.Hint || next.Key.Version != 2 || text == old {
		t.Errorf("got %+v, want the same key with another hint and text", next.Key)
	}
	// Both work, on one limit.
	must(c.Validate(ctx, old, apikeys.ValidateParams{}))(t)
	must(c.Validate(ctx, text, apikeys.ValidateParams{Scopes: []string{"read"}}))(t)
	wantIs(t, second(c.Validate(ctx, text, apikeys.ValidateParams{})), apikeys.ErrQuotaExceeded)

	end := c.Clock.Advance(time.Hour)
	e := wantErr[*apikeys.RetiredSecretError](t, second(c.Verify(ctx, old)), apikeys.ErrExpiredKey)
	if !e.RetiredAt.Equal(end) || e.Code() != apikeys.CodeRetiredSecret {
		t.Errorf("got %v (%s), want retired at %s", e, e.Code(), end)
	}
	must(c.Verify(ctx, text))(t)

	secrets := must(c.KeySecrets(ctx, first.Key.ID))(t)
	if len(secrets) != 2 || secrets[0].Number != 2 || !secrets[0].EndsAt.IsZero() || !secrets[1].EndsAt.Equal(end) ||
		!secrets[1].LastUsedAt.Equal(first.Key.CreatedAt) || !secrets[0].LastUsedAt.Equal(end) {
		t.Errorf("got secrets %+v, want the new one in use and the old one ended at %s", secrets, end)
	}
}

func TestRotationWithoutOverlapCutsAtOnceAndNeverExtends(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	key := c.Issue()
	texts := []string{key.Plaintext.Reveal()}
	for _, overlap := range []time.Duration{time.Hour, 24 * time.Hour, 0} {
		texts = append(texts, must(c.RotateKey(ctx, key.Key.ID, apikeys.RotateParams{Overlap: overlap}))(t).Plaintext.Reveal())
	}
	for i, text := range texts {
		_, err := c.Verify(ctx, text)
		if last := i == len(texts)-1; last != (err == nil) {
			t.Errorf("secret %d of %d: got %v", i+1, len(texts), err)
		}
	}
	_, err := c.RotateKey(ctx, key.Key.ID, apikeys.RotateParams{Overlap: -1})
	wantIs(t, err, apikeys.ErrInvalidArgument)
}

func TestOnlyActiveKeysAreRotated(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	for want, key := range map[error]*apikeys.IssuedKey{
		apikeys.ErrRevokedKey: c.IssueRevoked(), apikeys.ErrExpiredKey: c.IssueExpired(), apikeys.ErrDisabledKey: c.IssueDisabled(),
	} {
		_, err := c.RotateKey(ctx, key.Key.ID, apikeys.RotateParams{})
		wantIs(t, err, want)
	}
	_, err := c.RotateKey(ctx, uuid.New(), apikeys.RotateParams{})
	wantErr[*apikeys.NotFoundError](t, err, apikeys.ErrNotFound)
}

func TestRevokeKeysInBulk(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	h, other := build(t, c.Client, "mine"), build(t, c.Client, "theirs")
	for i := range 300 {
		owner := "alice"
		if i%10 == 0 {
			owner = "bob"
		}
		issue(t, c.Client, apikeys.CreateKeyParams{OrganizationID: h.org, OwnerID: owner})
	}
	theirs := issue(t, c.Client, apikeys.CreateKeyParams{OrganizationID: other.org, OwnerID: "alice"})
	_, err := c.RevokeKeys(ctx, apikeys.KeyFilter{}, apikeys.RevokeParams{})
	wantIs(t, err, apikeys.ErrInvalidArgument)
	filter := apikeys.KeyFilter{OrganizationID: h.org, OwnerID: "alice"}
	for _, want := range []int{270, 0} {
		if n, err := c.RevokeKeys(ctx, filter, apikeys.RevokeParams{Reason: "left"}); n != want || err != nil {
			t.Errorf("got %d, %v; want %d", n, err, want)
		}
	}
	must(c.Verify(ctx, theirs.Plaintext.Reveal()))(t)
	n := 0
	for key, err := range c.Keys(ctx, apikeys.KeyFilter{OrganizationID: h.org, Status: apikeys.StatusRevoked}) {
		if must(key, err)(t).RevokedReason != "left" || key.OwnerID != "alice" {
			t.Errorf("got %q of %q revoked", key.RevokedReason, key.OwnerID)
		}
		n++
	}
	if n != 270 {
		t.Errorf("got %d revoked keys, want 270", n)
	}
}

func TestPurgeErasesWhatEndedLongAgo(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	c.IssueRevoked()
	c.IssueExpired()
	keep := []uuid.UUID{c.Issue().Key.ID, c.IssueDisabled().Key.ID}
	c.Clock.Advance(time.Hour)
	keep = append(keep, c.IssueRevoked().Key.ID)
	wantIs(t, second(c.PurgeKeys(ctx, apikeys.PurgeParams{})), apikeys.ErrInvalidArgument)
	if n, err := c.PurgeKeys(ctx, apikeys.PurgeParams{EndedBefore: c.Clock.Now()}); n != 2 || err != nil {
		t.Errorf("got %d, %v; want 2 erased", n, err)
	}
	for _, id := range keep {
		must(c.GetKey(ctx, id))(t)
	}
}

func TestMaxKeyLifetime(t *testing.T) {
	t.Parallel()
	base := apikeystest.New(t)
	_, c, _ := spiedOn(t, base, func(c *apikeys.Config) { c.MaxKeyLifetime = 24 * time.Hour })
	ctx, now := t.Context(), base.Clock.Now()
	create := func(end time.Time) (*apikeys.IssuedKey, error) {
		return c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: base.Organization.ID, Metadata: apikeys.KeyMetadata{ExpiresAt: end}})
	}
	wantIs(t, second(create(time.Time{})), apikeys.ErrInvalidArgument)
	wantIs(t, second(create(now.Add(24*time.Hour+time.Microsecond))), apikeys.ErrInvalidArgument)
	key := must(create(now.Add(24 * time.Hour)))(t)
	base.Clock.Advance(time.Hour)
	longer := now.Add(25 * time.Hour)
	wantIs(t, second(c.PatchKey(ctx, key.Key.ID, apikeys.KeyPatch{ExpiresAt: &longer})), apikeys.ErrInvalidArgument)
	wantIs(t, second(c.UpdateKey(ctx, key.Key.ID, apikeys.KeyMetadata{})), apikeys.ErrInvalidArgument)
	must(c.PatchKey(ctx, key.Key.ID, apikeys.KeyPatch{Name: ptr("n")}))(t)
}

func TestKeyUsageByHour(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	key, begin := c.Issue(), c.Clock.Now()
	for _, uses := range []int{2, 0, 3} {
		for range uses {
			must(c.Verify(ctx, key.Plaintext.Reveal()))(t)
		}
		c.Clock.Advance(time.Hour)
	}
	hours := must(c.KeyUsage(ctx, key.Key.ID, begin, c.Clock.Now()))(t)
	if len(hours) != 2 || hours[0].Count != 2 || hours[1].Count != 3 || !hours[1].Hour.Equal(begin.Add(2*time.Hour)) || hours[0].Outcome != apikeys.OutcomeAccepted {
		t.Errorf("got %+v, want 2 uses in the first hour and 3 in the third", hours)
	}
	_, err := c.KeyUsage(ctx, uuid.New(), begin, c.Clock.Now())
	wantErr[*apikeys.NotFoundError](t, err, apikeys.ErrNotFound)
}

// A revocation can be bound to the version that was read, as a patch can.
func TestRevokeIfVersion(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	key := c.Issue().Key
	for version, want := range map[int64]error{-1: apikeys.ErrInvalidArgument, 2: apikeys.ErrConflict} {
		if _, err := c.RevokeKey(t.Context(), key.ID, apikeys.RevokeParams{IfVersion: version}); !errors.Is(err, want) {
			t.Errorf("version %d: got %v, want %v", version, err, want)
		}
	}
	revoked := must(c.RevokeKey(t.Context(), key.ID, apikeys.RevokeParams{IfVersion: 1, Reason: "first"}))(t)
	_, err := c.RevokeKey(t.Context(), key.ID, apikeys.RevokeParams{IfVersion: 1, Reason: "second"})
	if !errors.Is(err, apikeys.ErrConflict) || revoked.RevokedReason != "first" {
		t.Errorf("the second got %v, the key was revoked for %q", err, revoked.RevokedReason)
	}
}
