package httpapi_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/httpapi"
	"github.com/apikeys-platform/apikeys/internal/testdb"
	"github.com/apikeys-platform/apikeys/store"
	"github.com/apikeys-platform/apikeys/store/mysql"
	"github.com/apikeys-platform/apikeys/store/postgres"
)

// onEveryDatabase runs a test on a server of its own for each database.
func onEveryDatabase(t *testing.T, test func(*world)) {
	t.Helper()
	for name, open := range map[string]func(context.Context, *testing.T) (store.DB, error){
		"sqlite": func(ctx context.Context, t *testing.T) (store.DB, error) {
			return store.Open(ctx, "sqlite:///"+filepath.Join(t.TempDir(), "app.db"))
		},
		"postgres": func(ctx context.Context, t *testing.T) (store.DB, error) {
			return postgres.Open(ctx, testdb.Postgres(t))
		},
		"mysql": func(ctx context.Context, t *testing.T) (store.DB, error) { return mysql.Open(ctx, testdb.MySQL(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := open(t.Context(), t)
			check(t, err)
			t.Cleanup(func() { check(t, db.Close()) })
			check(t, db.Migrate(t.Context()))
			test(newWorldOf(t, clientOn(t, db)))
		})
	}
}

// clientOn is apikeystest.New on another store.
func clientOn(t *testing.T, db apikeys.Store) *apikeystest.Client {
	t.Helper()
	clock := apikeystest.NewClock(time.Date(2026, time.January, 2, 18, 0, 0, 0, time.UTC))
	client, err := apikeys.New(t.Context(), db, apikeys.Config{
		SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), CacheSize: 1000, UsageFlushInterval: -1, Now: clock.Now,
		OpTimeout: time.Minute, // the machine may be busy
	})
	check(t, err)
	t.Cleanup(func() { check(t, client.Close(context.Background())) })
	organization, _, err := client.GetOrCreateOrganization(t.Context(), "own")
	check(t, err)
	return &apikeystest.Client{Client: client, Clock: clock, Organization: organization}
}

// Every operation, by a user, a manager and an administrator, on what is their own
// and on what is not: in another organization, in one that is suspended, another
// user's in another project. Only their own succeeds; of the rest, each answer is,
// byte for byte, the one for what does not exist, and nothing changes.
func TestOperationsOnTheTargetsOfOthers(t *testing.T) {
	t.Parallel()
	onEveryDatabase(t, func(w *world) {
		_, err := w.ResumeOrganization(w.t.Context(), w.suspended)
		check(w.t, err)
		others := map[string]target{
			"other organization": w.targetIn(w.other, "alice"), "suspended organization": w.targetIn(w.suspended, "alice"),
		}
		_, err = w.SuspendOrganization(w.t.Context(), w.suspended)
		check(w.t, err)
		bobs := w.targetIn(w.own, "bob")
		before := map[string]string{} // nobody else changes these
		for _, o := range operations() {
			for _, who := range []string{"alice", "manager", "admin"} {
				o.tryOwn(w, who)
			}
			for _, who := range []string{"alice", "manager"} {
				for where, other := range others {
					before[where] = o.tryForeign(w, who, where, other, before[where])
				}
			}
			if o.ofAKey() {
				o.tryForeign(w, "alice", "other project", bobs, "")
			}
		}
	})
}

// tryOwn tries an operation on a target of the principal's own.
func (o operation) tryOwn(w *world, who string) {
	w.t.Helper()
	own := w.own
	if o.who == "admin" && who == "admin" { // it may end the organization
		organization, err := w.CreateOrganization(w.t.Context(), uuid.NewString())
		check(w.t, err)
		own = organization.ID
	}
	got := o.on(w, who, w.targetIn(own, "alice"))
	if !o.allows(who) {
		got.want(w.t, who+" "+o.pattern, http.StatusForbidden, "forbidden")
		return
	}
	if got.status != o.status || got.code() != "" || o.pattern == "POST /verify" && got.at("meta", "valid") != true {
		w.t.Errorf("%s %s: got %d %s, want %d", who, o.pattern, got.status, got.body, o.status)
	}
}

// ofAKey tells whether the operation is on one key that is there.
func (o operation) ofAKey() bool {
	return strings.Contains(o.pattern, " /api-keys/{id}")
}

// tryForeign tries it on a target that the principal must not see. It returns what an
// administrator sees of that, before which is what it was, if that is known.
func (o operation) tryForeign(w *world, who, where string, foreign target, before string) string {
	w.t.Helper()
	what := who + " on " + where + ": " + o.pattern
	if before == "" {
		before = w.snapshot(foreign)
	}
	got, none := o.on(w, who, foreign), o.on(w, who, missing())
	switch {
	case o.pattern == "GET /organizations" || o.pattern == "POST /organizations": // have no target
	case !o.allows(who):
		got.want(w.t, what, http.StatusForbidden, "forbidden")
	case o.pattern == "POST /verify":
		got.want(w.t, what, http.StatusOK, "")
		if got.text("meta", "code") != "invalid_key" {
			w.t.Errorf("%s: got %s", what, got.body)
		}
	default:
		got.want(w.t, what, http.StatusNotFound, "not_found")
	}
	if got.status != none.status || got.body != none.body {
		w.t.Errorf("%s: got %d %s, for what does not exist %d %s", what, got.status, got.body, none.status, none.body)
	}
	after := w.snapshot(foreign)
	if after != before {
		w.t.Errorf("%s: was\n%s\nis\n%s", what, before, after)
	}
	return after
}

// snapshot is all that an administrator sees of a target.
func (w *world) snapshot(on target) string {
	all := ""
	for _, path := range []string{
		"/organizations/" + on.organization.String(), "/projects/" + on.project.String(), "/products/" + on.product.String(),
		"/api-keys/" + on.key.String(), "/projects/" + on.project.String() + "/products", "/api-keys?" + ofOrganization(on),
		"/projects?" + ofOrganization(on), "/products?" + ofOrganization(on),
	} {
		got := w.send("admin", "GET", path, "")
		got.want(w.t, path, http.StatusOK, "")
		all += got.body
	}
	return all
}

// Every operation on what is there, by those to whom it does not belong.
func TestOperationsByStrangers(t *testing.T) {
	t.Parallel()
	onEveryDatabase(t, func(w *world) {
		own := w.targetIn(w.own, "alice")
		w.principals["key"] = httpapi.KeyPrincipal(w.validationOf(own.project))
		before := w.snapshot(own)
		seen := before
		for _, o := range operations() {
			for who, want := range map[string]struct {
				status int
				code   string
			}{
				"":          {http.StatusUnauthorized, "unauthenticated"},
				"nobody":    {http.StatusForbidden, "forbidden"},
				"two":       {http.StatusForbidden, "forbidden"},
				"gone":      {http.StatusForbidden, "forbidden"},
				"suspended": {http.StatusForbidden, "suspended"},
				"key":       {http.StatusForbidden, "forbidden"}, // bound to a project
			} {
				got, none := o.on(w, who, own), o.on(w, who, missing())
				got.want(w.t, who+" "+o.pattern, want.status, want.code)
				if got.body != none.body {
					w.t.Errorf("%s %s: got %s, for what does not exist %s", who, o.pattern, got.body, none.body)
				}
			}
			for _, who := range []string{"foreigner", "namesake"} {
				seen = o.tryForeign(w, who, "what is not theirs", own, seen)
			}
		}
		if after := w.snapshot(own); after != before {
			w.t.Errorf("strangers changed\n%s\nto\n%s", before, after)
		}
	})
}

// validationOf returns what is known of a key that may manage keys but for being
// bound to a project.
func (w *world) validationOf(project uuid.UUID) apikeys.Validation {
	w.t.Helper()
	key, err := w.CreateKey(w.t.Context(), apikeys.CreateKeyParams{
		OrganizationID: w.own, ProjectID: project, Metadata: apikeys.KeyMetadata{Scopes: []string{httpapi.ManageScope}},
	})
	check(w.t, err)
	v, err := w.Validate(w.t.Context(), key.Plaintext.Reveal(), apikeys.ValidateParams{})
	check(w.t, err)
	return v
}
