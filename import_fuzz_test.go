package apikeys_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/internal/memstore"
)

// Whatever a row says, importing it never fails as a whole: the key is there and its
// text is judged by what the row says, or the row is refused for a reason; a second
// time it is as the first has left it.
func FuzzImportKeys(f *testing.F) {
	f.Add("python-sdk", "1", "name", "read", int64(10), int64(60), int64(0), int64(0), `{"a":1}`, "", int64(0))
	f.Add("sanctum", "1|2", "\x00", "a b", int64(-1), int64(7), int64(1<<60), int64(-1), `[`, "x\xff", int64(-1))
	f.Add("sanctum", "7", "é", "docs:*", int64(0), int64(1), int64(253402300800), int64(1), `{}`, "hint", int64(1))
	ctx := context.Background()
	client, err := apikeys.New(ctx, memstore.New(), apikeys.Config{
		SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret), RevocationDelay: -1, Imported: importedKeys,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = client.Close(ctx) })
	org, err := client.CreateOrganization(ctx, "fuzz")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, scheme, id, name, scope string, requests, window, expires, revoked int64, custom, hint string, uses int64) {
		key := foreignKeys(t, org.ID)["sanctum"]
		key.row.Scheme, key.row.ForeignID, key.row.Hint, key.row.UseCount = apikeys.ImportScheme(scheme), id, hint, uses
		key.row.Metadata = apikeys.KeyMetadata{Name: name, Scopes: []string{scope}, RateLimits: []apikeys.RateLimit{{Requests: requests, Window: apikeys.RateLimitWindow(window)}}}
		_ = json.Unmarshal([]byte(custom), &key.row.Metadata.Custom)
		if expires != 0 {
			key.row.Metadata.ExpiresAt = time.Unix(expires, 0)
		}
		if revoked != 0 {
			key.row.RevokedAt = time.Unix(revoked, 0)
		}
		rows := []apikeys.ImportKey{key.row}
		first := must(client.ImportKeys(ctx, rows, apikeys.ImportParams{}))(t)[0]
		second := must(client.ImportKeys(ctx, rows, apikeys.ImportParams{}))(t)[0]
		if first.Outcome == apikeys.ImportRefused {
			var ours apikeys.Error
			if second.Outcome != apikeys.ImportRefused || !errors.As(first.Err, &ours) {
				t.Fatalf("got %+v, then %+v", first, second)
			}
			return
		}
		if first.Outcome != apikeys.ImportCreated || second.Outcome != apikeys.ImportExists || second.KeyID != first.KeyID {
			t.Fatalf("got %+v, then %+v", first, second)
		}
		stored := must(client.GetKey(ctx, first.KeyID))(t)
		if stored.Metadata.Name != name || stored.UseCount != uses || len(stored.Metadata.Scopes) != 1 || stored.Metadata.Scopes[0] != scope {
			t.Fatalf("got %+v, which is not what the row says", stored)
		}
		if scheme != "sanctum" || id != "7" {
			return // the text belongs to another row
		}
		_, err := client.Validate(ctx, key.text, apikeys.ValidateParams{SkipRateLimit: true})
		switch now := time.Now(); {
		case revoked != 0:
			wantIs(t, err, apikeys.ErrRevokedKey)
		case expires != 0 && !now.Before(time.Unix(expires, 0)):
			wantIs(t, err, apikeys.ErrExpiredKey)
		case err != nil:
			t.Fatalf("got %v of a key that was imported", err)
		}
	})
}
