package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

// exact is the configuration of a strict client that charges exact limits and notes the
// use in one call of the store.
func exact(s apikeys.Store) apikeys.Config {
	config := strict()
	config.RateLimiter = apikeys.NewExactLimiter(s)
	config.OpTimeout = time.Minute // the machine may be busy
	return config
}

// admissionTime is in windows that do not end while a test runs.
var admissionTime = time.Date(2026, time.March, 5, 12, 30, 0, 0, time.UTC)

// A request is admitted once or not at all, and what is charged is what is counted: for
// every call of the store that fails, on every database, whether it was done or not.
func TestEveryCallOfAnAdmissionFails(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			direct, _ := d.Migrated(t)
			faulty := &faultStore{Store: direct}
			a := newAdmissions(t, direct, faulty)
			for _, f := range faultsOfCalls() {
				for k, more := 1, true; more; k++ {
					faulty.arm(k, f)
					err := a.validate(t)
					var call string
					more, call = faulty.heal()
					a.judge(t, fmt.Sprintf("%s at call %d (%s)", f.name, k, call), err, more)
				}
			}
			t.Log(a)
			if a.unknown == 0 || a.undone == 0 {
				t.Error("no outcome was in doubt, or nothing was left undone: nothing was tested")
			}
		})
	}
}

// The same for every packet to a server, whose answer is lost, with the server there or
// gone afterwards.
func TestAnswersToAdmissionsAreLost(t *testing.T) {
	t.Parallel()
	for _, d := range proxied() {
		for _, gone := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, gone afterwards %v", d.Name, gone), func(t *testing.T) {
				t.Parallel()
				direct, dsn := d.Migrated(t)
				p := d.proxy(t, dsn)
				lose := &losses{proxy: p, gone: gone}
				a := newAdmissions(t, direct, d.Opened(t, p.DSN))
				for k, more := int64(1), true; more; k++ {
					var packets atomic.Int64
					p.Befall(lose.mishap(k, &packets))
					err := a.validate(t)
					p.Heal()
					lose.await(t, a.client, a.world)
					more = packets.Load() >= k
					a.judge(t, fmt.Sprintf("the answer to packet %d lost", k), err, more)
				}
				t.Log(a)
				if a.unknown == 0 {
					t.Error("no outcome was in doubt: nothing was tested")
				}
			})
		}
	}
}

// admissions are those of one key by a client whose store is faulty.
type admissions struct {
	direct  apikeys.Store
	world   *world
	key     *apikeys.IssuedKey
	client  *apikeys.Client
	charged int64 // so far

	admitted, unknown, undone int
}

func newAdmissions(t *testing.T, direct, faulty apikeys.Store) *admissions {
	t.Helper()
	config := exact(faulty)
	config.Now = func() time.Time { return admissionTime }
	a := &admissions{direct: direct, world: newWorld(t, direct, newClient(t, direct, strict())), client: newClient(t, faulty, config)}
	a.key = a.world.issue(t, apikeys.CreateKeyParams{Metadata: apikeys.KeyMetadata{
		RateLimits: []apikeys.RateLimit{apikeys.PerHour(10_000), apikeys.PerDay(20_000)},
	}})
	for range 3 { // the windows are there, and the key is remembered
		a.judge(t, "without a fault", a.validate(t), false)
	}
	return a
}

func (a *admissions) String() string {
	return fmt.Sprintf("%d requests admitted, %d of unknown outcome, %d not admitted", a.admitted, a.unknown, a.undone)
}

func (a *admissions) validate(t *testing.T) error {
	t.Helper()
	return second(a.client.Validate(t.Context(), a.key.Plaintext.Reveal(), apikeys.ValidateParams{}))
}

// judge compares what a request was told with what was charged and counted for it.
func (a *admissions) judge(t *testing.T, what string, err error, faulty bool) {
	t.Helper()
	charged := a.charge(t)
	now := charged - a.charged
	a.charged = charged
	record, _, getErr := a.direct.GetKey(t.Context(), apikeys.KeyRef{ID: a.key.Key.ID})
	if getErr != nil || record.UseCount != charged {
		t.Errorf("%s: got %d uses counted, %v, and %d charged", what, record.UseCount, getErr, charged)
	}
	switch {
	case err == nil:
		a.admitted++
		if now != 1 {
			t.Errorf("%s: admitted, and %d charged", what, now)
		}
	case !faulty:
		t.Errorf("%s: got error %v, and nothing had failed", what, err)
	case errors.Is(err, apikeys.ErrOutcomeUnknown):
		a.unknown++
		if now < 0 || now > 1 {
			t.Errorf("%s: of unknown outcome, and %d charged", what, now)
		}
	case errors.Is(err, apikeys.ErrUnavailable):
		a.undone++
		if now != 0 {
			t.Errorf("%s: got error %v, and %d charged", what, err, now)
		}
	default:
		t.Errorf("%s: got error %v, want one that says the store is unavailable or the outcome unknown", what, err)
	}
}

// start asks for admissions, two at a time, until it is stopped, and tells how many were
// asked for and acknowledged, from the first one on.
func (a *admissions) start(t *testing.T) (stop func() (asked, acknowledged int64)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var asked, acknowledged atomic.Int64
	var working sync.WaitGroup
	for range 2 {
		working.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(time.Millisecond) { // leaves the machine to others
				asked.Add(1)
				if a.validate(t) == nil {
					acknowledged.Add(1)
				}
			}
		})
	}
	stop = func() (int64, int64) {
		cancel()
		working.Wait()
		return a.charged + asked.Load(), a.charged + acknowledged.Load()
	}
	t.Cleanup(func() { stop() })
	return stop
}

// check compares what was asked for, and acknowledged, with what the database has, once
// nothing that a client has given up is still being done.
func (a *admissions) check(t *testing.T, s apikeys.Store, asked, acknowledged int64) {
	t.Helper()
	a.direct = s
	for {
		before := a.charge(t)
		record, _, err := s.GetKey(t.Context(), apikeys.KeyRef{ID: a.key.Key.ID})
		if err != nil {
			t.Fatal(err)
		}
		if charged := a.charge(t); charged != before {
			continue
		}
		if before != record.UseCount || before < acknowledged || before > asked {
			t.Errorf("got %d admissions charged and %d counted, want the same: at least the %d acknowledged, at most the %d asked for",
				before, record.UseCount, acknowledged, asked)
		}
		return
	}
}

// charge is what was charged so far: the same to both windows.
func (a *admissions) charge(t *testing.T) int64 {
	t.Helper()
	look := apikeys.LeaseRequest{Subject: subjectOf(a.key.Key.ID), At: admissionTime}
	for _, l := range a.key.Key.Metadata.RateLimits {
		look.Parts = append(look.Parts, apikeys.LeasePart{Limit: l})
	}
	parts := must(a.direct.TakeLeases(t.Context(), []apikeys.LeaseRequest{look}))(t)[0].Parts
	if parts[0].Used != parts[1].Used {
		t.Errorf("got %d charged to one window, and %d to the other", parts[0].Used, parts[1].Used)
	}
	return parts[0].Used
}

// subjectOf is what the limits of a key are charged to.
func subjectOf(key uuid.UUID) (s apikeys.Subject) {
	copy(s[:], key[:])
	return s
}

// proxiedDatabase is one whose packets a proxy sees.
type proxiedDatabase struct {
	stores.Database
	proxy func(testing.TB, string) *testdb.Proxy
}

func proxied() []proxiedDatabase {
	return []proxiedDatabase{{stores.Postgres(), testdb.ProxyPostgres}, {stores.MySQL(), testdb.ProxyMySQL}}
}
