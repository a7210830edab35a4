package apikeys_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// exampleKey issues a key that grants "read".
func exampleKey(client *apikeys.Client, organization uuid.UUID) *apikeys.IssuedKey {
	issued, err := client.CreateKey(context.Background(), apikeys.CreateKeyParams{
		OrganizationID: organization,
		OwnerID:        "u_alice",
		Metadata:       apikeys.KeyMetadata{Name: "ci", Scopes: []string{"read"}},
	})
	check(err)
	return issued
}

func ExampleClient_GetKey() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued := exampleKey(client, acme.ID)
	_, err := client.Verify(ctx, issued.Plaintext.Reveal())
	check(err)
	key, err := client.GetKey(ctx, issued.Key.ID)
	check(err)
	fmt.Println(key.Metadata.Name, key.OwnerID, key.UseCount, key.Status(time.Now()))
	// Output: ci u_alice 1 active
}

// UpdateKey replaces all of the metadata: here the scopes are gone.
func ExampleClient_UpdateKey() {
	client, acme := exampleClient()
	issued := exampleKey(client, acme.ID)
	key, err := client.UpdateKey(context.Background(), issued.Key.ID, apikeys.KeyMetadata{Name: "ci, upgraded"})
	check(err)
	fmt.Println(key.Metadata.Name, len(key.Metadata.Scopes))
	// Output: ci, upgraded 0
}

func ExampleClient_DisableKey() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued := exampleKey(client, acme.ID)
	_, err := client.DisableKey(ctx, issued.Key.ID)
	check(err)
	_, err = client.Verify(ctx, issued.Plaintext.Reveal())
	fmt.Println(errors.Is(err, apikeys.ErrDisabledKey))
	// Output: true
}

func ExampleClient_EnableKey() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued := exampleKey(client, acme.ID)
	_, err := client.DisableKey(ctx, issued.Key.ID)
	check(err)
	key, err := client.EnableKey(ctx, issued.Key.ID)
	check(err)
	fmt.Println(key.Status(time.Now()))
	// Output: active
}

// Both texts work until the overlap ends: time to roll the new one out.
func ExampleClient_RotateKey() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued := exampleKey(client, acme.ID)
	rotated, err := client.RotateKey(ctx, issued.Key.ID, apikeys.RotateParams{Overlap: 24 * time.Hour})
	check(err)
	fmt.Println(rotated.Key.ID == issued.Key.ID)
	for _, text := range []string{issued.Plaintext.Reveal(), rotated.Plaintext.Reveal()} {
		_, err := client.Verify(ctx, text)
		fmt.Println(err)
	}
	// Output:
	// true
	// <nil>
	// <nil>
}

// Is the old secret of a rotated key still in use?
func ExampleClient_KeySecrets() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued := exampleKey(client, acme.ID)
	_, err := client.RotateKey(ctx, issued.Key.ID, apikeys.RotateParams{Overlap: time.Hour})
	check(err)
	secrets, err := client.KeySecrets(ctx, issued.Key.ID)
	check(err)
	for _, s := range secrets {
		fmt.Println(s.Number, "ends:", !s.EndsAt.IsZero(), "used:", !s.LastUsedAt.IsZero())
	}
	// Output:
	// 2 ends: false used: false
	// 1 ends: true used: false
}

func ExampleClient_DeleteKey() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued := exampleKey(client, acme.ID)
	check(client.DeleteKey(ctx, issued.Key.ID))
	_, err := client.Verify(ctx, issued.Plaintext.Reveal())
	fmt.Println(err) // as if it had never been
	// Output: apikeys: invalid key
}

// An employee leaves.
func ExampleClient_RevokeKeys() {
	client, acme := exampleClient()
	ctx := context.Background()
	for range 3 {
		exampleKey(client, acme.ID)
	}
	n, err := client.RevokeKeys(ctx,
		apikeys.KeyFilter{OrganizationID: acme.ID, OwnerID: "u_alice"}, apikeys.RevokeParams{Reason: "left the company"})
	check(err)
	fmt.Println(n)
	// Output: 3
}

func ExampleClient_PurgeKeys() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued := exampleKey(client, acme.ID)
	_, err := client.RevokeKey(ctx, issued.Key.ID, apikeys.RevokeParams{})
	check(err)

	n, err := client.PurgeKeys(ctx, apikeys.PurgeParams{EndedBefore: time.Now().AddDate(0, -3, 0)})
	check(err)
	fmt.Println(n) // it ended just now
	n, err = client.PurgeKeys(ctx, apikeys.PurgeParams{EndedBefore: time.Now().Add(time.Minute)})
	check(err)
	fmt.Println(n)
	// Output:
	// 0
	// 1
}

func ExampleContextWithActor() {
	client, acme := exampleClient()
	issued := exampleKey(client, acme.ID)
	ctx := apikeys.ContextWithActor(context.Background(), "u_admin")
	_, err := client.RevokeKey(ctx, issued.Key.ID, apikeys.RevokeParams{Reason: "leaked"}) // the event names u_admin
	fmt.Println(err)
	// Output: <nil>
}

// What others may have printed by mistake, found again.
func ExampleClient_ScanPattern() {
	client, acme := exampleClient()
	issued := exampleKey(client, acme.ID)
	log := "GET /docs key=" + issued.Plaintext.Reveal() + " 200"
	found := regexp.MustCompile(client.ScanPattern()).FindString(log)
	fmt.Println(client.Recognize(found))
	// Output: true
}

// Keys of a Laravel application go on working: personal_access_tokens is where Sanctum
// keeps them.
func ExampleClient_ImportKeys() {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:")
	check(err)
	defer db.Close()
	check(db.Migrate(ctx))
	client, err := apikeys.New(ctx, db, apikeys.Config{
		SigningSecret: apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35"),
		Imported:      []apikeys.ImportedKeys{{Scheme: apikeys.ImportSanctum}},
	})
	check(err)
	defer client.Close(ctx)
	acme, err := client.CreateOrganization(ctx, "Acme Inc")
	check(err)

	digest, err := apikeys.ParseDigest("81bb3f94ff4b2bc887525f4e3c57b684baaa91d87eb797d2b162fb4eb2960d52")
	check(err)
	keys := []apikeys.ImportKey{{
		Scheme: apikeys.ImportSanctum, ForeignID: "7", Digest: digest, OrganizationID: acme.ID, OwnerID: "user:12",
		Metadata: apikeys.KeyMetadata{Name: "mobile", Scopes: []string{"orders:read"}},
	}}
	for range 2 {
		results, err := client.ImportKeys(ctx, keys, apikeys.ImportParams{})
		check(err)
		fmt.Println(results[0].ForeignID, results[0].Outcome, results[0].Err)
	}

	key, err := client.Verify(ctx, "7|Zk3Qb7Yt0LmXw9PcRd5Vn2Hs8Gf4Ja1Ue6TiKoBx")
	check(err)
	fmt.Println(key.OwnerID, key.Metadata.Scopes)
	// Output:
	// 7 created <nil>
	// 7 exists <nil>
	// user:12 [orders:read]
}

// Databases have digests in hexadecimal or in base64.
func ExampleParseDigest() {
	hexadecimal, err := apikeys.ParseDigest("2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
	check(err)
	base64url, err := apikeys.ParseDigest("LXEWQrcmsEQBYnyp-6wy9chTD7GQPMTbAiWHF5IaSIE")
	check(err)
	fmt.Println(hexadecimal == base64url)
	// Output: true
}
