package faulttest_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/testdb/stores"
)

const (
	refused = "invalid_argument"
	missing = "not_found"
)

// What strangers and careless programs hand over: on every database it is refused with
// the same error, or kept exactly as it is.
func TestHostileInputs(t *testing.T) {
	t.Parallel()
	for _, d := range stores.All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			s, _ := d.Migrated(t)
			c := newClient(t, s, strict())
			w := newWorld(t, s, c)
			hostileNames(t, c, w)
			hostileMetadata(t, c, w)
			hostileCustom(t, c, w)
			hostilePages(t, c, w)
			hostileIDs(t, c, w)
			hostileKeys(t, c, w)
		})
	}
}

// dangerous is text that looks so, and is text.
func dangerous() []string {
	return []string{
		"<script>alert(1)</script>", "'); DROP TABLE apikeys_keys; --", "%", "_", `\`, `\%`, "100%_", "🔑👩‍👩‍👧‍👦", "Acme", "acme", "ACME", "Acme ", " Acme",
		"Ａcme", "e\u0301", "\u00e9", "ß", "SS", "İ", "i", strings.Repeat("é", 200), "null", "NULL", "0", "`", "$1", "?", ":name",
	}
}

// invisible is text that people cannot see as it is.
func invisible() []string {
	return []string{strings.Repeat("x", 201), "a\x00b", "a\xffb", "\xed\xa0\x80", "admin\u202egnp.exe", "a\u200bb", "a\nb", "\x7f", "\ufeffa"}
}

func hostileNames(t *testing.T, c *apikeys.Client, w *world) {
	t.Helper()
	ctx := t.Context()
	for _, name := range dangerous() {
		p, err := c.CreateProject(ctx, w.org, name)
		if err != nil || p.Name != name {
			t.Errorf("project %q: got error %v", name, err)
			continue
		}
		if got, err := c.FindProject(ctx, w.org, name); err != nil || got.ID != p.ID {
			t.Errorf("project %q: found by its name: got error %v, or another", name, err)
		}
		_, err = c.CreateProject(ctx, w.org, name)
		wantCode(t, "project "+name+" again", err, apikeys.CodeAlreadyExists)
		k := must(c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: w.org, OwnerID: name, Metadata: apikeys.KeyMetadata{Name: name}}))(t)
		revoked := must(c.RevokeKey(ctx, k.Key.ID, apikeys.RevokeParams{Reason: name}))(t)
		page := must(c.ListKeys(ctx, apikeys.KeyFilter{OrganizationID: w.org, OwnerID: name, Query: name}, apikeys.ListOptions{}))(t)
		if revoked.RevokedReason != name || len(page.Items) != 1 || page.Items[0].OwnerID != name || page.Items[0].Metadata.Name != name {
			t.Errorf("key of %q: got %d keys and the reason %q, want one with everything as it was given", name, len(page.Items), revoked.RevokedReason)
		}
	}
	for _, name := range invisible() {
		_, err := c.CreateProject(ctx, w.org, name)
		wantCode(t, fmt.Sprintf("project %q", name), err, refused)
		_, err = c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: w.org, OwnerID: name})
		wantCode(t, fmt.Sprintf("owner %q", name), err, refused)
		_, err = c.PatchKey(ctx, w.key.Key.ID, apikeys.KeyPatch{Name: &name})
		wantCode(t, fmt.Sprintf("name %q", name), err, refused)
	}
}

func hostileMetadata(t *testing.T, c *apikeys.Client, w *world) {
	t.Helper()
	set := func(m apikeys.KeyMetadata) error { return second(c.UpdateKey(t.Context(), w.spare.Key.ID, m)) }
	for _, scope := range []string{
		"", " read", "read ", "**", "*:read", "read:", ":read", "a::b", "read write", "read\nwrite", "read\x00", "réad", `a"b`, `a\b`, strings.Repeat("a", 129),
	} {
		wantCode(t, fmt.Sprintf("scope %q", scope), set(apikeys.KeyMetadata{Scopes: []string{scope}}), refused)
	}
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprint("scope", i)
	}
	wantCode(t, "65 scopes", set(apikeys.KeyMetadata{Scopes: many}), refused)
	for _, limit := range []apikeys.RateLimit{
		{Requests: -1, Window: apikeys.WindowDay}, {Requests: math.MaxInt64, Window: apikeys.WindowDay}, {Requests: 1}, {Requests: 1, Window: -1}, {Requests: 1, Window: 7},
	} {
		wantCode(t, fmt.Sprintf("limit %+v", limit), set(apikeys.KeyMetadata{RateLimits: []apikeys.RateLimit{limit}}), refused)
	}
	for _, at := range []time.Time{time.Date(999999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		wantCode(t, "expiry "+at.String(), set(apikeys.KeyMetadata{ExpiresAt: at}), refused)
	}
	at := time.Date(2031, 3, 4, 5, 6, 7, 123456789, time.FixedZone("", 14*3600))
	k := must(c.UpdateKey(t.Context(), w.spare.Key.ID, apikeys.KeyMetadata{ExpiresAt: at, Scopes: []string{"READ", "read", "READ"}}))(t)
	k = must(c.GetKey(t.Context(), k.ID))(t)
	if want := at.UTC().Truncate(time.Microsecond); !k.Metadata.ExpiresAt.Equal(want) || k.Metadata.ExpiresAt.Location() != time.UTC {
		t.Errorf("got expiry %v, want %v", k.Metadata.ExpiresAt, want)
	}
	if len(k.Metadata.Scopes) != 2 || !slices.Contains(k.Metadata.Scopes, "READ") || !slices.Contains(k.Metadata.Scopes, "read") {
		t.Errorf("got scopes %q, want READ and read, once each", k.Metadata.Scopes)
	}
}

func hostileCustom(t *testing.T, c *apikeys.Client, w *world) {
	t.Helper()
	deep := any(1)
	for range 9 {
		deep = map[string]any{"a": deep}
	}
	wide := map[string]any{}
	for i := range 65 {
		wide[fmt.Sprint(i)] = i
	}
	for name, custom := range map[string]map[string]any{
		"nested 9 deep": deep.(map[string]any), "65 keys": wide, "16 KiB": {"a": strings.Repeat("x", 16<<10)}, "1e400": {"a": json.Number("1e400")},
		"NUL": {"a": "\x00"}, "NUL in a key": {"\x00": 1}, "not UTF-8": {"a": "\xff"}, "NaN": {"a": math.NaN()}, "no number": {"a": json.Number("0x1")},
	} {
		wantCode(t, "custom data: "+name, second(c.PatchKey(t.Context(), w.key.Key.ID, apikeys.KeyPatch{Custom: &custom})), refused)
	}
	want := map[string]any{
		"big": json.Number("9007199254740993"), "zero": json.Number("-0.0"), "long": json.Number("1.50"), "": "</script>", "a\"'\\": []any{nil, true, "\u2028 🔑"},
	}
	must(c.PatchKey(t.Context(), w.key.Key.ID, apikeys.KeyPatch{Custom: &want}))(t)
	if got := must(c.GetKey(t.Context(), w.key.Key.ID))(t).Metadata.Custom; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got custom data %v, want %v", got, want)
	}
}

func hostilePages(t *testing.T, c *apikeys.Client, w *world) {
	t.Helper()
	mine := apikeys.KeyFilter{OrganizationID: w.org}
	other := must(c.CreateOrganization(t.Context(), w.name+" other"))(t)
	cursor := must(c.ListKeys(t.Context(), mine, apikeys.ListOptions{Limit: 1}))(t).NextCursor
	flipped := []byte(cursor)
	flipped[5] ^= 1
	for name, err := range map[string]error{
		"random":               second(c.ListKeys(t.Context(), mine, apikeys.ListOptions{Cursor: "AAAA"})),
		"flipped":              second(c.ListKeys(t.Context(), mine, apikeys.ListOptions{Cursor: string(flipped)})),
		"64 KiB":               second(c.ListKeys(t.Context(), mine, apikeys.ListOptions{Cursor: strings.Repeat("A", 64<<10)})),
		"SQL":                  second(c.ListKeys(t.Context(), mine, apikeys.ListOptions{Cursor: "' OR 1=1 --"})),
		"another filter":       second(c.ListKeys(t.Context(), apikeys.KeyFilter{OrganizationID: w.org, Query: "x"}, apikeys.ListOptions{Cursor: cursor})),
		"another organization": second(c.ListKeys(t.Context(), apikeys.KeyFilter{OrganizationID: other.ID}, apikeys.ListOptions{Cursor: cursor})),
		"another kind":         second(c.ListProjects(t.Context(), w.org, apikeys.ListOptions{Cursor: cursor})),
		"limit -1":             second(c.ListKeys(t.Context(), mine, apikeys.ListOptions{Limit: -1})),
		"limit 10^18":          second(c.ListKeys(t.Context(), mine, apikeys.ListOptions{Limit: 1e18})),
	} {
		wantCode(t, "page: "+name, err, refused)
	}
}

func hostileIDs(t *testing.T, c *apikeys.Client, w *world) {
	t.Helper()
	ctx := t.Context()
	for name, id := range map[string]uuid.UUID{"nil": uuid.Nil, "max": uuid.Max, "unknown": uuid.New(), "a project's": w.p, "the organization's": w.org} {
		for what, err := range map[string]error{
			"get": second(c.GetKey(ctx, id)), "patch": second(c.PatchKey(ctx, id, apikeys.KeyPatch{Name: ptr("x")})),
			"rotate": second(c.RotateKey(ctx, id, apikeys.RotateParams{})), "revoke": second(c.RevokeKey(ctx, id, apikeys.RevokeParams{})),
			"disable": second(c.DisableKey(ctx, id)), "delete": c.DeleteKey(ctx, id), "secrets": second(c.KeySecrets(ctx, id)),
			"product": second(c.GetProduct(ctx, id)), "link": c.AddProductToProject(ctx, id, w.p), "unlink": c.RemoveProductFromProject(ctx, id, w.p),
			"create for a product": second(c.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: w.org, ProductID: orUnknown(id)})),
		} {
			wantCode(t, what+": "+name, err, missing)
		}
	}
}

// orUnknown: where nil means none, another id that is nobody's is meant.
func orUnknown(id uuid.UUID) uuid.UUID {
	if id == uuid.Nil {
		return uuid.New()
	}
	return id
}

// hostileKeys are right but for their case, or have what a loose comparison ignores.
func hostileKeys(t *testing.T, c *apikeys.Client, w *world) {
	t.Helper()
	good := w.spare.Plaintext.Reveal()
	must(c.Verify(t.Context(), good))(t)
	for i := range good {
		changed := []byte(good)
		changed[i] ^= 0x20 // the other case of a letter
		_, err := c.Verify(t.Context(), string(changed))
		wantCode(t, fmt.Sprintf("the other case at %d", i), err, apikeys.CodeInvalidKey)
	}
	for _, key := range []string{good + " ", good + "\x00", " " + good, good + good, good[:len(good)-1], "' OR '1'='1' --", w.spare.Key.ID.String(), w.spare.Key.Hint} {
		_, err := c.Verify(t.Context(), key)
		wantCode(t, "a hostile key", err, apikeys.CodeInvalidKey)
	}
}

func wantCode(t *testing.T, what string, err error, want string) {
	t.Helper()
	if code(err) != want {
		t.Errorf("%s: got %q, want %q", what, code(err), want)
	}
}
