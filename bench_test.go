package apikeys_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/apikeystest"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

// benchKeys returns a client as it is by default, on SQLite in memory, and n keys
// with one limit each that is never reached.
func benchKeys(b *testing.B, n int) (*apikeys.Client, []string) {
	b.Helper()
	ctx := context.Background()
	db := must(sqlite.Open(ctx, ":memory:"))(b)
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(ctx); err != nil {
		b.Fatal(err)
	}
	client := must(apikeys.New(ctx, db, apikeys.Config{SigningSecret: apikeys.NewSecret(apikeystest.SigningSecret)}))(b)
	b.Cleanup(func() { _ = client.Close(ctx) })
	org := must(client.CreateOrganization(ctx, "bench"))(b)
	texts := make([]string, n)
	for i := range texts {
		texts[i] = issue(b, client, apikeys.CreateKeyParams{OrganizationID: org.ID, Metadata: apikeys.KeyMetadata{
			Scopes: []string{"read", "write"}, RateLimits: []apikeys.RateLimit{apikeys.PerDay(1e12)},
		}}).Plaintext.Reveal()
		must(client.Validate(ctx, texts[i], apikeys.ValidateParams{}))(b)
	}
	// In another order than they were made, or what comes next would be guessed.
	rand.New(rand.NewPCG(1, 1)).Shuffle(n, func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
	return client, texts
}

func BenchmarkValidateCached(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		client, texts := benchKeys(b, n)
		ctx, params := context.Background(), apikeys.ValidateParams{Scopes: []string{"read"}}
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := client.Validate(ctx, texts[i%n], params); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("keys=%d/parallel", n), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := client.Validate(ctx, texts[i%n], params); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// An imported key costs the hash of the other system beside our own.
func BenchmarkValidateImported(b *testing.B) {
	c := apikeystest.New(b, imports, func(c *apikeys.Config) { c.UsageFlushInterval, c.Now = 0, nil })
	keys := foreignKeys(b, c.Organization.ID)
	importAll(b, c.Client, keys)
	for _, name := range []string{"python", "better-auth", "sanctum"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Validate(b.Context(), keys[name].text, apikeys.ValidateParams{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	native := c.Issue().Plaintext.Reveal()
	b.Run("native", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Validate(b.Context(), native, apikeys.ValidateParams{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A key whose window is full is refused from memory.
func BenchmarkValidateRefused(b *testing.B) {
	c := apikeystest.New(b, func(c *apikeys.Config) { c.UsageFlushInterval, c.Now = 0, nil })
	text := c.IssueLimited(apikeys.PerDay(0)).Plaintext.Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Validate(b.Context(), text, apikeys.ValidateParams{}); err == nil {
			b.Fatal("accepted")
		}
	}
}
