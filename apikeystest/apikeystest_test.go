package apikeystest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

func TestKeysAreWhatTheirNamesSay(t *testing.T) {
	t.Parallel()
	client := apikeystest.New(t)
	for name, tc := range map[string]struct {
		key  *apikeys.IssuedKey
		want error
	}{
		"good":     {client.Issue("read"), nil},
		"limited":  {client.IssueLimited(apikeys.PerDay(0)), apikeys.ErrQuotaExceeded},
		"expired":  {client.IssueExpired(), apikeys.ErrExpiredKey},
		"revoked":  {client.IssueRevoked(), apikeys.ErrRevokedKey},
		"disabled": {client.IssueDisabled(), apikeys.ErrDisabledKey},
	} {
		_, err := client.Validate(t.Context(), tc.key.Plaintext.Reveal(), apikeys.ValidateParams{})
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

func TestWindowsAndExpiryFollowTheClock(t *testing.T) {
	t.Parallel()
	client := apikeystest.New(t)
	issued := client.IssueWith(apikeys.KeyMetadata{
		RateLimits: []apikeys.RateLimit{apikeys.PerMinute(1)},
		ExpiresAt:  client.Clock.Now().Add(time.Hour),
	})
	for _, tc := range []struct {
		after time.Duration
		want  error
	}{{0, nil}, {0, apikeys.ErrQuotaExceeded}, {time.Minute, nil}, {time.Hour, apikeys.ErrExpiredKey}} {
		client.Clock.Advance(tc.after)
		_, err := client.Validate(t.Context(), issued.Plaintext.Reveal(), apikeys.ValidateParams{})
		if !errors.Is(err, tc.want) {
			t.Errorf("after another %s: got %v, want %v", tc.after, err, tc.want)
		}
	}
}

func TestCountsAreThereAtOnce(t *testing.T) {
	t.Parallel()
	client := apikeystest.New(t)
	issued := client.Issue()
	for range 3 {
		if _, err := client.Verify(t.Context(), issued.Plaintext.Reveal()); err != nil {
			t.Fatal(err)
		}
	}
	key, err := client.GetKey(t.Context(), issued.Key.ID)
	if err != nil || key.UseCount != 3 {
		t.Errorf("got %+v, %v, want 3 uses", key, err)
	}
}
