package pythonsdk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/importer/pythonsdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// background is for what is done after the test has ended.
func (f *fixture) background() context.Context { return context.WithoutCancel(f.Context()) }

func onEach(t *testing.T, run func(*testing.T, *fixture)) {
	t.Helper()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			run(t, newFixture(t, d))
		})
	}
}

// Every key of a database that the SDK left behind goes on working, nothing else
// works, and everything that was known of a key still is.
func TestEveryKeyIsMoved(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		keys := f.keys(many)
		client := f.client()
		dry := f.move(client, pythonsdk.Options{DryRun: true})
		ids := map[string]uuid.UUID{}
		start := time.Now()
		got := f.move(client, pythonsdk.Options{
			Refused: func(r pythonsdk.Refusal) { t.Errorf("refused: %+v", r) },
			Key:     func(r apikeys.ImportResult) { ids[r.ForeignID] = r.KeyID },
		})
		t.Logf("%s: %d rows in %s: %.0f rows/s", f.name, many, time.Since(start).Round(time.Millisecond), float64(many)/time.Since(start).Seconds())
		want := pythonsdk.Report{
			Organizations: pythonsdk.Count{Created: 3}, Projects: pythonsdk.Count{Created: 6}, Products: pythonsdk.Count{Created: 3},
			Links: pythonsdk.Count{Created: 3}, Keys: pythonsdk.Count{Created: many},
		}
		if dry != want || got != want {
			t.Errorf("got %+v, planned %+v, want %+v", got, dry, want)
		}
		f.verifyAll(t, client, keys, ids)
		f.compareAll(t, client, keys, ids)

		again := f.move(client, pythonsdk.Options{})
		want = pythonsdk.Report{
			Organizations: pythonsdk.Count{Exists: 3}, Projects: pythonsdk.Count{Exists: 6}, Products: pythonsdk.Count{Exists: 3},
			Links: pythonsdk.Count{Exists: 3}, Keys: pythonsdk.Count{Exists: many},
		}
		if again != want || f.move(client, pythonsdk.Options{DryRun: true}) != want {
			t.Errorf("the second time: got %+v, want %+v", again, want)
		}
	})
}

// verifyAll presents every key, and for some of them what is not the key.
func (f *fixture) verifyAll(t *testing.T, client *apikeys.Client, keys []*key, ids map[string]uuid.UUID) {
	t.Helper()
	var running sync.WaitGroup
	const workers = 8
	for w := range workers {
		running.Go(func() {
			for i := w; i < len(keys); i += workers {
				k := keys[i]
				v, err := client.Validate(t.Context(), k.text, apikeys.ValidateParams{Scopes: []string{"docs:a"}, SkipUsage: true, SkipRateLimit: true})
				if want := k.outcome(); !errors.Is(err, want) || err == nil && v.KeyID() != ids[k.id.String()] {
					t.Errorf("key %d: got %s, %v, want %s, %v", i, v.KeyID(), err, ids[k.id.String()], want)
				}
				if i%40 != 0 {
					continue
				}
				for _, other := range []string{newKeyText("sk_"), k.text[:len(k.text)-1], k.text + "A", "sk_" + k.hash[:43], k.hash, swapped(k.text)} {
					if _, err := client.Verify(t.Context(), other); !errors.Is(err, apikeys.ErrInvalidKey) {
						t.Errorf("key %d: %q is accepted: %v", i, other, err)
					}
				}
			}
		})
	}
	running.Wait()
}

// outcome is what validating the key comes to.
func (k *key) outcome() error {
	switch {
	case !k.revoked.IsZero():
		return apikeys.ErrRevokedKey
	case !k.meta.ExpiresAt.IsZero() && k.meta.ExpiresAt.Year() < 2999:
		return apikeys.ErrExpiredKey
	}
	return nil
}

// swapped is another text of the same shape.
func swapped(text string) string {
	b := []byte(text)
	n := len(b)
	b[n-9], b[n-10] = b[n-10], b[n-9]
	if string(b) == text {
		b[n-9] ^= 1
	}
	return string(b)
}

// compareAll reads all keys back.
func (f *fixture) compareAll(t *testing.T, client *apikeys.Client, keys []*key, ids map[string]uuid.UUID) {
	t.Helper()
	stored := map[uuid.UUID]*apikeys.Key{}
	for k, err := range client.Keys(t.Context(), apikeys.KeyFilter{}) {
		check(t, err)
		stored[k.ID] = k
	}
	names := map[uuid.UUID]string{}
	for i, tn := range f.orgs {
		org, err := client.FindOrganization(t.Context(), fmt.Sprintf("org '%d'", i))
		check(t, err)
		project, err := client.FindProject(t.Context(), org.ID, "v1")
		check(t, err)
		product, err := client.FindProduct(t.Context(), org.ID, "My API")
		check(t, err)
		names[org.ID], names[project.ID], names[product.ID] = tn.org.String(), tn.project.String(), tn.product.String()
	}
	names[uuid.Nil] = uuid.Nil.String()
	for i, k := range keys {
		got := stored[ids[k.id.String()]]
		if got == nil {
			t.Fatalf("key %d is not there", i)
		}
		if names[got.OrganizationID] != k.org.String() || names[got.ProjectID] != k.project.String() || names[got.ProductID] != k.product.String() {
			t.Errorf("key %d is bound to something else", i)
		}
		want := apikeys.Key{
			ID: got.ID, OrganizationID: got.OrganizationID, ProjectID: got.ProjectID, ProductID: got.ProductID,
			Hint: k.text[len(k.text)-43:][:8] + "…", Metadata: k.meta, CreatedAt: k.created, UpdatedAt: got.UpdatedAt,
			LastUsedAt: k.used, RevokedAt: k.revoked, UseCount: k.uses, Version: 1,
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("key %d:\n%s", i, diff)
		}
	}
}

// What cannot be kept is refused row by row, with its id and a reason.
func TestRowsThatCannotBeKept(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		bad := map[string]string{} // id → what the reason names
		add := func(names string, edit func(*key)) {
			k := f.newKey(0)
			edit(k)
			bad[k.id.String()] = names
			f.insert(k)
		}
		meta := func(names, text string) { add(names, func(k *key) { k.metadata = text }) }
		meta("Metadata.Scopes", `{"scopes": ["a b"]}`)
		meta("Metadata.Scopes", `{"scopes": ["é"]}`)
		meta("Metadata.Name", `{"name": "`+strings.Repeat("x", 201)+`"}`)
		meta("Metadata.Custom", `{"custom": {"x": "`+strings.Repeat("x", 17_000)+`"}}`)
		meta("Metadata.RateLimits", `{"rate_limit": -1}`)
		meta("Metadata.RateLimits", `{"rate_limit": {"requests": 1, "window": "week"}}`)
		meta("Metadata.RateLimits", `{"rate_limit": {"window": "day"}}`)
		meta("Metadata.RateLimits", `{"rate_limit": {"requests": 1.5}}`)
		meta("Metadata.RateLimits", `{"rate_limit": "100/minute"}`)
		meta("Metadata.ExpiresAt", `{"expires_at": "tomorrow"}`)
		meta("Metadata.ExpiresAt", `{"expires_at": "0001-01-01T00:00:00"}`)
		meta("Metadata", `{"tier": 1}`)
		meta("Metadata", `{"custom": []}`)
		meta("Metadata", `[]`)
		add("Digest", func(k *key) { k.hash = strings.Repeat("z", 64) })
		add("Digest", func(k *key) { k.hash = k.hash[:63] })
		add("UseCount", func(k *key) { k.uses = -1 })
		add("CreatedAt", func(k *key) { k.created = time.Now().Add(48 * time.Hour) })
		add("ProductID", func(k *key) { k.project, k.product = f.orgs[0].other, f.orgs[0].product })
		add("project", func(k *key) { k.project = f.orgs[1].project })
		good := f.newKey(1)
		good.metadata = `{}`
		f.insert(good)

		client := f.client()
		for _, dry := range []bool{true, false} {
			refused := map[string]error{}
			report := f.move(client, pythonsdk.Options{DryRun: dry, Refused: func(r pythonsdk.Refusal) {
				if r.Table != "api_keys" {
					t.Errorf("got %+v", r)
				}
				refused[r.ID] = r.Err
			}})
			if report.Keys != (pythonsdk.Count{Created: 1, Refused: len(bad)}) && !dry {
				t.Errorf("got %+v, want 1 created and %d refused", report.Keys, len(bad))
			}
			for id, names := range bad {
				if dry && names == "project" {
					continue // whose it is is known when it is there
				}
				var wrong *apikeys.InvalidArgumentError
				var missing *apikeys.NotFoundError
				err := refused[id]
				if !(errors.As(err, &wrong) && wrong.Field == names || errors.As(err, &missing) && string(missing.Kind) == names) {
					t.Errorf("dry %t: got %v, want a refusal for %s", dry, err, names)
				}
			}
		}
		if _, err := client.Verify(t.Context(), good.text); err != nil {
			t.Errorf("got %v of the good one", err)
		}
	})
}

// A name that is refused takes what hangs on it along, and every row says so.
func TestOrganizationsThatCannotBeKept(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		k := f.newKey(3)
		f.insert(k)
		f.exec(fmt.Sprintf("UPDATE organizations SET name = '%s' WHERE id = %s", strings.Repeat("x", 201), f.id(k.org)))
		client := f.client()
		for _, dry := range []bool{true, false} {
			tables := map[string]int{}
			got := f.move(client, pythonsdk.Options{DryRun: dry, Refused: func(r pythonsdk.Refusal) { tables[r.Table]++ }})
			want := map[string]int{"organizations": 1, "projects": 2, "products": 1, "project_products": 1, "api_keys": 1}
			if diff := cmp.Diff(want, tables); diff != "" {
				t.Errorf("refused, dry %t:\n%s", dry, diff)
			}
			if got.Projects != (pythonsdk.Count{Created: 4, Refused: 2}) || got.Keys.Refused != 1 {
				t.Errorf("got %+v", got)
			}
		}
		// It is mended, and the rest comes.
		f.exec(fmt.Sprintf("UPDATE organizations SET name = 'short' WHERE id = %s", f.id(k.org)))
		got := f.move(client, pythonsdk.Options{})
		if got.Organizations != (pythonsdk.Count{Created: 1, Exists: 2}) || got.Links != (pythonsdk.Count{Created: 1, Exists: 2}) || got.Keys.Created != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

// Keys of version 0.1 are told by when they were created; they may have a number for a
// limit, which is of a minute.
func TestKeysOfVersion01(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		upgrade := f.created.Add(time.Hour)
		before, after := f.newKey(0), f.newKey(0)
		before.hash, before.metadata = unsigned(before.text), `{"name": null, "scopes": [], "rate_limit": 7}`
		before.created, after.created = upgrade.Add(-time.Microsecond), upgrade
		f.insert(before, after)
		client := f.client()
		f.move(client, pythonsdk.Options{PlainBefore: upgrade, IDField: "sdk_id"})
		got, err := client.Verify(t.Context(), before.text)
		check(t, err)
		if diff := cmp.Diff([]apikeys.RateLimit{apikeys.PerMinute(7)}, got.Metadata.RateLimits); diff != "" {
			t.Error(diff)
		}
		if got.Metadata.Custom["sdk_id"] != before.id.String() {
			t.Errorf("got custom %v, want the id in it", got.Metadata.Custom)
		}
		_, err = client.Verify(t.Context(), after.text)
		check(t, err)
	})
}

// Keys that are bound to a project and a product that nobody linked.
func TestLinkBound(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, f *fixture) {
		k := f.newKey(0)
		k.project, k.product = f.orgs[0].other, f.orgs[0].product
		f.insert(k)
		client := f.client()
		if got := f.move(client, pythonsdk.Options{}); got.Keys.Refused != 1 {
			t.Errorf("got %+v, want a refusal", got.Keys)
		}
		if got := f.move(client, pythonsdk.Options{LinkBound: true}); got.Keys.Created != 1 || got.Links.Created != 1 {
			t.Errorf("got %+v, want a link and a key", got)
		}
		_, err := client.Verify(t.Context(), k.text)
		check(t, err)
	})
}

func TestImportOfNoSuchDatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t, databases[0])
	client := f.client()
	f.exec("DROP TABLE api_keys")
	from, err := pythonsdk.Open(f.url)
	check(t, err)
	defer from.Close()
	report, err := pythonsdk.Import(t.Context(), client, from, pythonsdk.Options{})
	if err == nil || !strings.Contains(err.Error(), "api_keys") || report.Organizations.Created != 3 {
		t.Errorf("got %+v, %v, want what came before, and an error that names the table", report, err)
	}
}

func TestOpenTellsNoPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "app.db", "oracle://u:hunter2@h/d", "postgresql://u:hunter2@h:port/d", "postgresql://u:hunter2@h/d?sslmode=bad", "mysql://u:hunter2@h:p%zz/d", "mysql:///d",
	} {
		_, err := pythonsdk.Open(url)
		var wrong *apikeys.InvalidArgumentError
		if !errors.As(err, &wrong) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", url, err)
		}
	}
}
