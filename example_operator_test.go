package apikeys_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

func ExampleClient_RetireSecret() {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:")
	check(err)
	defer db.Close()
	check(db.Migrate(ctx))
	yesterday := apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35")
	today := apikeys.NewSecret("a94c07e1f25b48d3860b9fe7c4d1523a")

	before, err := apikeys.New(ctx, db, apikeys.Config{SigningSecret: yesterday})
	check(err)
	defer before.Close(ctx)
	acme, err := before.CreateOrganization(ctx, "Acme Inc")
	check(err)
	issued, err := before.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID})
	check(err)

	after, err := apikeys.New(ctx, db, apikeys.Config{SigningSecret: today, AcceptedSecrets: []apikeys.Secret{yesterday}})
	check(err)
	defer after.Close(ctx)
	_, err = after.RetireSecret(ctx, apikeys.RetireSecretParams{ID: yesterday.ID()})
	fmt.Println(errors.Is(err, apikeys.ErrInvalidArgument)) // a key hangs on it

	_, err = after.Verify(ctx, issued.Plaintext.Reveal()) // once it was used, no more
	check(err)
	uses, err := after.CountKeysBySecret(ctx)
	check(err)
	for _, use := range uses {
		fmt.Println(use.Signing, use.Keys, use.Only)
	}
	removed, err := after.RetireSecret(ctx, apikeys.RetireSecretParams{ID: yesterday.ID()})
	fmt.Println(removed, err)
	_, err = after.Verify(ctx, issued.Plaintext.Reveal())
	fmt.Println(err)
	// Output:
	// true
	// true 1 0
	// false 1 0
	// 1 <nil>
	// <nil>
}

func ExampleClient_CountKeysBySecret() {
	client, acme := exampleClient()
	ctx := context.Background()
	_, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID})
	check(err)
	uses, err := client.CountKeysBySecret(ctx)
	check(err)
	fmt.Printf("%+v\n", uses)
	// Output: [{ID:eb402aeeb51d3343 Signing:true Accepted:false Retired:false Keys:1 Only:1}]
}

func ExampleSecret_ID() {
	secret := apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35")
	fmt.Println(secret, secret.ID()) // the id may be shown
	// Output: [redacted] eb402aeeb51d3343
}

func ExampleClient_KeyUsage() {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:")
	check(err)
	defer db.Close()
	check(db.Migrate(ctx))
	secret := apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35")

	service, err := apikeys.New(ctx, db, apikeys.Config{SigningSecret: secret})
	check(err)
	acme, err := service.CreateOrganization(ctx, "Acme Inc")
	check(err)
	issued, err := service.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID})
	check(err)
	for _, scopes := range [][]string{nil, nil, {"admin"}, nil} {
		_, _ = service.Validate(ctx, issued.Plaintext.Reveal(), apikeys.ValidateParams{Scopes: scopes})
	}
	check(service.Close(ctx)) // writes what was counted, at the latest

	desk, err := apikeys.New(ctx, db, apikeys.Config{SigningSecret: secret})
	check(err)
	defer desk.Close(ctx)
	hours, err := desk.KeyUsage(ctx, issued.Key.ID, issued.Key.CreatedAt.Truncate(time.Hour), time.Now())
	check(err)
	counts := map[string]int64{}
	for _, h := range hours {
		counts[h.Outcome] += h.Count
	}
	fmt.Println(counts)
	// Output: map[accepted:3 insufficient_scope:1]
}

func ExampleClient_ExpiringKeys() {
	client, acme := exampleClient()
	ctx := context.Background()
	for name, days := range map[string]int{"this week": 3, "next year": 400} {
		_, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID,
			Metadata: apikeys.KeyMetadata{Name: name, ExpiresAt: time.Now().AddDate(0, 0, days)}})
		check(err)
	}
	for key, err := range client.ExpiringKeys(ctx, 7*24*time.Hour) {
		check(err)
		fmt.Println(key.Metadata.Name)
	}
	// Output: this week
}

func ExampleClient_ListEvents() {
	client, acme := exampleClient()
	ctx := apikeys.ContextWithActor(context.Background(), "carol@example.com")
	_, err := client.RenameOrganization(ctx, acme.ID, "Acme Ltd")
	check(err)
	page, err := client.ListEvents(ctx, apikeys.EventFilter{OrganizationID: acme.ID}, apikeys.ListOptions{Limit: 1})
	check(err)
	for _, e := range page.Items {
		fmt.Println(e.Actor, e.Action, e.Before, e.After)
	}
	// Output: carol@example.com organization.rename map[name:Acme Inc] map[name:Acme Ltd]
}

func ExampleConfig_onEvent() {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, ":memory:")
	check(err)
	defer db.Close()
	check(db.Migrate(ctx))
	client, err := apikeys.New(ctx, db, apikeys.Config{
		SigningSecret: apikeys.NewSecret("3b1f0e7d5c9a49628f70d4c2b1a69e35"),
		OnEvent:       func(e apikeys.Event) { fmt.Println(e.Action, e.After) },
	})
	check(err)
	_, err = client.CreateOrganization(ctx, "Acme Inc")
	check(err)
	check(client.Close(ctx)) // tells of what waits
	// Output: organization.create map[name:Acme Inc]
}

func ExampleClient_Sweep() {
	client, _ := exampleClient()
	removed, err := client.Sweep(context.Background()) // where Config.SweepInterval is negative
	fmt.Println(removed, err)
	// Output: 0 <nil>
}
