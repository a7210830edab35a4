package apikeys_test

import (
	"errors"
	"testing"

	"github.com/apikeys-platform/apikeys"
	"github.com/apikeys-platform/apikeys/store/sqlite"
)

func TestCheckConfigSaysWhatNewWouldAndChangesNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := must(sqlite.Open(ctx, ":memory:"))(t)
	defer db.Close()
	const ours, next, foreign = "5f2c1a9e8b7d6c4f3e2a1b0c9d8e7f6a", "0d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a", "9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e"
	config := func(signing string, accepted ...string) apikeys.Config {
		c := apikeys.Config{SigningSecret: apikeys.NewSecret(signing)}
		for _, s := range accepted {
			c.AcceptedSecrets = append(c.AcceptedSecrets, apikeys.NewSecret(s))
		}
		return c
	}
	wantIs(t, apikeys.CheckConfig(ctx, db, config(ours)), apikeys.ErrUnavailable) // not migrated
	if err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{ours, foreign} {
		if err := apikeys.CheckConfig(ctx, db, config(secret)); err != nil {
			t.Errorf("nobody has used the database: got %v", err)
		}
	}
	client := must(apikeys.New(ctx, db, config(ours)))(t)
	defer client.Close(ctx)
	before := must(db.EnsureSettings(ctx, apikeys.SettingsRecord{}))(t)
	for _, test := range []struct {
		name   string
		config apikeys.Config
		want   error
	}{
		{"the same", config(ours), nil},
		{"the next beside ours", config(next, ours), nil},
		{"ours beside the next", config(ours, next), nil},
		{"a foreign one", config(foreign), apikeys.ErrInvalidArgument},
		{"a foreign one beside the next", config(foreign, next), apikeys.ErrInvalidArgument},
		{"none", apikeys.Config{}, apikeys.ErrInvalidArgument},
		{"a bad prefix", apikeys.Config{SigningSecret: apikeys.NewSecret(ours), KeyPrefix: "A"}, apikeys.ErrInvalidArgument},
	} {
		if err := apikeys.CheckConfig(ctx, db, test.config); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
	wantIs(t, apikeys.CheckConfig(ctx, nil, config(ours)), apikeys.ErrInvalidArgument)
	if after := must(db.EnsureSettings(ctx, apikeys.SettingsRecord{}))(t); len(after.Canaries) != 1 || after.Version != before.Version {
		t.Errorf("got version %d with %d canaries, want what was there", after.Version, len(after.Canaries))
	}
}
