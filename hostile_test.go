package apikeys_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
)

// Every key that differs from a good one in a single byte is refused from memory.
func TestEverySingleByteChangeIsRefusedWithoutAStoreCall(t *testing.T) {
	t.Parallel()
	base, client, s := spied(t)
	text := []byte(base.Issue().Plaintext.Reveal())
	for i := range text {
		for b := range 256 {
			if text[i] == byte(b) {
				continue
			}
			changed := append([]byte(nil), text...)
			changed[i] = byte(b)
			if _, err := client.Verify(t.Context(), string(changed)); !errors.Is(err, apikeys.ErrInvalidKey) {
				t.Fatalf("byte %d changed to %#x: got %v, want an invalid key", i, b, err)
			}
		}
	}
	if got := s.calls(); got != 0 {
		t.Errorf("got %d store calls, want none", got)
	}
	must(client.Verify(t.Context(), string(text)))(t)
}

// What strangers send instead of a key, all refused from memory and alike.
func TestHostileKeysAreInvalidWithoutAStoreCall(t *testing.T) {
	t.Parallel()
	base, client, s := spied(t)
	text := base.Issue().Plaintext.Reveal()
	hostile := map[string]string{
		"empty": "", "blank": " ", "head": "sk", "head_": "sk_", "underscore": "_",
		"one more": text + "A", "twice": text + text, "lower": strings.ToLower(text), "upper": strings.ToUpper(text),
		"space before": " " + text, "newline after": text + "\n", "NUL after": text + "\x00", "BOM": "\ufeff" + text,
		"full-width head": "\uff53\uff4b" + text[2:], "cyrillic head": "\u0455k" + text[2:], "zero width": text[:10] + "\u200b" + text[10:],
		"percent": strings.Replace(text, "_", "%5F", 1), "quoted": `"` + text + `"`, "bearer": "Bearer " + text,
		"another head": "pk" + text[2:], "random tag": text[:len(text)-6] + "AAAAAA",
		"100 KiB": strings.Repeat("A", 100<<10), "1 MiB": strings.Repeat("A", 1<<20),
		"SQL": "' OR '1'='1' --", "0xFF": strings.Repeat("\xff", 50), "shape of 0xFF": "sk_" + strings.Repeat("\xff", 49),
	}
	for i := range text {
		hostile[fmt.Sprintf("prefix of %d", i)] = text[:i]
	}
	for i := 3; i < len(text)-1; i++ {
		if text[i] != text[i+1] {
			hostile[fmt.Sprintf("swapped at %d", i)] = text[:i] + string(text[i+1]) + string(text[i]) + text[i+2:]
		}
	}
	for name, key := range hostile {
		if _, err := client.Verify(t.Context(), key); !errors.Is(err, apikeys.ErrInvalidKey) || err.Error() != apikeys.ErrInvalidKey.Error() {
			t.Errorf("%s: got %v, want the one error for invalid keys", name, err)
		}
	}
	if got := s.calls(); got != 0 {
		t.Errorf("got %d store calls, want none", got)
	}
}

// A reader of the database has hashes, ids and hints, and nothing that opens.
func TestWhatIsStoredIsNoKey(t *testing.T) {
	t.Parallel()
	base, client, s := spied(t)
	key := base.Issue()
	var stored apikeys.KeyRecord
	s.keysByHash = func(found []apikeys.KeyRecord) []apikeys.KeyRecord { stored = found[0]; return found }
	must(client.Verify(t.Context(), key.Plaintext.Reveal()))(t)
	hash := stored.Secret.Hash
	for name, text := range map[string]string{
		"hash": string(hash[:]), "hex": hex.EncodeToString(hash[:]), "sk_hex": "sk_" + hex.EncodeToString(hash[:]), "id": key.Key.ID.String(),
		"hint": key.Key.Hint, "head": stored.Head, "signing id": stored.Secret.SigningID,
	} {
		if _, err := client.Verify(t.Context(), text); !errors.Is(err, apikeys.ErrInvalidKey) {
			t.Errorf("%s: got %v, want an invalid key", name, err)
		}
	}
}

func TestForgedKeysOfTheRightShapeNeverReachTheStore(t *testing.T) {
	t.Parallel()
	_, client, s := spied(t)
	other := apikeystest.New(t) // its own database: same secret, same head, another shield key
	for range 200 {
		if _, err := client.Verify(t.Context(), other.Issue().Plaintext.Reveal()); !errors.Is(err, apikeys.ErrInvalidKey) {
			t.Fatalf("got %v, want an invalid key", err)
		}
	}
	if got := s.calls(); got != 0 {
		t.Errorf("got %d store calls, want none", got)
	}
}

func TestKeysOfAnotherEnvironmentAreRefusedBeforeTheStore(t *testing.T) {
	t.Parallel()
	base, client, s := spied(t, func(c *apikeys.Config) { c.Environment = "staging" })
	text := base.Issue().Plaintext.Reveal() // sk_…, without an environment
	_, err := client.Verify(t.Context(), text)
	wantIs(t, err, apikeys.ErrInvalidKey)
	if got := s.calls(); got != 0 {
		t.Errorf("got %d store calls, want none", got)
	}
	_, renamed, _ := spiedOn(t, base, func(c *apikeys.Config) { c.Environment, c.AcceptedHeads = "staging", []string{"sk"} })
	must(renamed.Verify(t.Context(), text))(t)
}

// Wrong arguments: an error that names the field, and nothing written.
func TestHostileArgumentsAreRefusedByField(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	org, key := c.Organization.ID, c.Issue()
	create := func(m apikeys.KeyMetadata) error {
		_, err := c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org, Metadata: m})
		return err
	}
	many := make([]string, 65)
	for i := range many {
		many[i] = "s" + strings.Repeat("x", i)
	}
	for _, tt := range []struct {
		field string
		err   error
	}{
		{"name", second(c.CreateOrganization(ctx, ""))},
		{"name", second(c.CreateOrganization(ctx, strings.Repeat("é", 201)))},
		{"name", second(c.CreateProject(ctx, org, "a\x00b"))},
		{"name", second(c.CreateProduct(ctx, org, "a\xff"))},
		{"name", second(c.RenameOrganization(ctx, org, "admin\u202egnp.exe"))},
		{"Metadata.Name", create(apikeys.KeyMetadata{Name: "a\u200bb"})},
		{"Metadata.Scopes", create(apikeys.KeyMetadata{Scopes: []string{"read write"}})},
		{"Metadata.Scopes", create(apikeys.KeyMetadata{Scopes: many})},
		{"Metadata.RateLimits", create(apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerDay(-1)}})},
		{"Metadata.RateLimits", create(apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{{Requests: 1, Window: 7}}})},
		{"Metadata.RateLimits", create(apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{apikeys.PerDay(1), apikeys.PerDay(2)}})},
		{"Metadata.Custom", create(apikeys.KeyMetadata{Custom: map[string]any{"a": strings.Repeat("x", 16<<10)}})},
		{"Metadata.Custom", create(apikeys.KeyMetadata{Custom: map[string]any{"a": make(chan int)}})},
		{"OwnerID", second(c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: org, OwnerID: "a\nb"}))},
		{"OwnerID", second(c.ListKeys(ctx, apikeys.KeyFilter{OwnerID: "bob"}, apikeys.ListOptions{}))},
		{"Query", second(c.ListKeys(ctx, apikeys.KeyFilter{Query: "\xff"}, apikeys.ListOptions{}))},
		{"IfVersion", second(c.PatchKey(ctx, key.Key.ID, apikeys.KeyPatch{IfVersion: -1}))},
		{"Metadata.Scopes", second(c.PatchKey(ctx, key.Key.ID, apikeys.KeyPatch{Name: ptr("new"), Scopes: &[]string{"**"}}))},
		{"Reason", second(c.RevokeKey(ctx, key.Key.ID, apikeys.RevokeParams{Reason: "\x00"}))},
		{"Limit", second(c.ListOrganizations(ctx, apikeys.ListOptions{Limit: -1}))},
		{"Limit", second(c.ListOrganizations(ctx, apikeys.ListOptions{Limit: 201}))},
		{"Cost", second(c.Validate(ctx, "", apikeys.ValidateParams{Cost: -1}))},
		{"Scopes", second(c.Validate(ctx, "", apikeys.ValidateParams{Scopes: []string{"docs:*"}}))},
		{"Scopes", second(c.Explain(ctx, "", apikeys.ValidateParams{Scopes: []string{""}}))},
	} {
		e := wantErr[*apikeys.InvalidArgumentError](t, tt.err, apikeys.ErrInvalidArgument)
		if e.Field != tt.field || e.Reason == "" {
			t.Errorf("got field %q (%s), want %q", e.Field, e.Reason, tt.field)
		}
	}
	if got := must(c.GetKey(ctx, key.Key.ID))(t); got.Version != 1 || got.Metadata.Name != key.Key.Metadata.Name {
		t.Errorf("the key changed: version %d, name %q", got.Version, got.Metadata.Name)
	}
	if page := must(c.ListKeys(ctx, apikeys.KeyFilter{OrganizationID: org}, apikeys.ListOptions{}))(t); len(page.Items) != 1 {
		t.Errorf("got %d keys, want only the first", len(page.Items))
	}
}

// Text that looks dangerous is text.
func TestNamesAreKeptExactly(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	seen := map[uuid.UUID]bool{}
	for _, name := range []string{
		"<script>alert(1)</script>", "'); DROP TABLE apikeys_keys; --", "100%", "_", `\`, "🔑👩‍👩‍👧‍👦", "Acme", "acme", "ACME", "Acme ", " Acme", "Ａcme",
		strings.Repeat("é", 200),
	} {
		org := must(c.CreateOrganization(ctx, name))(t)
		if got := must(c.GetOrganization(ctx, org.ID))(t); got.Name != name || seen[org.ID] {
			t.Errorf("got %q, want %q, each an organization of its own", got.Name, name)
		}
		seen[org.ID] = true
		key := issue(t, c.Client, apikeys.CreateKeyParams{OrganizationID: org.ID, OwnerID: name, Metadata: apikeys.KeyMetadata{Name: name}})
		page := must(c.ListKeys(ctx, apikeys.KeyFilter{OrganizationID: org.ID, OwnerID: name, Query: name}, apikeys.ListOptions{}))(t)
		if len(page.Items) != 1 || page.Items[0].ID != key.Key.ID || page.Items[0].Metadata.Name != name || page.Items[0].OwnerID != name {
			t.Errorf("%q: got %d keys, want the one, its name and owner unchanged", name, len(page.Items))
		}
	}
}

func TestCursorsWorkOnlyWhereTheyCameFrom(t *testing.T) {
	t.Parallel()
	c, ctx := apikeystest.New(t), t.Context()
	for range 3 {
		c.Issue()
	}
	mine := apikeys.KeyFilter{OrganizationID: c.Organization.ID}
	other := must(c.CreateOrganization(ctx, "other"))(t)
	cursor := must(c.ListKeys(ctx, mine, apikeys.ListOptions{Limit: 2}))(t).NextCursor
	if cursor == "" {
		t.Fatal("no cursor after two of three keys")
	}
	list := func(f apikeys.KeyFilter, cursor string) error {
		return second(c.ListKeys(ctx, f, apikeys.ListOptions{Limit: 2, Cursor: cursor}))
	}
	if err := list(mine, cursor); err != nil {
		t.Fatal(err)
	}
	flipped := []byte(cursor)
	flipped[3] ^= 1
	for name, err := range map[string]error{
		"another organization": list(apikeys.KeyFilter{OrganizationID: other.ID}, cursor),
		"another filter":       list(apikeys.KeyFilter{OrganizationID: c.Organization.ID, Status: apikeys.StatusRevoked}, cursor),
		"no filter":            list(apikeys.KeyFilter{}, cursor),
		"bit flipped":          list(mine, string(flipped)),
		"random":               list(mine, "AAAA"),
		"cut":                  list(mine, cursor[:len(cursor)-1]),
		"64 KiB":               list(mine, strings.Repeat("A", 64<<10)),
		"another kind":         second(c.ListOrganizations(ctx, apikeys.ListOptions{Cursor: cursor})),
	} {
		if e := wantErr[*apikeys.InvalidArgumentError](t, err, apikeys.ErrInvalidArgument); e.Field != "Cursor" {
			t.Errorf("%s: got field %q, want Cursor", name, e.Field)
		}
	}
}
