package difftest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// signingSecret is of no use outside these tests.
const signingSecret = "0f2a7c9be1548d36a0c4f7e2931b8d6540eac7f21d93b58c6e0a47f1d2b3958c"

// least is how much of a limit is admitted at least before a request is refused, when
// each costs 1: see package leases.
func least(limit int64) int64 { return limit - (processes-1)*max(1, limit/8) }

func TestLeasedLimiterStaysWithinItsBoundsAcrossProcesses(t *testing.T) {
	t.Parallel()
	const uses = 100
	const limit = processes * goroutines * uses / 2
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			client, todo := leasedTask(t, d)
			for name, limits := range map[string][]apikeys.RateLimit{
				"one limit":  {apikeys.PerHour(limit)},
				"two limits": {apikeys.PerHour(limit), apikeys.PerDay(2 * limit)},
			} {
				t.Run(name, func(t *testing.T) {
					todo := todo
					todo.Uses = uses
					counted := inOneHour(t, func() *tally {
						todo.Key = issue(t, client, limits)
						return together(t, todo)
					})
					got := sum(counted.Accepted)
					if got > limit || got < least(limit) {
						t.Errorf("got %d accepted, want %d to %d", got, least(limit), limit)
					}
					t.Logf("%d of %d accepted", got, limit)
				})
			}
		})
	}
}

func TestLeasedLimiterStaysWithinItsBoundsInEachOfManyWindows(t *testing.T) {
	t.Parallel()
	const limit = 100
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			client, todo := leasedTask(t, d)
			todo.Key = issue(t, client, []apikeys.RateLimit{apikeys.PerSecond(limit), apikeys.PerHour(1_000_000)})
			todo.Lasting = 3 * time.Second
			counted := together(t, todo)
			for window, got := range counted.Accepted {
				// Where none was refused there may have been no more requests.
				if got > limit || counted.Refused[window] > 0 && got < least(limit) {
					t.Errorf("a window: got %d accepted, want %d to %d", got, least(limit), limit)
				}
			}
			if len(counted.Refused) < 2 {
				t.Errorf("got %d windows in which requests were refused, want at least 2", len(counted.Refused))
			}
		})
	}
}

// leasedTask prepares a database and the task of using keys in it.
func leasedTask(t *testing.T, d database) (*apikeys.Client, task) {
	t.Helper()
	s, dsn := openMigrated(t, d)
	client, err := newClient(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return client, task{Database: d.name, DSN: dsn}
}

// issue makes a key and returns its text.
func issue(t *testing.T, client *apikeys.Client, limits []apikeys.RateLimit) string {
	t.Helper()
	organization, _, err := client.GetOrCreateOrganization(t.Context(), "limits")
	if err != nil {
		t.Fatal(err)
	}
	issued, err := client.CreateKey(t.Context(), apikeys.CreateKeyParams{
		OrganizationID: organization.ID, Metadata: apikeys.KeyMetadata{RateLimits: limits},
	})
	if err != nil {
		t.Fatal(err)
	}
	return issued.Plaintext.Reveal()
}

func newClient(ctx context.Context, s apikeys.Store) (*apikeys.Client, error) {
	// A machine that is busy with other tests is no reason to refuse.
	return apikeys.New(ctx, s, apikeys.Config{SigningSecret: apikeys.NewSecret(signingSecret), OpTimeout: time.Minute})
}

// leasedUse validates a key, by a client that is as by default but for its patience.
func leasedUse(ctx context.Context, s apikeys.Store, key string) (use, func(context.Context) error, error) {
	client, err := newClient(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context) (bool, time.Time, error) {
		v, err := client.Validate(ctx, key, apikeys.ValidateParams{})
		if quota := (*apikeys.QuotaError)(nil); errors.As(err, &quota) {
			return false, quota.ResetAt, nil
		}
		if err != nil {
			return false, time.Time{}, err
		}
		first := slices.MinFunc(v.Limits(), func(a, b apikeys.LimitState) int { return a.ResetAt.Compare(b.ResetAt) })
		return true, first.ResetAt, nil
	}, client.Close, nil
}
