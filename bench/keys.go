package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/internal/keyhash"
	"github.com/apikeys-platform/apikeys/internal/token"
)

// secret is what the keys of all measurements are hashed under.
const secret = "5f2c1a9e8b7d6c4f3e2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c"

// custom is about 200 bytes of a program's own data.
func custom() map[string]any {
	return map[string]any{
		"plan": "enterprise", "region": "eu-central-1", "contact": "somebody@example.com", "tier": 3,
		"notes": "Renewed for another year; ask before raising the limits of this one.", "account": "acct_1MqLiJLkdIwHu7ixUEgbFdYF",
	}
}

func newClient(ctx context.Context, store apikeys.Store, configure func(*apikeys.Config)) (*apikeys.Client, error) {
	config := apikeys.Config{SigningSecret: apikeys.NewSecret(secret)}
	if configure != nil {
		configure(&config)
	}
	return apikeys.New(ctx, store, config)
}

// issued are the keys of one organization.
type issued struct {
	organization uuid.UUID
	ids          []uuid.UUID
	texts        []string
}

// issue makes n keys: as the client does, but many with one statement.
func issue(ctx context.Context, store apikeys.Store, client *apikeys.Client, n int, limits ...apikeys.RateLimit) (*issued, error) {
	org, _, err := client.GetOrCreateOrganization(ctx, "bench")
	if err != nil {
		return nil, err
	}
	hasher, err := keyhash.New([]byte(secret))
	if err != nil {
		return nil, err
	}
	settings, err := store.EnsureSettings(ctx, apikeys.SettingsRecord{})
	if err != nil {
		return nil, err
	}
	tagger, err := token.NewTagger(settings.ShieldKeys)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(custom())
	if err != nil {
		return nil, err
	}
	all := &issued{organization: org.ID, ids: make([]uuid.UUID, n), texts: make([]string, n)}
	records := make([]apikeys.KeyRecord, n)
	now := time.Now().UTC().Truncate(time.Microsecond)
	for i := range records {
		all.ids[i], all.texts[i] = uuid.Must(uuid.NewV7()), tagger.New("sk")
		records[i] = apikeys.KeyRecord{
			ID: all.ids[i], OrganizationID: org.ID, OwnerID: "alice", Head: "sk", Hint: token.Hint(all.texts[i]), Name: "bench",
			Scopes: []string{"read", "write"}, RateLimits: limits, Custom: data, CreatedAt: now, UpdatedAt: now, Version: 1,
			Secret: apikeys.SecretRecord{
				KeyID: all.ids[i], Number: 1, Hash: hasher.Sum(all.texts[i]), SigningID: hasher.ID(), Hint: token.Hint(all.texts[i]), CreatedAt: now,
			},
		}
	}
	for part := range slices.Chunk(records, 1000) {
		m := apikeys.Mutation{ID: uuid.Must(uuid.NewV7()), At: now, Action: "key.create"}
		faults, err := store.CreateKeys(ctx, m, part)
		if err = errors.Join(append(faults, err)...); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// validate is an operation: the client accepts a key.
func (k *issued) validate(client *apikeys.Client) operation { return k.judged(client, false) }

// refuse is an operation: the client refuses a key. What is asked of the error is what is
// asked of that of an acceptance: whether there is one.
func (k *issued) refuse(client *apikeys.Client) operation { return k.judged(client, true) }

func (k *issued) judged(client *apikeys.Client, refused bool) operation {
	params := apikeys.ValidateParams{Scopes: []string{"read"}}
	return func(ctx context.Context, i int) error {
		_, err := client.Validate(ctx, k.texts[i], params)
		switch {
		case (err != nil) == refused:
			return nil
		case refused:
			return errAccepted
		}
		return err
	}
}

var errAccepted = errors.New("accepted")
