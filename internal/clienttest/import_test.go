package clienttest_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// theirSecret is what the reference SDK signed with.
const theirSecret = "hush"

func imports(c *apikeys.Config) {
	c.Imported = []apikeys.ImportedKeys{
		{Scheme: apikeys.ImportPythonSDK, Secret: apikeys.NewSecret(theirSecret), Prefixes: []string{"sk_"}},
		{Scheme: apikeys.ImportPythonSDK01, Prefixes: []string{"sk_"}},
		{Scheme: apikeys.ImportBetterAuth, Prefixes: []string{""}},
		{Scheme: apikeys.ImportSanctum, Prefixes: []string{""}},
		{Scheme: apikeys.ImportSHA256, Prefixes: []string{"legacy."}, Length: 32},
	}
}

// foreignKey is a key of another system: its text, and the row that is left of it.
type foreignKey struct {
	name, text string
	row        apikeys.ImportKey
}

// foreignKeys makes one key of each kind, as its system does.
func foreignKeys(t testing.TB, org uuid.UUID) []foreignKey {
	t.Helper()
	key := func(name string, scheme apikeys.ImportScheme, text, digest string) foreignKey {
		id, _, _ := strings.Cut(text, "|")
		return foreignKey{name, text, apikeys.ImportKey{
			Scheme: scheme, ForeignID: id, OrganizationID: org, Digest: must(apikeys.ParseDigest(digest))(t),
			Metadata: apikeys.KeyMetadata{Name: name, Scopes: []string{"read"}},
		}}
	}
	hexOf := func(text string) string { sum := sha256.Sum256([]byte(text)); return hex.EncodeToString(sum[:]) }
	urlOf := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	signed := func(text string) string {
		mac := hmac.New(sha256.New, []byte(theirSecret))
		mac.Write([]byte(text))
		return hex.EncodeToString(mac.Sum(nil))
	}
	sk, old := "sk_"+base64.RawURLEncoding.EncodeToString(random(32)), "sk_"+base64.RawURLEncoding.EncodeToString(random(32))
	better, plain, token := letters(64), "legacy."+letters(32), letters(40)
	token += fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(token)))
	return []foreignKey{
		key("python", apikeys.ImportPythonSDK, sk, signed(sk)),
		key("python 0.1", apikeys.ImportPythonSDK01, old, hexOf(old)),
		key("better-auth", apikeys.ImportBetterAuth, better, urlOf(better)),
		key("sanctum", apikeys.ImportSanctum, "7|"+token, hexOf(token)),
		key("plain SHA-256", apikeys.ImportSHA256, plain, hexOf(plain)),
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func letters(n int) string {
	b := random(n)
	for i := range b {
		b[i] = 'a' + b[i]%26
	}
	return string(b)
}

func rowsOf(keys []foreignKey) (rows []apikeys.ImportKey) {
	for _, k := range keys {
		rows = append(rows, k.row)
	}
	return rows
}

// Keys of other systems through their life here: planned, imported, imported again,
// judged, given a hash under a new signing secret, rotated, revoked, deleted.
func TestImportedKeysThroughTheirLife(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		ctx, clock := t.Context(), apikeystest.NewClock(epoch)
		c := client(t, d.store, fakeClock(clock), imports)
		org := must(c.CreateOrganization(ctx, "Acme"))(t).ID
		keys, strangers := foreignKeys(t, org), foreignKeys(t, org)
		planned := must(c.ImportKeys(ctx, rowsOf(keys), apikeys.ImportParams{DryRun: true}))(t)
		done := must(c.ImportKeys(ctx, rowsOf(keys), apikeys.ImportParams{}))(t)
		again := must(c.ImportKeys(ctx, rowsOf(keys), apikeys.ImportParams{}))(t)
		for i, k := range keys {
			if planned[i].Outcome != apikeys.ImportCreated || done[i].Outcome != apikeys.ImportCreated || again[i].Outcome != apikeys.ImportExists || again[i].KeyID != done[i].KeyID {
				t.Fatalf("%s: planned %+v, done %+v, again %+v", k.name, planned[i], done[i], again[i])
			}
			for _, wrong := range []string{
				strangers[i].text, k.text + "A", k.text[:len(k.text)-1], strings.ToUpper(k.text), string(k.row.Digest[:]), hex.EncodeToString(k.row.Digest[:]),
			} {
				wantIs(t, k.name+", what is not its text", second(c.Verify(ctx, wrong)), apikeys.ErrInvalidKey)
			}
		}
		// The processes that sign with a new secret add a hash to each in passing; then
		// the old secret is forgotten.
		both := client(t, d.store, fakeClock(clock), imports, config{secretB, []string{secretA}}.apply)
		wantAllGood(t, both, keys, done)
		must(both.RetireSecret(ctx, apikeys.RetireSecretParams{ID: apikeys.NewSecret(secretA).ID()}))(t)
		after := client(t, d.store, fakeClock(clock), imports, config{signing: secretB}.apply)
		wantAllGood(t, after, keys, done)
		for i, k := range keys {
			wantEnded(t, after, clock, k, done[i].KeyID)
		}
	})
}

// wantAllGood sees that each key is good and the one that was imported.
func wantAllGood(t testing.TB, c *apikeys.Client, keys []foreignKey, as []apikeys.ImportResult) {
	t.Helper()
	for i, k := range keys {
		v, err := c.Validate(t.Context(), k.text, apikeys.ValidateParams{Scopes: []string{"read"}})
		if err != nil || v.KeyID() != as[i].KeyID {
			t.Errorf("%s: got key %s, %v, want %s", k.name, v.KeyID(), err, as[i].KeyID)
		}
	}
}

// wantEnded rotates a key, which makes it one of ours, and ends it.
func wantEnded(t testing.TB, c *apikeys.Client, clock *apikeystest.Clock, k foreignKey, id uuid.UUID) {
	t.Helper()
	ctx := t.Context()
	issued := must(c.RotateKey(ctx, id, apikeys.RotateParams{Overlap: time.Hour}))(t)
	text := issued.Plaintext.Reveal()
	if !c.Recognize(text) || issued.Key.ID != id || issued.Key.UseCount != 2 {
		t.Errorf("%s: got %+v, want a text of our own for the same key, used twice", k.name, issued.Key)
	}
	must(c.Verify(ctx, text))(t)
	must(c.Verify(ctx, k.text))(t)
	clock.Advance(time.Hour)
	must(c.Verify(ctx, text))(t)
	if code := codeOf(second(c.Verify(ctx, k.text))); code != apikeys.CodeRetiredSecret {
		t.Errorf("%s, after the overlap: got %q, want that it was replaced", k.name, code)
	}
	must(c.RevokeKey(ctx, id, apikeys.RevokeParams{}))(t)
	wantIs(t, k.name+", revoked", second(c.Verify(ctx, text)), apikeys.ErrRevokedKey)
	if r := must(c.ImportKeys(ctx, []apikeys.ImportKey{k.row}, apikeys.ImportParams{}))(t)[0]; r.Outcome != apikeys.ImportExists {
		t.Errorf("%s, imported once more: got %+v, want that it is here, and revoked", k.name, r)
	}
	if err := c.DeleteKey(ctx, id); err != nil {
		t.Error(err)
	}
	for _, gone := range []string{text, k.text} {
		wantIs(t, k.name+", deleted", second(c.Verify(ctx, gone)), apikeys.ErrInvalidKey)
	}
}

// What another system knew of a key comes with it, and nothing is kept that cannot be
// kept exactly.
func TestImportKeepsAllOrRefuses(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		ctx, clock := t.Context(), apikeystest.NewClock(epoch)
		c := client(t, d.store, fakeClock(clock), imports)
		h := build(t, c)
		full := foreignKeys(t, h.org)[2].row
		full.ProjectID, full.ProductID, full.OwnerID, full.Hint = h.p1, h.x1, "alice", "AbCd…"
		full.CreatedAt, full.LastUsedAt, full.UseCount = epoch.Add(-1000*time.Hour), epoch.Add(-2*time.Hour), 41
		full.DisabledAt, full.RevokedAt, full.RevokedReason = epoch.Add(-3*time.Hour), epoch.Add(-4*time.Hour), "'); DROP TABLE <script> 🔑"
		full.Metadata = apikeys.KeyMetadata{
			Name: "Alice's 100%_\\", Scopes: []string{"read", "docs:*"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(2)},
			ExpiresAt: epoch.Add(time.Hour), Custom: map[string]any{"plan": "pro"},
		}
		bad := foreignKeys(t, h.org)
		bad[0].row.Metadata.Name, bad[1].row.Metadata.Scopes, bad[2].row.UseCount = "a\x00b", []string{"read write"}, -1
		bad[3].row.ProductID, bad[3].row.ProjectID, bad[4].row.OrganizationID = h.x2, h.p1, uuid.New()
		results := must(c.ImportKeys(ctx, append(rowsOf(bad), full, full), apikeys.ImportParams{}))(t)
		for i, r := range results[:len(bad)] {
			if r.Outcome != apikeys.ImportRefused || r.Err == nil || r.KeyID != uuid.Nil {
				t.Errorf("row %d: got %+v, want it refused", i, r)
			}
		}
		if r := results[len(bad)+1]; r.Outcome == apikeys.ImportCreated {
			t.Errorf("the same row twice: got %+v, want no second key", r)
		}
		id := results[len(bad)].KeyID
		want := &apikeys.Key{
			ID: id, OrganizationID: h.org, ProjectID: h.p1, ProductID: h.x1, OwnerID: "alice", Hint: full.Hint, Metadata: full.Metadata,
			CreatedAt: full.CreatedAt, UpdatedAt: epoch, LastUsedAt: full.LastUsedAt, RevokedAt: full.RevokedAt, RevokedReason: full.RevokedReason,
			DisabledAt: full.DisabledAt, UseCount: 41, Version: 1,
		}
		if diff := cmp.Diff(want, must(c.GetKey(ctx, id))(t)); diff != "" {
			t.Error(diff)
		}
		page := must(c.ListKeys(ctx, apikeys.KeyFilter{}, apikeys.ListOptions{}))(t)
		if len(page.Items) != 1 {
			t.Errorf("got %d keys, want the one that was good", len(page.Items))
		}
	})
}

// Several imports at once create each key once, and all name it.
func TestImportsAtOnce(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		const many = 4
		var rows []apikeys.ImportKey
		c := client(t, d.store, imports)
		org := must(c.CreateOrganization(t.Context(), "Acme"))(t).ID
		for range 40 {
			for i, k := range foreignKeys(t, org) {
				k.row.ForeignID = fmt.Sprint(len(rows) + i)
				rows = append(rows, k.row)
			}
		}
		results, errs := make([][]apikeys.ImportResult, many), make([]error, many)
		var running sync.WaitGroup
		for i := range many {
			importer := client(t, d.store, imports)
			running.Go(func() { results[i], errs[i] = importer.ImportKeys(t.Context(), rows, apikeys.ImportParams{}) })
		}
		running.Wait()
		for i, err := range errs {
			if err != nil {
				t.Fatalf("import %d: %v", i, err)
			}
		}
		for row := range rows {
			created := 0
			for _, r := range results {
				if r[row].KeyID != results[0][row].KeyID || !slices.Contains([]apikeys.ImportOutcome{apikeys.ImportCreated, apikeys.ImportExists}, r[row].Outcome) {
					t.Fatalf("row %d: got %+v and %+v", row, r[row], results[0][row])
				}
				if r[row].Outcome == apikeys.ImportCreated {
					created++
				}
			}
			if created != 1 {
				t.Errorf("row %d was created %d times", row, created)
			}
		}
	})
}
