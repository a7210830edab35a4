package apikeys_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// theirSecret is what the Python SDK signed with: it accepts the shortest.
const theirSecret = "hush"

var importedKeys = []apikeys.ImportedKeys{
	{Scheme: apikeys.ImportPythonSDK, Secret: apikeys.NewSecret(theirSecret), Prefixes: []string{"sk_", "myapp_live_"}},
	{Scheme: apikeys.ImportPythonSDK01, Prefixes: []string{"sk_"}},
	{Scheme: apikeys.ImportBetterAuth, Prefixes: []string{"", "ba_"}},
	{Scheme: apikeys.ImportSanctum, Prefixes: []string{"", "pat_"}},
	{Scheme: apikeys.ImportSHA256, Prefixes: []string{"legacy."}, Length: 32},
}

func imports(c *apikeys.Config) { c.Imported = importedKeys }

// foreignKey is a key of another system: its text, and the row that is left of it.
type foreignKey struct {
	text string
	row  apikeys.ImportKey
}

func draw(n int, alphabet string) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// hexDigest and urlDigest are what systems store.
func hexDigest(text string) string {
	d := sha256.Sum256([]byte(text))
	return hex.EncodeToString(d[:])
}

func urlDigest(text string) string {
	d := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(d[:])
}

// foreignKeys makes one key of each kind, as its system does.
func foreignKeys(t testing.TB, org uuid.UUID) map[string]foreignKey {
	t.Helper()
	key := func(scheme apikeys.ImportScheme, id, text, digest string) foreignKey {
		return foreignKey{text, apikeys.ImportKey{
			Scheme: scheme, ForeignID: id, OrganizationID: org, Digest: must(apikeys.ParseDigest(digest))(t),
			Metadata: apikeys.KeyMetadata{Name: text[:3], Scopes: []string{"read"}},
		}}
	}
	python := func(prefix string) string {
		b := make([]byte, 32)
		_, _ = rand.Read(b)
		return prefix + base64.RawURLEncoding.EncodeToString(b)
	}
	signed := func(text string) string {
		mac := hmac.New(sha256.New, []byte(theirSecret))
		mac.Write([]byte(text))
		return hex.EncodeToString(mac.Sum(nil))
	}
	sanctum := func(id, token string) foreignKey {
		return key(apikeys.ImportSanctum, id, id+"|"+token, hexDigest(token))
	}
	sk, live, old := python("sk_"), python("myapp_live_"), python("sk_")
	better, prefixed, legacy := draw(64, letters), "ba_"+draw(64, letters), "legacy."+draw(32, letters+"#+/=")
	entropy := draw(40, letters+"0123456789")
	return map[string]foreignKey{
		"python":                   key(apikeys.ImportPythonSDK, "1", sk, signed(sk)),
		"python, environment":      key(apikeys.ImportPythonSDK, "2", live, signed(live)),
		"python 0.1":               key(apikeys.ImportPythonSDK01, "3", old, hexDigest(old)),
		"better-auth":              key(apikeys.ImportBetterAuth, "4", better, urlDigest(better)),
		"better-auth, prefix":      key(apikeys.ImportBetterAuth, "5", prefixed, urlDigest(prefixed)),
		"sanctum, old":             sanctum("6", draw(40, letters+"0123456789")),
		"sanctum":                  sanctum("7", entropy+fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(entropy)))),
		"sanctum, prefix":          sanctum("8", "pat_"+entropy+fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(entropy)))),
		"sanctum, id that is text": sanctum("01HQ8ZK3-a", draw(40, letters)),
		"another, standard base64": key(apikeys.ImportSHA256, "9", legacy, base64.StdEncoding.EncodeToString(must(hex.DecodeString(hexDigest(legacy)))(t))),
	}
}

func importAll(t testing.TB, c *apikeys.Client, keys map[string]foreignKey) map[string]apikeys.ImportResult {
	t.Helper()
	var names []string
	var rows []apikeys.ImportKey
	for name, key := range keys {
		names, rows = append(names, name), append(rows, key.row)
	}
	results := must(c.ImportKeys(t.Context(), rows, apikeys.ImportParams{}))(t)
	of := map[string]apikeys.ImportResult{}
	for i, r := range results {
		if r.ForeignID != rows[i].ForeignID {
			t.Fatalf("got the result of %q in the place of %q", r.ForeignID, rows[i].ForeignID)
		}
		of[names[i]] = r
	}
	return of
}

// Keys of every scheme go on working; nothing that only looks like them does.
func TestImportedKeysWork(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t, imports)
	keys := foreignKeys(t, c.Organization.ID)
	stranger := foreignKeys(t, c.Organization.ID)
	for name := range keys {
		wantIs(t, second(c.Verify(t.Context(), keys[name].text)), apikeys.ErrInvalidKey)
	}
	results := importAll(t, c.Client, keys)
	for name, key := range keys {
		if r := results[name]; r.Outcome != apikeys.ImportCreated || r.Err != nil || r.KeyID == uuid.Nil {
			t.Errorf("%s: got %+v, want it created", name, r)
			continue
		}
		for range 2 { // from the store, and from memory
			v, err := c.Validate(t.Context(), key.text, apikeys.ValidateParams{Scopes: []string{"read"}})
			if err != nil || v.KeyID() != results[name].KeyID {
				t.Errorf("%s: got key %s, %v, want %s", name, v.KeyID(), err, results[name].KeyID)
			}
		}
		for _, wrong := range []string{
			stranger[name].text, key.text + "A", key.text[:len(key.text)-1], " " + key.text, key.text + "\n", strings.ToUpper(key.text),
			swapLast(key.text), "x" + key.text, "0" + key.text, key.row.ForeignID + "|" + key.text, "9" + strings.TrimPrefix(key.text, key.row.ForeignID),
			string(key.row.Digest[:]), hex.EncodeToString(key.row.Digest[:]), base64.RawURLEncoding.EncodeToString(key.row.Digest[:]),
			key.row.ForeignID + "|" + hex.EncodeToString(key.row.Digest[:]),
			"\x00imported\x00" + string(key.row.Scheme) + "\x00\x00" + string(key.row.Digest[:]),
		} {
			if wrong == key.text {
				continue
			}
			if _, err := c.Verify(t.Context(), wrong); !errors.Is(err, apikeys.ErrInvalidKey) {
				t.Errorf("%s: %q is accepted in place of %q: %v", name, wrong, key.text, err)
			}
		}
	}
}

// swapLast exchanges the last character for another of the same kind.
func swapLast(text string) string {
	last := text[len(text)-1]
	other := byte('a')
	if last == other {
		other = 'b'
	}
	return text[:len(text)-1] + string(other)
}

// Without its scheme in the configuration an imported key is refused, unread.
func TestImportedKeysNeedTheirScheme(t *testing.T) {
	t.Parallel()
	base := apikeystest.New(t, imports)
	keys := foreignKeys(t, base.Organization.ID)
	importAll(t, base.Client, keys)
	_, plain, s := spiedOn(t, base)
	_, other, _ := spiedOn(t, base, func(c *apikeys.Config) {
		c.Imported = []apikeys.ImportedKeys{{Scheme: apikeys.ImportPythonSDK, Secret: apikeys.NewSecret("another"), Prefixes: []string{"sk_"}}}
	})
	for name, key := range keys {
		if _, err := plain.Verify(t.Context(), key.text); !errors.Is(err, apikeys.ErrInvalidKey) {
			t.Errorf("%s: got %v without its scheme", name, err)
		}
		if _, err := other.Verify(t.Context(), key.text); !errors.Is(err, apikeys.ErrInvalidKey) {
			t.Errorf("%s: got %v with another secret", name, err)
		}
	}
	if n := s.reads.Load(); n != 0 {
		t.Errorf("got %d reads for texts of no known shape, want none", n)
	}
}

// What has not the shape of a key of some scheme never reaches the store; what has
// it is read once for each scheme that it may be of, and then remembered if it is good.
func TestImportedShapesStopJunk(t *testing.T) {
	t.Parallel()
	base := apikeystest.New(t, imports)
	keys := foreignKeys(t, base.Organization.ID)
	importAll(t, base.Client, keys)
	_, client, s := spiedOn(t, base, imports)
	body := draw(40, letters)
	for _, junk := range []string{
		"", "sk_", "|", "7|", "|" + body, "7||" + body[1:], "7 |" + body, "7|" + body + "00000000", "7|" + body[1:], "7|x_" + body,
		strings.Repeat("7", 37) + "|" + body, "é|" + body,
		"sk_" + draw(42, letters), "sk_" + draw(44, letters), "sk_" + draw(42, letters) + "+", "SK_" + draw(43, letters), "myapp_test_" + draw(43, letters),
		draw(63, letters), draw(63, letters) + "1", "ba-" + draw(64, letters), "legacy." + draw(31, letters) + " ", "legacy." + draw(31, letters) + "\x7f",
		strings.Repeat("A", 1<<20), "7|" + strings.Repeat("A", 1<<20), strings.Repeat("\xff", 50),
	} {
		wantIs(t, second(client.Verify(t.Context(), junk)), apikeys.ErrInvalidKey)
	}
	forged := base.Issue().Plaintext.Reveal()
	wantIs(t, second(client.Verify(t.Context(), swapLast(forged))), apikeys.ErrInvalidKey)
	if n := s.reads.Load(); n != 0 {
		t.Errorf("got %d reads for junk, want none", n)
	}
	for range 3 {
		must(client.Verify(t.Context(), keys["python"].text))(t)
		must(client.Verify(t.Context(), keys["python 0.1"].text))(t)
	}
	if n := s.reads.Load(); n != 3 { // the 0.1 key could be of either version
		t.Errorf("got %d reads for two keys, want 3", n)
	}
	wantIs(t, second(client.Verify(t.Context(), "sk_"+draw(43, letters))), apikeys.ErrInvalidKey)
	if n := s.reads.Load(); n != 5 {
		t.Errorf("got %d reads after a made-up key of that shape, want 2 more", n)
	}
}

// Everything that is known of a key comes with it.
func TestImportKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t, imports)
	h, now := build(t, c.Client, "house"), c.Clock.Now()
	key := foreignKeys(t, h.org)["python"]
	created, used := now.Add(-1000*time.Hour), now.Add(-2*time.Hour)
	key.row.ProjectID, key.row.ProductID, key.row.OwnerID, key.row.Hint = h.p1, h.x1, "alice", "AbCdEfGh…"
	key.row.CreatedAt, key.row.LastUsedAt, key.row.UseCount = created.Add(7*time.Nanosecond), used, 41
	key.row.Metadata = apikeys.KeyMetadata{
		Name: "Alice's", Scopes: []string{"read", "docs:*"}, RateLimits: []apikeys.RateLimit{apikeys.PerMinute(2)},
		ExpiresAt: now.Add(time.Hour), Custom: map[string]any{"plan": "pro"},
	}
	id := importAll(t, c.Client, map[string]foreignKey{"key": key})["key"].KeyID
	got := must(c.GetKey(t.Context(), id))(t)
	want := &apikeys.Key{
		ID: id, OrganizationID: h.org, ProjectID: h.p1, ProductID: h.x1, OwnerID: "alice", Hint: "AbCdEfGh…", Metadata: key.row.Metadata,
		CreatedAt: created, UpdatedAt: now, LastUsedAt: used, UseCount: 41, Version: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	v := must(c.Validate(t.Context(), key.text, apikeys.ValidateParams{ProjectID: h.p1, ProductID: h.x1}))(t)
	if k := v.Key(); k.UseCount != 42 {
		t.Errorf("got %d uses, want 42", k.UseCount)
	}
	must(c.Validate(t.Context(), key.text, apikeys.ValidateParams{}))(t)
	wantIs(t, second(c.Validate(t.Context(), key.text, apikeys.ValidateParams{})), apikeys.ErrQuotaExceeded)
	wantIs(t, second(c.Validate(t.Context(), key.text, apikeys.ValidateParams{ProjectID: h.p2})), apikeys.ErrInsufficientScope)
	c.Clock.Advance(time.Hour)
	wantIs(t, second(c.Verify(t.Context(), key.text)), apikeys.ErrExpiredKey)

	// In the order of their creation there, not of the import.
	newer := c.Issue().Key.ID
	older := foreignKeys(t, c.Organization.ID)["sanctum"]
	older.row.CreatedAt = now.Add(-500 * time.Hour)
	importAll(t, c.Client, map[string]foreignKey{"older": older})
	page := must(c.ListKeys(t.Context(), apikeys.KeyFilter{OrganizationID: c.Organization.ID}, apikeys.ListOptions{}))(t)
	if page.Items[0].ID != newer {
		t.Errorf("a key that was issued long ago is listed before one of today")
	}
}

func TestImportKeepsStatus(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t, imports)
	at := c.Clock.Now().Add(-time.Hour)
	for want, edit := range map[error]func(*apikeys.ImportKey){
		apikeys.ErrRevokedKey:  func(k *apikeys.ImportKey) { k.RevokedAt, k.RevokedReason = at, "left" },
		apikeys.ErrDisabledKey: func(k *apikeys.ImportKey) { k.DisabledAt = at },
		apikeys.ErrExpiredKey:  func(k *apikeys.ImportKey) { k.Metadata.ExpiresAt = at },
	} {
		key := foreignKeys(t, c.Organization.ID)["better-auth"]
		edit(&key.row)
		importAll(t, c.Client, map[string]foreignKey{"key": key})
		wantIs(t, second(c.Verify(t.Context(), key.text)), want)
	}
}

// A second import changes nothing, whatever has become of the keys since and whichever
// secret they are signed under now; a dry run writes nothing and says the same.
func TestImportAgainChangesNothing(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t, imports), t.Context()
	keys := foreignKeys(t, c.Organization.ID)
	var rows []apikeys.ImportKey
	for _, key := range keys {
		rows = append(rows, key.row)
	}
	planned := must(c.ImportKeys(ctx, rows, apikeys.ImportParams{DryRun: true}))(t)
	if page := must(c.ListKeys(ctx, apikeys.KeyFilter{}, apikeys.ListOptions{}))(t); len(page.Items) > 0 {
		t.Fatal("a dry run has written keys")
	}
	done := must(c.ImportKeys(ctx, rows, apikeys.ImportParams{}))(t)
	for i := range done {
		if planned[i].Outcome != done[i].Outcome || planned[i].Err != nil || planned[i].KeyID != uuid.Nil {
			t.Errorf("planned %+v, done %+v", planned[i], done[i])
		}
	}
	must(c.RevokeKey(ctx, done[0].KeyID, apikeys.RevokeParams{}))(t)
	must(c.RotateKey(ctx, done[1].KeyID, apikeys.RotateParams{}))(t)
	before := must(c.ListKeys(ctx, apikeys.KeyFilter{}, apikeys.ListOptions{}))(t)
	_, later, _ := spiedOn(t, c, imports, func(config *apikeys.Config) {
		config.SigningSecret, config.AcceptedSecrets = apikeys.NewSecret(otherSecret), []apikeys.Secret{config.SigningSecret}
	})
	for name, client := range map[string]*apikeys.Client{"the same": c.Client, "another signing secret": later} {
		for _, dry := range []bool{true, false} {
			for i, r := range must(client.ImportKeys(ctx, rows, apikeys.ImportParams{DryRun: dry}))(t) {
				if r.Outcome != apikeys.ImportExists || r.KeyID != done[i].KeyID || r.Err != nil {
					t.Errorf("%s, dry %t: got %+v, want that %s exists", name, dry, r, done[i].KeyID)
				}
			}
		}
	}
	if diff := cmp.Diff(before, must(c.ListKeys(ctx, apikeys.KeyFilter{}, apikeys.ListOptions{}))(t)); diff != "" {
		t.Error(diff)
	}
}

// An imported key gets a hash under a new signing secret in passing, as others do.
func TestImportedKeysOutliveTheSigningSecret(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t, imports), t.Context()
	keys := foreignKeys(t, c.Organization.ID)
	importAll(t, c.Client, keys)
	_, both, _ := spiedOn(t, c, imports, func(config *apikeys.Config) {
		config.SigningSecret, config.AcceptedSecrets = apikeys.NewSecret(otherSecret), []apikeys.Secret{config.SigningSecret}
	})
	for name, key := range keys {
		if _, err := both.Verify(ctx, key.text); err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, alone, _ := spiedOn(t, c, imports, func(config *apikeys.Config) { config.SigningSecret = apikeys.NewSecret(otherSecret) })
	for name, key := range keys {
		if _, err := alone.Verify(ctx, key.text); err != nil {
			t.Errorf("%s, the old secret forgotten: got %v", name, err)
		}
	}
}

func TestRotatingAnImportedKeyMakesItOneOfOurs(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t, imports), t.Context()
	for name, key := range foreignKeys(t, c.Organization.ID) {
		id := importAll(t, c.Client, map[string]foreignKey{"key": key})["key"].KeyID
		issued := must(c.RotateKey(ctx, id, apikeys.RotateParams{Overlap: time.Hour}))(t)
		text := issued.Plaintext.Reveal()
		if !c.Recognize(text) || c.Recognize(key.text) || issued.Key.ID != id {
			t.Errorf("%s: got %s, want a key of our own under the same id", name, issued.Plaintext)
		}
		must(c.Verify(ctx, text))(t)
		must(c.Verify(ctx, key.text))(t)
		c.Clock.Advance(time.Hour)
		must(c.Verify(ctx, text))(t)
		wantErr[*apikeys.RetiredSecretError](t, second(c.Verify(ctx, key.text)), apikeys.ErrExpiredKey)
	}
}

// Another process obeys a revocation of an imported key within its delay, and this one
// at once.
func TestImportedKeysAreForgottenWhenRevoked(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t, imports), t.Context()
	key := foreignKeys(t, c.Organization.ID)["sanctum"]
	id := importAll(t, c.Client, map[string]foreignKey{"key": key})["key"].KeyID
	must(c.Verify(ctx, key.text))(t)
	must(c.RevokeKey(ctx, id, apikeys.RevokeParams{}))(t)
	wantIs(t, second(c.Verify(ctx, key.text)), apikeys.ErrRevokedKey)
	if err := c.DeleteKey(ctx, id); err != nil {
		t.Fatal(err)
	}
	wantIs(t, second(c.Verify(ctx, key.text)), apikeys.ErrInvalidKey)
}

func TestExplainImportedKeys(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t, imports), t.Context()
	keys := foreignKeys(t, c.Organization.ID)
	results := importAll(t, c.Client, keys)
	for name, key := range keys {
		e := must(c.Explain(ctx, key.text, apikeys.ValidateParams{Scopes: []string{"write"}}))(t)
		if e.Key == nil || e.Key.ID != results[name].KeyID || !errors.Is(e.Err(), apikeys.ErrInsufficientScope) {
			t.Errorf("%s: got %+v", name, e)
		}
		if e.Checks[0].Name != "shape" || e.Checks[1].Name != "known" {
			t.Errorf("%s: got checks %v, want shape and known first", name, e.Checks)
		}
	}
	e := must(c.Explain(ctx, "sk_"+draw(43, letters), apikeys.ValidateParams{}))(t)
	if len(e.Checks) != 2 || e.Checks[0].Err != nil || !errors.Is(e.Err(), apikeys.ErrInvalidKey) {
		t.Errorf("got %v, want a shape that is right and a key that is unknown", e.Checks)
	}
}

// Views and grants bound what is imported.
func TestImportWithinViewsAndGrants(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t, imports), t.Context()
	org, other := c.Organization.ID, must(c.CreateOrganization(ctx, "other"))(t).ID
	one := func(view *apikeys.Client, row apikeys.ImportKey) apikeys.ImportResult {
		return must(view.ImportKeys(ctx, []apikeys.ImportKey{row}, apikeys.ImportParams{}))(t)[0]
	}
	row := func(org uuid.UUID) apikeys.ImportKey { return foreignKeys(t, org)["python"].row }
	view := c.Scoped(apikeys.Scope{OrganizationID: org, OwnerID: "alice"})
	r := one(view, row(uuid.Nil))
	if key := must(c.GetKey(ctx, r.KeyID))(t); key.OrganizationID != org || key.OwnerID != "alice" {
		t.Errorf("got a key of %s and %q", key.OrganizationID, key.OwnerID)
	}
	wantIs(t, one(view, row(other)).Err, apikeys.ErrNotFound)
	bobs := row(org)
	bobs.OwnerID = "bob"
	wantIs(t, one(view, bobs).Err, apikeys.ErrInvalidArgument)

	// A key that stands outside the view is not named.
	foreign := row(other)
	id := one(c.Client, foreign).KeyID
	foreign.OrganizationID = org
	if r := one(view, foreign); r.Outcome != apikeys.ImportRefused || r.KeyID != uuid.Nil || strings.Contains(r.Err.Error(), id.String()) {
		t.Errorf("got %+v", r)
	}
	granted := c.WithGrant(apikeys.Grant{Scopes: []string{"write"}})
	wantBeyond(t, "import", "Metadata.Scopes", one(granted, row(org)).Err)
	nobody := c.Scoped(apikeys.Scope{})
	wantIs(t, second(nobody.ImportKeys(ctx, nil, apikeys.ImportParams{})), apikeys.ErrInvalidArgument)
}

// Rows that cannot be kept exactly are refused one by one, and say why; the others go in.
func TestImportRefusesHostileRows(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t, imports, func(c *apikeys.Config) { c.MaxKeyLifetime = 1000 * time.Hour }), t.Context()
	h, now := build(t, c.Client, "house"), c.Clock.Now()
	elsewhere := build(t, c.Client, "elsewhere")
	twice := foreignKeys(t, h.org)["python"].row
	twice.Metadata.ExpiresAt = now.Add(time.Hour)
	rows := []apikeys.ImportKey{twice}
	fields := []string{""}
	add := func(field string, edit func(*apikeys.ImportKey)) {
		row := foreignKeys(t, h.org)["python"].row
		row.Metadata.ExpiresAt = now.Add(time.Hour)
		edit(&row)
		rows, fields = append(rows, row), append(fields, field)
	}
	add("Digest", func(k *apikeys.ImportKey) { k.Digest = apikeys.Hash{} })
	add("Digest", func(k *apikeys.ImportKey) { k.Digest = twice.Digest })
	add("Scheme", func(k *apikeys.ImportKey) { k.Scheme = "" })
	add("Scheme", func(k *apikeys.ImportKey) { k.Scheme = "PYTHON-SDK" })
	for _, id := range []string{"", "1|2", "é", strings.Repeat("1", 37), "1\x00"} {
		add("ForeignID", func(k *apikeys.ImportKey) { k.Scheme, k.ForeignID = apikeys.ImportSanctum, id })
	}
	for _, scopes := range [][]string{{""}, {"read write"}, {"a::b"}, {"réad"}, {"**"}, {strings.Repeat("a", 129)}} {
		add("Metadata.Scopes", func(k *apikeys.ImportKey) { k.Metadata.Scopes = scopes })
	}
	for _, limits := range [][]apikeys.RateLimit{{{}}, {apikeys.PerMinute(-1)}, {{Requests: 1, Window: 7}}, {apikeys.PerDay(1), apikeys.PerDay(2)}} {
		add("Metadata.RateLimits", func(k *apikeys.ImportKey) { k.Metadata.RateLimits = limits })
	}
	for _, name := range []string{strings.Repeat("x", 201), "a\x00", "\xff", "a\u202eb"} {
		add("Metadata.Name", func(k *apikeys.ImportKey) { k.Metadata.Name = name })
		add("OwnerID", func(k *apikeys.ImportKey) { k.OwnerID = name })
		add("RevokedReason", func(k *apikeys.ImportKey) { k.RevokedAt, k.RevokedReason = now, name })
		add("Hint", func(k *apikeys.ImportKey) { k.Hint = name })
	}
	add("Hint", func(k *apikeys.ImportKey) { k.Hint = strings.Repeat("h", 41) })
	add("RevokedReason", func(k *apikeys.ImportKey) { k.RevokedReason = "why" })
	add("Metadata.Custom", func(k *apikeys.ImportKey) { k.Metadata.Custom = map[string]any{"x": strings.Repeat("x", 16<<10)} })
	add("Metadata.Custom", func(k *apikeys.ImportKey) { k.Metadata.Custom = map[string]any{"x": "\x00"} })
	add("Metadata.ExpiresAt", func(k *apikeys.ImportKey) { k.Metadata.ExpiresAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) })
	add("Metadata.ExpiresAt", func(k *apikeys.ImportKey) { k.Metadata.ExpiresAt = time.Time{} })
	add("Metadata.ExpiresAt", func(k *apikeys.ImportKey) { k.CreatedAt = now.Add(-1000 * time.Hour) })
	add("CreatedAt", func(k *apikeys.ImportKey) { k.CreatedAt = now.Add(25 * time.Hour) })
	add("CreatedAt", func(k *apikeys.ImportKey) { k.CreatedAt = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) })
	add("LastUsedAt", func(k *apikeys.ImportKey) { k.LastUsedAt = time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC) })
	add("RevokedAt", func(k *apikeys.ImportKey) { k.RevokedAt = time.Date(292277, 1, 1, 0, 0, 0, 0, time.UTC) })
	add("DisabledAt", func(k *apikeys.ImportKey) { k.DisabledAt = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC) })
	add("UseCount", func(k *apikeys.ImportKey) { k.UseCount = -1 })
	add("ProductID", func(k *apikeys.ImportKey) { k.ProjectID, k.ProductID = h.p1, h.x2 })
	for _, org := range []uuid.UUID{uuid.Nil, uuid.New(), h.p1} {
		add("organization", func(k *apikeys.ImportKey) { k.OrganizationID = org })
	}
	for _, id := range []uuid.UUID{uuid.New(), elsewhere.p1, h.x1, h.org} {
		add("project", func(k *apikeys.ImportKey) { k.ProjectID = id })
	}
	add("product", func(k *apikeys.ImportKey) { k.ProductID = elsewhere.x1 })
	add("", func(*apikeys.ImportKey) {})

	for _, params := range []apikeys.ImportParams{{DryRun: true}, {}} {
		results := must(c.ImportKeys(ctx, rows, params))(t)
		for i, r := range results {
			if fields[i] == "" {
				if r.Outcome != apikeys.ImportCreated {
					t.Errorf("row %d: got %+v, want it created", i, r)
				}
				continue
			}
			var wrong *apikeys.InvalidArgumentError
			var missing *apikeys.NotFoundError
			named := errors.As(r.Err, &wrong) && wrong.Field == fields[i] || errors.As(r.Err, &missing) && string(missing.Kind) == fields[i]
			if r.Outcome != apikeys.ImportRefused || r.KeyID != uuid.Nil || !named {
				t.Errorf("row %d: got %+v, want it refused for %s", i, r, fields[i])
			}
		}
	}
	if page := must(c.ListKeys(ctx, apikeys.KeyFilter{}, apikeys.ListOptions{}))(t); len(page.Items) != 2 {
		t.Errorf("got %d keys, want the two that were good", len(page.Items))
	}
}

// What is stored is made from the digest and is not the digest.
func TestImportStoresNoForeignDigest(t *testing.T) {
	t.Parallel()
	base := apikeystest.New(t)
	kept := &keeper{Store: base.Store}
	client := must(apikeys.New(t.Context(), kept, apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), Imported: importedKeys}))(t)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	keys := foreignKeys(t, base.Organization.ID)
	importAll(t, client, keys)
	if len(kept.keys) != len(keys) {
		t.Fatalf("got %d records, want %d", len(kept.keys), len(keys))
	}
	for name, key := range keys {
		digest := key.row.Digest
		for _, record := range kept.keys {
			if record.Secret.Hash == digest || strings.Contains(fmt.Sprintf("%+v", record), hex.EncodeToString(digest[:])) {
				t.Errorf("%s: its digest is stored", name)
			}
		}
		if s := fmt.Sprintf("%v %+v %#v %x", key.row, key.row, key.row, key.row); strings.Contains(s, hex.EncodeToString(digest[:4])) {
			t.Errorf("%s: the row prints its digest: %s", name, s)
		}
	}
}

// keeper remembers what it is given to store.
type keeper struct {
	apikeys.Store
	keys []apikeys.KeyRecord
}

func (k *keeper) CreateKeys(ctx context.Context, m apikeys.Mutation, keys []apikeys.KeyRecord) ([]error, error) {
	k.keys = append(k.keys, keys...)
	return k.Store.CreateKeys(ctx, m, keys)
}

// Two imports at once create each key once, and both say that it is there.
func TestImportsAtOnce(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t, imports), t.Context()
	var rows []apikeys.ImportKey
	for range 40 {
		for _, key := range foreignKeys(t, c.Organization.ID) {
			rows = append(rows, key.row)
		}
	}
	results, errs := make([][]apikeys.ImportResult, 4), make(chan error, 4)
	for i := range results {
		go func() {
			var err error
			results[i], err = c.ImportKeys(ctx, rows, apikeys.ImportParams{})
			errs <- err
		}()
	}
	for range results {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	for i := range rows {
		created := 0
		for _, r := range results {
			if r[i].KeyID != results[0][i].KeyID || r[i].Outcome == apikeys.ImportRefused {
				t.Fatalf("row %d: got %+v and %+v", i, r[i], results[0][i])
			}
			if r[i].Outcome == apikeys.ImportCreated {
				created++
			}
		}
		if created != 1 {
			t.Errorf("row %d was created %d times", i, created)
		}
	}
}

func TestConfigOfImportedKeys(t *testing.T) {
	t.Parallel()
	c := apikeystest.New(t)
	for name, tc := range map[string]struct {
		keys  apikeys.ImportedKeys
		field string
	}{
		"no scheme":       {apikeys.ImportedKeys{}, "Scheme"},
		"unknown":         {apikeys.ImportedKeys{Scheme: "md5"}, "Scheme"},
		"no secret":       {apikeys.ImportedKeys{Scheme: apikeys.ImportPythonSDK}, "Secret"},
		"a secret":        {apikeys.ImportedKeys{Scheme: apikeys.ImportSanctum, Secret: apikeys.NewSecret("x")}, "Secret"},
		"no prefix":       {apikeys.ImportedKeys{Scheme: apikeys.ImportSHA256, Length: 40}, "Prefixes"},
		"none of them":    {apikeys.ImportedKeys{Scheme: apikeys.ImportSanctum, Prefixes: []string{}}, "Prefixes"},
		"no text":         {apikeys.ImportedKeys{Scheme: apikeys.ImportSanctum, Prefixes: []string{"a b"}}, "Prefixes"},
		"a long one":      {apikeys.ImportedKeys{Scheme: apikeys.ImportSanctum, Prefixes: []string{strings.Repeat("a", 65)}}, "Prefixes"},
		"no length":       {apikeys.ImportedKeys{Scheme: apikeys.ImportSHA256, Prefixes: []string{"x"}}, "Length"},
		"short":           {apikeys.ImportedKeys{Scheme: apikeys.ImportBetterAuth, Length: 8}, "Length"},
		"long":            {apikeys.ImportedKeys{Scheme: apikeys.ImportBetterAuth, Length: 513}, "Length"},
		"no use for it":   {apikeys.ImportedKeys{Scheme: apikeys.ImportSanctum, Length: 40}, "Length"},
		"like our own":    {apikeys.ImportedKeys{Scheme: apikeys.ImportSHA256, Prefixes: []string{"sk_"}, Length: 49}, "Prefixes"},
		"perhaps our own": {apikeys.ImportedKeys{Scheme: apikeys.ImportSHA256, Prefixes: []string{""}, Length: 52}, "Prefixes"},
	} {
		config := apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), Imported: []apikeys.ImportedKeys{tc.keys}}
		_, err := apikeys.New(t.Context(), c.Store, config)
		if e := wantErr[*apikeys.InvalidArgumentError](t, err, apikeys.ErrInvalidArgument); e.Field != "Imported[0]."+tc.field {
			t.Errorf("%s: got %v, want the field %s", name, e, tc.field)
		}
	}
}

func TestParseDigest(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("x"))
	for _, text := range []string{
		hex.EncodeToString(sum[:]), strings.ToUpper(hex.EncodeToString(sum[:])),
		base64.StdEncoding.EncodeToString(sum[:]), base64.RawStdEncoding.EncodeToString(sum[:]),
		base64.URLEncoding.EncodeToString(sum[:]), base64.RawURLEncoding.EncodeToString(sum[:]),
	} {
		if got := must(apikeys.ParseDigest(text))(t); got != sum {
			t.Errorf("%q is read as something else", text)
		}
	}
	url := base64.RawURLEncoding.EncodeToString(sum[:])
	for _, text := range []string{"", "x", url[:42], url + "==", url[:42] + "*", hex.EncodeToString(sum[:31]), strings.Repeat("g", 64), strings.Repeat("_", 43), " " + url} {
		_, err := apikeys.ParseDigest(text)
		wantErr[*apikeys.InvalidArgumentError](t, err, apikeys.ErrInvalidArgument)
	}
}
